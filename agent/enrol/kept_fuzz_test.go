package enrol

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nkeys"
	corev1 "k8s.io/api/core/v1"

	"github.com/navarch/navarch/wire"
)

// seedOf makes the seed of a key of NATS.
func seedOf(t testing.TB, prefix nkeys.PrefixByte) []byte {
	t.Helper()
	pair, err := nkeys.CreatePair(prefix)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

// FuzzKey reads Secrets of any content. What is read has keys that can sign and is the
// same after it was written again; no error says a key.
func FuzzKey(f *testing.F) {
	one, next := seedOf(f, nkeys.PrefixByteUser), seedOf(f, nkeys.PrefixByteUser)
	f.Add([]byte("eu-1"), one, []byte("a.b.c"), []byte("2026-11-27T12:00:00Z"), next, []byte(nil))
	f.Add([]byte("eu-1"), one, []byte(""), []byte("yesterday"), []byte("SU"), next)
	f.Add([]byte(""), seedOf(f, nkeys.PrefixByteAccount), []byte(""), []byte(""), []byte(nil), []byte(nil))
	f.Add([]byte("eu-1"), []byte("SUA"), []byte("\xff"), []byte("10000-01-01T00:00:00Z"), one[:20], []byte("x"))
	f.Fuzz(func(t *testing.T, cluster, seed, token, made, next, former []byte) {
		secret := &corev1.Secret{Data: map[string][]byte{"cluster": cluster, "seed": seed, "jwt": token, "made": made, "next": next, "former": former}}
		k, err := readKey(secret)
		if err != nil {
			if text := err.Error(); strings.Contains(text, "\n") || len(seed) > 10 && strings.Contains(text, string(seed)) {
				t.Errorf("not to be shown: %q", text)
			}
			return
		}
		for name, seed := range map[string][]byte{"seed": k.Seed, "next": k.Next, "former": k.Former} {
			if seed == nil && name != "seed" {
				continue
			}
			pair, err := nkeys.FromSeed(seed)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if public, err := pair.PublicKey(); err != nil || !nkeys.IsValidPublicUserKey(public) {
				t.Errorf("%s is the key of %q, %v", name, public, err)
			}
		}
		again, err := readKey(&corev1.Secret{Data: k.data()})
		if diff := cmp.Diff(k, again); err != nil || diff != "" {
			t.Errorf("written and read again: %v (-before +after):\n%s", err, diff)
		}
	})
}

// FuzzTrust reads ConfigMaps of any content. Only what the key of the install manifest
// vouches for, step by step, makes another key count.
func FuzzTrust(f *testing.F) {
	key := func(n byte) ed25519.PrivateKey {
		return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
	}
	pinned, ok := key(0).Public().(ed25519.PublicKey)
	if !ok {
		f.Fatal("no key")
	}
	hub := []string{wire.KeyID(pinned)}
	var followed wire.Succession
	for n := range byte(3) {
		step, err := wire.NewStep(int(n)+1, key(n), key(n+1), time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC))
		if err != nil {
			f.Fatal(err)
		}
		followed.Steps = append(followed.Steps, step)
		content, err := json.Marshal(followed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(content))
		if public, ok := key(n + 1).Public().(ed25519.PublicKey); ok {
			hub = append(hub, wire.KeyID(public))
		}
	}
	foreign, err := wire.NewStep(1, key(9), key(8), time.Time{})
	if err != nil {
		f.Fatal(err)
	}
	content, err := json.Marshal(wire.Succession{Steps: []wire.SealedStep{foreign}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(content))
	golden, err := os.ReadFile("../../wire/testdata/succession.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(golden))
	f.Add("")
	f.Add("null")
	f.Fuzz(func(t *testing.T, succession string) {
		trust, err := readTrust(pinned, succession)
		if err != nil {
			return
		}
		if !strings.Contains(strings.Join(hub, " "), wire.KeyID(trust.Key())) {
			t.Errorf("key %s is obeyed", wire.KeyID(trust.Key()))
		}
		kept, err := json.Marshal(trust.Followed())
		if err != nil {
			t.Fatal(err)
		}
		again, err := readTrust(pinned, string(kept))
		if err != nil || !again.Same(trust) {
			t.Errorf("written and read again it is another: %v", err)
		}
	})
}
