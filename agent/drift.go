package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/agent/observe"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// differs tells whether an object, as it was last seen, is not as it was applied.
func differs(item apply.Item, state observe.State, there bool) bool {
	if !there {
		return !item.Spent()
	}
	return !state.Deleting && item.Owned != "" && state.Owned != item.Owned
}

// broken returns the objects of a current app that somebody changed or deleted and
// that are to be looked after now. Everything else is taken off the list of those to
// look at, but for what somebody fights over.
func (a *app) broken(state states, synced func(group, kind string) bool, now time.Time) []fleet.ObjectID {
	if a.desired.Terms.Drift == fleet.DriftOff {
		clear(a.drifted)
		return nil
	}
	var broken []fleet.ObjectID
	later := map[fleet.ObjectID]bool{}
	for _, item := range a.record.Objects {
		id := item.ObjectID
		if !a.drifted[id] {
			continue
		}
		s, there := state(id)
		switch {
		case !there && !synced(id.Group, id.Kind): // it comes again when everything was seen
		case !differs(item, s, there):
			later[id] = a.fights(id) && now.Before(a.repairs[id].since.Add(repairWindow))
			if a.fights(id) && !later[id] {
				delete(a.repairs, id) // it has stayed
			}
			if drift, found := a.drifts[id]; found && !drift.Repaired {
				delete(a.drifts, id) // somebody has put it right
			}
		case a.mayRepair(id, now):
			broken = append(broken, id)
		default:
			later[id] = true
		}
	}
	maps.DeleteFunc(later, func(_ fleet.ObjectID, is bool) bool { return !is })
	a.drifted = later
	return broken
}

// lookAgain has every object compared with how it was applied.
func (a *app) lookAgain() {
	clear(a.drifts)
	for _, item := range a.record.Objects {
		a.drifted[item.ObjectID] = true
	}
}

// drifting says which objects are left as somebody has made them, and is empty when
// there are none.
func (a *app) drifting() string {
	var found []string
	for id, drift := range a.drifts {
		if !drift.Repaired {
			found = append(found, fmt.Sprintf("%s: %s", id, drift))
		}
	}
	if len(found) == 0 {
		return ""
	}
	slices.Sort(found)
	const most = 3
	if more := len(found) - most; more > 0 {
		found = append(found[:most], fmt.Sprintf("and %d more", more))
	}
	return "not as applied: " + strings.Join(found, "; ")
}

// mend applies single objects of a current app again, or finds out how they differ,
// and says what was done to them. It forgets those that are gone because the app no
// longer has them.
func (h *hands) mend(ctx context.Context, w *work) (r result) {
	r.work, r.drifts = w, map[fleet.ObjectID]wire.Drift{}
	built, err := h.fetcher.Build(w.desired)
	if err != nil {
		r.err = err
		return r
	}
	r.objects = h.follow(built)
	terms := h.terms(w, built)
	broken := make(map[fleet.ObjectID]bool, len(w.mend))
	for _, id := range w.mend {
		broken[id] = true
	}
	built = slices.DeleteFunc(built, func(b *unstructured.Unstructured) bool {
		o, err := h.client.Prepare(b)
		return err == nil && !broken[o.ID]
	})
	client, err := h.client.As(ctx, w.account())
	if err != nil {
		r.err = err
		return r
	}
	before, err := h.lookUp(ctx, w.mend)
	if err != nil {
		r.err = err
		return r
	}
	way := apply.Way{
		Terms:  terms,
		There:  func(o apply.Object) bool { _, there := before[o.ID]; return w.kind == looks && !there },
		New:    h.fresh(w),
		DryRun: w.kind == looks,
	}
	if way.Opened, r.err = h.open(ctx, built, way.There); r.err != nil {
		return r
	}
	if w.kind == mends {
		if r.err = h.makeNamespaces(ctx, client, "", built); r.err != nil {
			return r
		}
	}
	r.applied, r.err = client.ApplyAll(ctx, built, way)
	after := make(map[fleet.ObjectID]metav1.ObjectMeta, len(r.applied))
	for _, applied := range r.applied {
		after[applied.ID] = applied.Meta
	}
	for _, id := range r.objects {
		if !broken[id] {
			continue
		}
		was, there := before[id]
		is, asked := after[id]
		taken := apply.TakenFrom(id, was, is, way.Ignore)
		switch {
		case !there:
			r.drifts[id] = wire.Drift{Deleted: true}
		case !asked && w.kind == looks: // the cluster would not take it back
			r.drifts[id] = wire.Drift{}
		case len(taken.Fields) > 0:
			r.drifts[id] = wire.Drift{Fields: taken.Fields[:min(len(taken.Fields), wire.DriftFields)], By: taken.By}
		}
	}
	if w.kind == looks {
		r.err = nil // it says how objects differ, and nothing has failed
		r.applied = slices.DeleteFunc(r.applied, func(a apply.Applied) bool { _, drifted := r.drifts[a.ID]; return drifted })
		for i := range r.applied {
			r.applied[i].Meta = before[r.applied[i].ID] // which nobody has written
		}
		return r
	}
	// What took its time to go, and what waited for that, is looked at again.
	superfluous := h.superfluous(w, r.objects)
	if r.err != nil || len(superfluous) == 0 {
		return r
	}
	if r.err = h.reserved.wait(ctx); r.err != nil {
		return r
	}
	pruned, err := client.Prune(ctx, w.app, h.notElsewhere(w.app, superfluous), w.desired.Terms.PruneAlso)
	r.kept, r.err = pruned.Kept, err
	r.gone = without(superfluous, pruned.Remaining)
	return r
}

// without returns ids that are not among others.
func without(ids, others []fleet.ObjectID) []fleet.ObjectID {
	return slices.DeleteFunc(slices.Clone(ids), func(id fleet.ObjectID) bool { return slices.Contains(others, id) })
}

// lookUp reads the metadata of objects; those that are not there are left out.
func (h *hands) lookUp(ctx context.Context, ids []fleet.ObjectID) (map[fleet.ObjectID]metav1.ObjectMeta, error) {
	var mu sync.Mutex
	var failure error
	there := make(map[fleet.ObjectID]metav1.ObjectMeta, len(ids))
	var group sync.WaitGroup
	for _, id := range ids {
		group.Go(func() {
			kind, err := h.client.Kind(id.Group, "", id.Kind)
			var m metav1.ObjectMeta
			if err == nil {
				m, err = h.client.Look(ctx, kind, id)
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				there[id] = m
			case !apierrors.IsNotFound(err):
				failure = fmt.Errorf("look at %s: %w", id, err)
			}
		})
	}
	group.Wait()
	return there, failure
}

// finishMending takes in what was found of single objects, and what was made of them.
func (r *reconciler) finishMending(a *app, done result, now time.Time) {
	applied := map[fleet.ObjectID]bool{}
	for _, each := range done.applied {
		applied[each.ID] = true
	}
	for _, id := range done.work.mend {
		drift, found := done.drifts[id]
		if !found {
			a.spare(id) // somebody has changed what the app does not say
			continue
		}
		drift.Time, drift.Repaired = now.UTC(), done.work.kind == mends && applied[id]
		if before, known := a.drifts[id]; known && !before.Repaired && !drift.Repaired && before.String() == drift.String() {
			continue // that was told
		}
		a.drifts[id] = drift
		if kind, err := r.hands.client.Kind(id.Group, "", id.Kind); err == nil {
			r.events.drifted(a, kind.GroupVersion().String(), id, drift)
		}
		if drift.Repaired {
			r.metrics.repaired(1)
		}
	}
	r.keep(a, done, without(a.record.IDs(), done.gone))
	r.settle(a, done.err, now)
}
