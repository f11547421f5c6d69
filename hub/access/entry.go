package access

import (
	"errors"
	"strings"
	"time"
)

// Entry is one line of the audit log: what a person did, or was refused.
type Entry struct {
	At      time.Time `json:"at"`
	Who     string    `json:"who,omitempty"` // absent: not known
	By      Means     `json:"by,omitempty"`  // how it is known who
	Action  Action    `json:"action"`
	On      string    `json:"on,omitempty"` // a revision, or a cluster
	From    string    `json:"from,omitempty"`
	Via     string    `json:"via,omitempty"` // what a proxy says where it came from; anybody can say that
	Outcome Outcome   `json:"outcome"`
	Why     string    `json:"why,omitempty"`  // of a refusal, or how
	More    int       `json:"more,omitempty"` // refusals alike that were not written, since the entry before
}

// Action is what a person does.
type Action string

// The actions.
const (
	SignIn      Action = "sign in"
	SignOut     Action = "sign out"
	Release     Action = "release"
	MakeToken   Action = "make join token"
	Approve     Action = "approve"
	Revoke      Action = "revoke"
	AllowRejoin Action = "allow-rejoin"
	Command     Action = "command" // one that could not be read
)

// Outcome is what became of an action.
type Outcome string

// The outcomes.
const (
	Done    Outcome = "done"
	Refused Outcome = "refused"
)

// EntryOf returns the entry of what a caller did. An error makes it a refusal.
func EntryOf(c Caller, action Action, on string, err error, now time.Time) Entry {
	e := Entry{At: now, Who: c.Name, By: c.By, Action: action, On: brief(on), From: c.From, Via: c.Via, Outcome: Done}
	if err != nil {
		e.Outcome, e.Why = Refused, brief(err.Error())
	}
	return e
}

// brief bounds what somebody else may have written.
func brief(text string) string {
	const most = 500
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + " …"
}

// ErrScope is what somebody may do, but not to this.
var ErrScope = errors.New("outside of your scope")
