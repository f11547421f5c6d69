package wire_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

var (
	key   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	other = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
)

func public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

func seal(t testing.TB, a wire.Announcement, key ed25519.PrivateKey) []byte {
	t.Helper()
	sealed, err := wire.Seal(a, key)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// envelope is how a sealed announcement looks to one who takes it apart.
type envelope struct {
	Signed    []byte `json:"signed"`
	Signature []byte `json:"signature"`
}

// edit takes a sealed announcement apart, changes it and puts it together again.
func edit(t *testing.T, sealed []byte, change func(*envelope)) []byte {
	t.Helper()
	var e envelope
	if err := json.Unmarshal(sealed, &e); err != nil {
		t.Fatal(err)
	}
	change(&e)
	edited, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return edited
}

func TestOpen(t *testing.T) {
	sealed := seal(t, announcement(), key)
	foreign := func(change func(*wire.Announcement)) []byte {
		a := announcement()
		change(&a)
		return seal(t, a, key)
	}
	const unsigned = "the announcement is not signed by the hub's key"
	tests := map[string]struct {
		sealed []byte
		key    ed25519.PublicKey
		want   string // of the error; empty: opens
	}{
		"as sealed":       {sealed: sealed, key: public(key)},
		"another's key":   {sealed: seal(t, announcement(), other), key: public(key), want: unsigned},
		"no key":          {sealed: sealed, want: unsigned},
		"half a key":      {sealed: sealed, key: public(key)[:16], want: unsigned},
		"no signature":    {sealed: edit(t, sealed, func(e *envelope) { e.Signature = nil }), key: public(key), want: unsigned},
		"short signature": {sealed: edit(t, sealed, func(e *envelope) { e.Signature = e.Signature[:63] }), key: public(key), want: unsigned},
		"flipped signature": {
			sealed: edit(t, sealed, func(e *envelope) { e.Signature[0] ^= 1 }),
			key:    public(key), want: unsigned,
		},
		"another sequence": {
			sealed: edit(t, sealed, func(e *envelope) { e.Signed = bytes.Replace(e.Signed, []byte(`:7`), []byte(`:8`), 1) }),
			key:    public(key), want: unsigned,
		},
		"signed without its context": {
			sealed: edit(t, sealed, func(e *envelope) { e.Signature = ed25519.Sign(key, e.Signed) }),
			key:    public(key), want: unsigned,
		},
		"empty":     {key: public(key), want: "decode announcement: unexpected end of JSON input"},
		"cut off":   {sealed: sealed[:len(sealed)/2], key: public(key), want: "decode announcement: unexpected end of JSON input"},
		"an object": {sealed: []byte(`{}`), key: public(key), want: unsigned},
		"for another cluster": {
			sealed: foreign(func(a *wire.Announcement) { a.Cluster = "us-1" }), key: public(key),
			want: `announcement is for cluster "us-1", this is "eu-1"`,
		},
		"of a later version": {
			sealed: foreign(func(a *wire.Announcement) { a.Version = 2 }), key: public(key),
			want: "announcement has version 2, this agent knows 1: update the agent",
		},
		"without an index": {
			sealed: foreign(func(a *wire.Announcement) { a.Index = "" }), key: public(key),
			want: `announcement for cluster "eu-1": index: digest "": want "sha256:" and 64 lower-case hexadecimal digits`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := wire.Open(test.sealed, test.key, "eu-1")
			if test.want == "" {
				if diff := cmp.Diff(announcement(), got); diff != "" || err != nil {
					t.Error(diff, err)
				}
				return
			}
			if err == nil || err.Error() != test.want {
				t.Fatalf("error %v, want %s", err, test.want)
			}
			if errors.Is(err, wire.ErrSignature) != (test.want == unsigned) {
				t.Errorf("errors.Is(%v, ErrSignature) is wrong", err)
			}
			if diff := cmp.Diff(wire.Announcement{}, got); diff != "" {
				t.Errorf("an error comes with an announcement: %s", diff)
			}
		})
	}
}

func TestAfter(t *testing.T) {
	tests := map[string]struct {
		epoch, sequence uint64
		want            bool
	}{
		"older sequence":                   {2, 6, true},
		"the same":                         {2, 7, false},
		"newer sequence":                   {2, 8, false},
		"older epoch with higher sequence": {1, 9, true},
		"newer epoch with lower sequence":  {3, 1, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := announcement().After(test.epoch, test.sequence); got != test.want {
				t.Errorf("2/7 after %d/%d: %v", test.epoch, test.sequence, got)
			}
		})
	}
}

func TestDecodeIndex(t *testing.T) {
	good := messages["index"].(wire.Index)
	with := func(change func(*wire.Index)) wire.Index {
		i := good
		i.Apps = append([]fleet.DesiredApp{}, good.Apps...)
		i.Tombstones = append([]fleet.Tombstone{}, good.Tombstones...)
		change(&i)
		return i
	}
	tests := map[string]struct {
		index wire.Index
		want  string // of the error
	}{
		"as encoded":      {index: good},
		"nothing in it":   {index: messages["index-empty"].(wire.Index)},
		"another cluster": {index: with(func(i *wire.Index) { i.Cluster = "us-1" }), want: `index is for cluster "us-1", this is "eu-1"`},
		"a later version": {index: with(func(i *wire.Index) { i.Version = 2 }), want: "index has version 2, this agent knows 1: update the agent"},
		"an app twice": {
			index: with(func(i *wire.Index) { i.Apps[1].Name = "database" }),
			want:  `index of cluster "eu-1" names app "database" twice`,
		},
		"an app named like a path": {
			index: with(func(i *wire.Index) { i.Apps[0].Name = "../x" }),
			want:  `index of cluster "eu-1": app name "../x" is not a DNS label: use lower-case letters, digits and '-', at most 63 characters, with a letter or digit at both ends`,
		},
		"an overlay that is a subject": {
			index: with(func(i *wire.Index) { i.Apps[0].Overlay = "sha256:>" }),
			want:  `index of cluster "eu-1": app "database": digest "sha256:>": want "sha256:" and 64 lower-case hexadecimal digits`,
		},
		"named and removed": {
			index: with(func(i *wire.Index) { i.Tombstones[0].App = "shop" }),
			want:  `index of cluster "eu-1" both names and removes app "shop"`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			content, digest, err := wire.EncodeIndex(test.index)
			if err != nil || digest != fleet.DigestOf(content) {
				t.Fatal(digest, err)
			}
			got, err := wire.DecodeIndex(content, "eu-1")
			if test.want != "" {
				if err == nil || err.Error() != test.want {
					t.Errorf("error %v, want %s", err, test.want)
				}
				return
			}
			if diff := cmp.Diff(test.index, got); diff != "" || err != nil {
				t.Error(diff, err)
			}
		})
	}
}

// FuzzOpen looks for bytes that are accepted and are not what was sealed.
func FuzzOpen(f *testing.F) {
	f.Add(seal(f, announcement(), key))
	f.Add(seal(f, announcement(), other))
	f.Add([]byte(`{"signed":"e30=","signature":""}`))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		a, err := wire.Open(sealed, public(key), "eu-1")
		if err == nil && a != announcement() {
			t.Errorf("a forgery was accepted: %+v", a)
		}
	})
}

// FuzzDecodeIndex looks for an index that is accepted and that does not survive
// being written again, or that names something in two ways.
func FuzzDecodeIndex(f *testing.F) {
	for name, message := range messages {
		if i, ok := message.(wire.Index); ok {
			content, _, err := wire.EncodeIndex(i)
			if err != nil {
				f.Fatal(name, err)
			}
			f.Add(content)
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		got, err := wire.DecodeIndex(content, "eu-1")
		if err != nil {
			return
		}
		names := map[fleet.AppName]bool{}
		for _, app := range got.Apps {
			if names[app.Name] || strings.ContainsAny(string(app.Name), "/.*> ") {
				t.Errorf("accepted app %q", app.Name)
			}
			names[app.Name] = true
		}
		again, _, err := wire.EncodeIndex(got)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := wire.DecodeIndex(again, "eu-1"); err != nil || !cmp.Equal(got, back) {
			t.Errorf("written and read again it is another: %s %v", cmp.Diff(got, back), err)
		}
	})
}
