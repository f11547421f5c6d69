package repo_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/hub/repo"
)

// TestCheck: what Open would refuse is refused without a folder and a server.
func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		config repo.Config
		want   string // empty: good
	}{
		"good":        {repo.Config{URL: "https://git.example.com/fleet.git", Password: "sesame"}, ""},
		"no key":      {repo.Config{URL: "git@git.example.com:fleet.git"}, "no private key given for ssh"},
		"another CA":  {repo.Config{URL: "https://git.example.com/fleet.git", CAFile: fileOf(t, "ca.pem", "x")}, "holds no certificate of a CA"},
		"a list":      {repo.Config{URL: "https://git.example.com/fleet.git", Verify: repo.Verify{Mode: repo.VerifyTags, Keys: fileOf(t, "keys", "\nada\n")}}, "keys:2: "},
		"no branch":   {repo.Config{URL: "https://git.example.com/fleet.git", Branch: "a b"}, "no branch can be named so"},
		"another URL": {repo.Config{URL: "ftp://git.example.com/fleet.git"}, "is not one of https, http or ssh"},
	} {
		err := test.config.Check()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	if err := repo.CheckWebhookSecret("whsec_?"); err == nil {
		t.Error("half a token of GitLab is a secret")
	}
}

// TestKeyFiles: those that are read, and no others.
func TestKeyFiles(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"ada.pub": "a", "grace.asc": "g", ".hidden": "h"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]map[string][]byte{
		dir: {"ada.pub": []byte("a"), "grace.asc": []byte("g")}, filepath.Join(dir, ".hidden"): {"keys": []byte("h")},
	} {
		got, err := repo.KeyFiles(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	if _, err := repo.KeyFiles(filepath.Join(dir, "none")); err == nil {
		t.Error("files that are not there are read")
	}
}
