package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"

	"github.com/navarch/navarch/fleet"
)

// Trust is whom an agent obeys: the key that its install manifest names, and those
// that this key, and each after it, vouched for. It is a value: what changes it
// returns another.
type Trust struct {
	keys      []ed25519.PublicKey // from the manifest's on; the last is obeyed
	steps     []SealedStep        // between them
	authority Authority           // Number 0: none was ever heard of
	sealed    *SealedAuthority
}

// NewTrust trusts one key.
func NewTrust(key ed25519.PublicKey) Trust { return Trust{keys: []ed25519.PublicKey{key}} }

// Recall trusts the key of an install manifest and what was followed before, as
// [Trust.Followed] returned it. Where that does not lead on from this key, a person has
// installed the agent for another hub, or for a later key of it: then only the key of
// the manifest counts, and an error says so.
func Recall(key ed25519.PublicKey, followed Succession) (Trust, error) {
	t := NewTrust(key)
	steps, err := openSteps(followed.Steps)
	if err != nil {
		return t, err
	}
	from := 0
	if len(steps) > 0 {
		from = slices.IndexFunc(steps, func(s Step) bool { return bytes.Equal(s.Old, key) })
		if last := steps[len(steps)-1].New; from < 0 && bytes.Equal(last, key) {
			from = len(steps)
		}
		if from < 0 {
			return t, fmt.Errorf("%w: it does not lead on from the key of the install manifest, which counts", ErrSuccession)
		}
	}
	after := t.along(followed.Steps[from:], steps[from:])
	if followed.Authority == nil {
		return after, nil
	}
	a, err := followed.Authority.open(after.keys...)
	if err != nil {
		return t, err
	}
	after.authority, after.sealed = a, followed.Authority
	return after, nil
}

// Key returns the key that is obeyed.
func (t Trust) Key() ed25519.PublicKey { return t.keys[len(t.keys)-1] }

// Followed returns what to keep beside the install manifest. It proves itself, and
// holds no secret.
func (t Trust) Followed() Succession { return Succession{Steps: t.steps, Authority: t.sealed} }

// Same tells whether two trusts are equal.
func (t Trust) Same(other Trust) bool {
	return bytes.Equal(t.Key(), other.Key()) && len(t.keys) == len(other.keys) && t.authority.Number == other.authority.Number
}

// Authorities returns, as PEM, which certificates the hub's server may come from, given
// those of the install manifest.
func (t Trust) Authorities(manifest []byte) []byte {
	if t.authority.Number == 0 || len(manifest) == 0 {
		return manifest
	}
	return t.authority.trusted(manifest)
}

// Pins says to the hub what is trusted.
func (t Trust) Pins(manifest []byte) Pins {
	pins := Pins{Signing: KeyID(t.Key())}
	for rest := t.Authorities(manifest); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return pins
		}
		pins.Authorities = append(pins.Authorities, KeyID(block.Bytes))
	}
}

// Announcement opens a sealed announcement for a cluster as [Open] does, by whoever the
// trusted key leads to, and returns who is trusted from then on. With [ErrExchanged] it
// returns the announcement too: it was the hub's once.
func (t Trust) Announcement(sealed []byte, cluster fleet.ClusterName) (Announcement, Trust, error) {
	var e envelope
	if err := json.Unmarshal(sealed, &e); err != nil {
		return Announcement{}, t, fmt.Errorf("decode announcement: %w", err)
	}
	after, sealer, err := t.follow(e, signingContext)
	if sealer == nil {
		return Announcement{}, t, err
	}
	a, wrong := openAnnouncement(e, sealer, cluster)
	switch {
	case wrong != nil:
		return Announcement{}, t, wrong
	case err != nil:
		return a, t, err
	}
	return a, after, nil
}

// Answer opens the answer to a request as [OpenEnrolAnswer] does, by whoever the
// trusted key leads to, and returns who is trusted from then on.
func (t Trust) Answer(sealed []byte, r EnrolRequest) (EnrolAnswer, Trust, error) {
	var e envelope
	if err := json.Unmarshal(sealed, &e); err != nil {
		return EnrolAnswer{}, t, fmt.Errorf("decode the answer to an enrolment: %w", err)
	}
	after, sealer, err := t.follow(e, answerContext)
	if err != nil {
		return EnrolAnswer{}, t, err
	}
	a, err := openAnswer(e, r, sealer)
	if err != nil {
		return EnrolAnswer{}, t, err
	}
	return a, after, nil
}

// follow finds who sealed an envelope: the trusted key, or one that it leads to. It
// returns who is trusted then and the key. With [ErrExchanged] the key is one that was
// trusted before.
func (t Trust) follow(e envelope, context string) (Trust, ed25519.PublicKey, error) {
	var past Succession
	if e.Succession != nil {
		past = *e.Succession
	}
	steps, err := past.Open()
	if err != nil {
		return t, nil, err
	}
	sealer := t.Key()
	if len(steps) > 0 {
		sealer = steps[len(steps)-1].New
	}
	if !e.by(sealer, context) {
		return t, t.earlier(e, context), t.unsigned(e, context)
	}
	after := t
	if !bytes.Equal(sealer, t.Key()) {
		if after, err = t.walk(past.Steps, steps); err != nil {
			return t, t.earlier(e, context), err
		}
	}
	if past.Authority == nil {
		return after, sealer, nil
	}
	authority, err := past.Authority.open(sealer)
	if err != nil {
		return t, nil, err
	}
	if authority.Number >= t.authority.Number {
		after.authority, after.sealed = authority, past.Authority
	}
	return after, sealer, nil
}

// walk goes from the trusted key to the end of a succession.
func (t Trust) walk(sealed []SealedStep, steps []Step) (Trust, error) {
	for _, step := range steps {
		if i := t.index(step.Old); i >= 0 && i+1 < len(t.keys) && !bytes.Equal(t.keys[i+1], step.New) {
			return t, ErrFork
		}
	}
	from := slices.IndexFunc(steps, func(s Step) bool { return bytes.Equal(s.Old, t.Key()) })
	switch {
	case from >= 0:
		return t.along(sealed[from:], steps[from:]), nil
	case t.index(steps[len(steps)-1].New) >= 0:
		return t, ErrExchanged
	}
	return t, ErrSignature
}

// along adds steps that begin at the trusted key.
func (t Trust) along(sealed []SealedStep, steps []Step) Trust {
	t.keys, t.steps = slices.Clone(t.keys), slices.Concat(t.steps, sealed)
	for _, step := range steps {
		t.keys = append(t.keys, step.New)
	}
	return t
}

// earlier returns the key of before that sealed an envelope, nil where none did.
func (t Trust) earlier(e envelope, context string) ed25519.PublicKey {
	for _, key := range t.keys[:len(t.keys)-1] {
		if e.by(key, context) {
			return key
		}
	}
	return nil
}

func (t Trust) unsigned(e envelope, context string) error {
	if t.earlier(e, context) != nil {
		return ErrExchanged
	}
	return ErrSignature
}

func (t Trust) index(key ed25519.PublicKey) int {
	return slices.IndexFunc(t.keys, func(k ed25519.PublicKey) bool { return bytes.Equal(k, key) })
}

// Pins is what an agent trusts, each by [KeyID].
type Pins struct {
	Signing     string   `json:"signing"`               // the hub's signing key
	Authorities []string `json:"authorities,omitempty"` // of its server's certificate; absent: the system's
}
