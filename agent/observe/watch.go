package observe

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// State is an object of an app as it was last seen.
type State struct {
	Health      wire.Health
	Message     string
	Version     string // changes when somebody edits the object, not when its status does
	Labels      map[string]string
	Annotations map[string]string
	Deleting    bool
	Revision    uint64 // resource version; 0 where it is not a number
}

// Change names an object that was seen to change, and its app. Without a name it
// says that everything of the kind that is in the cluster has been seen.
type Change struct {
	ID  fleet.ObjectID
	App fleet.AppName
}

// Watcher watches every object that carries an app's label, of the kinds that it is
// told to follow. It keeps what health and drift need to know and nothing else. It
// is for any number of goroutines.
type Watcher struct {
	label    string
	dynamic  dynamic.Interface
	metadata metadata.Interface
	log      *slog.Logger
	ctx      context.Context //nolint:containedctx // informers begin when a kind is followed and end with the watcher

	mu      sync.Mutex
	kinds   map[schema.GroupKind]kind
	states  map[fleet.ObjectID]State
	changes map[Change]bool
	dirty   chan struct{} // one slot: changes is not empty
}

// kind is the watch of one kind.
type kind struct {
	synced cache.InformerSynced // every object was taken in
	seen   func() string        // the resource version that the watch has come to
}

// NewWatcher returns a watcher of objects with a label. It ends with ctx.
func NewWatcher(ctx context.Context, config *rest.Config, label string, log *slog.Logger) (*Watcher, error) {
	config = rest.CopyConfig(config)
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
		label: label, dynamic: objects, metadata: metas, log: log, ctx: ctx,
		kinds:   map[schema.GroupKind]kind{},
		states:  map[fleet.ObjectID]State{},
		changes: map[Change]bool{},
		dirty:   make(chan struct{}, 1),
	}, nil
}

// Follow begins to watch a kind, once.
func (w *Watcher) Follow(gvk schema.GroupVersionKind, resource schema.GroupVersionResource) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, followed := w.kinds[gvk.GroupKind()]; followed {
		return
	}
	selected := func(o *metav1.ListOptions) { o.LabelSelector = w.label }
	var informer cache.SharedIndexInformer
	if hasStatus(gvk.GroupKind()) {
		informer = dynamicinformer.NewFilteredDynamicInformer(w.dynamic, resource, metav1.NamespaceAll, 0, cache.Indexers{}, selected).Informer()
	} else {
		informer = metadatainformer.NewFilteredMetadataInformer(w.metadata, resource, metav1.NamespaceAll, 0, cache.Indexers{}, selected).Informer()
	}
	// No call fails before the informer has started.
	_ = informer.SetTransform(lean)
	_ = informer.SetWatchErrorHandler(func(_ *cache.Reflector, err error) {
		w.log.Debug("watch interrupted", "kind", gvk.String(), "err", err)
	})
	handler, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { w.see(gvk, o) },
		UpdateFunc: func(before, o any) { w.see(gvk, o); w.leave(gvk, before, o) },
		DeleteFunc: func(o any) { w.lose(gvk, o) },
	})
	if err != nil {
		w.log.Error("kind not watched", "kind", gvk.String(), "err", err)
		return
	}
	w.kinds[gvk.GroupKind()] = kind{synced: handler.HasSynced, seen: informer.LastSyncResourceVersion}
	go informer.Run(w.ctx.Done())
	go func() {
		if cache.WaitForCacheSync(w.ctx.Done(), handler.HasSynced) {
			w.change(Change{ID: fleet.ObjectID{Group: gvk.Group, Kind: gvk.Kind}})
		}
	}()
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
	if !followed {
		return false
	}
	seen := RevisionOf(k.seen())
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

// see takes in an object as it is now.
func (w *Watcher) see(gvk schema.GroupVersionKind, object any) {
	m, ok := object.(metav1.Object)
	if !ok {
		return
	}
	state := State{
		Health: wire.Current, Version: version(m), Labels: m.GetLabels(), Annotations: m.GetAnnotations(),
		Deleting: m.GetDeletionTimestamp() != nil, Revision: RevisionOf(m.GetResourceVersion()),
	}
	if whole, ok := object.(*unstructured.Unstructured); ok {
		state.Health, state.Message = health(whole)
	} else if state.Deleting {
		state.Health = wire.Terminating
	}
	w.note(idOf(gvk, m), m, func(id fleet.ObjectID) { w.states[id] = state })
}

// leave takes in that somebody has put the label of another app on an object.
func (w *Watcher) leave(gvk schema.GroupVersionKind, before, after any) {
	was, ok := before.(metav1.Object)
	is, too := after.(metav1.Object)
	if ok && too && was.GetLabels()[w.label] != is.GetLabels()[w.label] {
		w.change(Change{ID: idOf(gvk, was), App: fleet.AppName(was.GetLabels()[w.label])})
	}
}

// lose takes in that an object is gone.
func (w *Watcher) lose(gvk schema.GroupVersionKind, object any) {
	if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = unknown.Obj
	}
	if m, ok := object.(metav1.Object); ok {
		w.note(idOf(gvk, m), m, func(id fleet.ObjectID) { delete(w.states, id) })
	}
}

func (w *Watcher) note(id fleet.ObjectID, m metav1.Object, keep func(fleet.ObjectID)) {
	w.mu.Lock()
	keep(id)
	w.mu.Unlock()
	w.change(Change{ID: id, App: fleet.AppName(m.GetLabels()[w.label])})
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

func idOf(gvk schema.GroupVersionKind, m metav1.Object) fleet.ObjectID {
	return fleet.ObjectID{Group: gvk.Group, Kind: gvk.Kind, Namespace: m.GetNamespace(), Name: m.GetName()}
}

// version is the generation where the API counts one, else the resource version.
func version(m metav1.Object) string {
	if m.GetGeneration() != 0 {
		return "g" + strconv.FormatInt(m.GetGeneration(), 10)
	}
	return "r" + m.GetResourceVersion()
}

// health is what kstatus says of an object.
func health(object *unstructured.Unstructured) (wire.Health, string) {
	result, err := status.Compute(object)
	if err != nil {
		return wire.Unknown, err.Error()
	}
	h := wire.Health(result.Status)
	if h == wire.Current {
		return h, ""
	}
	return h, result.Message
}

// lean takes off an object what neither health nor drift looks at.
func lean(object any) (any, error) {
	m, ok := object.(metav1.Object)
	if !ok {
		return object, nil
	}
	m.SetManagedFields(nil)
	if annotations := m.GetAnnotations(); annotations["kubectl.kubernetes.io/last-applied-configuration"] != "" {
		delete(annotations, "kubectl.kubernetes.io/last-applied-configuration")
		m.SetAnnotations(annotations)
	}
	if whole, ok := object.(*unstructured.Unstructured); ok {
		unstructured.RemoveNestedField(whole.Object, "spec", "template")
		unstructured.RemoveNestedField(whole.Object, "spec", "versions")
		unstructured.RemoveNestedField(whole.Object, "data")
	}
	return object, nil
}

// hasStatus tells whether objects of a kind can be anything but Current.
func hasStatus(gk schema.GroupKind) bool {
	switch gk.Group {
	case "rbac.authorization.k8s.io", "admissionregistration.k8s.io", "scheduling.k8s.io", "storage.k8s.io", "coordination.k8s.io", "discovery.k8s.io":
		return false
	case "networking.k8s.io":
		return gk.Kind != "NetworkPolicy" && gk.Kind != "IngressClass"
	case "":
		switch gk.Kind {
		case "ConfigMap", "Secret", "ServiceAccount", "LimitRange", "Endpoints", "Event", "PodTemplate":
			return false
		}
	}
	return true
}
