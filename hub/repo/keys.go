package repo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// What is read of keys. A list of this size is no list of people any more.
const (
	maxKeyFile  = 1 << 20
	maxKeyFiles = 1000
)

// keyring is the keys that may sign.
type keyring struct {
	pgp openpgp.EntityList
	ssh []sshKey
}

// readKeys reads the keys of a file, or of all files of a folder whose names do not
// begin with a dot. Each holds armored public keys of GPG, lines as in SSH's
// allowed_signers or .pub files, or both.
func readKeys(path string) (keyring, error) {
	files, err := keyFiles(path)
	if err != nil {
		return keyring{}, fmt.Errorf("read the keys that may sign: %w", err)
	}
	var k keyring
	for _, file := range files {
		content, err := readKeyFile(file)
		if err != nil {
			return keyring{}, fmt.Errorf("read the keys that may sign: %w", err)
		}
		if err := k.add(file, content); err != nil {
			return keyring{}, err
		}
	}
	if len(k.pgp)+len(k.ssh) == 0 {
		return keyring{}, fmt.Errorf("%q holds no key that may sign: export one with gpg --armor --export KEY, or copy the .pub file of an SSH key", path)
	}
	return k, nil
}

func keyFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{path}, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, entry := range entries {
		file := filepath.Join(path, entry.Name())
		if strings.HasPrefix(entry.Name(), ".") {
			continue // such as what is behind the links of a mounted Secret
		}
		if info, err := os.Stat(file); err != nil {
			return nil, err
		} else if info.Mode().IsRegular() {
			files = append(files, file)
		}
	}
	if len(files) > maxKeyFiles {
		return nil, fmt.Errorf("%q has more than %d files", path, maxKeyFiles)
	}
	return files, nil
}

func readKeyFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	if err == nil && len(content) > maxKeyFile {
		err = fmt.Errorf("%q is larger than %d bytes", path, maxKeyFile)
	}
	return content, err
}

const (
	pgpBegin = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
	pgpEnd   = "-----END PGP PUBLIC KEY BLOCK-----"
)

// add adds the keys of one file.
func (k *keyring) add(file string, content []byte) error {
	var block strings.Builder // of GPG; empty outside of one
	begun, number := 0, 0
	for line := range bytes.Lines(content) {
		number++
		text := strings.TrimSpace(string(line))
		switch {
		case text == pgpBegin:
			block.Reset()
			begun = number
		case strings.Contains(text, "PRIVATE KEY"):
			return fmt.Errorf("%s:%d: this is a private key, which belongs to who signs: list the public one", file, number)
		case block.Len() == 0 && (text == "" || strings.HasPrefix(text, "#")):
			continue
		case block.Len() == 0:
			key, err := parseSSHKey(text)
			if err != nil {
				return fmt.Errorf("%s:%d: %w", file, number, err)
			}
			k.ssh = append(k.ssh, key)
			continue
		}
		block.WriteString(text + "\n")
		if text != pgpEnd {
			continue
		}
		entities, err := readPGP(block.String())
		if err != nil {
			return fmt.Errorf("%s:%d: %w", file, begun, err)
		}
		k.pgp = append(k.pgp, entities...)
		block.Reset()
	}
	if block.Len() > 0 {
		return fmt.Errorf("%s:%d: the GPG key that begins here has no end: export it anew", file, begun)
	}
	return nil
}

func readPGP(block string) (openpgp.EntityList, error) {
	entities, err := openpgp.ReadArmoredKeyRing(strings.NewReader(block))
	if err != nil {
		return nil, fmt.Errorf("this GPG key cannot be read (%w): export it anew with gpg --armor --export", err)
	}
	for _, entity := range entities {
		if err := strong(entity.PrimaryKey); err != nil {
			return nil, err
		}
		for _, sub := range entity.Subkeys {
			if err := strong(sub.PublicKey); err != nil {
				return nil, err
			}
		}
	}
	if len(entities) == 0 {
		return nil, errors.New("this block holds no GPG key: export it anew with gpg --armor --export")
	}
	return entities, nil
}

// strong refuses keys that are too short to prove anything.
func strong(key *packet.PublicKey) error {
	switch key.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly, packet.PubKeyAlgoDSA:
		if bits, err := key.BitLength(); err != nil || bits < weakRSA {
			return fmt.Errorf("the GPG key %X has %d bits, which is too few: make one with gpg --quick-gen-key NAME ed25519 sign", key.Fingerprint, bits)
		}
	}
	return nil
}
