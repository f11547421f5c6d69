package access

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Token is what an access token says of who holds it. It is signed with the hub's
// identity, and nothing of it is stored.
type Token struct {
	ID       string    `json:"id"`   // for the list of those that were taken back
	Name     string    `json:"name"` // for the audit log
	Role     string    `json:"role"`
	Apps     string    `json:"apps,omitempty"`     // selector; absent: every app
	Clusters string    `json:"clusters,omitempty"` // selector; absent: every cluster
	Expires  time.Time `json:"expires"`
}

const (
	tokenForm    = "nva1"
	tokenContext = "navarch access token v1\x00"
	maxToken     = 2048
	maxName      = 128
)

// ErrToken is an access token that this hub's identity did not sign, or that is no
// longer good. It does not say which.
var ErrToken = errors.New("the access token is not one of this hub, or has expired (make one with `navarch token access`)")

// Seal signs the token. It returns the text that its holder keeps secret.
func (t Token) Seal(key ed25519.PrivateKey) (string, error) {
	if _, _, err := t.Caller(); err != nil {
		return "", fmt.Errorf("make an access token: %w", err)
	}
	t.Expires = t.Expires.UTC().Truncate(time.Second)
	said, err := json.Marshal(t)
	if err != nil {
		return "", fmt.Errorf("make an access token: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := strings.Join([]string{tokenForm, encode(said), encode(ed25519.Sign(key, signed(said)))}, ".")
	if len(text) > maxToken {
		return "", errors.New("make an access token: its selectors are too long")
	}
	return text, nil
}

// IsToken tells whether a text has the form of an access token.
func IsToken(text string) bool { return strings.HasPrefix(text, tokenForm+".") }

// OpenToken verifies a token that somebody shows. It returns [ErrToken] for one that
// is not good now.
func OpenToken(text string, key ed25519.PublicKey, now time.Time) (Token, error) {
	parts := strings.Split(text, ".")
	if len(text) > maxToken || len(parts) != 3 || parts[0] != tokenForm || len(key) != ed25519.PublicKeySize {
		return Token{}, ErrToken
	}
	said, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return Token{}, ErrToken
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !ed25519.Verify(key, signed(said), signature) {
		return Token{}, ErrToken
	}
	var t Token
	decoder := json.NewDecoder(bytes.NewReader(said))
	decoder.DisallowUnknownFields() // what a newer hub wrote may narrow what this one would allow
	if err := decoder.Decode(&t); err != nil || !now.Before(t.Expires) {
		return Token{}, ErrToken
	}
	return t, nil
}

// Caller returns who holds the token and what that one may do.
func (t Token) Caller() (Person, Rights, error) {
	if t.Name == "" || len(t.Name) > maxName {
		return Person{}, Rights{}, fmt.Errorf("its name has %d characters: want 1 to %d", len(t.Name), maxName)
	}
	role, err := ParseRole(t.Role)
	if err != nil {
		return Person{}, Rights{}, err
	}
	scope, err := ParseScope(t.Apps, t.Clusters)
	if err != nil {
		return Person{}, Rights{}, err
	}
	return Person{Name: t.Name, By: ByToken}, Grants(role, scope), nil
}

func signed(said []byte) []byte { return append([]byte(tokenContext), said...) }
