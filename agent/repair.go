package agent

import (
	"fmt"
	"time"

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
