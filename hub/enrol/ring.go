package enrol

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// tokensOutlive is how long after an exchange of the signing key a token still joins
// that the key before it has signed.
const tokensOutlive = 30 * 24 * time.Hour

// exchanges is what the file of an identity says of keys that were exchanged. In the
// file of a new identity there is none of it.
type exchanges struct {
	Steps []wire.SealedStep `json:"steps,omitempty"` // lead to the key of announcements
	// Sole: what the keys before it have signed is worth nothing any more, but for the steps.
	Sole    bool      `json:"sole,omitempty"`
	Earlier []earlier `json:"earlier,omitempty"` // authorities, first to last
}

// earlier is an authority that was exchanged. Its key is gone.
type earlier struct {
	CA      string `json:"ca"`                // PEM
	Cross   string `json:"cross,omitempty"`   // PEM of the next authority, signed by this one
	Retired bool   `json:"retired,omitempty"` // agents that still pin it are shut out
}

// ring is what of an identity can be exchanged. It never changes.
type ring struct {
	signing ed25519.PrivateKey
	steps   []wire.Step      // that lead to it
	sole    bool             // see exchanges
	past    *wire.Succession // to send along; nil: nothing was ever exchanged
	ca      *x509.Certificate
	caKey   *ecdsa.PrivateKey
	earlier []authority
	crosses [][]byte // to show with a server's certificate, in DER, newest first
}

// authority is one that was exchanged.
type authority struct {
	*x509.Certificate
	retired bool
}

func (i *Identity) ring() *ring { return i.current.Load() }

// ring checks every key that can be exchanged.
func (s stored) ring() (*ring, error) {
	if len(s.Announcements) != ed25519.SeedSize {
		return nil, fmt.Errorf("key %q has %d bytes: want %d", "announcements", len(s.Announcements), ed25519.SeedSize)
	}
	r := &ring{signing: ed25519.NewKeyFromSeed(s.Announcements), sole: s.Sole}
	var err error
	if r.steps, err = (wire.Succession{Steps: s.Steps}).Open(); err != nil {
		return nil, fmt.Errorf("key %q: %w", "steps", err)
	}
	if n := len(r.steps); n > 0 && !bytes.Equal(r.steps[n-1].New, publicOf(r.signing)) {
		return nil, errors.New("the \"steps\" do not lead to the key \"announcements\"")
	}
	if r.ca, err = parseCertificate(s.CA); err != nil {
		return nil, fmt.Errorf("key %q: %w", "ca", err)
	}
	key, err := fromPEM(s.CAKey, "EC PRIVATE KEY")
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", "caKey", err)
	}
	if r.caKey, err = x509.ParseECPrivateKey(key); err != nil {
		return nil, fmt.Errorf("key %q: %w", "caKey", err)
	}
	if !r.caKey.PublicKey.Equal(r.ca.PublicKey) {
		return nil, errors.New("the certificate in \"ca\" does not belong to \"caKey\"")
	}
	if err := r.recall(s.Earlier); err != nil {
		return nil, err
	}
	return r, r.tell(s.Steps)
}

// recall takes in the authorities of before.
func (r *ring) recall(before []earlier) error {
	for n, e := range before {
		certificate, err := parseCertificate(e.CA)
		if err != nil {
			return fmt.Errorf("key %q, number %d: %w", "earlier", n+1, err)
		}
		r.earlier = append(r.earlier, authority{certificate, e.Retired})
	}
	for n := len(before) - 1; n >= 0 && !before[n].Retired; n-- {
		cross, err := parseCertificate(before[n].Cross)
		if err == nil {
			err = cross.CheckSignatureFrom(r.earlier[n].Certificate)
		}
		if err != nil {
			return fmt.Errorf("key %q, number %d: cross: %w", "earlier", n+1, err)
		}
		r.crosses = append(r.crosses, cross.Raw)
	}
	return nil
}

// tell makes what agents are told of what was exchanged.
func (r *ring) tell(steps []wire.SealedStep) error {
	if len(steps)+len(r.earlier) == 0 {
		return nil
	}
	r.past = &wire.Succession{Steps: steps}
	if len(r.earlier) == 0 {
		return nil
	}
	told := wire.Authority{Number: len(r.earlier), Certificates: [][]byte{r.ca.Raw}}
	for _, a := range r.earlier {
		if !a.retired {
			told.Certificates = append(told.Certificates, a.Raw)
			continue
		}
		told.Number++ // to retire one is news too
		told.Retired = append(told.Retired, wire.KeyID(a.Raw))
	}
	var err error
	r.past.Authority, err = wire.NewAuthority(told, r.signing)
	return err
}

func parseCertificate(text string) (*x509.Certificate, error) {
	der, err := fromPEM(text, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// earlierKeys are the signing keys of before.
func (r *ring) earlierKeys() []ed25519.PublicKey {
	keys := make([]ed25519.PublicKey, len(r.steps))
	for n, step := range r.steps {
		keys[n] = step.Old
	}
	return keys
}

// TokenKeys returns the keys that may have signed a token which is taken now: the
// signing key, and those before it until they are retired, for a month at most.
func (i *Identity) TokenKeys(now time.Time) []ed25519.PublicKey {
	r := i.ring()
	keys := []ed25519.PublicKey{publicOf(r.signing)}
	for _, step := range r.steps {
		if !r.sole && now.Before(step.Since.Add(tokensOutlive)) {
			keys = append(keys, step.Old)
		}
	}
	return keys
}

// Seal signs an announcement so that every agent of this hub can open it, whichever of
// its keys the agent has pinned.
func (i *Identity) Seal(a wire.Announcement) ([]byte, error) {
	r := i.ring()
	return wire.SealAfter(a, r.signing, r.past)
}

// sealAnswer is Seal for the answer to a request for enrolment.
func (i *Identity) sealAnswer(a wire.EnrolAnswer) ([]byte, error) {
	r := i.ring()
	return wire.SealEnrolAnswerAfter(a, r.signing, r.past)
}

// Unseal opens an announcement that this hub has sealed, with whichever of its keys;
// current tells whether it says to agents what it would say now.
func (i *Identity) Unseal(sealed []byte, cluster fleet.ClusterName) (a wire.Announcement, current bool, err error) {
	r := i.ring()
	a, err = wire.Open(sealed, publicOf(r.signing), cluster)
	if err == nil {
		again, err := wire.SealAfter(a, r.signing, r.past)
		return a, err == nil && bytes.Equal(again, sealed), err
	}
	for _, key := range r.earlierKeys() {
		if a, err := wire.Open(sealed, key, cluster); err == nil {
			return a, false, nil
		}
	}
	return a, false, err
}

// Pinned says how what an agent obeys stands to the keys of this identity, in words for
// people: whether the agent has heard of the newest.
func (i *Identity) Pinned(pins wire.Pins) (said string, newest bool) {
	r := i.ring()
	ca := len(pins.Authorities) == 0 // the system's
	known := false
	for _, a := range append([]authority{{Certificate: r.ca}}, r.earlier...) {
		known = known || slices.Contains(pins.Authorities, wire.KeyID(a.Raw))
	}
	ca = ca || !known || slices.Contains(pins.Authorities, wire.KeyID(r.ca.Raw)) // not known: of somebody's own NATS server
	switch signing := pins.Signing == wire.KeyID(publicOf(r.signing)); {
	case pins.Signing == "":
		return "-", false
	case signing && ca:
		return "newest", true
	case signing:
		return "old ca", false
	case ca:
		return "old signing", false
	}
	return "old signing, old ca", false
}

// ErrIdentity is an identity file that does not go on from the one that the hub runs with.
var ErrIdentity = errors.New("the file holds another identity than this hub runs with, or one from before an exchange: it is not taken in " +
	"(put the right one back, or restart the hub to run with this one)")

// Refresh takes in what was exchanged in the identity's file since it was read, and
// tells whether anything was. An error changes nothing.
func (i *Identity) Refresh() (changed bool, err error) {
	content, err := os.ReadFile(i.file)
	if err != nil {
		return false, fmt.Errorf("read identity: %w", err)
	}
	if bytes.Equal(content, *i.read.Load()) {
		return false, nil
	}
	next, err := load(i.file)
	if err != nil {
		return false, err
	}
	if next.operator.public != i.operator.public || next.agents.public != i.agents.public || next.fleet.public != i.fleet.public ||
		!next.ring().follows(i.ring()) {
		return false, ErrIdentity
	}
	i.current.Store(next.ring())
	i.read.Store(next.read.Load())
	return true, nil
}

// follows tells whether everything of an older ring is still known.
func (r *ring) follows(old *ring) bool {
	key := publicOf(old.signing)
	known := bytes.Equal(publicOf(r.signing), key)
	for _, step := range r.steps {
		known = known || bytes.Equal(step.Old, key)
	}
	authority := r.ca.Equal(old.ca)
	for _, a := range r.earlier {
		authority = authority || a.Equal(old.ca)
	}
	return known && authority
}
