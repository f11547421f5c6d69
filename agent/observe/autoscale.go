package observe

import (
	"strings"
	"sync"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/navarch/navarch/fleet"
)

// autoscalers knows which workloads have their replicas from a HorizontalPodAutoscaler.
type autoscalers struct {
	mu      sync.Mutex
	targets map[string]fleet.ObjectID // by the autoscaler's namespace and name
}

// watch begins to watch when the factory starts. The result tells whether
// everything was seen.
func (a *autoscalers) watch(factory informers.SharedInformerFactory) (cache.InformerSynced, error) {
	handler, err := factory.Autoscaling().V2().HorizontalPodAutoscalers().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    a.see,
		UpdateFunc: func(_, o any) { a.see(o) },
		DeleteFunc: a.lose,
	})
	if err != nil {
		return nil, err
	}
	return handler.HasSynced, nil
}

func (a *autoscalers) see(object any) {
	if o, ok := object.(*autoscalingv2.HorizontalPodAutoscaler); ok {
		target := o.Spec.ScaleTargetRef
		a.mu.Lock()
		defer a.mu.Unlock()
		a.targets[o.Namespace+"/"+o.Name] = fleet.ObjectID{Group: groupOf(target.APIVersion), Kind: target.Kind, Namespace: o.Namespace, Name: target.Name}
	}
}

// AutoscalerTarget returns the workload that an object scales, where the object is a
// HorizontalPodAutoscaler.
func AutoscalerTarget(o *unstructured.Unstructured) (fleet.ObjectID, bool) {
	if gk := o.GroupVersionKind().GroupKind(); gk.Group != autoscalingv2.GroupName || gk.Kind != "HorizontalPodAutoscaler" {
		return fleet.ObjectID{}, false
	}
	target, _, _ := unstructured.NestedStringMap(o.Object, "spec", "scaleTargetRef") // none: it scales nothing
	return fleet.ObjectID{Group: groupOf(target["apiVersion"]), Kind: target["kind"], Namespace: o.GetNamespace(), Name: target["name"]}, true
}

func groupOf(apiVersion string) string {
	group, _, named := strings.Cut(apiVersion, "/")
	if !named {
		return "" // the core group's version stands alone
	}
	return group
}

func (a *autoscalers) lose(object any) {
	if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.targets, key)
	}
}

// Autoscaled tells whether a HorizontalPodAutoscaler sets the replicas of a workload.
func (c *Cluster) Autoscaled(id fleet.ObjectID) bool {
	c.autoscalers.mu.Lock()
	defer c.autoscalers.mu.Unlock()
	for _, target := range c.autoscalers.targets {
		if target == id {
			return true
		}
	}
	return false
}

// leanAutoscaler keeps what an autoscaler scales.
func leanAutoscaler(o *autoscalingv2.HorizontalPodAutoscaler) *autoscalingv2.HorizontalPodAutoscaler {
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: leanMeta(o.ObjectMeta),
		Spec:       autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: o.Spec.ScaleTargetRef},
	}
}
