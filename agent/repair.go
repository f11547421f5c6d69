package agent

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/navarch/navarch/fleet"
)

// Somebody who changes an object back as often as this within the window is not
// fought: from then on the object is repaired once in each window, until it stays.
const (
	maxRepairs   = 5
	repairWindow = time.Minute
)

// repairCount counts the repairs of one object.
type repairCount struct {
	since time.Time // beginning of the window
	count int
	fight bool // there were more than maxRepairs, and the object did not stay since
}

// mayRepair counts one repair of an object and tells whether it should be made.
func (a *app) mayRepair(id fleet.ObjectID, now time.Time) bool {
	r := a.repairs[id]
	switch {
	case r == nil || !r.fight && now.Sub(r.since) >= repairWindow:
		r = &repairCount{since: now}
		a.repairs[id] = r
	case r.fight && now.Sub(r.since) >= repairWindow:
		r.since, r.count = now, maxRepairs-1
	}
	r.count++
	r.fight = r.fight || r.count > maxRepairs
	return r.count <= maxRepairs
}

// spare takes back that a repair was counted: there was nothing to repair.
func (a *app) spare(id fleet.ObjectID) {
	if r := a.repairs[id]; r != nil && r.count > 0 {
		r.count--
	}
}

func (a *app) fights(id fleet.ObjectID) bool { return a.repairs[id] != nil && a.repairs[id].fight }

// fighting names the objects that somebody else keeps changing, and is empty when
// there are none.
func (a *app) fighting() string {
	var fought []string
	for id, r := range a.repairs {
		if r.fight {
			fought = append(fought, id.String())
		}
	}
	if len(fought) == 0 || a.desired.Terms.Drift == fleet.DriftReport {
		return ""
	}
	slices.Sort(fought)
	return fmt.Sprintf("somebody else keeps changing %s: after more than %d repairs within a minute there is now one a minute", strings.Join(fought, ", "), maxRepairs)
}

// wakesAt is when something is to be done for the app by itself; zero: not before
// something happens.
func (a *app) wakesAt(now time.Time) time.Time {
	if a.work != nil {
		return time.Time{}
	}
	if a.retryAt.After(now) {
		return a.retryAt
	}
	var first time.Time
	for id := range a.drifted {
		if !a.current() || !a.fights(id) {
			continue
		}
		if at := a.repairs[id].since.Add(repairWindow); first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}
