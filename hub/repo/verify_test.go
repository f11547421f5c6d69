package repo_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/navarch/navarch/e2e/env/gitserver"
	"github.com/navarch/navarch/hub/repo"
)

// signer is a person who signs with git.
type signer struct {
	name   string
	public string   // what is listed of the key
	config []string // of git, as for -c
}

// sshSigner makes a person with an SSH key.
func sshSigner(t *testing.T, name string) signer {
	t.Helper()
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("no ssh-keygen is installed")
	}
	file, line, err := gitserver.MakeKey(t.TempDir(), name)
	if err != nil {
		t.Fatal(err)
	}
	return signer{name: name, public: string(line), config: []string{"-c", "gpg.format=ssh", "-c", "user.signingKey=" + file + ".pub"}}
}

// gpgSigner makes a person with a GPG key that is good for a time, as gpg says it.
func gpgSigner(t *testing.T, name, life string) signer {
	t.Helper()
	home := gpgHome(t)
	gpg(t, home, "--quick-gen-key", name+" <"+name+"@example.com>", "ed25519", "sign", life)
	program := fileOf(t, "gpg", "#!/bin/sh\nexec gpg --homedir '"+home+"' --batch --no-tty --pinentry-mode loopback --passphrase '' \"$@\"\n")
	if err := os.Chmod(program, 0o700); err != nil {
		t.Fatal(err)
	}
	return signer{
		name: name, public: gpg(t, home, "--armor", "--export"),
		config: []string{"-c", "gpg.format=openpgp", "-c", "gpg.program=" + program, "-c", "user.signingKey=" + name + "@example.com"},
	}
}

// gpgHome makes a folder of keys. The agent that gpg starts for it is ended with the
// test, and its path has to be short.
func gpgHome(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skip("no gpg is installed")
	}
	home, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		if err := os.RemoveAll(home); err != nil {
			t.Log(err) // its agent may remove its sockets at the same time
		}
	})
	return home
}

func gpg(t *testing.T, home string, args ...string) string {
	t.Helper()
	args = append([]string{"--homedir", home, "--batch", "--quiet", "--yes", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", ""}, args...)
	output, err := exec.Command("gpg", args...).Output()
	if err != nil {
		var ended *exec.ExitError
		errors.As(err, &ended)
		t.Fatalf("gpg %q: %v: %s", args, err, ended.Stderr)
	}
	return string(output)
}

// commit makes a signed commit and pushes it.
func (s *stage) sign(t *testing.T, by signer, files map[string]string) string {
	t.Helper()
	if err := s.ada.Write(files); err != nil {
		t.Fatal(err)
	}
	s.git(t, "add", "--all")
	s.git(t, append(by.config, "commit", "--quiet", "--allow-empty", "-S", "--message", "by "+by.name)...)
	s.git(t, "push", "--quiet", "origin", "HEAD:main")
	return s.git(t, "rev-parse", "HEAD")
}

// verified opens a watch that wants signatures by some.
func (s *stage) verified(t *testing.T, mode repo.Mode, by ...signer) *repo.Repo {
	t.Helper()
	return open(t, repo.Config{URL: s.url, Dir: s.dir, Poll: time.Hour, Verify: repo.Verify{Mode: mode, Keys: keysOf(t, by...)}})
}

// keysOf lists keys in a folder.
func keysOf(t *testing.T, by ...signer) string {
	t.Helper()
	dir := t.TempDir()
	for _, s := range by {
		if err := os.WriteFile(filepath.Join(dir, s.name), []byte(s.public), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// expectHeld fetches a commit that is held for a reason.
func expectHeld(t *testing.T, r *repo.Repo, hash, why string) repo.Commit {
	t.Helper()
	commit, _, err := r.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if commit.Held == nil || commit.Tree != nil || commit.Hash != hash || !strings.Contains(commit.Held.Why, why) || commit.Held.Hint == "" {
		t.Errorf("commit %s, held %+v, want %s held because %q", commit.Hash, commit.Held, hash, why)
	}
	return commit
}

// TestVerify deploys what a listed key has signed with real git, and nothing else.
func TestVerify(t *testing.T) {
	ways := map[string]func(t *testing.T, name string) signer{
		"ssh": sshSigner,
		"gpg": func(t *testing.T, name string) signer { return gpgSigner(t, name, "1d") },
	}
	for way, make := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			ada, eve := make(t, "ada"), make(t, "eve")
			r := s.verified(t, repo.VerifyCommits, ada)
			first := s.sign(t, ada, map[string]string{"file": "1"})
			if commit := fetch(t, r); commit.Hash != first || commit.Held != nil {
				t.Errorf("signed, and held: %+v", commit.Held)
			}
			unsigned := s.publish(t, map[string]string{"file": "2"})
			held := expectHeld(t, r, unsigned, "is not signed")
			if held.Author != "Ada Example" || held.Message != "change\n" || held.Rewound {
				t.Errorf("held as %+v", held)
			}
			if _, changed, err := r.Fetch(t.Context()); changed || err != nil {
				t.Errorf("a held commit is new again: %t, %v", changed, err)
			}
			expectHeld(t, r, s.sign(t, eve, map[string]string{"file": "3"}), "is not among the keys that may sign")
			if status := r.Status(); status.Err != nil || status.Checked.IsZero() {
				t.Errorf("a held commit is an error: %+v", status)
			}
			last := s.sign(t, ada, map[string]string{"file": "4"})
			commit := fetch(t, r)
			if commit.Hash != last || commit.Rewound {
				t.Errorf("commit %+v", commit)
			}
			compare(t, s, commit.Tree)
		})
	}
}

// TestVerifyBroken has a signature that is of something else.
func TestVerifyBroken(t *testing.T) {
	for way, make := range map[string]func(t *testing.T) signer{
		"ssh": func(t *testing.T) signer { return sshSigner(t, "ada") },
		"gpg": func(t *testing.T) signer { return gpgSigner(t, "ada", "1d") },
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			ada := make(t)
			s.sign(t, ada, map[string]string{"file": "1"})
			content := s.git(t, "cat-file", "commit", "HEAD") + "\n"
			hash := s.hash(t, "commit", strings.Replace(content, "\n\nby ada", "\n\nby eve", 1))
			s.git(t, "push", "--quiet", "--force", "origin", hash+":refs/heads/main")
			expectHeld(t, s.verified(t, repo.VerifyCommits, ada), hash, "has a wrong signature")
		})
	}
}

// hash puts an object of any content into the clone.
func (s *stage) hash(t *testing.T, kind, content string) string {
	t.Helper()
	cmd := exec.Command("git", "hash-object", "-w", "--literally", "-t", kind, "--stdin")
	cmd.Dir, cmd.Stdin = s.ada.Path, strings.NewReader(content)
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return strings.TrimSpace(string(output))
}

// TestVerifyLife holds what is signed by keys that were good once.
func TestVerifyLife(t *testing.T) {
	t.Run("gpg, expired", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		home := gpgHome(t)
		gpg(t, home, "--faked-system-time", "20240101T000000", "--quick-gen-key", "ada <ada@example.com>", "ed25519", "sign", "1y")
		program := fileOf(t, "gpg", "#!/bin/sh\nexec gpg --homedir '"+home+"' --batch --no-tty --faked-system-time 20240601T000000 --passphrase '' --pinentry-mode loopback \"$@\"\n")
		if err := os.Chmod(program, 0o700); err != nil {
			t.Fatal(err)
		}
		ada := signer{name: "ada", public: gpg(t, home, "--armor", "--export"), config: []string{"-c", "gpg.program=" + program, "-c", "user.signingKey=ada@example.com"}}
		expectHeld(t, s.verified(t, repo.VerifyCommits, ada), s.sign(t, ada, map[string]string{"file": "1"}), `of "ada <ada@example.com>", which has expired`)
	})
	t.Run("gpg, revoked", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		ada := gpgSigner(t, "ada", "1d")
		home := strings.Split(readFile(t, strings.TrimPrefix(ada.config[3], "gpg.program=")), "'")[1]
		hash := s.sign(t, ada, map[string]string{"file": "1"})
		certificates, err := filepath.Glob(filepath.Join(home, "openpgp-revocs.d", "*.rev"))
		if err != nil || len(certificates) != 1 {
			t.Fatalf("%q, %v", certificates, err)
		}
		certificate := strings.Replace(readFile(t, certificates[0]), ":-----BEGIN", "-----BEGIN", 1)
		gpg(t, home, "--import", fileOf(t, "revoked", certificate))
		ada.public = gpg(t, home, "--armor", "--export")
		expectHeld(t, s.verified(t, repo.VerifyCommits, ada), hash, "which has been revoked")
	})
	t.Run("gpg, SHA-1", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		ada := gpgSigner(t, "ada", "1d")
		program := strings.TrimPrefix(ada.config[3], "gpg.program=")
		script := strings.Replace(readFile(t, program), `"$@"`, `--digest-algo SHA1 "$@"`, 1)
		if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		expectHeld(t, s.verified(t, repo.VerifyCommits, ada), s.sign(t, ada, map[string]string{"file": "1"}), "proves nothing any more")
	})
	for name, c := range map[string]struct{ options, why string }{
		"ssh, expired":     {`valid-before="20240101Z" `, "may not sign at this time"},
		"ssh, not yet":     {`valid-after="29990101Z" `, "may not sign at this time"},
		"ssh, good":        {`namespaces="file,git",valid-after="20240101Z",valid-before="29990101Z" `, ""},
		"ssh, named":       {"", ""},
		"ssh, other again": {"namespaces=\"git\" ", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			ada := sshSigner(t, "ada")
			ada.public = "# who may sign\n\nada@example.com,root@* " + c.options + ada.public
			hash := s.sign(t, ada, map[string]string{"file": "1"})
			r := s.verified(t, repo.VerifyCommits, ada)
			if c.why != "" {
				expectHeld(t, r, hash, c.why)
				return
			}
			if commit := fetch(t, r); commit.Held != nil {
				t.Errorf("held: %+v", commit.Held)
			}
		})
	}
	t.Run("ssh, for files", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		ada := sshSigner(t, "ada")
		s.publish(t, map[string]string{"file": "1"})
		content := s.git(t, "cat-file", "commit", "HEAD") + "\n"
		key := strings.TrimSuffix(strings.TrimPrefix(ada.config[3], "user.signingKey="), ".pub")
		sign := exec.Command("ssh-keygen", "-Y", "sign", "-n", "file", "-f", key)
		sign.Stdin = strings.NewReader(content)
		signature, err := sign.Output()
		if err != nil {
			t.Fatal(err)
		}
		header := "gpgsig " + strings.ReplaceAll(strings.TrimSpace(string(signature)), "\n", "\n ")
		hash := s.hash(t, "commit", strings.Replace(content, "\n\n", "\n"+header+"\n\n", 1))
		s.git(t, "push", "--quiet", "--force", "origin", hash+":refs/heads/main")
		expectHeld(t, s.verified(t, repo.VerifyCommits, ada), hash, `for "file", not for "git"`)
	})
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestVerifyTags wants an annotated tag of the head. It may come after the commit.
func TestVerifyTags(t *testing.T) {
	s := newStage(t)
	ada, eve := sshSigner(t, "ada"), sshSigner(t, "eve")
	r := s.verified(t, repo.VerifyTags, ada)
	tag := func(by signer, args ...string) {
		t.Helper()
		s.git(t, append(by.config, append([]string{"tag"}, args...)...)...)
		s.git(t, "push", "--quiet", "origin", "--tags")
	}
	hash := s.publish(t, map[string]string{"file": "1"})
	expectHeld(t, r, hash, "no annotated tag names the commit")
	tag(ada, "light")
	expectHeld(t, r, hash, "no annotated tag names the commit")
	tag(ada, "--annotate", "--message", "not signed", "plain")
	expectHeld(t, r, hash, `tag "plain" is not signed`)
	tag(eve, "--sign", "--message", "by eve", "eve")
	expectHeld(t, r, hash, `tag "eve" is signed by the SSH key SHA256:`)
	tag(ada, "--sign", "--message", "by ada", "v1")
	if commit := fetch(t, r); commit.Held != nil || commit.Hash != hash {
		t.Errorf("held: %+v", commit.Held)
	}

	// A tag under another name, and a tag of a tag, are none.
	next := s.publish(t, map[string]string{"file": "2"})
	tag(ada, "--sign", "--message", "nested", "nested", "v1")
	s.git(t, "push", "--quiet", "origin", "v1:refs/tags/v2")
	expectHeld(t, r, next, "no annotated tag names the commit")
	s.git(t, append(ada.config, "tag", "--sign", "--message", "rc", "rc")...)
	s.git(t, "push", "--quiet", "origin", "rc:refs/tags/final")
	expectHeld(t, r, next, `tag "final" was made as "rc"`)

	// What is held stays so when the hub starts again, and what was good is good.
	again := s.verified(t, repo.VerifyTags, ada)
	expectRun(t, again, hash, next)
	tag(ada, "--sign", "--message", "good", "v3")
	if commit := fetch(t, again); commit.Held != nil || commit.Hash != next {
		t.Errorf("held: %+v", commit.Held)
	}
}

// expectRun lets a watch run until it has put out a good commit and a held one.
func expectRun(t *testing.T, r *repo.Repo, good, held string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	if commit := <-r.Commits(); commit.Hash != good || commit.Held != nil {
		t.Errorf("commit %s, held %+v, want %s", commit.Hash, commit.Held, good)
	}
	if held != "" {
		if commit := <-r.Commits(); commit.Hash != held || commit.Held == nil {
			t.Errorf("commit %s, held %+v, want %s held", commit.Hash, commit.Held, held)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestVerifyBoth wants the commit and a tag.
func TestVerifyBoth(t *testing.T) {
	s := newStage(t)
	ada := gpgSigner(t, "ada", "1d")
	r := s.verified(t, repo.VerifyBoth, ada)
	hash := s.sign(t, ada, map[string]string{"file": "1"})
	expectHeld(t, r, hash, "no annotated tag")
	s.git(t, append(ada.config, "tag", "--sign", "--message", "one", "v1")...)
	s.git(t, "push", "--quiet", "origin", "--tags")
	if commit := fetch(t, r); commit.Held != nil {
		t.Errorf("held: %+v", commit.Held)
	}
	hash = s.publish(t, map[string]string{"file": "2"})
	s.git(t, append(ada.config, "tag", "--sign", "--message", "two", "v2")...)
	s.git(t, "push", "--quiet", "origin", "--tags")
	expectHeld(t, r, hash, "the commit is not signed")
}

// TestVerifyOverTime changes the keys while the watch is open, goes back by force,
// and starts again.
func TestVerifyOverTime(t *testing.T) {
	s := newStage(t)
	ada, bob := sshSigner(t, "ada"), sshSigner(t, "bob")
	keys := keysOf(t, ada)
	config := repo.Config{URL: s.url, Dir: s.dir, Poll: time.Hour, Verify: repo.Verify{Mode: repo.VerifyCommits, Keys: keys}}
	r := open(t, config)
	first := s.sign(t, ada, map[string]string{"file": "1"})
	fetch(t, r)
	second := s.sign(t, bob, map[string]string{"file": "2"})
	expectHeld(t, r, second, "is not among the keys")

	// Back to where it was: the commit is put out again, and nothing was forced.
	s.git(t, "push", "--quiet", "--force", "origin", first+":refs/heads/main")
	if commit := fetch(t, r); commit.Hash != first || commit.Rewound {
		t.Errorf("commit %+v", commit)
	}
	s.git(t, "push", "--quiet", "origin", second+":refs/heads/main")
	expectHeld(t, r, second, "is not among the keys")

	// A hub that starts again goes on with what was good, and still holds the rest.
	expectRun(t, open(t, config), first, second)

	if err := os.WriteFile(filepath.Join(keys, "bob"), []byte(bob.public), 0o600); err != nil {
		t.Fatal(err)
	}
	if commit := fetch(t, r); commit.Hash != second || commit.Held != nil || commit.Rewound {
		t.Errorf("commit %+v", commit)
	}
	third := s.sign(t, ada, map[string]string{"file": "3"})
	fetch(t, r)

	// By force to an older one that is signed: it is deployed, and shown as forced.
	s.git(t, "push", "--quiet", "--force", "origin", second+":refs/heads/main")
	if commit := fetch(t, r); commit.Hash != second || !commit.Rewound || commit.Held != nil {
		t.Errorf("commit %+v", commit)
	}
	s.git(t, "push", "--quiet", "origin", third+":refs/heads/main")
	fetch(t, r)

	// A key that is listed no more takes nothing away, but vouches for nothing new.
	if err := os.Remove(filepath.Join(keys, "ada")); err != nil {
		t.Fatal(err)
	}
	if _, changed, err := r.Fetch(t.Context()); changed || err != nil {
		t.Errorf("changed %t, %v", changed, err)
	}
	expectHeld(t, open(t, config), third, "is not among the keys")

	// Without any key nothing can be known.
	if err := os.Remove(filepath.Join(keys, "bob")); err != nil {
		t.Fatal(err)
	}
	s.sign(t, ada, map[string]string{"file": "4"})
	_, _, err := r.Fetch(t.Context())
	expectError(t, err, "holds no key that may sign")
}

// TestVerifyFirst holds a commit where there was none before, and deploys the next.
func TestVerifyFirst(t *testing.T) {
	s := newStage(t)
	ada := sshSigner(t, "ada")
	hash := s.publish(t, map[string]string{"file": "1"})
	expectHeld(t, s.verified(t, repo.VerifyCommits, ada), hash, "is not signed")
	r := s.verified(t, repo.VerifyCommits, ada)
	expectHeld(t, r, hash, "is not signed")
	last := s.sign(t, ada, map[string]string{"file": "2"})
	if commit := fetch(t, r); commit.Hash != last || commit.Rewound {
		t.Errorf("commit %+v", commit)
	}
}

// TestVerifyAway serves what was deployed last when the server is away, unless its
// key is listed no more, or it was fetched before anything had to be signed.
func TestVerifyAway(t *testing.T) {
	s := newStage(t)
	ada, bob := sshSigner(t, "ada"), sshSigner(t, "bob")
	hash := s.sign(t, ada, map[string]string{"file": "1"})
	fetch(t, s.open(t))
	s.server.RequireLogin("nobody", "knows")
	expectRun(t, s.verified(t, repo.VerifyCommits, ada), hash, "")
	r := s.verified(t, repo.VerifyCommits, bob)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	wait(t, func() bool { return r.Status().Err != nil })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	select {
	case commit := <-r.Commits():
		t.Errorf("commit %s is put out", commit.Hash)
	default:
	}
}
