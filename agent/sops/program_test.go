package sops

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// script is a program that is not what it should be.
func script(t *testing.T, lines string) program {
	t.Helper()
	path := filepath.Join(t.TempDir(), Program)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+lines+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return program{path}
}

// TestProgram: whatever the program does, the agent gets one error without anything that
// the program said.
func TestProgram(t *testing.T) {
	const canary = "canary-of-the-mine"
	one := request{Identities: map[string]string{OwnKey: canary}, Documents: []document{{Format: "json", Content: []byte(canary)}}}
	for name, c := range map[string]struct {
		lines, want string
		permanent   bool
	}{
		"crashes":                  {lines: "cat >/dev/null; echo " + canary + " >&2; exit 2", want: "ended without an answer: exit status 2"},
		"is killed":                {lines: "kill -9 $$", want: "ended without an answer: signal: killed"},
		"says nothing":             {lines: "cat >/dev/null", want: "an answer of another version"},
		"says something else":      {lines: "cat; echo " + canary, want: "an answer of another version"},
		"answers too few":          {lines: `echo '{"documents": []}'`, want: "an answer of another version"},
		"never stops":              {lines: "yes " + canary, want: "its answer is too long"},
		"does not like a key":      {lines: `echo '{"problem": "\"mine.agekey\" holds no identity of age"}'`, want: `Secret "navarch-sops": "mine.agekey" holds no identity of age`, permanent: true},
		"is not there (any more)":  {lines: "", want: ""},
		"reads nothing of its own": {lines: `echo '{"documents": [{}]}'`, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := script(t, c.lines)
			if strings.HasPrefix(name, "is not there") {
				p.path += "-gone"
				c.want = "ended without an answer"
			}
			_, err := p.ask(t.Context(), one)
			switch {
			case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			case err != nil && strings.Contains(err.Error(), canary):
				t.Errorf("what it said is in %v", err)
			case errors.Is(err, ErrSealed) != c.permanent:
				t.Errorf("permanent: %v", !c.permanent)
			}
		})
	}
}

// TestProgramIsCutOff: who no longer wants the answer does not wait for it, also where the
// program has started others.
func TestProgramIsCutOff(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, err := script(t, "sleep 30 & sleep 30").ask(ctx, request{}); err == nil || time.Since(begun) > 10*time.Second {
		t.Errorf("got %v after %s", err, time.Since(begun))
	}
}

// TestEnvironment: the program has nothing of the agent's environment but what key services
// are reached with.
func TestEnvironment(t *testing.T) {
	for _, name := range inherited {
		t.Setenv(name, "") // so that it comes back after the test
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("NAVARCH_CANARY", "x")
	t.Setenv("HOME", "/root")
	t.Setenv("SOPS_AGE_KEY_CMD", "x")
	t.Setenv("AWS_REGION", "eu-central-1")
	results, err := script(t, `printf '{"documents": [{"at": "%s"}]}' "$(env | cut -d= -f1 | grep -v -e PWD -e SHLVL -e '^_$' -e OLDPWD | sort | tr '\n' ' ')"`).ask(t.Context(), request{Documents: []document{{}}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("AWS_REGION", strings.TrimSpace(results[0].At)); diff != "" {
		t.Error(diff)
	}
}

// TestFind: the program is looked for beside the one that runs, or where it is said to be.
func TestFind(t *testing.T) {
	if _, err := find(""); !errors.Is(err, ErrNoProgram) || !errors.Is(err, ErrSealed) {
		t.Errorf("beside a test: %v", err)
	}
	there := script(t, "")
	if found, err := find(there.path); err != nil || found != there {
		t.Errorf("found %v, %v", found, err)
	}
}
