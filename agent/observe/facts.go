package observe

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// reported are the resources that facts speak of.
var reported = []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourcePods}

// Cluster watches the facts of the cluster: its nodes, pods and namespaces, or only the
// pods of some namespaces. It is for any number of goroutines.
type Cluster struct {
	config  *rest.Config
	rest    rest.Interface
	log     *slog.Logger
	version string
	kinds   []string // see [wire.Facts]
	limited []string // to these namespaces; none: the whole cluster is watched

	autoscalers autoscalers

	mu         sync.Mutex
	nodes      map[string]node
	pods       map[string]pod      // by namespace and name
	taken      map[string]*taken   // by node
	requested  taken               // of all pods that have not ended
	used       corev1.ResourceList // by all nodes; nil: not known
	phases     map[corev1.PodPhase]int
	namespaces map[string]bool // false: about to go
	dirty      chan struct{}
}

type pod struct {
	phase    corev1.PodPhase
	node     string          // empty: not scheduled
	requests fleet.Resources // nil: it has ended
}

type node struct {
	ready                 bool
	open                  bool // takes new pods
	capacity, allocatable corev1.ResourceList
}

// WatchCluster begins to watch and returns when everything was seen once. It ends
// with ctx. Where namespaces are given, it asks for nothing outside of them, and knows
// no nodes.
func WatchCluster(ctx context.Context, config *rest.Config, log *slog.Logger, namespaces ...string) (*Cluster, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	plain := rest.CopyConfig(config)
	config.ContentType = "application/vnd.kubernetes.protobuf"
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	version, err := clients.Discovery().ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("ask the API server for its version: %w", err)
	}
	c := &Cluster{
		config:  plain,
		rest:    clients.Discovery().RESTClient(),
		log:     log,
		version: version.GitVersion,
		kinds:   workloadKinds(clients.Discovery()),
		limited: namespaces,
		nodes:   map[string]node{}, pods: map[string]pod{}, taken: map[string]*taken{}, requested: taken{requests: fleet.Resources{}}, phases: map[corev1.PodPhase]int{},
		namespaces: map[string]bool{}, dirty: make(chan struct{}, 1),
		autoscalers: autoscalers{targets: map[string]fleet.ObjectID{}},
	}
	var synced []cache.InformerSynced // not the informers': those do not wait for see
	for _, namespace := range scope(namespaces) {
		factory := informers.NewSharedInformerFactoryWithOptions(clients, 0, informers.WithTransform(leanFact), informers.WithNamespace(namespace))
		begun, err := c.watch(factory)
		if err != nil {
			return nil, err
		}
		synced = append(synced, begun...)
		factory.Start(ctx.Done())
	}
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		return nil, fmt.Errorf("watch nodes, pods, namespaces and autoscalers: %w", context.Cause(ctx))
	}
	return c, nil
}

// watch begins to watch when the factory starts. The result tells whether everything
// was seen.
func (c *Cluster) watch(factory informers.SharedInformerFactory) ([]cache.InformerSynced, error) {
	core := factory.Core().V1()
	watched := []cache.SharedIndexInformer{core.Pods().Informer()}
	if len(c.limited) == 0 {
		watched = append(watched, core.Nodes().Informer(), core.Namespaces().Informer())
	}
	var synced []cache.InformerSynced
	for _, informer := range watched {
		handler, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    c.see,
			UpdateFunc: func(_, o any) { c.see(o) },
			DeleteFunc: c.lose,
		})
		if err != nil {
			return nil, err
		}
		synced = append(synced, handler.HasSynced)
	}
	scaled, err := c.autoscalers.watch(factory)
	return append(synced, scaled), err
}

// workloadKinds returns the kinds with replicas that the cluster serves, sorted; nil
// where it does not say.
func workloadKinds(d discovery.DiscoveryInterface) []string {
	kinds := []string{}
	for _, version := range []string{"apps/v1", "batch/v1"} {
		list, err := d.ServerResourcesForGroupVersion(version)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil
		}
		for _, r := range list.APIResources {
			if !strings.Contains(r.Name, "/") {
				kinds = append(kinds, version+"/"+r.Kind)
			}
		}
	}
	slices.Sort(kinds)
	return kinds
}

// leanFact takes off an object what facts do not speak of.
func leanFact(object any) (any, error) {
	switch o := object.(type) {
	case *corev1.Pod:
		return &corev1.Pod{
			ObjectMeta: leanMeta(o.ObjectMeta),
			Spec: corev1.PodSpec{NodeName: o.Spec.NodeName, Containers: []corev1.Container{
				{Resources: corev1.ResourceRequirements{Requests: requestsOf(&o.Spec)}},
			}},
			Status: corev1.PodStatus{Phase: o.Status.Phase},
		}, nil
	case *corev1.Node:
		var ready []corev1.NodeCondition
		for _, condition := range o.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				ready = append(ready, corev1.NodeCondition{Type: condition.Type, Status: condition.Status})
			}
		}
		spec := corev1.NodeSpec{Unschedulable: !takesPods(o)}
		return &corev1.Node{ObjectMeta: leanMeta(o.ObjectMeta), Spec: spec, Status: corev1.NodeStatus{
			Capacity: o.Status.Capacity, Allocatable: o.Status.Allocatable, Conditions: ready,
		}}, nil
	case *autoscalingv2.HorizontalPodAutoscaler:
		return leanAutoscaler(o), nil
	case *corev1.Namespace:
		return &corev1.Namespace{ObjectMeta: leanMeta(o.ObjectMeta), Status: o.Status}, nil
	}
	return object, nil
}

func leanMeta(m metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: m.Namespace, Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion}
}

func (c *Cluster) see(object any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch o := object.(type) {
	case *corev1.Pod:
		key := o.Namespace + "/" + o.Name
		now := pod{phase: o.Status.Phase, node: o.Spec.NodeName}
		if now.phase != corev1.PodSucceeded && now.phase != corev1.PodFailed {
			now.requests = resources(requestsOf(&o.Spec))
		}
		before, ok := c.pods[key]
		if ok && reflect.DeepEqual(before, now) {
			return
		}
		if ok {
			c.countPod(before, -1)
		}
		c.pods[key] = now
		c.countPod(now, 1)
	case *corev1.Node:
		now := node{capacity: o.Status.Capacity, allocatable: o.Status.Allocatable, open: takesPods(o)}
		now.ready = len(o.Status.Conditions) > 0 && o.Status.Conditions[0].Status == corev1.ConditionTrue
		if reflect.DeepEqual(c.nodes[o.Name], now) {
			return
		}
		c.nodes[o.Name] = now
	case *corev1.Namespace:
		c.namespaces[o.Name] = o.Status.Phase != corev1.NamespaceTerminating
		return
	}
	c.signal()
}

func (c *Cluster) lose(object any) {
	if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = unknown.Obj
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch o := object.(type) {
	case *corev1.Pod:
		key := o.Namespace + "/" + o.Name
		if before, ok := c.pods[key]; ok {
			c.countPod(before, -1)
			delete(c.pods, key)
		}
	case *corev1.Node:
		delete(c.nodes, o.Name)
	case *corev1.Namespace:
		delete(c.namespaces, o.Name)
	}
	c.signal()
}

// takesPods tells whether a pod without tolerations may be scheduled on a node.
func takesPods(n *corev1.Node) bool {
	return !n.Spec.Unschedulable && !slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool {
		return t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute
	})
}

func (c *Cluster) countPod(p pod, by int) {
	if c.phases[p.phase] += by; c.phases[p.phase] == 0 {
		delete(c.phases, p.phase)
	}
	if p.requests == nil {
		return
	}
	c.requested.count(p.requests, int64(by))
	if p.node == "" {
		return
	}
	if c.taken[p.node] == nil {
		c.taken[p.node] = &taken{requests: fleet.Resources{}}
	}
	c.taken[p.node].count(p.requests, int64(by))
	if c.taken[p.node].pods == 0 {
		delete(c.taken, p.node)
	}
}

func (c *Cluster) signal() {
	select {
	case c.dirty <- struct{}{}:
	default:
	}
}

// Dirty signals that the facts may have changed.
func (c *Cluster) Dirty() <-chan struct{} { return c.dirty }

// HasNamespace tells whether a namespace is there and not about to go.
func (c *Cluster) HasNamespace(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.namespaces[name]
}

// Facts returns what is known of the cluster now.
func (c *Cluster) Facts() wire.Facts {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := wire.Facts{Kubernetes: c.version, Kinds: c.kinds, Nodes: len(c.nodes), Pods: map[string]int{}}
	capacity, allocatable := corev1.ResourceList{}, corev1.ResourceList{}
	for _, n := range c.nodes {
		if n.ready {
			f.NodesReady++
		}
		add(capacity, n.capacity)
		add(allocatable, n.allocatable)
	}
	for phase, count := range c.phases {
		f.Pods[string(phase)] = count
	}
	if len(c.limited) > 0 {
		f.Namespaces = slices.Sorted(slices.Values(c.limited))
		return f // of a part of the pods follows nothing for the whole
	}
	f.Capacity, f.Allocatable, f.Room = quantities(capacity), quantities(allocatable), room(c.nodes, c.taken)
	f.Requested, f.Used = quantities(c.requested.list()), quantities(c.used)
	return f
}

func add(sum, part corev1.ResourceList) {
	for _, name := range reported {
		if quantity, ok := part[name]; ok {
			total := sum[name]
			total.Add(quantity)
			sum[name] = total
		}
	}
}

func quantities(list corev1.ResourceList) map[string]string {
	if len(list) == 0 {
		return nil
	}
	out := make(map[string]string, len(list))
	for name, quantity := range list {
		out[string(name)] = quantity.String()
	}
	return out
}
