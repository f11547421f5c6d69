package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
)

// authorityContext separates signatures of authorities from all others.
const authorityContext = "navarch authority v1\x00"

// maxAuthorities is more certificates than a hub ever has at once.
const maxAuthorities = 64

// Authority is whose certificates a server of the hub may show.
type Authority struct {
	Number       int      `json:"number"`       // counts up with every exchange; a lower one is old
	Certificates [][]byte `json:"certificates"` // of the authorities, in DER
	// Retired are those that a server may no longer come from, by [KeyID] of their DER.
	// Absent: none.
	Retired []string `json:"retired,omitempty"`
}

// SealedAuthority is an authority as it travels.
type SealedAuthority struct {
	Authority []byte `json:"authority"` // the JSON of an [Authority], exactly as signed
	Signature []byte `json:"signature"` // by the hub's signing key
}

// NewAuthority signs an authority with the hub's key.
func NewAuthority(a Authority, key ed25519.PrivateKey) (*SealedAuthority, error) {
	body, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("encode the hub's authorities: %w", err)
	}
	return &SealedAuthority{Authority: body, Signature: ed25519.Sign(key, append([]byte(authorityContext), body...))}, nil
}

// open verifies an authority by one of several keys.
func (s SealedAuthority) open(keys ...ed25519.PublicKey) (Authority, error) {
	signed := append([]byte(authorityContext), s.Authority...)
	if !slices.ContainsFunc(keys, func(k ed25519.PublicKey) bool { return ed25519.Verify(k, signed, s.Signature) }) {
		return Authority{}, fmt.Errorf("%w: its authority is not signed by the newest", ErrSuccession)
	}
	var a Authority
	if err := json.Unmarshal(s.Authority, &a); err != nil || len(a.Certificates) == 0 || len(a.Certificates)+len(a.Retired) > maxAuthorities {
		return Authority{}, fmt.Errorf("%w: its authority cannot be read", ErrSuccession)
	}
	return a, nil
}

// trusted returns which certificates a server may come from, given those of the
// install manifest. Where none of these is known to the hub they are those of somebody
// else's NATS server, about which it has nothing to say.
func (a Authority) trusted(manifest []byte) []byte {
	known := false
	var good [][]byte
	for rest := manifest; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		retired := slices.Contains(a.Retired, KeyID(block.Bytes))
		named := a.names(block.Bytes)
		known = known || retired || named
		if !retired && !named {
			good = append(good, block.Bytes)
		}
	}
	if !known {
		return manifest
	}
	var b bytes.Buffer
	for _, der := range slices.Concat(a.Certificates, good) {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der}) // a buffer takes everything
	}
	return b.Bytes()
}

func (a Authority) names(der []byte) bool {
	return slices.ContainsFunc(a.Certificates, func(c []byte) bool { return bytes.Equal(c, der) })
}
