package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/navarch/navarch/hub/dashboard"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/hub/gate"
	"github.com/navarch/navarch/hub/view"
)

// TestAccessTokens: a hub that asks everybody who they are is used with a token from a
// file or from the environment, and by nobody without one.
func TestAccessTokens(t *testing.T) {
	dir := t.TempDir()
	identity, err := enrol.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	board := view.NewBoard()
	tellStory(board)
	release := func(context.Context, string) error { return nil }
	url := serveHub(t, dashboard.Config{Board: board, Release: release}, gate.Config{Keys: identity.TokenKeys})
	token := func(args ...string) (text, file string) {
		t.Helper()
		text, _, code := navarch(t, append([]string{"token", "access", "--name", "ada", "--identity", dir}, args...)...)
		if code != exitOK {
			t.Fatal("no token was made")
		}
		file = filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(text), file
	}
	adminText, adminFile := token()
	_, viewerFile := token("--role", "viewer", "--clusters", "env=prod")
	if _, stderr, code := navarch(t, "status", "--hub", url); code != exitProblem || !strings.Contains(stderr, "--token-file or NAVARCH_TOKEN") {
		t.Errorf("without a token: %d %s", code, stderr)
	}
	if stdout, stderr, code := navarch(t, "status", "--hub", url, "--token-file", adminFile); code != exitOK || !strings.Contains(stdout, "shop") {
		t.Errorf("with the token of an admin: %d %s%s", code, stdout, stderr)
	}
	if stdout, stderr, code := navarch(t, "status", "--hub", url, "--token-file", viewerFile); code != exitOK || strings.Contains(stdout, "shop") {
		t.Errorf("with the token of a viewer who sees nothing of this: %d %s%s", code, stdout, stderr)
	}
	if _, stderr, code := navarch(t, "status", "--hub", "http://192.0.2.1", "--token-file", adminFile); code != exitProblem || !strings.Contains(stderr, "ask the hub by https") {
		t.Errorf("where everybody can read the token: %d %s", code, stderr)
	}
	if _, _, code := navarch(t, "token", "create", "--cluster", "eu-3", "--identity", dir, "--hub", "http://192.0.2.1"); code != exitOK {
		t.Error("who makes a token to join needs none")
	}
	t.Setenv(tokenVariable, adminText)
	if _, stderr, code := navarch(t, "status", "--hub", url); code != exitOK {
		t.Errorf("with the token in the environment: %d %s", code, stderr)
	}
	t.Setenv(tokenVariable, adminText+"x")
	if _, stderr, code := navarch(t, "status", "--hub", url); code != exitProblem || !strings.Contains(stderr, "navarch token access") || strings.Contains(stderr, adminText) {
		t.Errorf("with a token that nobody signed: %d %s", code, stderr)
	}
}

func TestAccessTokenIsNotMade(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"no name":     {[]string{"--identity", "x"}, "--name is required"},
		"no identity": {[]string{"--name", "ada"}, "--identity is required"},
		"no role":     {[]string{"--name", "ada", "--identity", "x", "--role", "root"}, `"root" is no role`},
		"selector":    {[]string{"--name", "ada", "--identity", "x", "--apps", "a in b"}, "selector of apps"},
		"long gone":   {[]string{"--name", "ada", "--identity", "x", "--ttl", "-1h"}, "want a time to come"},
		"no folder":   {[]string{"--name", "ada", "--identity", filepath.Join(t.TempDir(), "none")}, "there is no identity in"},
	} {
		if _, stderr, code := navarch(t, append([]string{"token", "access"}, test.args...)...); code == exitOK || !strings.Contains(stderr, test.says) {
			t.Errorf("%s: %d %s", name, code, stderr)
		}
	}
}
