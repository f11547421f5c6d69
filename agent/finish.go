package agent

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/agent/observe"
	"github.com/navarch/navarch/fleet"
)

// finish takes in what came of work.
func (r *reconciler) finish(done result, now time.Time) {
	w := done.work
	a := r.apps[w.app]
	a.work = nil
	// The inventory may hold what the work reserved.
	a.record = r.hands.inventory.Record(w.app)
	r.tellKept(a, done.kept)
	switch w.kind {
	case removes:
		r.finishRemoval(a, done, now)
	case mends, looks:
		r.finishMending(a, done, now)
	case applies:
		if done.err == nil {
			a.record.Overlay, a.record.Base, a.record.Revision, a.record.Partial = w.desired.Overlay, w.desired.Base, w.revision, false
			a.appliedAt = now
			clear(a.drifts)
			r.keep(a, done, slices.Concat(done.objects, done.remains))
			if len(done.applied) > 0 {
				r.events.applied(a, len(done.applied))
			}
		} else {
			r.keep(a, done, a.record.IDs())
		}
		r.metrics.applied(len(done.applied), done.err)
		r.settle(a, done.err, now)
	}
	if !a.wanted && !a.leaving && len(a.record.Objects) == 0 {
		r.drop(a) // nothing is left to say of it
		return
	}
	r.report(a)
	for _, other := range r.apps {
		if slices.Contains(other.desired.DependsOn, a.name) {
			r.report(other)
		}
	}
}

// keep records the objects that an app has by now.
func (r *reconciler) keep(a *app, done result, ids []fleet.ObjectID) {
	known := make(map[fleet.ObjectID]apply.Item, len(a.record.Objects))
	for _, item := range a.record.Objects {
		known[item.ObjectID] = item
	}
	has := make(map[fleet.ObjectID]bool, len(ids))
	for _, id := range ids {
		has[id] = true
	}
	for _, applied := range done.applied {
		known[applied.ID] = apply.Item{Owned: apply.Owned(&applied.Meta), Body: applied.Hash, Runs: applied.Runs}
		a.revisions[applied.ID] = observe.RevisionOf(applied.Meta.ResourceVersion)
		has[applied.ID] = true // also where nobody knew its kind when it was reserved
	}
	items := make([]apply.Item, 0, len(has))
	for id := range has {
		item := known[id]
		item.ObjectID = id
		items = append(items, item)
	}
	a.record.Objects = items
	r.hands.inventory.Set(a.name, a.record)
	a.record = r.hands.inventory.Record(a.name)
	r.flushSoon()
}

// settle decides when to try again.
func (r *reconciler) settle(a *app, err error, now time.Time) {
	if err == nil {
		a.failure, a.failures = nil, 0
		return
	}
	if errors.Is(err, context.Canceled) {
		return
	}
	if a.failure == nil || a.failure.Error() != err.Error() {
		r.events.failed(a, err)
	}
	a.failure = err
	a.failures++
	a.retryAt = now.Add(backoff(a.failures))
	r.log.Warn("app not applied", "app", a.name, "revision", a.attempted.Revision, "attempt", a.failures, "err", bounded(err))
}

// backoff doubles from attempt to attempt.
func backoff(attempt int) time.Duration {
	return min(retryMost, retryFirst<<min(attempt-1, 10))
}

func (r *reconciler) finishRemoval(a *app, done result, now time.Time) {
	if len(done.objects) == 0 && done.err == nil {
		a.record = apply.Record{}
		r.hands.inventory.Forget(a.name)
		r.events.removed(a)
		r.flushSoon()
		return
	}
	a.record.Partial = true
	r.keep(a, done, done.objects)
	r.settle(a, done.err, now)
	if done.err == nil {
		a.retryAt = now.Add(lingering)
	}
}
