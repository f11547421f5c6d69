package repo

import (
	"fmt"
	"path/filepath"
)

// Check refuses what [Open] would: it reads the files that the configuration names,
// and asks no server. Of Dir it says nothing.
func (c Config) Check() error {
	_, err := c.withDefaults().prepare()
	return err
}

func (c Config) withDefaults() Config {
	if c.Branch == "" {
		c.Branch = "main"
	}
	if c.Poll == 0 {
		c.Poll = DefaultPoll
	}
	return c
}

// prepare reads what the configuration names.
func (c Config) prepare() (*remote, error) {
	if err := c.Verify.check(); err != nil {
		return nil, err
	}
	remote, err := newRemote(c)
	if err != nil {
		return nil, err
	}
	if c.Poll < 0 {
		return nil, fmt.Errorf("poll interval %s is negative: say how often to look, as in 1m", c.Poll)
	}
	return remote, nil
}

// CheckURL refuses what cannot be the URL of a repository. The error does not repeat
// it: there may be a password in it.
func CheckURL(text string) error {
	_, err := parseAddress(text)
	return err
}

// CheckWebhookSecret refuses what cannot be the secret of webhooks.
func CheckWebhookSecret(secret string) error {
	_, err := newSecrets(secret)
	return err
}

// KeyFiles returns the contents of the files that [Verify] reads for a path, by their
// names. That of a path which is one file is "keys".
func KeyFiles(path string) (map[string][]byte, error) {
	names, err := keyFiles(path)
	if err != nil {
		return nil, fmt.Errorf("read the keys that may sign: %w", err)
	}
	contents := map[string][]byte{}
	for _, name := range names {
		content, err := readKeyFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the keys that may sign: %w", err)
		}
		if name == path {
			name = "keys"
		}
		contents[filepath.Base(name)] = content
	}
	return contents, nil
}
