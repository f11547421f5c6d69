package enrol

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/navarch/navarch/wire"
)

// What of an identity can be exchanged.
const (
	SigningKey = "signing" // that signs announcements, tokens and commands
	Authority  = "ca"      // that signs the certificates of the hub's server
)

// Exchange makes a new key in the identity in dir and has the old one vouch for it.
// The file is replaced as a whole; the one before it stays beside it, as its returned
// name says, until [Retire].
func Exchange(dir, what string, now time.Time) (before string, err error) {
	return rewrite(dir, func(s stored) (stored, error) {
		switch what {
		case SigningKey:
			return s.exchangeSigning(now)
		case Authority:
			return s.exchangeAuthority(now)
		}
		return s, unknownKey(what)
	})
}

// Retire ends what an exchange left in force: tokens that earlier signing keys made, or
// that agents which still pin an earlier authority are let in. Copies of the file from
// before exchanges are removed with it.
func Retire(dir, what string) error {
	_, err := rewrite(dir, func(s stored) (stored, error) {
		switch what {
		case SigningKey:
			if len(s.Steps) == 0 || s.Sole {
				return s, errors.New("no earlier signing key is in force: there is nothing to retire")
			}
			s.Sole = true
			return s, nil
		case Authority:
			return s.retireAuthorities()
		}
		return s, unknownKey(what)
	})
	if err != nil {
		return err
	}
	copies, err := filepath.Glob(filepath.Join(dir, FileName+".*"))
	for _, file := range copies {
		err = errors.Join(err, os.Remove(file))
	}
	return err
}

func unknownKey(what string) error {
	return fmt.Errorf("key %q: want %s or %s", what, SigningKey, Authority)
}

func (s stored) exchangeSigning(now time.Time) (stored, error) {
	if len(s.Steps) >= wire.MaxSteps {
		return s, fmt.Errorf("the signing key was exchanged %d times, and agents follow no more steps", len(s.Steps))
	}
	seed := make([]byte, ed25519.SeedSize)
	if _, err := rand.Read(seed); err != nil {
		return s, fmt.Errorf("make the key that signs announcements: %w", err)
	}
	step, err := wire.NewStep(len(s.Steps)+1, ed25519.NewKeyFromSeed(s.Announcements), ed25519.NewKeyFromSeed(seed), now)
	if err != nil {
		return s, err
	}
	s.Steps, s.Announcements, s.Sole = append(s.Steps, step), seed, false
	return s, nil
}

func (s stored) exchangeAuthority(now time.Time) (stored, error) {
	r, err := s.ring()
	if err != nil {
		return s, err
	}
	if r.ca.MaxPathLenZero {
		return s, errors.New("this identity's authority was made by a version whose authorities cannot vouch for another: " +
			"it can only be exchanged with the whole identity, by installing every agent again")
	}
	certificate, key, err := newAuthority(now)
	if err != nil {
		return s, err
	}
	next, err := parseCertificate(certificate)
	if err != nil {
		return s, err
	}
	cross, err := vouch(r.ca, r.caKey, next)
	if err != nil {
		return s, err
	}
	s.Earlier = append(s.Earlier, earlier{CA: s.CA, Cross: cross})
	s.CA, s.CAKey = certificate, key
	return s, nil
}

func (s stored) retireAuthorities() (stored, error) {
	if n := len(s.Earlier); n == 0 || s.Earlier[n-1].Retired {
		return s, errors.New("no earlier authority is in force: there is nothing to retire")
	}
	s.Earlier = append([]earlier(nil), s.Earlier...)
	for n := range s.Earlier {
		s.Earlier[n].Retired, s.Earlier[n].Cross = true, ""
	}
	return s, nil
}

// lockName is a file that is there while the identity is rewritten.
const lockName = ".identity-lock"

// rewrite replaces the file of an identity by what change makes of it, which is proven
// to be an identity that goes on from it.
func rewrite(dir string, change func(stored) (stored, error)) (before string, err error) {
	file, lock := filepath.Join(dir, FileName), filepath.Join(dir, lockName)
	if _, err := os.Stat(file); err != nil {
		return "", fmt.Errorf("open identity: %w", err)
	}
	held, err := os.OpenFile(lock, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("somebody else changes this identity now (if nobody does, an attempt has ended early: remove %q and try again)", lock)
	}
	if err != nil {
		return "", fmt.Errorf("change the identity: %w (the folder must be one that this user may write; "+
			"with the hub in Kubernetes, change the copy that its manifest is made from)", err)
	}
	defer os.Remove(lock) //nolint:errcheck // the next one says what to do
	if err := held.Close(); err != nil {
		return "", fmt.Errorf("change the identity: %w", err)
	}
	s, content, err := readStored(file)
	if err != nil {
		return "", err
	}
	old, err := s.ring()
	if err != nil {
		return "", damaged(file, err)
	}
	if s, err = change(s); err != nil {
		return "", err
	}
	next, err := s.ring()
	if err == nil && !next.follows(old) {
		err = ErrIdentity
	}
	if err != nil {
		return "", fmt.Errorf("check the new identity: %w", err)
	}
	encoded, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	before = file + "." + strconv.Itoa(next.number())
	if err := place(before, content); err != nil {
		return "", fmt.Errorf("keep the identity of before: %w", err)
	}
	if kept, err := os.ReadFile(before); err != nil || !bytes.Equal(kept, content) {
		return "", errors.Join(err, fmt.Errorf("%q holds another identity than %q: a key of one of them was exchanged elsewhere "+
			"(look which of the two the hub runs with, and move the other away)", before, file))
	}
	return before, replace(file, append(encoded, '\n'))
}

// number counts what was exchanged and retired so far.
func (r *ring) number() int {
	n := len(r.steps) + len(r.earlier)
	if r.sole {
		n++
	}
	for _, a := range r.earlier {
		if a.retired {
			n++
		}
	}
	return n
}

// Key is what people see of one key of an identity.
type Key struct {
	What  string    // SigningKey or Authority
	ID    string    // as in [wire.Pins]
	Since time.Time // zero: since the identity was made
	State string
}

// The states of a [Key].
const (
	InUse   = "in use"
	Vouches = "vouches for the next" // agents that pin it are let in and led on
	Retired = "retired"              // vouches for the next, and for nothing else
	ShutOut = "retired: agents that pin it are shut out"
)

// Keys returns every key that can be exchanged, the newest of each first.
func (i *Identity) Keys() []Key {
	r := i.ring()
	var keys []Key
	since := time.Time{}
	for _, step := range r.steps {
		state := Vouches
		if r.sole {
			state = Retired
		}
		keys = append([]Key{{SigningKey, wire.KeyID(step.Old), since, state}}, keys...)
		since = step.Since
	}
	keys = append([]Key{{SigningKey, wire.KeyID(publicOf(r.signing)), since, InUse}}, keys...)
	authority := func(c *x509.Certificate, state string) Key {
		return Key{Authority, wire.KeyID(c.Raw), c.NotBefore.Add(clockSkew), state}
	}
	keys = append(keys, authority(r.ca, InUse))
	for n := len(r.earlier) - 1; n >= 0; n-- {
		state := Vouches
		if r.earlier[n].retired {
			state = ShutOut
		}
		keys = append(keys, authority(r.earlier[n].Certificate, state))
	}
	return keys
}
