package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"

	"github.com/navarch/navarch/e2e/env"
)

// kinds are those of the measured apps.
var kinds = []schema.GroupVersionResource{
	{Version: "v1", Resource: "serviceaccounts"},
	{Version: "v1", Resource: "services"},
	{Group: "apps", Version: "v1", Resource: "deployments"},
	{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"},
}

// watcher sees the marks of a member's objects as they change. It is independent
// of the agent and of what the agent says.
type watcher struct {
	mu    sync.Mutex
	marks map[string]string // kind, namespace and name -> mark
	turns map[string]int    // how often that has changed
	dirty chan struct{}     // one slot
}

// gone is the mark of an object that was deleted.
const gone = "gone"

func watch(ctx context.Context, m *env.Member) (*watcher, error) {
	client, err := metadata.NewForConfig(m.Config)
	if err != nil {
		return nil, err
	}
	w := &watcher{marks: map[string]string{}, turns: map[string]int{}, dirty: make(chan struct{}, 1)}
	factory := metadatainformer.NewSharedInformerFactory(client, 0)
	for _, kind := range kinds {
		see := func(object any) {
			if meta, ok := object.(*metav1.PartialObjectMetadata); ok {
				w.see(kind.Resource+"/"+meta.Namespace+"/"+meta.Name, meta.Annotations["mark"])
			}
		}
		_, err := factory.ForResource(kind).Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    see,
			UpdateFunc: func(_, object any) { see(object) },
			DeleteFunc: func(object any) {
				if meta, ok := object.(*metav1.PartialObjectMetadata); ok {
					w.see(kind.Resource+"/"+meta.Namespace+"/"+meta.Name, gone)
				}
			},
		})
		if err != nil {
			return nil, err
		}
	}
	factory.Start(ctx.Done())
	for kind, ok := range factory.WaitForCacheSync(ctx.Done()) {
		if !ok {
			return nil, fmt.Errorf("watch %s of cluster %q: the cache did not fill", kind.Resource, m.Name)
		}
	}
	return w, nil
}

func (w *watcher) see(key, mark string) {
	w.mu.Lock()
	if w.marks[key] != mark {
		w.marks[key] = mark
		w.turns[key]++
	}
	w.mu.Unlock()
	select {
	case w.dirty <- struct{}{}:
	default:
	}
}

// all waits until every object of the named apps in a namespace carries mark, and
// returns when that was.
func (w *watcher) all(ctx context.Context, namespace string, names []string, mark string) (time.Time, error) {
	for {
		missing := w.missing(namespace, names, mark)
		if missing == 0 {
			return time.Now(), nil
		}
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("%d objects never got mark %q: %w", missing, mark, ctx.Err())
		case <-w.dirty:
		}
	}
}

// turn returns an object's mark and how often it has changed.
func (w *watcher) turn(key string) (mark string, turns int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.marks[key], w.turns[key]
}

// returns waits until an object's mark has changed since the given turn and is as
// it was, and tells when that was.
func (w *watcher) returns(ctx context.Context, key, mark string, since int) (time.Time, error) {
	for {
		now, turns := w.turn(key)
		if turns > since && now == mark {
			return time.Now(), nil
		}
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("%s is at %q and was at %q: %w", key, now, mark, ctx.Err())
		case <-w.dirty:
		}
	}
}

func (w *watcher) missing(namespace string, names []string, mark string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	missing := 0
	for _, name := range names {
		for _, kind := range kinds {
			if w.marks[kind.Resource+"/"+namespace+"/"+name] != mark {
				missing++
			}
		}
	}
	return missing
}
