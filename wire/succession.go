package wire

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// MaxSteps is how often the key of a hub can be exchanged.
const MaxSteps = 64

// stepContext separates signatures of steps from all others.
const stepContext = "navarch succession v1\x00"

// Step says that one signing key of a hub takes the place of another.
type Step struct {
	Number int       `json:"number"` // of the exchange, from 1
	Old    []byte    `json:"old"`    // public ed25519 keys
	New    []byte    `json:"new"`
	Since  time.Time `json:"since"` // the hub's clock; for people
}

// SealedStep is a step as it travels: the old key vouches for the new one, and the new
// one shows that it is held.
type SealedStep struct {
	Step  []byte `json:"step"` // the JSON of a [Step], exactly as signed
	ByOld []byte `json:"byOld"`
	ByNew []byte `json:"byNew"`
}

// Succession is what of a hub's keys was exchanged. It travels with what the newest key
// has sealed; none is needed by who trusts that key already.
type Succession struct {
	// Steps lead from the first key of the hub to the one that sealed. Absent: the key was
	// never exchanged.
	Steps []SealedStep `json:"steps,omitempty"`
	// Authority is whose certificates a server of the hub may show, signed by the key that
	// sealed. Absent: that was never exchanged.
	Authority *SealedAuthority `json:"authority,omitempty"`
}

// What is wrong with who sealed a message.
var (
	// ErrSuccession is a succession that was not made by the hub, or is not whole.
	ErrSuccession = errors.New("the succession of the hub's keys is not whole, or was not signed by them")
	// ErrFork is a succession in which another key follows than in the one that was seen first.
	ErrFork = errors.New("the hub's key was exchanged for two different ones, and this agent obeys the one that it saw first " +
		"(if that is the wrong one, somebody else has had the hub's key: install the agent again)")
	// ErrExchanged is a message sealed by a key that was exchanged since.
	ErrExchanged = errors.New("the message is signed by a key of the hub that was exchanged since")
)

// NewStep exchanges the key old for another; number counts exchanges from 1.
func NewStep(number int, old, next ed25519.PrivateKey, since time.Time) (SealedStep, error) {
	step := Step{Number: number, Old: publicOf(old), New: publicOf(next), Since: since.UTC().Truncate(time.Second)}
	body, err := json.Marshal(step)
	if err != nil {
		return SealedStep{}, fmt.Errorf("encode the exchange of a key: %w", err)
	}
	signed := append([]byte(stepContext), body...)
	return SealedStep{Step: body, ByOld: ed25519.Sign(old, signed), ByNew: ed25519.Sign(next, signed)}, nil
}

// Open verifies one step by the two keys that it names.
func (s SealedStep) Open() (Step, error) {
	var step Step
	if json.Unmarshal(s.Step, &step) != nil || len(step.Old) != ed25519.PublicKeySize || len(step.New) != ed25519.PublicKeySize {
		return Step{}, ErrSuccession
	}
	signed := append([]byte(stepContext), s.Step...)
	if bytes.Equal(step.Old, step.New) || !ed25519.Verify(step.Old, signed, s.ByOld) || !ed25519.Verify(step.New, signed, s.ByNew) {
		return Step{}, ErrSuccession
	}
	return step, nil
}

// Open verifies every step, and that each begins where the one before it ends. It
// returns nothing where there are none.
func (s Succession) Open() ([]Step, error) {
	if len(s.Steps) > MaxSteps {
		return nil, fmt.Errorf("%w: it has %d steps, at most %d are read", ErrSuccession, len(s.Steps), MaxSteps)
	}
	return openSteps(s.Steps)
}

func openSteps(sealed []SealedStep) ([]Step, error) {
	steps := make([]Step, len(sealed))
	seen := map[string]bool{}
	for i := range sealed {
		var err error
		if steps[i], err = sealed[i].Open(); err != nil {
			return nil, err
		}
		if i > 0 && (!bytes.Equal(steps[i-1].New, steps[i].Old) || steps[i].Number != steps[i-1].Number+1) {
			return nil, fmt.Errorf("%w: step %d does not follow step %d", ErrSuccession, steps[i].Number, steps[i-1].Number)
		}
		if seen[string(steps[i].Old)] || seen[string(steps[i].New)] {
			return nil, fmt.Errorf("%w: step %d comes back to a key of before", ErrSuccession, steps[i].Number)
		}
		seen[string(steps[i].Old)] = true
	}
	return steps, nil
}

// KeyID names a public key, or a certificate, in lists and messages.
func KeyID(public []byte) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:8])
}

func publicOf(key ed25519.PrivateKey) ed25519.PublicKey {
	return key.Public().(ed25519.PublicKey) //nolint:forcetypeassert // documented
}
