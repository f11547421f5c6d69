package main

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"os"

	"github.com/spf13/pflag"

	"github.com/navarch/navarch/hub/gate"
	"github.com/navarch/navarch/hub/repo"
	"github.com/navarch/navarch/manifests"
)

// hubFiles are the flags that the hub has too, most of which name files. In what is
// installed they name the copies that the hub has.
type hubFiles struct {
	username, passwordFile, webhookFile, access string
	git                                         repo.Config // what the hub would watch
	natsCA                                      string
	dashboard                                   *url.URL // as the access file says; set by read
}

func (f *hubFiles) flags(flags *pflag.FlagSet) {
	flags.StringVar(&f.username, "git-username", "", "user name for the Git server")
	flags.StringVar(&f.passwordFile, "git-password-file", "", "file with the password or token for the Git server")
	flags.StringVar(&f.git.CAFile, "git-ca-file", "", "file with the certificate authority of the Git server; default the system's")
	flags.StringVar(&f.git.SSH.KeyFile, "git-ssh-key-file", "", "file with the private key for a repository whose URL is one of ssh")
	flags.StringVar(&f.git.SSH.PassphraseFile, "git-ssh-passphrase-file", "", "file with the passphrase of that key; default: it has none")
	flags.StringVar(&f.git.SSH.KnownHostsFile, "git-known-hosts-file", "", "file with the host keys of the Git server, as ssh-keyscan prints them: compare them first")
	flags.StringVar(&f.git.App.ID, "github-app-id", "", "ID of the GitHub App that may read the repository, instead of a password")
	flags.StringVar(&f.git.App.Installation, "github-installation-id", "", "ID of the installation of that App")
	flags.StringVar(&f.git.App.KeyFile, "github-key-file", "", "file with the private key of that App")
	flags.StringVar(&f.git.App.API, "github-api-url", "", "URL of GitHub's API; default that of the repository's host")
	flags.StringVar((*string)(&f.git.Verify.Mode), "verify", "", "what has to be signed to be deployed: commits, tags (an annotated tag of the commit) or both; default: nothing")
	flags.StringVar(&f.git.Verify.Keys, "verify-keys", "", "file, or folder of files, with the public keys that may sign: armored GPG keys, SSH .pub files, allowed_signers")
	flags.StringVar(&f.webhookFile, "webhook-secret-file", "", "file with the secret of push webhooks; none: the hub polls")
	flags.StringVar(&f.access, "access", "", "file that says who may see and do what, beside the files that it names; none: who has an access token")
	flags.StringVar(&f.natsCA, "nats-ca", "", "file with the certificate authority of the servers at --nats-url; default the system's")
}

// read reads the files into the configuration of a manifest. What the hub would refuse
// is refused here, by the same code.
func (f *hubFiles) read(c *manifests.HubConfig) error {
	c.Git = manifests.HubGit{
		Username: f.username, AppID: f.git.App.ID, Installation: f.git.App.Installation, API: f.git.App.API, Verify: string(f.git.Verify.Mode),
	}
	var err error
	if c.Git.Password, err = readSecret("git-password-file", f.passwordFile); err != nil {
		return err
	}
	if c.WebhookSecret, err = readSecret("webhook-secret-file", f.webhookFile); err != nil {
		return err
	}
	if err := repo.CheckWebhookSecret(c.WebhookSecret); err != nil {
		return fmt.Errorf("--webhook-secret-file: %w", err)
	}
	watched := f.git
	watched.URL, watched.Branch, watched.Username, watched.Password = c.Repo, c.Branch, f.username, c.Git.Password
	if err := watched.Check(); err != nil {
		return err
	}
	for _, file := range []struct {
		flag, name string
		to         *[]byte
	}{
		{"git-ca-file", f.git.CAFile, &c.Git.CA},
		{"git-ssh-key-file", f.git.SSH.KeyFile, &c.Git.SSHKey},
		{"git-ssh-passphrase-file", f.git.SSH.PassphraseFile, &c.Git.SSHPassphrase},
		{"git-known-hosts-file", f.git.SSH.KnownHostsFile, &c.Git.KnownHosts},
		{"github-key-file", f.git.App.KeyFile, &c.Git.AppKey},
		{"nats-ca", f.natsCA, &c.NATSCA},
	} {
		if *file.to, err = readContent(file.flag, file.name); err != nil {
			return err
		}
	}
	if c.NATSCA != nil && !x509.NewCertPool().AppendCertsFromPEM(c.NATSCA) {
		return fmt.Errorf("--nats-ca %q: the file holds no certificate: it should begin with -----BEGIN CERTIFICATE-----", f.natsCA)
	}
	if f.git.Verify.Keys != "" {
		if c.Git.VerifyKeys, err = repo.KeyFiles(f.git.Verify.Keys); err != nil {
			return err
		}
	}
	return f.readAccess(c)
}

func (f *hubFiles) readAccess(c *manifests.HubConfig) error {
	if f.access == "" {
		return nil
	}
	bundle, err := gate.Bundle(f.access)
	if err != nil {
		return fmt.Errorf("%w (of --access)", err)
	}
	settings, err := gate.ReadFile(f.access)
	if err != nil {
		return fmt.Errorf("%w (of --access)", err)
	}
	c.Access, f.dashboard = bundle, settings.URL
	return nil
}

// readContent reads the file that a flag names, if it names one. An empty one would
// look as if the flag had not been said.
func readContent(flag, file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	if len(content) == 0 {
		return nil, fmt.Errorf("--%s %q: the file is empty", flag, file)
	}
	return content, nil
}
