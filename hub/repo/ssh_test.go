package repo_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/navarch/navarch/e2e/env/gitserver"
	"github.com/navarch/navarch/hub/repo"
)

// sshStage is a stage that is served by ssh, too.
type sshStage struct {
	*stage
	ssh    *gitserver.SSH
	config repo.Config // that is right
}

func newSSHStage(t *testing.T) *sshStage {
	t.Helper()
	s := newStage(t)
	served, err := s.server.ServeSSH()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := served.Close(); err != nil {
			t.Error(err)
		}
	})
	file, line, err := gitserver.MakeKey(t.TempDir(), "deploy")
	if err != nil {
		t.Fatal(err)
	}
	if err := served.Admit(line); err != nil {
		t.Fatal(err)
	}
	hosts := fileOf(t, "known_hosts", served.KnownHosts())
	return &sshStage{stage: s, ssh: served, config: repo.Config{
		URL: served.URL("team/fleet"), Dir: s.dir, SSH: repo.SSH{KeyFile: file, KnownHostsFile: hosts},
	}}
}

// fileOf writes a file and returns its path.
func fileOf(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, c repo.Config) *repo.Repo {
	t.Helper()
	r, err := repo.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSSH fetches over ssh as over http: first all, then what changed, and more of
// the history where that is needed to tell a push from a force-push.
func TestSSH(t *testing.T) {
	s := newSSHStage(t)
	files := fleetFiles(20)
	files["large"] = strings.Repeat("a large file that is sent in many pieces\n", 100_000)
	first := s.publish(t, files)
	r := open(t, s.config)
	commit := fetch(t, r)
	if commit.Hash != first || commit.Revision != "main@sha1:"+first {
		t.Errorf("fetched %+v", commit)
	}
	compare(t, s.stage, commit.Tree)
	if _, changed, err := r.Fetch(t.Context()); changed || err != nil {
		t.Errorf("changed %t, %v", changed, err)
	}
	known := packs(t, s.dir)
	s.publish(t, map[string]string{"apps/app-0003/base/objects.yaml": manifest(3, 1)})
	compare(t, s.stage, fetch(t, r).Tree)
	var fresh []string
	for _, pack := range packs(t, s.dir) {
		if !strings.Contains(strings.Join(known, " "), pack) {
			fresh = append(fresh, pack)
		}
	}
	if got := objects(t, fresh); got["commit"] != 1 || got["tree"] != 4 || got["blob"] != 1 {
		t.Errorf("a push brings %v", got)
	}
	commits(t, s.stage, 120)
	s.git(t, "push", "--quiet", "origin", "HEAD:main")
	if commit := fetch(t, r); commit.Rewound {
		t.Error("a long push counts as a force-push")
	}
	s.git(t, "reset", "--quiet", "--hard", "HEAD~100")
	s.git(t, "push", "--quiet", "--force", "origin", "HEAD:main")
	if commit := fetch(t, open(t, s.config)); !commit.Rewound {
		t.Error("a force-push is not noticed")
	}
}

// TestSSHPush pushes over ssh with git itself, as a person does.
func TestSSHPush(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("no ssh client is installed")
	}
	s := newSSHStage(t)
	s.git(t, "config", "core.sshCommand", "ssh -F none -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile="+s.config.SSH.KnownHostsFile+" -i "+s.config.SSH.KeyFile)
	s.git(t, "remote", "set-url", "origin", s.ssh.URL("team/fleet"))
	hash := s.publish(t, map[string]string{"file": "1"})
	if commit := fetch(t, open(t, s.config)); commit.Hash != hash {
		t.Errorf("commit %s, want %s", commit.Hash, hash)
	}
}

// TestSSHShortURL gives the URL as user@host:path. Its port is 22, which only root
// may listen at.
func TestSSHShortURL(t *testing.T) {
	s := newSSHStage(t)
	hash := s.publish(t, map[string]string{"file": "1"})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	served, err := s.server.ServeSSHAs(key, "127.0.0.2:22")
	if err != nil {
		t.Skipf("port 22 cannot be had: %v", err)
	}
	defer served.Close()
	line, err := os.ReadFile(s.config.SSH.KeyFile + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	if err := served.Admit(line); err != nil {
		t.Fatal(err)
	}
	c := s.config
	c.URL, c.SSH.KnownHostsFile = "ada@127.0.0.2:team/fleet.git", fileOf(t, "known_hosts", served.KnownHosts())
	if commit := fetch(t, open(t, c)); commit.Hash != hash {
		t.Errorf("commit %s, want %s", commit.Hash, hash)
	}
}

func TestSSHRefused(t *testing.T) {
	s := newSSHStage(t)
	s.publish(t, map[string]string{"file": "1"})
	stranger, _, err := gitserver.MakeKey(t.TempDir(), "stranger")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "ssh://git@" + listener.Addr().String() + "/fleet.git"
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		change func(c *repo.Config)
		want   string
	}{
		"key of a stranger": {func(c *repo.Config) { c.SSH.KeyFile = stranger }, `does not accept the key SHA256:`},
		"no such path":      {func(c *repo.Config) { c.URL = s.ssh.URL("team/other") }, "gives no repository (fatal: "},
		"nobody listens":    {func(c *repo.Config) { c.URL = nobody }, "cannot be reached"},
		"no such host":      {func(c *repo.Config) { c.URL = "git@nowhere.invalid:fleet.git" }, "host cannot be found"},
		"no branch":         {func(c *repo.Config) { c.Branch = "other" }, `has no branch "other"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			config := s.config
			config.Dir = t.TempDir()
			c.change(&config)
			_, _, err := open(t, config).Fetch(t.Context())
			expectError(t, err, c.want, "PRIVATE")
		})
	}
	empty, err := s.server.Create("team/empty")
	if err != nil {
		t.Fatal(err)
	}
	_ = empty
	config := s.config
	config.Dir, config.URL = t.TempDir(), s.ssh.URL("team/empty")
	if _, _, err := open(t, config).Fetch(t.Context()); !errors.Is(err, repo.ErrEmpty) {
		t.Errorf("an empty repository gives %v", err)
	}
}

// TestSSHCanceled ends a fetch from a server that lets wait, at each step.
func TestSSHCanceled(t *testing.T) {
	s := newSSHStage(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	config := s.config
	config.URL = "ssh://git@" + listener.Addr().String() + "/fleet.git"
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Read(make([]byte, 1)) // the client has begun
		cancel()
		_, _ = conn.Read(make([]byte, 1<<16)) // until it goes
	}()
	if _, _, err := open(t, config).Fetch(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSSHOpenRefuses(t *testing.T) {
	s := newSSHStage(t)
	key := s.config.SSH.KeyFile
	content, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := ssh.ParseRawPrivateKey(content)
	if err != nil {
		t.Fatal(err)
	}
	locked := sealed(t, raw, "open sesame")
	hosts := s.config.SSH.KnownHostsFile
	cases := map[string]struct {
		url  string
		ssh  repo.SSH
		want string
	}{
		"nothing":          {"", repo.SSH{}, "--git-ssh-key-file"},
		"no known hosts":   {"", repo.SSH{KeyFile: key}, "--git-known-hosts-file"},
		"no such key":      {"", repo.SSH{KeyFile: key + "x", KnownHostsFile: hosts}, "no such file"},
		"no key":           {"", repo.SSH{KeyFile: hosts, KnownHostsFile: hosts}, "is not a private key"},
		"public key":       {"", repo.SSH{KeyFile: key + ".pub", KnownHostsFile: hosts}, "is not a private key"},
		"no such hosts":    {"", repo.SSH{KeyFile: key, KnownHostsFile: hosts + "x"}, "no such file"},
		"hosts with words": {"", repo.SSH{KeyFile: key, KnownHostsFile: fileOf(t, "h", "git.example.com hello\n")}, "known_hosts file"},
		"locked":           {"", repo.SSH{KeyFile: locked, KnownHostsFile: hosts}, "--git-ssh-passphrase-file"},
		"wrong passphrase": {"", repo.SSH{KeyFile: locked, PassphraseFile: fileOf(t, "p", "open barley"), KnownHostsFile: hosts}, "cannot be opened"},
		"right passphrase": {"", repo.SSH{KeyFile: locked, PassphraseFile: fileOf(t, "p", "open sesame\n"), KnownHostsFile: hosts}, ""},
		"password":         {"ssh://git:sesame@git.example/fleet.git", s.config.SSH, "has a password"},
		"query":            {"ssh://git@git.example/fleet.git?sesame", s.config.SSH, "query"},
		"no path":          {"ssh://git@git.example/", s.config.SSH, "names no path"},
		"option":           {"git@git.example:--upload-pack=sesame", s.config.SSH, "begins with '-'"},
		"option as host":   {"ssh://-oProxyCommand=sesame/fleet", s.config.SSH, "host or user"},
		"option, short":    {"-oProxyCommand=sesame:fleet", s.config.SSH, "host or user"},
		"two lines":        {"ssh://git@git.example/a%0Asesame", s.config.SSH, "control character"},
		"keys with http":   {"https://git.example/fleet.git", s.config.SSH, "whose URL is one of http"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			config := repo.Config{URL: s.config.URL, Dir: t.TempDir(), SSH: c.ssh}
			if c.url != "" {
				config.URL = c.url
			}
			_, err := repo.Open(config)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			expectError(t, err, c.want, "sesame", "barley")
		})
	}
	_, err = repo.Open(repo.Config{URL: s.config.URL, Dir: t.TempDir(), SSH: s.config.SSH, Password: "sesame"})
	expectError(t, err, "whose URL is one of ssh", "sesame")
}

// sealed writes a private key with a passphrase.
func sealed(t *testing.T, key any, passphrase string) string {
	t.Helper()
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	return fileOf(t, "locked", string(pem.EncodeToMemory(block)))
}
