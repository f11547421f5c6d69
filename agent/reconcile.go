package agent

import (
	"context"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/navarch/navarch/agent/fetch"
	"github.com/navarch/navarch/agent/observe"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

const (
	// flushAfter is how long after the last outcome of applying the outcomes are written
	// into the inventory, and flushMost how long one waits at most. An agent that dies
	// before has to apply those apps again.
	flushAfter = 500 * time.Millisecond
	flushMost  = 5 * time.Second
	retryFirst = time.Second
	retryMost  = time.Minute
	// lingering is how often to look at objects that take their time to go.
	lingering = 5 * time.Second
)

// reconciler decides what to do for which app. Only its run method touches its
// fields.
type reconciler struct {
	cluster fleet.ClusterName
	hands   *hands
	reports *reporter
	events  *events
	metrics *metrics
	log     *slog.Logger

	apps    map[fleet.AppName]*app
	target  fetch.Target
	known   bool // target was set
	targets chan fetch.Target
	results chan result
	flushAt time.Time // zero: nothing to write
	flushBy time.Time // when it is to be written at the latest
}

func newReconciler(c Config, h *hands, reports *reporter, e *events, m *metrics) *reconciler {
	r := &reconciler{
		cluster: c.Cluster, hands: h, reports: reports, events: e, metrics: m, log: c.Log,
		apps:    map[fleet.AppName]*app{},
		targets: make(chan fetch.Target, 1),
		results: make(chan result, 64),
	}
	for name, record := range h.inventory.Records() {
		r.app(name).record = record
		for _, item := range record.Objects {
			if kind, err := h.client.Kind(item.Group, "", item.Kind); err == nil {
				h.watch(kind)
			}
		}
	}
	return r
}

// aim sets what the cluster should run. A target that was not looked at yet is
// replaced.
func (r *reconciler) aim(target fetch.Target) {
	for {
		select {
		case r.targets <- target:
			return
		case <-r.targets:
		}
	}
}

// run reconciles until ctx ends. What is being done then is cut off, and the
// inventory is written.
func (r *reconciler) run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(r.pause(time.Now()))
		select {
		case <-ctx.Done():
			return r.stop(ctx)
		case target := <-r.targets:
			r.retarget(target)
		case done := <-r.results:
			r.finish(done, time.Now())
		case <-r.hands.watcher.Dirty():
			r.notice(r.hands.watcher.Take())
		case <-timer.C:
		}
		r.start(ctx, time.Now())
		r.flush(ctx, time.Now())
		r.events.tell(time.Now(), r.busy())
	}
}

// stop waits for what is being done and writes the inventory.
func (r *reconciler) stop(ctx context.Context) error {
	for _, a := range r.apps {
		if a.work != nil {
			a.work.cancel()
		}
	}
	for slices.ContainsFunc(slices.Collect(maps.Values(r.apps)), func(a *app) bool { return a.work != nil }) {
		r.finish(<-r.results, time.Now())
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return r.hands.inventory.Flush(last)
}

func (r *reconciler) app(name fleet.AppName) *app {
	a := r.apps[name]
	if a == nil {
		a = &app{name: name, drifted: map[fleet.ObjectID]bool{}, revisions: map[fleet.ObjectID]uint64{}, repairs: map[fleet.ObjectID]*repairCount{}, drifts: map[fleet.ObjectID]wire.Drift{}}
		r.apps[name] = a
	}
	return a
}

// retarget takes in what the cluster should run from now on.
func (r *reconciler) retarget(target fetch.Target) {
	if r.known && r.target.Announcement == target.Announcement {
		return
	}
	r.target, r.known = target, true
	r.flushSoon() // the announcement is to be remembered
	named := map[fleet.AppName]bool{}
	health := map[fleet.AppName][]fleet.HealthCheckExpr{}
	for _, desired := range target.Index.Apps {
		health[desired.Name] = desired.Terms.Health
	}
	r.hands.watcher.Judge(health)
	for _, desired := range target.Index.Apps {
		named[desired.Name] = true
		r.want(r.app(desired.Name), desired, target.Revision)
	}
	for _, tombstone := range target.Index.Tombstones {
		named[tombstone.App] = true
		a := r.app(tombstone.App)
		a.stone = tombstone
		if !a.leaving {
			a.wanted, a.leaving, a.failure, a.retryAt = false, true, nil, time.Time{}
			r.interrupt(a)
		}
		r.report(a)
	}
	for name, a := range r.apps {
		if named[name] {
			continue
		}
		a.wanted, a.leaving = false, false
		r.interrupt(a)
		if len(a.record.Objects) == 0 && a.work == nil {
			r.drop(a)
			continue
		}
		r.report(a)
	}
	changing := map[fleet.AppName]fleet.Content{}
	for name, a := range r.apps {
		if a.wanted && !a.current() {
			changing[name] = a.content()
		}
	}
	r.hands.reserved.expect(changing)
}

// want takes in what the index says of one app.
func (r *reconciler) want(a *app, desired fleet.DesiredApp, revision string) {
	same := a.wanted && a.content() == desired.Content() && a.desired.Namespace == desired.Namespace
	a.leaving = false
	if a.desired.Terms.Drift != desired.Terms.Drift {
		a.lookAgain()
	}
	if same && (a.failure == nil || reflect.DeepEqual(a.desired.Terms, desired.Terms)) {
		a.desired = desired // its dependencies may differ, and terms that mattered to nothing
		return
	}
	a.wanted, a.desired, a.revision = true, desired, revision
	a.failure, a.failures, a.retryAt = nil, 0, time.Time{}
	if a.current() {
		a.attempted = wire.Applied{Revision: a.record.Revision, Overlay: desired.Overlay, Base: desired.Base}
	}
	r.interrupt(a)
	r.report(a)
}

// interrupt cuts off what is being done for an app, at the next object.
func (r *reconciler) interrupt(a *app) {
	if a.work != nil {
		a.work.cancel()
	}
}

// notice takes in that objects were seen to change.
func (r *reconciler) notice(changes []observe.Change) {
	touched := map[*app]bool{}
	for _, change := range changes {
		if change.ID.Name == "" { // everything of the kind was seen for the first time
			for _, a := range r.apps {
				for _, item := range a.record.Objects {
					if item.Group == change.ID.Group && item.Kind == change.ID.Kind {
						a.drifted[item.ObjectID] = true
						touched[a] = true
					}
				}
			}
			continue
		}
		if a := r.apps[change.App]; a != nil {
			a.drifted[change.ID] = true
			touched[a] = true
		}
	}
	for a := range touched {
		if a.leaving {
			a.retryAt = time.Time{}
		}
		r.report(a)
	}
}

// start begins whatever can be done now.
func (r *reconciler) start(ctx context.Context, now time.Time) {
	var begun []*work
	for _, a := range r.apps {
		if w := r.next(a, now); w != nil {
			begun = append(begun, w)
		}
	}
	for _, w := range begun {
		a := r.apps[w.app]
		a.work = w
		work, cancel := context.WithCancel(ctx)
		w.cancel = cancel
		if w.kind == applies {
			a.attempted = wire.Applied{Revision: a.revision, Overlay: a.desired.Overlay, Base: a.desired.Base}
			r.report(a)
		}
		go func() {
			defer cancel()
			defer r.metrics.work(w.kind)()
			r.results <- r.hands.do(work, w)
		}()
	}
	for _, a := range r.apps {
		if a.work != nil && a.work.kind == applies && len(r.waitsFor(a)) == 0 {
			a.work.open()
		}
	}
}

// open lets work go on that waits for dependencies.
func (w *work) open() {
	if !w.opened() {
		close(w.gate)
	}
}

func (w *work) opened() bool {
	select {
	case <-w.gate:
		return true
	default:
		return false
	}
}

// next returns what to do for an app now, nil where there is nothing.
func (r *reconciler) next(a *app, now time.Time) *work {
	if !r.known || a.work != nil || now.Before(a.retryAt) {
		return nil
	}
	if a.current() && !a.leaving && a.failure == nil && len(a.drifted) == 0 {
		return nil // as nearly every app is, whenever anything happens to one
	}
	w := &work{app: a.name, desired: a.desired, revision: a.revision, record: a.record}
	switch {
	case a.leaving && len(a.record.Objects) > 0:
		w.kind, w.stone = removes, a.stone
		return w
	case a.wanted && (!a.current() || a.failure != nil):
		w.kind, w.gate = applies, make(chan struct{})
		return w
	case a.current() && len(a.drifted) > 0:
		// What the watch says of a time before the object was applied is not drift.
		maps.DeleteFunc(a.drifted, func(id fleet.ObjectID, _ bool) bool { return r.hands.watcher.Behind(id, a.revisions[id]) })
		if w.mend = a.broken(r.hands.watcher.State, r.hands.watcher.Synced, now); len(w.mend) > 0 {
			w.kind = mends
			if a.desired.Terms.Drift == fleet.DriftReport {
				w.kind = looks
			}
			return w
		}
		r.report(a) // a fight may be over
	}
	return nil
}

// waitsFor returns the apps that an app depends on and that are not ready.
func (r *reconciler) waitsFor(a *app) []fleet.AppName {
	var waits []fleet.AppName
	for _, name := range a.desired.DependsOn {
		if on := r.apps[name]; on == nil || !on.ready(r.hands.watcher.State) {
			waits = append(waits, name)
		}
	}
	return waits
}

// report tells the hub how an app does.
func (r *reconciler) report(a *app) {
	if r.known {
		r.reports.tell(a.report(r.cluster, r.waitsFor(a), r.hands.watcher.State))
	}
}

// drop forgets an app of which nothing is left.
func (r *reconciler) drop(a *app) {
	delete(r.apps, a.name)
	r.reports.forget(a.name)
}

func (r *reconciler) flushSoon() {
	now := time.Now()
	if r.flushAt.IsZero() {
		r.flushBy = now.Add(flushMost)
	}
	if r.flushAt = now.Add(flushAfter); r.flushAt.After(r.flushBy) {
		r.flushAt = r.flushBy
	}
}

// flush writes the inventory when it is time.
func (r *reconciler) flush(ctx context.Context, now time.Time) {
	if r.flushAt.IsZero() || now.Before(r.flushAt) {
		return
	}
	r.flushAt = time.Time{}
	go func() {
		if err := r.hands.inventory.Flush(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("inventory not written: it is tried again with the next change", "err", err)
		}
	}()
}

// busy tells whether something is being done that does not wait for other apps.
func (r *reconciler) busy() bool {
	for _, a := range r.apps {
		if a.work != nil && (a.work.kind != applies || a.work.opened()) {
			return true
		}
	}
	return false
}

// pause is how long nothing is to be done by itself.
func (r *reconciler) pause(now time.Time) time.Duration {
	pause := time.Hour
	for _, a := range r.apps {
		if at := a.wakesAt(now); !at.IsZero() {
			pause = min(pause, at.Sub(now))
		}
	}
	if !r.flushAt.IsZero() {
		pause = min(pause, r.flushAt.Sub(now))
	}
	if due := r.events.due(r.busy()); !due.IsZero() {
		pause = min(pause, due.Sub(now))
	}
	return max(pause, time.Millisecond)
}
