package agent

import (
	"fmt"
	"time"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/fleet"
)

// Somebody who changes an object back as often as this within the window is not
// fought: the object is looked at again after the window.
const (
	maxRepairs   = 5
	repairWindow = time.Minute
)

// repairCount counts the repairs of one object.
type repairCount struct {
	since time.Time // beginning of the window
	count int
}

// mayRepair counts one repair of an object and tells whether it should be made.
func (a *app) mayRepair(id fleet.ObjectID, now time.Time) bool {
	r := a.repairs[id]
	if r == nil || now.Sub(r.since) > repairWindow {
		r = &repairCount{since: now}
		a.repairs[id] = r
	}
	r.count++
	return r.count <= maxRepairs
}

// repaired takes in what came of repairs and returns how many changed something. One
// that did not was of a field that the cluster may change for itself, and is not
// counted as a repair.
func (a *app) repaired(applied []apply.Applied, before map[fleet.ObjectID]string) int {
	changed := 0
	for _, object := range applied {
		if apply.VersionOf(object.Meta) != before[object.ID] {
			changed++
			continue
		}
		if r := a.repairs[object.ID]; r != nil && r.count > 0 {
			r.count--
		}
	}
	return changed
}

// fighting names an object that somebody else keeps changing, and is empty when
// there is none.
func (a *app) fighting() string {
	for id, r := range a.repairs {
		if r.count > maxRepairs {
			return fmt.Sprintf("somebody else keeps changing %s: it was repaired %d times within a minute and is now looked at once a minute", id, maxRepairs)
		}
	}
	return ""
}
