package wire

import (
	"crypto/ed25519"
	"testing"
	"time"
)

// FuzzParseToken looks for text that is taken for a token which the hub did not sign.
func FuzzParseToken(f *testing.F) {
	hub := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public := hub.Public().(ed25519.PublicKey) //nolint:forcetypeassert // documented
	token, err := NewToken(Invitation{Cluster: "eu-3", Expires: time.Unix(1800000000, 0)}, make([]byte, ed25519.SeedSize), hub)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token.String())
	f.Add(token.Public())
	f.Add("nvt1...")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := ParseToken(text, public)
		if err == nil && (parsed.Cluster != token.Cluster || !parsed.Expires.Equal(token.Expires)) {
			t.Errorf("%q is a token for %q", text, parsed.Cluster)
		}
	})
}
