package observe

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
)

const (
	// measureEvery is how often it is asked what nodes use. It cannot be watched, and
	// metrics-server itself measures every 15 seconds.
	measureEvery = 30 * time.Second
	measureMost  = 10 * time.Second // that an answer may take

	nodeMetrics = "/apis/metrics.k8s.io/v1beta1/nodes"
	metricsAPI  = "v1beta1.metrics.k8s.io" // the APIService
)

// Measure asks what nodes use, where the cluster serves metrics.k8s.io, until ctx
// ends. Whether it does so is watched: a cluster without is asked nothing, nor is one
// of which only some namespaces are watched.
func (c *Cluster) Measure(ctx context.Context) error {
	if len(c.limited) > 0 {
		return nil
	}
	served, err := c.watchServed(ctx)
	if err != nil {
		return err
	}
	var next <-chan time.Time // nil: not served
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case is := <-served:
			next = nil
			c.setUsed(nil)
			if !is {
				continue
			}
		case <-next:
		}
		used, err := c.askUsed(ctx)
		if err != nil {
			c.log.Debug("what nodes use is not known", "err", err)
		}
		c.setUsed(used)
		next = time.After(measureEvery)
	}
}

// watchServed returns a channel that tells whenever the cluster begins or ceases to
// serve metrics.k8s.io; it tells nothing where it never does.
func (c *Cluster) watchServed(ctx context.Context) (<-chan bool, error) {
	client, err := dynamic.NewForConfig(c.config)
	if err != nil {
		return nil, err
	}
	apiServices := schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(client, 0, metav1.NamespaceAll, func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("metadata.name", metricsAPI).String()
	})
	informer := factory.ForResource(apiServices).Informer()
	served, last := make(chan bool), false
	tell := func(now bool) {
		if now == last {
			return
		}
		select {
		case served <- now:
			last = now
		case <-ctx.Done():
		}
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { tell(available(o)) },
		UpdateFunc: func(_, o any) { tell(available(o)) },
		DeleteFunc: func(any) { tell(false) },
	})
	if err != nil {
		return nil, err
	}
	factory.Start(ctx.Done())
	return served, nil
}

// available tells whether an APIService says that it can be called.
func available(object any) bool {
	service, ok := object.(*unstructured.Unstructured)
	if !ok {
		return false
	}
	conditions, _, _ := unstructured.NestedSlice(service.Object, "status", "conditions")
	for _, condition := range conditions {
		if c, ok := condition.(map[string]any); ok && c["type"] == "Available" {
			return c["status"] == "True"
		}
	}
	return false
}

// askUsed sums up what the nodes use.
func (c *Cluster) askUsed(ctx context.Context) (corev1.ResourceList, error) {
	ctx, cancel := context.WithTimeout(ctx, measureMost)
	defer cancel()
	body, err := c.rest.Get().AbsPath(nodeMetrics).SetHeader("Accept", "application/json").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the API server what nodes use: %w", err)
	}
	return sumUsage(body)
}

// sumUsage sums up a list of NodeMetrics, in JSON. Nothing is known where the list is
// empty.
func sumUsage(list []byte) (corev1.ResourceList, error) {
	var said struct {
		Items []struct {
			Usage corev1.ResourceList `json:"usage"`
		} `json:"items"`
	}
	if err := json.Unmarshal(list, &said); err != nil {
		return nil, fmt.Errorf("read what nodes use: %w", err)
	}
	var used corev1.ResourceList
	for _, node := range said.Items {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			amount, ok := node.Usage[name]
			if !ok {
				continue
			}
			if used == nil {
				used = corev1.ResourceList{}
			}
			total := used[name]
			total.Add(amount)
			used[name] = total
		}
	}
	if cpu, ok := used[corev1.ResourceCPU]; ok {
		cpu.SetMilli(cpu.MilliValue()) // nobody wants to read nanocores
		used[corev1.ResourceCPU] = cpu
	}
	return used, nil
}

func (c *Cluster) setUsed(used corev1.ResourceList) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if equality.Semantic.DeepEqual(c.used, used) {
		return
	}
	c.used = used
	c.signal()
}
