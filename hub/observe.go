package hub

import (
	"context"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/compile"
)

// lookEvery is how often it is looked whether a cluster has become silent, or
// anything else that is observed decides otherwise.
const lookEvery = time.Second

// decision is what was decided last, for those who ask why. Nobody changes it.
type decision struct {
	reading *compile.Reading
	state   fleet.State
}

// state is what decides beside Git, now.
func (d *deployer) state(now time.Time) fleet.State {
	previous := d.previous
	if previous == nil {
		previous = fleet.PreviousOf(d.announcer.published)
	}
	return fleet.State{Now: now, Observed: d.observed.state(), Previous: previous}
}

// schedule notes what may decide otherwise than it was decided last, and when time
// alone may.
func (d *deployer) schedule(w *wanted) {
	d.again = time.Time{}
	d.observed.short = false
	d.observed.cares = map[fleet.AppName]bool{}
	for i := range w.Outcomes {
		o := &w.Outcomes[i]
		if at := o.Again; !at.IsZero() && (d.again.IsZero() || at.Before(d.again)) {
			d.again = at
		}
		d.observed.short = d.observed.short || o.Problem != ""
		if f := w.Definition.Apps[i].Failover; f != nil && f.Application != nil || len(o.Kept) > 0 { // which may wait for health
			d.observed.cares[o.App] = true
		}
	}
}

// look decides again about what is live where something observed has changed that
// may decide otherwise. A commit that is held does not keep it from that.
func (d *deployer) look(ctx context.Context, now time.Time) {
	w := d.live
	if w == nil {
		return
	}
	d.observed.expect(d.announcer.published, now)
	changed := d.observed.judge(now, time.Duration(w.Definition.Settings.Failover.SilentAfter))
	if !changed && !d.observed.dirty && (d.again.IsZero() || now.Before(d.again)) {
		return
	}
	d.observed.dirty = false
	next, problems := d.decide(w.reading, w.revision, now)
	if err := problems.Err(); err != nil {
		d.log.Error("what is observed asks for a placement that Git does not allow: everything stays as it is", "revision", w.revision, "err", err)
		d.again = now.Add(retryMost)
		return
	}
	next.agreed = w.agreed
	if d.wanted.reading == w.reading { // no other commit is held
		d.wanted = next
	}
	d.schedule(next) // also where it is then held: it is not decided again and again
	if err := d.publish(ctx, next); err != nil {
		d.log.Error("announce failed: it is tried again soon", "revision", w.revision, "err", err)
		d.observed.dirty = true
	}
}

// retryMost is how long to wait before what is not allowed is tried again.
const retryMost = time.Minute
