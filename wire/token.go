package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/navarch/navarch/fleet"
)

// tokenContext separates signatures of tokens from all others.
const tokenContext = "navarch join token v1\x00" //nolint:gosec // it is no secret

// maxToken is far more than any token has.
const maxToken = 4096

// ErrToken is a token that the hub did not sign, or that is cut off.
var ErrToken = errors.New("the token is not one of this hub, or is not whole (make one with `navarch token create`)")

// Invitation is what a token says. Approve, where true, has the agent wait until a
// person approves it. Namespaces, where there are some, are the only ones in which the
// agent is to have rights beside its own, each once and sorted; who makes the token sets
// them, and the install manifest obeys. Absent: it is an administrator of its cluster.
type Invitation struct {
	Cluster    fleet.ClusterName `json:"cluster"`
	Expires    time.Time         `json:"expires"`
	Approve    bool              `json:"approve,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Namespaces []string          `json:"namespaces,omitempty"`
}

// Token buys the agent of one cluster the right to be enrolled, once. It is a key
// of its own, signed by the hub together with an invitation: the hub keeps no list
// of what it has signed, and the secret half never leaves who holds the token.
type Token struct {
	Invitation
	public    ed25519.PublicKey
	secret    ed25519.PrivateKey // nil in what travels
	said      []byte             // JSON of the invitation
	signature []byte             // of the hub over public and said
}

// NewToken signs an invitation with the hub's key. The seed, of
// [ed25519.SeedSize] random bytes, is the token's secret.
func NewToken(i Invitation, seed []byte, hub ed25519.PrivateKey) (Token, error) {
	if len(seed) != ed25519.SeedSize {
		return Token{}, fmt.Errorf("make a token: the seed has %d bytes, want %d", len(seed), ed25519.SeedSize)
	}
	if _, err := fleet.ParseClusterName(string(i.Cluster)); err != nil {
		return Token{}, fmt.Errorf("make a token: %w", err)
	}
	for _, namespace := range i.Namespaces {
		if _, err := fleet.ParseClusterName(namespace); err != nil { // the same rule
			return Token{}, fmt.Errorf("make a token: namespace %q is not a DNS label", namespace)
		}
	}
	i.Expires = i.Expires.UTC().Truncate(time.Second)
	said, err := json.Marshal(i)
	if err != nil {
		return Token{}, fmt.Errorf("make a token: %w", err)
	}
	t := Token{Invitation: i, secret: ed25519.NewKeyFromSeed(seed), said: said}
	t.public = t.secret.Public().(ed25519.PublicKey) //nolint:forcetypeassert // documented
	t.signature = ed25519.Sign(hub, t.signed())
	if len(t.String()) > maxToken {
		return Token{}, errors.New("make a token: its labels or namespaces are too long")
	}
	return t, nil
}

// ParseToken reads a token as [Token.String] or [Token.Public] wrote it, and
// verifies that one of the hub's keys signed it. Whether it is still good is the hub's
// to say.
func ParseToken(text string, hub ...ed25519.PublicKey) (Token, error) {
	t, err := ReadToken(text)
	if err != nil {
		return Token{}, ErrToken
	}
	for _, key := range hub {
		if len(key) == ed25519.PublicKeySize && ed25519.Verify(key, t.signed(), t.signature) {
			return t, nil
		}
	}
	return Token{}, ErrToken
}

// ReadToken is [ParseToken] for who only holds a token: who has signed it is nobody's
// business but the hub's.
func ReadToken(text string) (Token, error) {
	parts := strings.Split(text, ".")
	if len(text) > maxToken || len(parts) != 4 {
		return Token{}, ErrToken
	}
	var fields [3][]byte
	for i, part := range parts[1:] {
		var err error
		if fields[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return Token{}, ErrToken
		}
	}
	t := Token{said: fields[1], signature: fields[2]}
	switch {
	case parts[0] == tokenSecret && len(fields[0]) == ed25519.SeedSize:
		t.secret = ed25519.NewKeyFromSeed(fields[0])
		t.public = t.secret.Public().(ed25519.PublicKey) //nolint:forcetypeassert // documented
	case parts[0] == tokenPublic && len(fields[0]) == ed25519.PublicKeySize:
		t.public = fields[0]
	default:
		return Token{}, ErrToken
	}
	if err := json.Unmarshal(t.said, &t.Invitation); err != nil {
		return Token{}, ErrToken
	}
	return t, nil
}

// How the two forms of a token begin.
const (
	tokenSecret = "nvt1"
	tokenPublic = "nvp1"
)

// String returns the token with its secret: who has it can join. It fits a URL.
func (t Token) String() string {
	if t.secret == nil {
		return t.Public()
	}
	return t.text(tokenSecret, t.secret.Seed())
}

// Public returns the token without its secret.
func (t Token) Public() string { return t.text(tokenPublic, t.public) }

func (t Token) text(form string, key []byte) string {
	encode := base64.RawURLEncoding.EncodeToString
	return strings.Join([]string{form, encode(key), encode(t.said), encode(t.signature)}, ".")
}

// ID names the token in lists and messages, and gives nothing away.
func (t Token) ID() string { return hex.EncodeToString(t.public[:8]) }

func (t Token) signed() []byte {
	return bytes.Join([][]byte{[]byte(tokenContext), t.public, t.said}, nil)
}
