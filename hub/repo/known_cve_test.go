package repo_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/navarch/navarch/e2e/env/gitserver"
	"github.com/navarch/navarch/hub/repo"
)

// TestCVE202523390 (Fleet): the key of a Git server is compared with the known hosts
// before anything is asked or told, and one that is not known is never taken over.
func TestCVE202523390(t *testing.T) {
	s := newSSHStage(t)
	s.publish(t, map[string]string{"file": "1"})
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.server.ServeSSHAs(key, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	line := func(of *gitserver.SSH) string { return strings.TrimSpace(of.KnownHosts()) }
	host, _, _ := strings.Cut(line(s.ssh), " ")
	_, otherKey, _ := strings.Cut(line(other), " ")
	fingerprint := fingerprintOf(t, line(s.ssh))
	const ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg="
	cases := map[string]struct {
		hosts string
		want  []string
	}{
		"known":            {line(s.ssh), nil},
		"of two":           {host + " " + otherKey + "\n" + line(s.ssh), nil},
		"none":             {"", []string{"is not in the known_hosts file", fingerprint, "add this line: " + line(s.ssh)}},
		"another host":     {line(other), []string{"is not in the known_hosts file", fingerprint, line(s.ssh)}},
		"another port":     {strings.Replace(line(s.ssh), host, "127.0.0.1", 1), []string{"is not in the known_hosts file", fingerprint}},
		"changed":          {"# hosts\n" + host + " " + otherKey, []string{"another host key", "line 2", fingerprint, "in place of that one: " + line(s.ssh)}},
		"changed its type": {host + " " + ecdsa, []string{"another host key", "line 1", fingerprint, line(s.ssh)}},
		"revoked":          {line(s.ssh) + "\n@revoked * " + strings.TrimPrefix(line(s.ssh), host+" "), []string{"revokes", fingerprint}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			config := s.config
			config.Dir, config.SSH.KnownHostsFile = t.TempDir(), fileOf(t, "known_hosts", c.hosts+"\n")
			_, _, err := open(t, config).Fetch(t.Context())
			if len(c.want) == 0 && err != nil {
				t.Error(err)
			}
			for _, want := range c.want {
				expectError(t, err, want)
			}
			if content := readFile(t, config.SSH.KnownHostsFile); content != c.hosts+"\n" {
				t.Errorf("the known hosts are %q now", content)
			}
		})
	}
	// What is written there while the hub runs counts at the next look.
	config := s.config
	config.SSH.KnownHostsFile = fileOf(t, "known_hosts", "")
	r := open(t, config)
	_, _, err = r.Fetch(t.Context())
	expectError(t, err, "is not in the known_hosts file")
	if err := os.WriteFile(config.SSH.KnownHostsFile, []byte(s.ssh.KnownHosts()), 0o600); err != nil {
		t.Fatal(err)
	}
	fetch(t, r)
}

// fingerprintOf returns the fingerprint of a line of known hosts, as ssh-keygen says it.
func fingerprintOf(t *testing.T, line string) string {
	t.Helper()
	output, err := exec.Command("ssh-keygen", "-l", "-f", fileOf(t, "hosts", line+"\n")).Output()
	if err != nil {
		t.Skipf("no ssh-keygen is installed: %v", err)
	}
	return strings.Fields(string(output))[1]
}

// TestSSHTakesNothingFromHome shows that neither the configuration nor the keys nor
// the agent of who runs the hub are used.
func TestSSHTakesNothingFromHome(t *testing.T) {
	s := newSSHStage(t)
	hash := s.publish(t, map[string]string{"file": "1"})
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"config":      "Host *\n  Hostname 127.0.0.9\n  Port 9\n  User eve\n",
		"known_hosts": s.ssh.KnownHosts(),
		"id_ed25519":  readFile(t, s.config.SSH.KeyFile),
	} {
		if err := os.WriteFile(filepath.Join(home, ".ssh", name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HOME", home)
	t.Setenv("SSH_KNOWN_HOSTS", filepath.Join(home, ".ssh", "known_hosts"))
	t.Setenv("SSH_AUTH_SOCK", filepath.Join(home, "agent"))
	t.Setenv("ALL_PROXY", "socks5://127.0.0.9:9")
	if commit := fetch(t, open(t, s.config)); commit.Hash != hash {
		t.Errorf("commit %s, want %s", commit.Hash, hash)
	}
	config := s.config
	config.SSH.KnownHostsFile = fileOf(t, "known_hosts", "")
	_, _, err := open(t, config).Fetch(t.Context())
	expectError(t, err, "is not in the known_hosts file")
}

// TestCVE202645570 (go-git): the path of a repository is one word to the shell of the
// server, whatever is in it. The real git-shell takes it apart here.
func TestCVE202645570(t *testing.T) {
	s := newSSHStage(t)
	hash := s.publish(t, map[string]string{"file": "1"})
	dir := s.server.Dir("team/fleet")
	for _, name := range []string{"it's", "a!b", "a b", "$(touch x)", "`touch x`", "a'; touch x; '", `a\b`, `"`, "a;b", "--x", "ü", "~x", "%41"} {
		next := filepath.Join(filepath.Dir(dir), name)
		if err := os.Rename(dir, next); err != nil {
			t.Fatal(err)
		}
		dir = next
		config := s.config
		config.Dir, config.URL = t.TempDir(), (&url.URL{Scheme: "ssh", User: url.User("git"), Host: s.ssh.Address(), Path: dir}).String()
		if commit := fetch(t, open(t, config)); commit.Hash != hash {
			t.Errorf("%s: commit %s, want %s", name, commit.Hash, hash)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(dir)), "x")); len(left) > 0 {
		t.Error("a command was run")
	}
}

// TestCVE202521613 (go-git): nothing in a URL becomes an argument of a program. No
// program is run here, and what a server could take for an option is refused.
func TestCVE202521613(t *testing.T) {
	s := newSSHStage(t)
	for _, text := range []string{
		"--upload-pack=touch${IFS}x", "git@host:--upload-pack=x", "-oProxyCommand=x:y", "ssh://-oProxyCommand=x/y", "ssh://git@-x/y",
		"ext::sh -c touch% x", "file:///etc", "git://host/x", "./local", "/srv/x", "host:", "@:", ":x", "[::1]x:y", "ssh://",
		"git@ho st:x", "git@host\n:x",
	} {
		_, err := repo.Open(repo.Config{URL: text, Dir: t.TempDir(), SSH: s.config.SSH})
		expectError(t, err, "the URL of the repository")
	}
}
