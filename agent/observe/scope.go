package observe

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
)

// scope is what to watch one by one: the whole cluster, or each of some namespaces.
// An agent that has rights in these alone may not even ask for the whole.
func scope(namespaces []string) []string {
	if len(namespaces) == 0 {
		return []string{metav1.NamespaceAll}
	}
	return namespaces
}

// informer returns one that watches the objects of apps of a kind in a namespace and
// keeps what [Watcher.lean] makes of them. It has not started. The lock is held.
func (w *Watcher) informer(k *kind, namespace string) cache.SharedIndexInformer {
	gk := k.GroupKind()
	selected := func(o *metav1.ListOptions) { o.LabelSelector = w.config.Label }
	var informer cache.SharedIndexInformer
	if hasStatus(gk) || w.judged(gk) {
		informer = dynamicinformer.NewFilteredDynamicInformer(w.dynamic, k.resource, namespace, 0, cache.Indexers{}, selected).Informer()
	} else {
		informer = metadatainformer.NewFilteredMetadataInformer(w.metadata, k.resource, namespace, 0, cache.Indexers{}, selected).Informer()
	}
	// No call fails before the informer has started.
	_ = informer.SetTransform(func(seen any) (any, error) { return w.lean(gk, seen) })
	_ = informer.SetWatchErrorHandler(func(_ *cache.Reflector, err error) {
		w.config.Log.Debug("watch interrupted", "kind", k.String(), "namespace", namespace, "err", err)
	})
	return informer
}

// of returns the informer that sees the objects of a namespace, nil where none does.
func (k *kind) of(namespace string) cache.SharedIndexInformer {
	if whole := k.informers[metav1.NamespaceAll]; whole != nil {
		return whole
	}
	return k.informers[namespace]
}

// all tells whether everything has synced.
func all(synced []cache.InformerSynced) cache.InformerSynced {
	return func() bool {
		for _, has := range synced {
			if !has() {
				return false
			}
		}
		return true
	}
}
