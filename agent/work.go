package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/agent/enrol"
	"github.com/navarch/navarch/agent/fetch"
	"github.com/navarch/navarch/agent/observe"
	"github.com/navarch/navarch/agent/sops"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// The kinds of work.
type workKind int

const (
	applies workKind = iota // brings an app to what is desired
	mends                   // applies single objects again
	looks                   // finds out how single objects differ, and changes nothing
	removes                 // takes an app out
)

// workKinds says every kind in one word.
var workKinds = map[workKind]string{applies: "apply", mends: "repair", looks: "look", removes: "remove"}

// work is one thing that is being done for one app. Its result comes back on the
// reconciler's channel, exactly once.
type work struct {
	kind     workKind
	app      fleet.AppName
	desired  fleet.DesiredApp
	revision string           // that brought desired
	record   apply.Record     // as it was when the work began
	mend     []fleet.ObjectID // objects to apply again, or to look at
	stone    fleet.Tombstone  // that says to remove
	cancel   context.CancelFunc
	gate     chan struct{} // closed when everything that the app depends on is ready
}

// result is what came of work.
type result struct {
	work    *work
	err     error
	applied []apply.Applied
	drifts  map[fleet.ObjectID]wire.Drift // of a mend or a look: what was changed
	// objects are all of the app's by now; after removing, those that are still there.
	objects []fleet.ObjectID
	remains []fleet.ObjectID // of an apply: no longer wanted, and still there
	gone    []fleet.ObjectID // of a mend: no longer wanted, and not there any more
	kept    []apply.Kept     // no longer wanted, and left in the cluster
}

// hands carry out work. They are for any number of goroutines.
type hands struct {
	client    *apply.Client
	inventory *apply.Inventory
	shelf     *apply.Shelf
	fetcher   *fetch.Fetcher
	watcher   *observe.Watcher
	cluster   *observe.Cluster
	pins      *enrol.Pins
	keys      *sops.Keys
	opener    *sops.Opener
	reserved  reservations
}

// do carries out one piece of work.
func (h *hands) do(ctx context.Context, w *work) (r result) {
	switch w.kind {
	case mends, looks:
		r = h.mend(ctx, w)
	case removes:
		r = h.remove(ctx, w)
	default:
		r = h.apply(ctx, w)
	}
	if r.err != nil && ctx.Err() != nil {
		r.err = ctx.Err() // what fails because it was cut off says nothing about the app
	}
	return r
}

// apply brings an app to what is desired: build, reserve, wait for dependencies,
// apply, and prune after everything was applied.
func (h *hands) apply(ctx context.Context, w *work) (r result) {
	r.work = w
	built, err := h.fetcher.Build(w.desired)
	if err != nil {
		r.err = err
		return r
	}
	r.objects = h.follow(built)
	if r.err = h.inventory.Reserve(ctx, w.app, r.objects); r.err != nil {
		return r
	}
	h.reserved.make(w.app, w.desired.Content())
	select {
	case <-w.gate:
	case <-ctx.Done():
		r.err = ctx.Err()
		return r
	}
	client, err := h.client.As(ctx, w.account())
	if err != nil {
		r.err = err
		return r
	}
	h.look(ctx, w)
	way := apply.Way{Terms: h.terms(w, built), There: h.there(w), New: h.fresh(w)}
	if way.Opened, r.err = h.open(ctx, built, way.There); r.err != nil {
		return r
	}
	if way.Atomic {
		if r.err = client.Rehearse(ctx, built, way); r.err != nil {
			return r
		}
	}
	if r.err = h.makeNamespaces(ctx, client, w.desired.Namespace, built); r.err != nil {
		return r
	}
	r.applied, r.err = client.ApplyAll(ctx, built, way)
	r.objects = h.follow(built) // the app may have brought kinds
	if r.err != nil {
		if way.Atomic && len(r.applied) > 0 {
			r.err = errors.Join(apply.ErrHalfway, r.err)
		}
		return r
	}
	gone := h.superfluous(w, r.objects)
	if len(gone) == 0 {
		return r
	}
	if r.err = h.reserved.wait(ctx); r.err != nil {
		return r
	}
	gone = h.notElsewhere(w.app, gone)
	pruned, err := client.Prune(ctx, w.app, gone, w.desired.Terms.PruneAlso)
	r.remains, r.kept, r.err = pruned.Remaining, pruned.Kept, err
	return r
}

// follow begins to watch the kinds of what was built. It returns the ids as the
// cluster has them.
func (h *hands) follow(built []*unstructured.Unstructured) []fleet.ObjectID {
	ids := make([]fleet.ObjectID, 0, len(built))
	for _, b := range built {
		o, err := h.client.Prepare(b)
		if err == nil {
			h.watch(o.Kind)
		}
		ids = append(ids, o.ID)
	}
	return ids
}

// watch begins to watch a kind, unless the agent may not.
func (h *hands) watch(kind apply.Kind) {
	if kind.Namespaced || !h.client.Limited() {
		h.watcher.Follow(kind.GroupVersionKind, kind.Resource)
	}
}

// terms are those of the app; the cluster sets the replicas of what it scales itself,
// by autoscalers that are in it or that the app brings.
func (h *hands) terms(w *work, built []*unstructured.Unstructured) fleet.Terms {
	terms := w.desired.Terms
	terms.Ignore = slices.Clip(terms.Ignore)
	brought := map[fleet.ObjectID]bool{}
	for _, b := range built {
		if target, ok := observe.AutoscalerTarget(b); ok {
			brought[target] = true
		}
	}
	for _, b := range built {
		id := apply.IDOf(b)
		if brought[id] || h.cluster.Autoscaled(id) {
			terms.Ignore = append(terms.Ignore, fleet.IgnoredDifference{
				Group: id.Group, Kind: id.Kind, Namespace: id.Namespace, Name: id.Name, JSONPointers: []string{"/spec/replicas"},
			})
		}
	}
	return terms
}

// makeNamespaces creates the namespaces that objects need and that are not there,
// but for those that the app brings itself. An agent that has rights in some namespaces
// only makes none.
func (h *hands) makeNamespaces(ctx context.Context, client *apply.Client, own string, built []*unstructured.Unstructured) error {
	if client.Limited() {
		return nil
	}
	needed, brought := map[string]bool{}, map[string]bool{}
	if own != "" {
		needed[own] = true
	}
	for _, b := range built {
		if b.GetKind() == "Namespace" && b.GroupVersionKind().Group == "" {
			brought[b.GetName()] = true
		} else if b.GetNamespace() != "" {
			needed[b.GetNamespace()] = true
		}
	}
	for name := range needed {
		if brought[name] || h.cluster.HasNamespace(name) {
			continue
		}
		if err := client.CreateNamespace(ctx, name); err != nil {
			return fmt.Errorf("create namespace %q: %w", name, err)
		}
	}
	return nil
}

// lookAtMost is how long to wait until the watch has seen what is there.
const lookAtMost = 10 * time.Second

// look waits until the watch has seen what was applied before, which would be written
// again otherwise: an agent that has just started has seen nothing yet.
func (h *hands) look(ctx context.Context, w *work) {
	ctx, cancel := context.WithTimeout(ctx, lookAtMost)
	defer cancel()
	for _, item := range w.record.Objects {
		if item.Body != "" {
			h.watcher.Await(ctx, item.Group, item.Kind)
		}
	}
}

// there returns whether an object is in the cluster as it was applied before, from
// the same bytes, or has run as it would run again.
func (h *hands) there(w *work) func(apply.Object) bool {
	items := make(map[fleet.ObjectID]apply.Item, len(w.record.Objects))
	for _, item := range w.record.Objects {
		items[item.ObjectID] = item
	}
	return func(o apply.Object) bool {
		item := items[o.ID]
		state, seen := h.watcher.State(o.ID)
		switch {
		case !seen && item.Spent() && item.Runs == o.Runs:
			return true
		case item.Body == "" || item.Body != o.Hash():
			return false
		case w.desired.Terms.Drift != "":
			return true // whatever somebody made of it since
		}
		return seen && !state.Deleting && state.Owned == item.Owned
	}
}

// fresh returns whether an object was never applied before.
func (h *hands) fresh(w *work) func(fleet.ObjectID) bool {
	applied := make(map[fleet.ObjectID]bool, len(w.record.Objects))
	for _, item := range w.record.Objects {
		applied[item.ObjectID] = item.Body != ""
	}
	return func(id fleet.ObjectID) bool { return !applied[id] }
}

// superfluous returns what the inventory names and the app no longer has.
func (h *hands) superfluous(w *work, wanted []fleet.ObjectID) []fleet.ObjectID {
	keep := make(map[fleet.ObjectID]bool, len(wanted))
	for _, id := range wanted {
		keep[id] = true
	}
	var gone []fleet.ObjectID
	for _, item := range w.record.Objects {
		if !keep[item.ObjectID] {
			gone = append(gone, item.ObjectID)
		}
	}
	return gone
}

// notElsewhere leaves out what another app has by now.
func (h *hands) notElsewhere(app fleet.AppName, ids []fleet.ObjectID) []fleet.ObjectID {
	owned := map[fleet.ObjectID]bool{}
	for name, record := range h.inventory.Records() {
		if name != app {
			for _, item := range record.Objects {
				owned[item.ObjectID] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id fleet.ObjectID) bool { return owned[id] })
}

// remove takes an app out of the cluster.
func (h *hands) remove(ctx context.Context, w *work) (r result) {
	r.work, r.objects = w, w.record.IDs()
	if r.err = h.reserved.wait(ctx); r.err != nil {
		return r
	}
	client, err := h.client.As(ctx, w.account())
	if errors.Is(err, apply.ErrNoAccount) {
		// The hub says that the app goes, and it has put there only what the account let it.
		client, err = h.client.As(ctx, apply.Account{})
	}
	if err != nil {
		r.err = err
		return r
	}
	ids := h.notElsewhere(w.app, w.record.IDs())
	if w.stone.Preserve {
		r.objects, r.err = client.Release(ctx, w.app, ids)
		return r
	}
	pruned, err := client.Prune(ctx, w.app, ids, w.stone.PruneAlso)
	r.objects, r.kept, r.err = pruned.Remaining, pruned.Kept, err
	return r
}

// account is whose rights the work is done with.
func (w *work) account() apply.Account {
	if w.kind == removes {
		return apply.Account{Namespace: w.stone.Namespace, Name: w.stone.ServiceAccount}
	}
	return apply.Account{Namespace: w.desired.Namespace, Name: w.desired.Terms.ServiceAccount}
}
