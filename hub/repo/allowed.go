package repo

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// gitNamespace is what Git signs for. A signature for anything else is none.
const gitNamespace = "git"

// sshKey is an SSH key that may sign.
type sshKey struct {
	key    ssh.PublicKey
	name   string    // whose it is
	after  time.Time // zero: since ever
	before time.Time // zero: for ever
}

// parseSSHKey reads a line as of a .pub file, KEYTYPE KEY [NAME], or as of
// allowed_signers, NAMES [OPTIONS] KEYTYPE KEY [COMMENT].
func parseSSHKey(line string) (sshKey, error) {
	if plain, comment, options, rest, err := ssh.ParseAuthorizedKey([]byte(line)); err == nil && len(options) == 0 && len(rest) == 0 {
		return checked(sshKey{key: plain, name: comment})
	}
	names, rest, ok := cutNames(line)
	if !ok {
		return sshKey{}, errors.New("this is neither a GPG key nor a line with an SSH key: write KEYTYPE KEY NAME, as in a .pub file")
	}
	key, _, options, more, err := ssh.ParseAuthorizedKey([]byte(rest))
	if err != nil || len(more) > 0 {
		return sshKey{}, errors.New("this line holds no SSH key: write NAMES KEYTYPE KEY, as in allowed_signers")
	}
	k := sshKey{key: key, name: names}
	for _, option := range options {
		if err := k.option(option); err != nil {
			return sshKey{}, err
		}
	}
	return checked(k)
}

// cutNames cuts off the first field, which may be in double quotes.
func cutNames(line string) (names, rest string, ok bool) {
	if inside, quoted := strings.CutPrefix(line, `"`); quoted {
		names, rest, ok = strings.Cut(inside, `"`)
	} else if end := strings.IndexAny(line, " \t"); end > 0 {
		names, rest, ok = line[:end], line[end:], true
	}
	return names, strings.TrimSpace(rest), ok && names != ""
}

// option reads one option of allowed_signers. One that is not known may restrict the
// key, so it is an error.
func (k *sshKey) option(option string) error {
	name, value, _ := strings.Cut(option, "=")
	value = strings.Trim(value, `"`)
	var err error
	switch strings.ToLower(name) {
	case "namespaces":
		if !slices.Contains(strings.Split(value, ","), gitNamespace) {
			return fmt.Errorf("this key may sign for %q only, which is not %q: leave the line out, or the option", value, gitNamespace)
		}
	case "valid-after":
		k.after, err = parseStamp(value)
	case "valid-before":
		k.before, err = parseStamp(value)
	case "cert-authority":
		return errors.New("certificates are not understood: list the keys themselves")
	default:
		return fmt.Errorf("the option %q is not understood: leave it out, or the line", name)
	}
	return err
}

// parseStamp reads a time as allowed_signers has it, local where no Z says otherwise.
func parseStamp(text string) (time.Time, error) {
	zone := time.Local //nolint:gosmopolitan // as OpenSSH reads the same file
	digits, utc := strings.CutSuffix(text, "Z")
	if utc {
		zone = time.UTC
	}
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if len(layout) == len(digits) {
			if t, err := time.ParseInLocation(layout, digits, zone); err == nil {
				return t, nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("the time %q is not one: write it as YYYYMMDD or YYYYMMDDHHMMSS, with Z for UTC", text)
}

// keyDSA is a kind of key whose signatures are over SHA-1.
const keyDSA = "ssh-dss"

// weakRSA is how many bits are too few.
const weakRSA = 2048

// checked refuses keys that prove nothing.
func checked(k sshKey) (sshKey, error) {
	if _, ok := k.key.(*ssh.Certificate); ok {
		return sshKey{}, errors.New("this is a certificate: list the key itself")
	}
	switch k.key.Type() {
	case keyDSA:
		return sshKey{}, errors.New("this is a DSA key, which proves nothing any more: make one with ssh-keygen -t ed25519")
	case ssh.KeyAlgoRSA:
		if bits := rsaBits(k.key); bits < weakRSA {
			return sshKey{}, fmt.Errorf("this RSA key has %d bits, which is too few: make one with ssh-keygen -t ed25519", bits)
		}
	}
	return k, nil
}

// rsaBits returns the size of an RSA key, 0 of any other.
func rsaBits(key ssh.PublicKey) int {
	if public, ok := key.(ssh.CryptoPublicKey); ok {
		if k, ok := public.CryptoPublicKey().(*rsa.PublicKey); ok {
			return k.N.BitLen()
		}
	}
	return 0
}
