package main

import (
	"flag"

	"github.com/navarch/navarch/hub"
)

// gitFlags are the flags of how the repository is reached, and of who may sign what
// is deployed. Secrets are named by their files.
func gitFlags(flags *flag.FlagSet, c *hub.Config) {
	r := &c.Repository
	flags.StringVar(&r.CAFile, "git-ca-file", "", "file with the certificate authority of the Git server; default the system's")
	flags.StringVar(&r.SSH.KeyFile, "git-ssh-key-file", "", "file with the private key for a repository whose URL is one of ssh")
	flags.StringVar(&r.SSH.PassphraseFile, "git-ssh-passphrase-file", "", "file with the passphrase of that key; default: it has none")
	flags.StringVar(&r.SSH.KnownHostsFile, "git-known-hosts-file", "", "file with the host keys of the Git server, as ssh-keyscan prints them: compare them first")
	flags.StringVar(&r.App.ID, "github-app-id", "", "ID of the GitHub App that may read the repository, instead of a password")
	flags.StringVar(&r.App.Installation, "github-installation-id", "", "ID of the installation of that App")
	flags.StringVar(&r.App.KeyFile, "github-key-file", "", "file with the private key of that App")
	flags.StringVar(&r.App.API, "github-api-url", "", "URL of GitHub's API; default that of the repository's host")
	flags.Func("verify", "what has to be signed to be deployed: commits, tags (an annotated tag of the commit) or both; default: nothing", func(mode string) error {
		return r.Verify.Mode.Set(mode)
	})
	flags.StringVar(&r.Verify.Keys, "verify-keys", "", "file, or folder of files, with the public keys that may sign: armored GPG keys, SSH .pub files, allowed_signers")
}
