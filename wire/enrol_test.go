package wire_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nkeys"

	"github.com/navarch/navarch/wire"
)

func hubKey(fill byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{fill}, ed25519.SeedSize))
}

func newToken(t testing.TB, hub ed25519.PrivateKey, fill byte) wire.Token {
	t.Helper()
	token, err := wire.NewToken(wire.Invitation{
		Cluster: "eu-3", Expires: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Approve: true, Labels: map[string]string{"env": "prod"},
		Namespaces: []string{"blog", "shop"},
	}, bytes.Repeat([]byte{fill}, 32), hub)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func newKey(t testing.TB) (nkeys.KeyPair, string) {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return pair, public
}

func TestToken(t *testing.T) {
	hub := hubKey(1)
	token := newToken(t, hub, 7)
	for name, text := range map[string]string{"secret": token.String(), "public": token.Public()} {
		got, err := wire.ParseToken(text, public(hub))
		if err != nil {
			t.Fatal(name, err)
		}
		if diff := cmp.Diff(token.Invitation, got.Invitation); diff != "" {
			t.Error(name, diff)
		}
		if got.String() != text || got.ID() != token.ID() || got.Public() != token.Public() {
			t.Errorf("%s: %s came back as %s", name, text, got)
		}
	}
	if strings.Contains(token.Public(), strings.Split(token.String(), ".")[1]) {
		t.Error("the public form has the secret")
	}
	if _, err := wire.NewToken(wire.Invitation{Cluster: "eu-3", Namespaces: []string{"../shop"}}, make([]byte, 32), hub); err == nil {
		t.Error("a token names a namespace that is none")
	}
	other := strings.Split(newToken(t, hub, 8).String(), ".")
	mine := strings.Split(token.String(), ".")
	for name, text := range map[string]string{
		"empty":              "",
		"cut off":            token.String()[:len(token.String())-1],
		"another's secret":   strings.Join([]string{mine[0], other[1], mine[2], mine[3]}, "."),
		"changed invitation": strings.Join([]string{mine[0], mine[1], "e30", mine[3]}, "."),
		"of another hub":     newToken(t, hubKey(2), 7).String(),
		"another form":       "nvp1." + strings.Join(mine[1:], "."),
		"long":               strings.Repeat("a", 1<<20),
	} {
		if _, err := wire.ParseToken(text, public(hub)); !errors.Is(err, wire.ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEnrolRequest(t *testing.T) {
	hub := hubKey(1)
	token := newToken(t, hub, 7)
	key, name := newKey(t)
	request := wire.EnrolRequest{Version: 1, Cluster: "eu-3", Key: name, Nonce: "n"}
	sealed, err := wire.SealEnrolRequest(request, key, &token)
	if err != nil {
		t.Fatal(err)
	}
	got, held, err := wire.OpenEnrolRequest(sealed, "eu-3", public(hub))
	if err != nil || held.ID() != token.ID() {
		t.Fatal(held, err)
	}
	request.Token = token.Public()
	if diff := cmp.Diff(request, got); diff != "" {
		t.Error(diff)
	}
	if bytes.Contains(sealed, []byte(strings.Split(token.String(), ".")[1])) {
		t.Error("the secret of the token travels")
	}
	if _, _, err := wire.OpenEnrolRequest(sealed, "us-1", public(hub)); err == nil {
		t.Error("accepted on the subject of another cluster")
	}
	stranger, _ := newKey(t)
	forged, err := wire.SealEnrolRequest(request, stranger, &token)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := wire.OpenEnrolRequest(forged, "eu-3", public(hub)); !errors.Is(err, wire.ErrProof) {
		t.Errorf("signed by another key: %v", err)
	}
	overheard, err := wire.ParseToken(token.Public(), public(hub))
	if err != nil {
		t.Fatal(err)
	}
	stolen, err := wire.SealEnrolRequest(request, key, &overheard)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := wire.OpenEnrolRequest(stolen, "eu-3", public(hub)); !errors.Is(err, wire.ErrToken) {
		t.Errorf("with the public half of a token: %v", err)
	}
}

// TestEnrolExchange: a request for another key is signed by both, over all of it.
func TestEnrolExchange(t *testing.T) {
	hub := hubKey(1)
	former, old := newKey(t)
	key, name := newKey(t)
	request := wire.EnrolRequest{Version: 1, Cluster: "eu-3", Key: name, Nonce: "n"}
	sealed, err := wire.SealEnrolExchange(request, key, former)
	if err != nil {
		t.Fatal(err)
	}
	got, token, err := wire.OpenEnrolRequest(sealed, "eu-3", public(hub))
	if err != nil || token != nil {
		t.Fatal(token, err)
	}
	request.Former = old
	if diff := cmp.Diff(request, got); diff != "" {
		t.Error(diff)
	}
	stranger, other := newKey(t)
	alone, err := wire.SealEnrolRequest(request, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	stolen, err := wire.SealEnrolExchange(wire.EnrolRequest{Version: 1, Cluster: "eu-3", Key: other, Nonce: "n"}, key, former)
	if err != nil {
		t.Fatal(err)
	}
	swapped, err := wire.SealEnrolExchange(request, key, stranger)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(swapped, []byte(`"former":`)) {
		t.Fatal("the key of before has not signed")
	}
	for name, sealed := range map[string][]byte{
		"the key of before has not signed":    alone,
		"the new key has not signed":          stolen,
		"another has signed, under its name":  bytes.Replace(sealed, proofOf(t, sealed), proofOf(t, swapped), 1),
		"the proof of the key of before only": bytes.Replace(sealed, []byte(`"proof":`), []byte(`"prof":`), 1),
	} {
		if _, _, err := wire.OpenEnrolRequest(sealed, "eu-3", public(hub)); !errors.Is(err, wire.ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// proofOf is the proof of the key of before in a sealed request.
func proofOf(t *testing.T, sealed []byte) []byte {
	t.Helper()
	var s struct {
		Former json.RawMessage `json:"former"`
	}
	if err := json.Unmarshal(sealed, &s); err != nil || s.Former == nil {
		t.Fatal(err)
	}
	return s.Former
}

// TestTokenOfSeveralKeys: a token is as good as the keys that the hub takes it by.
func TestTokenOfSeveralKeys(t *testing.T) {
	token := newToken(t, hubKey(1), 7)
	if _, err := wire.ParseToken(token.String(), public(hubKey(3)), public(hubKey(2)), public(hubKey(1))); err != nil {
		t.Error(err)
	}
	if _, err := wire.ParseToken(token.String(), public(hubKey(3)), nil); !errors.Is(err, wire.ErrToken) {
		t.Error(err)
	}
	if _, err := wire.ParseToken(token.String()); !errors.Is(err, wire.ErrToken) {
		t.Error("by no key at all:", err)
	}
	if held, err := wire.ReadToken(token.String()); err != nil || held.String() != token.String() {
		t.Error("who holds it cannot read it:", err)
	}
}

func TestEnrolAnswer(t *testing.T) {
	hub := hubKey(1)
	request := wire.EnrolRequest{Version: 1, Cluster: "eu-3", Nonce: "n"}
	good := wire.EnrolAnswer{Version: 1, Cluster: "eu-3", Nonce: "n", JWT: "j"}
	change := func(f func(*wire.EnrolAnswer)) wire.EnrolAnswer { a := good; f(&a); return a }
	tests := map[string]struct {
		answer wire.EnrolAnswer
		key    ed25519.PrivateKey
		ok     bool
	}{
		"good":            {good, hub, true},
		"another's":       {good, hubKey(2), false},
		"other cluster":   {change(func(a *wire.EnrolAnswer) { a.Cluster = "us-1" }), hub, false},
		"replayed":        {change(func(a *wire.EnrolAnswer) { a.Nonce = "before" }), hub, false},
		"both":            {change(func(a *wire.EnrolAnswer) { a.Refusal = wire.RefusedRevoked }), hub, false},
		"neither":         {change(func(a *wire.EnrolAnswer) { a.JWT = "" }), hub, false},
		"another version": {change(func(a *wire.EnrolAnswer) { a.Version = 2 }), hub, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			sealed, err := wire.SealEnrolAnswer(test.answer, test.key)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := wire.OpenEnrolAnswer(sealed, request, public(hub)); (err == nil) != test.ok {
				t.Error(err)
			}
		})
	}
}

func FuzzOpenEnrolRequest(f *testing.F) {
	hub := hubKey(1)
	key, err := nkeys.FromRawSeed(nkeys.PrefixByteUser, bytes.Repeat([]byte{9}, 32)) // the same in every worker
	if err != nil {
		f.Fatal(err)
	}
	name, err := key.PublicKey()
	if err != nil {
		f.Fatal(err)
	}
	token := newToken(f, hub, 7)
	sealed, err := wire.SealEnrolRequest(wire.EnrolRequest{Version: 1, Cluster: "eu-3", Key: name}, key, &token)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Fuzz(func(t *testing.T, sealed []byte) {
		r, _, err := wire.OpenEnrolRequest(sealed, "eu-3", public(hub))
		if err == nil && r.Key != name {
			t.Errorf("a request of %q was accepted", r.Key)
		}
	})
}
