package observe

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// State is an object of an app as it was last seen.
type State struct {
	App      fleet.AppName
	Health   wire.Health
	Message  string
	Replicas *wire.Replicas // nil where the object has none; nobody may change it
	Owned    string         // what [WatcherConfig.Owned] says of it
	Deleting bool
	Revision uint64 // resource version; 0 where it is not a number
}

// Change names an object that was seen to change, and its app. Without a name it
// says that everything of the kind that is in the cluster has been seen.
type Change struct {
	ID  fleet.ObjectID
	App fleet.AppName
}

// WatcherConfig is what a watcher needs to know. All of it but Namespaces is required.
type WatcherConfig struct {
	REST *rest.Config // of the cluster
	// Namespaces are those to watch; none: the whole cluster.
	Namespaces []string
	Label      string // that objects of apps carry; its value is the app's name
	// Owned identifies the fields of an object that are the agent's, by its metadata. An
	// object of which it says something else than before was changed by somebody.
	Owned func(metav1.Object) string
	Log   *slog.Logger
}

// Watcher watches every object that carries an app's label, of the kinds that it is
// told to follow. It keeps what health and drift need to know and nothing else. It
// is for any number of goroutines.
type Watcher struct {
	config   WatcherConfig
	dynamic  dynamic.Interface
	metadata metadata.Interface
	ctx      context.Context //nolint:containedctx // informers begin when a kind is followed and end with the watcher

	mu      sync.Mutex
	kinds   map[schema.GroupKind]*kind
	checks  map[fleet.AppName]checks
	states  map[fleet.ObjectID]State
	changes map[Change]bool
	dirty   chan struct{} // one slot: changes is not empty
}

// kind is the watch of one kind.
type kind struct {
	schema.GroupVersionKind
	resource  schema.GroupVersionResource
	informers map[string]cache.SharedIndexInformer // by namespace; that of NamespaceAll has every object
	synced    cache.InformerSynced                 // every object was taken in
	end       context.CancelFunc
}

// NewWatcher returns a watcher that follows nothing yet. It ends with ctx.
func NewWatcher(ctx context.Context, c WatcherConfig) (*Watcher, error) {
	config := rest.CopyConfig(c.REST)
	config.QPS = -1
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("prepare the watch of objects: %w", err)
	}
	metas, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("prepare the watch of objects: %w", err)
	}
	return &Watcher{
		config: c, dynamic: objects, metadata: metas, ctx: ctx,
		kinds:   map[schema.GroupKind]*kind{},
		checks:  map[fleet.AppName]checks{},
		states:  map[fleet.ObjectID]State{},
		changes: map[Change]bool{},
		dirty:   make(chan struct{}, 1),
	}, nil
}

// Follow begins to watch a kind, once.
func (w *Watcher) Follow(gvk schema.GroupVersionKind, resource schema.GroupVersionResource) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.kinds[gvk.GroupKind()] == nil {
		w.follow(gvk, resource)
	}
}

// follow begins to watch a kind, instead of an earlier watch of it. The lock is held.
func (w *Watcher) follow(gvk schema.GroupVersionKind, resource schema.GroupVersionResource) {
	k := &kind{GroupVersionKind: gvk, resource: resource, informers: map[string]cache.SharedIndexInformer{}}
	var synced []cache.InformerSynced
	for _, namespace := range scope(w.config.Namespaces) {
		informer := w.informer(k, namespace)
		handler, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(o any) { w.see(k, o) },
			UpdateFunc: func(before, o any) { w.see(k, o); w.leave(k, before, o) },
			DeleteFunc: func(o any) { w.lose(k, o) },
		})
		if err != nil {
			w.config.Log.Error("kind not watched", "kind", gvk.String(), "err", err)
			return
		}
		k.informers[namespace] = informer
		synced = append(synced, handler.HasSynced)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	k.synced, k.end = all(synced), cancel
	if before := w.kinds[gvk.GroupKind()]; before != nil {
		before.end()
	}
	w.kinds[gvk.GroupKind()] = k
	for _, informer := range k.informers {
		go informer.Run(ctx.Done())
	}
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), synced...) {
			w.settle(k)
			w.change(Change{ID: fleet.ObjectID{Group: gvk.Group, Kind: gvk.Kind}})
		}
	}()
}

// settle forgets the objects of a kind that went while it was not watched, from one
// watch to the next.
func (w *Watcher) settle(k *kind) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.kinds[k.GroupKind()] != k {
		return
	}
	for id := range w.states {
		if id.Group != k.Group || id.Kind != k.Kind {
			continue
		}
		informer := k.of(id.Namespace)
		if informer == nil {
			delete(w.states, id)
			continue
		}
		key := cache.NewObjectName(id.Namespace, id.Name).String()
		if _, there, _ := informer.GetStore().GetByKey(key); !there { // the store gives no errors
			delete(w.states, id)
		}
	}
}

// Synced tells whether everything of a kind that is in the cluster was seen, so that
// [Watcher.State] knows it.
func (w *Watcher) Synced(group, name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	k, followed := w.kinds[schema.GroupKind{Group: group, Kind: name}]
	return followed && k.synced()
}

// Await returns when everything of a kind was seen, or when ctx ends. A kind that is
// not followed is not waited for.
func (w *Watcher) Await(ctx context.Context, group, name string) {
	w.mu.Lock()
	k, followed := w.kinds[schema.GroupKind{Group: group, Kind: name}]
	w.mu.Unlock()
	if followed && !k.synced() {
		cache.WaitForCacheSync(ctx.Done(), k.synced)
	}
}

// State returns an object as it was last seen, and whether it was and is not gone.
func (w *Watcher) State(id fleet.ObjectID) (State, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.states[id]
	return s, ok
}

// RevisionOf is a resource version as a number, which grows with every change that
// the API server makes; 0 where it is not a number.
func RevisionOf(resourceVersion string) uint64 {
	n, _ := strconv.ParseUint(resourceVersion, 10, 64) // 0 with an error
	return n
}

// Behind tells whether the watch has not come yet to where an object had a resource
// version: what it says of the object is then of no account.
func (w *Watcher) Behind(id fleet.ObjectID, revision uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s, there := w.states[id]; there {
		return s.Revision != 0 && s.Revision < revision
	}
	k, followed := w.kinds[schema.GroupKind{Group: id.Group, Kind: id.Kind}]
	if !followed || k.of(id.Namespace) == nil {
		return false
	}
	seen := RevisionOf(k.of(id.Namespace).LastSyncResourceVersion())
	return seen != 0 && seen < revision
}

// Dirty signals that there are changes to take.
func (w *Watcher) Dirty() <-chan struct{} { return w.dirty }

// Take returns what has changed since it was called last, in no order.
func (w *Watcher) Take() []Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := make([]Change, 0, len(w.changes))
	for change := range w.changes {
		taken = append(taken, change)
	}
	clear(w.changes)
	return taken
}

// object is what the watch keeps of an object.
type object struct {
	metav1.ObjectMeta // namespace, name, UID and resource version
	state             State
}

// lean makes of an object of a kind what is kept of it.
func (w *Watcher) lean(gk schema.GroupKind, seen any) (any, error) {
	m, ok := seen.(metav1.Object)
	if _, already := seen.(*object); already || !ok {
		return seen, nil
	}
	app := fleet.AppName(m.GetLabels()[w.config.Label])
	state := State{
		App: app, Health: wire.Current, Owned: w.config.Owned(m),
		Deleting: m.GetDeletionTimestamp() != nil, Revision: RevisionOf(m.GetResourceVersion()),
	}
	if whole, ok := seen.(*unstructured.Unstructured); ok {
		state.Health, state.Message = health(whole, w.check(app, gk))
		state.Replicas = replicas(whole)
	} else if state.Deleting {
		state.Health = wire.Terminating
	}
	return &object{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.GetNamespace(), Name: m.GetName(), UID: m.GetUID(), ResourceVersion: m.GetResourceVersion()},
		state:      state,
	}, nil
}

// see takes in an object as it is now.
func (w *Watcher) see(k *kind, seen any) {
	if o, ok := seen.(*object); ok {
		w.note(k, o, func(id fleet.ObjectID) { w.states[id] = o.state })
	}
}

// leave takes in that somebody has put the label of another app on an object.
func (w *Watcher) leave(k *kind, before, after any) {
	was, ok := before.(*object)
	is, too := after.(*object)
	if ok && too && was.state.App != is.state.App {
		w.change(Change{ID: k.id(was), App: was.state.App})
	}
}

// lose takes in that an object is gone.
func (w *Watcher) lose(k *kind, seen any) {
	if unknown, ok := seen.(cache.DeletedFinalStateUnknown); ok {
		seen = unknown.Obj
	}
	if o, ok := seen.(*object); ok {
		w.note(k, o, func(id fleet.ObjectID) { delete(w.states, id) })
	}
}

// note keeps what was seen, unless the kind is watched anew since.
func (w *Watcher) note(k *kind, o *object, keep func(fleet.ObjectID)) {
	id := k.id(o)
	w.mu.Lock()
	current := w.kinds[k.GroupKind()] == k
	if current {
		keep(id)
	}
	w.mu.Unlock()
	if current {
		w.change(Change{ID: id, App: o.state.App})
	}
}

func (w *Watcher) change(c Change) {
	w.mu.Lock()
	w.changes[c] = true
	w.mu.Unlock()
	select {
	case w.dirty <- struct{}{}:
	default:
	}
}

func (k *kind) id(o *object) fleet.ObjectID {
	return fleet.ObjectID{Group: k.Group, Kind: k.Kind, Namespace: o.Namespace, Name: o.Name}
}

// Kinds returns how many kinds are watched.
func (w *Watcher) Kinds() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.kinds)
}
