package view

import (
	"time"

	"github.com/navarch/navarch/fleet"
)

// Repository is how the hub gets on with the fleet repository.
type Repository struct {
	URL     string // without credentials
	Branch  string
	Fetched time.Time // when it was last read without error; zero before the first time
	Error   string    // why it cannot be read now; empty: it can
}

// Commit is a commit that the hub has looked at.
type Commit struct {
	Revision string // as in "main@sha1:4f0c…"
	Message  string
	Author   string
	Time     time.Time
	Rewound  bool // it is not a descendant of the one before it: somebody forced a push
	Problems fleet.Problems
	Accepted bool // it loads and builds; otherwise it changed nothing anywhere
}

// Plan is what an accepted commit says, and what announcing it changes.
type Plan struct {
	Revision   string
	Definition fleet.Definition
	Outcomes   []fleet.Outcome // what was decided for each app
	Changes    []fleet.Change
	Holds      []fleet.Hold // why a person has to agree
	Held       bool         // nobody has
	// Announced, with Held: the changes are announced all the same, and only what
	// agents keep without being told to waits. Without it, nothing is announced.
	Announced bool
}

// Hold is an accepted commit that waits for a person.
type Hold struct {
	Revision string
	Reasons  []fleet.Hold
	// Announced: only what agents keep without being told to waits, not the commit.
	Announced bool
	Changes   []fleet.Change // of every cluster that would hear of it
	Deleted   int            // objects that they take away
	Hidden    bool           // there is more, which this viewer does not see
}

// Member is a cluster that was admitted to the fleet, or waits to be.
type Member struct {
	Name    fleet.ClusterName
	Joined  time.Time
	Expires time.Time         // of its credential; zero: it has none yet
	Waiting bool              // for a person's approval
	Revoked time.Time         // zero: it is not
	Rejoin  bool              // another agent may take its place, once
	Labels  map[string]string // of the token that it joined with
}
