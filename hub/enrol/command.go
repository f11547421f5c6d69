package enrol

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/navarch/navarch/fleet"
)

// The verbs of a [Command].
const (
	VerbList        = "list"
	VerbApprove     = "approve"
	VerbRevoke      = "revoke"
	VerbAllowRejoin = "allow-rejoin"
	VerbRotate      = "rotate"
)

// Command is what a person who holds the hub's identity tells the running hub about
// its members. The signature is the person's right to do so.
type Command struct {
	Verb    string            `json:"verb"`
	Cluster fleet.ClusterName `json:"cluster,omitempty"` // of every verb but VerbList
	At      time.Time         `json:"at"`
	Nonce   string            `json:"nonce"`
}

const (
	commandContext = "navarch members command v1\x00"
	commandLife    = 5 * time.Minute // how far the clocks of person and hub may be apart
)

// ErrCommand is a command that the holder of the hub's identity did not sign just
// now, or that was heard before.
var ErrCommand = errors.New("the command is not signed with this hub's identity, or not now (say --identity with the hub's folder, and check the clocks)")

// ErrOldCommand is a command that is signed with a key of before an exchange.
var ErrOldCommand = errors.New("the command is signed with a key that was exchanged since (say --identity with a copy of the hub's folder as it is now)")

type signedCommand struct {
	Command   []byte `json:"command"`
	Signature []byte `json:"signature"`
}

// SealCommand signs a command.
func (i *Identity) SealCommand(verb string, cluster fleet.ClusterName, now time.Time) (json.RawMessage, error) {
	body, err := json.Marshal(Command{Verb: verb, Cluster: cluster, At: now, Nonce: rand.Text()})
	if err != nil {
		return nil, fmt.Errorf("encode command %q: %w", verb, err)
	}
	return json.Marshal(signedCommand{Command: body, Signature: ed25519.Sign(i.ring().signing, append([]byte(commandContext), body...))})
}

// Do does what a sealed command says, once, and returns the roll after it.
func (d *Desk) Do(sealed []byte, now time.Time) (Roll, error) {
	c, err := d.Open(sealed, now)
	if err != nil {
		return Roll{}, err
	}
	return d.Tell(c.Verb, c.Cluster, now)
}

// Tell does what somebody says who may, and returns the roll after it.
func (d *Desk) Tell(verb string, cluster fleet.ClusterName, now time.Time) (Roll, error) {
	var err error
	switch verb {
	case VerbList:
	case VerbApprove:
		err = d.change(func(r Roll) (Roll, error) { return r.Approve(cluster) })
	case VerbRevoke:
		err = d.change(func(r Roll) (Roll, error) { return r.Revoke(cluster, now) })
	case VerbAllowRejoin:
		err = d.change(func(r Roll) (Roll, error) { return r.AllowRejoin(cluster) })
	case VerbRotate:
		err = d.change(func(r Roll) (Roll, error) { return r.Rotate(cluster, now) })
	default:
		err = fmt.Errorf("this hub does not know the command %q (update the older of the two)", verb)
	}
	if err == nil && verb != VerbList {
		d.config.Log.Info("told about a member", "command", verb, "cluster", cluster)
	}
	return d.Roll(), err
}

// Open verifies a sealed command and lets it pass once.
func (d *Desk) Open(sealed []byte, now time.Time) (Command, error) {
	var s signedCommand
	var c Command
	if json.Unmarshal(sealed, &s) != nil {
		return c, ErrCommand
	}
	ring, signed := d.config.Identity.ring(), append([]byte(commandContext), s.Command...)
	if !ed25519.Verify(publicOf(ring.signing), signed, s.Signature) || json.Unmarshal(s.Command, &c) != nil {
		for _, key := range ring.earlierKeys() {
			if ed25519.Verify(key, signed, s.Signature) {
				return c, ErrOldCommand
			}
		}
		return c, ErrCommand
	}
	if now.Sub(c.At).Abs() > commandLife {
		return c, ErrCommand
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.seen, func(_ string, at time.Time) bool { return now.Sub(at) > commandLife })
	if _, seen := d.seen[c.Nonce]; seen {
		return c, ErrCommand
	}
	d.seen[c.Nonce] = c.At
	return c, nil
}
