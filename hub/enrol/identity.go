package enrol

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nkeys"
)

// FileName is the one file of an identity folder. There is one so that it is
// either there or not.
const FileName = "identity.json"

// Identity is every key of a hub. It is for any number of goroutines.
type Identity struct {
	operator natsKey // signs the accounts
	fleet    natsKey // the account of the hub, which keeps the streams
	agents   natsKey // the account of the agents
	system   natsKey // the account that NATS itself needs

	file    string
	read    atomic.Pointer[[]byte] // the file as it was read last
	current atomic.Pointer[ring]   // see Refresh
}

// natsKey is a key with its public half at hand.
type natsKey struct {
	nkeys.KeyPair
	public string
}

// Open loads the identity in dir. Where dir is absent or empty it makes a new one
// first; it never replaces anything.
func Open(dir string) (*Identity, error) {
	file := filepath.Join(dir, FileName)
	i, err := load(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return i, err
	}
	if err := mayCreate(dir); err != nil {
		return nil, err
	}
	if err := create(dir, file); err != nil {
		return nil, fmt.Errorf("make an identity in %q: %w (name a folder that this user may write with --identity)", dir, err)
	}
	return load(file) // another hub may have been faster
}

// stored is the form of an identity in its file.
type stored struct {
	Version       int    `json:"version"`
	Operator      string `json:"operator"` // nkey seeds
	Fleet         string `json:"fleet"`
	Agents        string `json:"agents"`
	System        string `json:"system"`
	Announcements []byte `json:"announcements"` // seed of the ed25519 key
	CA            string `json:"ca"`            // PEM
	CAKey         string `json:"caKey"`         // PEM
	exchanges
}

const storedVersion = 1

func load(file string) (*Identity, error) {
	s, content, err := readStored(file)
	if err != nil {
		return nil, err
	}
	i, err := s.identity()
	if err != nil {
		return nil, damaged(file, err)
	}
	i.file = file
	i.read.Store(&content)
	return i, nil
}

func damaged(file string, err error) error {
	return fmt.Errorf("identity %q is damaged: %w (put back a copy of the file; with another identity every agent has to be installed again)", file, err)
}

// readStored reads the file of an identity.
func readStored(file string) (s stored, content []byte, err error) {
	stat, err := os.Stat(file)
	if err != nil {
		return s, nil, fmt.Errorf("open identity: %w", err)
	}
	if mode := stat.Mode().Perm(); mode&0o007 != 0 {
		return s, nil, fmt.Errorf("identity %q has mode %04o: everybody on this machine can use its keys (chmod 600 it)", file, mode)
	}
	if content, err = os.ReadFile(file); err != nil {
		return s, nil, fmt.Errorf("read identity: %w (the hub's user must own it)", err)
	}
	s, err = decodeStored(file, content)
	return s, content, err
}

func decodeStored(file string, content []byte) (s stored, err error) {
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		return s, damaged(file, err)
	}
	if s.Version != storedVersion {
		return s, fmt.Errorf("identity %q has version %d, this hub knows %d (run the hub that wrote it)", file, s.Version, storedVersion)
	}
	return s, nil
}

// identity checks every key.
func (s stored) identity() (*Identity, error) {
	i := &Identity{}
	for _, seed := range []struct {
		name   string
		prefix nkeys.PrefixByte
		seed   string
		to     *natsKey
	}{
		{"operator", nkeys.PrefixByteOperator, s.Operator, &i.operator},
		{"fleet", nkeys.PrefixByteAccount, s.Fleet, &i.fleet},
		{"agents", nkeys.PrefixByteAccount, s.Agents, &i.agents},
		{"system", nkeys.PrefixByteAccount, s.System, &i.system},
	} {
		var err error
		if *seed.to, err = parseNATSKey(seed.seed, seed.prefix); err != nil {
			return nil, fmt.Errorf("key %q: %w", seed.name, err)
		}
	}
	r, err := s.ring()
	if err != nil {
		return nil, err
	}
	i.current.Store(r)
	return i, nil
}

func parseNATSKey(seed string, want nkeys.PrefixByte) (natsKey, error) {
	prefix, _, err := nkeys.DecodeSeed([]byte(seed))
	if err != nil {
		return natsKey{}, err
	}
	if prefix != want {
		return natsKey{}, fmt.Errorf("it is that of an %v: want an %v", prefix, want)
	}
	pair, err := nkeys.FromSeed([]byte(seed))
	if err != nil {
		return natsKey{}, err
	}
	public, err := pair.PublicKey()
	return natsKey{KeyPair: pair, public: public}, err
}

func fromPEM(text, kind string) ([]byte, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("want a PEM block of kind %q", kind)
	}
	return block.Bytes, nil
}

// mayCreate refuses a folder that holds something else: its identity may be in
// the wrong place, and a new one would lock every agent out.
func mayCreate(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read identity folder: %w", err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if name == FileName { // by another hub, just now
			return nil
		}
		if !strings.HasPrefix(name, ".") && name != "lost+found" {
			return fmt.Errorf("identity folder %q has no %s but holds %q (put the file back, or name an empty folder for a new identity)", dir, FileName, name)
		}
	}
	return nil
}

// create writes a new identity to file, unless it is there by now.
func create(dir, file string) error {
	s, err := generate(time.Now())
	if err != nil {
		return err
	}
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return place(file, append(content, '\n'))
}

// place writes a file whole or not at all, and leaves one that is there.
func place(file string, content []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(file), ".identity-*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // it was renamed, or it stays and is not read
	_, err = temp.Write(content)
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	// A link fails where a rename would replace. Some file systems have none.
	if err := os.Link(temp.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		if err := os.Rename(temp.Name(), file); err != nil {
			return err
		}
	}
	folder, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

func generate(now time.Time) (stored, error) {
	s := stored{Version: storedVersion, Announcements: make([]byte, ed25519.SeedSize)}
	for _, key := range []struct {
		prefix nkeys.PrefixByte
		to     *string
	}{
		{nkeys.PrefixByteOperator, &s.Operator},
		{nkeys.PrefixByteAccount, &s.Fleet},
		{nkeys.PrefixByteAccount, &s.Agents},
		{nkeys.PrefixByteAccount, &s.System},
	} {
		pair, err := nkeys.CreatePair(key.prefix)
		if err != nil {
			return stored{}, fmt.Errorf("make a key of NATS: %w", err)
		}
		seed, err := pair.Seed()
		if err != nil {
			return stored{}, fmt.Errorf("make a key of NATS: %w", err)
		}
		*key.to = string(seed)
	}
	if _, err := rand.Read(s.Announcements); err != nil {
		return stored{}, fmt.Errorf("make the key that signs announcements: %w", err)
	}
	var err error
	s.CA, s.CAKey, err = newAuthority(now)
	return s, err
}
