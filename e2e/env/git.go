package env

import (
	"context"
	"os"
	"path/filepath"

	"github.com/navarch/navarch/e2e/env/gitserver"
)

// UseSSH has the hub and the clone reach the repository by ssh from now on, with a
// key of their own. It returns the file of known hosts of the hub.
func (f *Fleet) UseSSH(ctx context.Context) (knownHosts string, err error) {
	if f.SSH, err = f.Git.ServeSSH(); err != nil {
		return "", err
	}
	key, line, err := gitserver.MakeKey(f.dir, "deploy-key")
	if err != nil {
		return "", err
	}
	if err := f.SSH.Admit(line); err != nil {
		return "", err
	}
	knownHosts = filepath.Join(f.dir, "known_hosts")
	if err := os.WriteFile(knownHosts, []byte(f.SSH.KnownHosts()), 0o600); err != nil {
		return "", err
	}
	own := filepath.Join(f.dir, "known_hosts_of_ada") // the hub's may change
	if err := os.WriteFile(own, []byte(f.SSH.KnownHosts()), 0o600); err != nil {
		return "", err
	}
	f.Repository = f.SSH.URL("fleet")
	for _, args := range [][]string{
		{"remote", "set-url", "origin", f.Repository},
		{"config", "core.sshCommand", "ssh -F none -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=" + own + " -i " + key},
	} {
		if _, err := f.Work.Git(ctx, args...); err != nil {
			return "", err
		}
	}
	f.Hub.Stop()
	f.Hub.AddFlags("--repo", f.Repository, "--git-ssh-key-file", key, "--git-known-hosts-file", knownHosts)
	return knownHosts, f.Hub.Start(ctx)
}

// VerifyCommits has the hub deploy only what is signed by a new key with a name, from
// now on.
func (f *Fleet) VerifyCommits(ctx context.Context, name string) error {
	dir := filepath.Join(f.dir, "verify-keys")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	_, line, err := gitserver.MakeKey(f.dir, "sign-"+name)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, name+".pub"), line, 0o600); err != nil {
		return err
	}
	f.Hub.Stop()
	f.Hub.AddFlags("--verify", "commits", "--verify-keys", dir)
	return f.Hub.Start(ctx)
}

// SignAs has every commit from now on signed by the key with a name, which is made
// where there is none. By an empty one, none is signed.
func (f *Fleet) SignAs(ctx context.Context, name string) error {
	if name == "" {
		_, err := f.Work.Git(ctx, "config", "commit.gpgSign", "false")
		return err
	}
	key := filepath.Join(f.dir, "sign-"+name)
	if _, err := os.Stat(key); os.IsNotExist(err) {
		if _, _, err := gitserver.MakeKey(f.dir, "sign-"+name); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"config", "gpg.format", "ssh"},
		{"config", "user.signingKey", key + ".pub"},
		{"config", "commit.gpgSign", "true"},
	} {
		if _, err := f.Work.Git(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}
