package main

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/navarch/navarch/e2e/env"
)

// rest looks at a fleet in which nothing happens.
func (b *bench) rest(ctx context.Context) error {
	return b.idle(ctx, fmt.Sprintf("idle, %d objects", len(b.names)*len(kinds)))
}

// idle measures what is asked and spent while nothing happens.
func (b *bench) idle(ctx context.Context, name string) error {
	if err := b.settle(ctx, long); err != nil {
		return err
	}
	return b.measure(ctx, name, quiet, func(ctx context.Context, m *measurement) error {
		m.N, m.still = 1, true
		before, err := b.meter.read()
		if err != nil {
			return err
		}
		if err := pause(ctx, b.options.idle); err != nil {
			return err
		}
		after, err := b.meter.read()
		m.Share = 100 * (after.busiest - before.busiest) / b.options.idle.Seconds()
		return err
	})
}

// What a cluster holds beside the apps when it is crowded: 18,000 objects.
const (
	crowdNamespace   = "crowd"
	crowdPods        = 5000
	crowdConfigMaps  = 11000 // of one KiB each
	crowdDeployments = 1000  // paused, so that no controller adds to them
	crowdServices    = 1000
)

// crowd fills the cluster with objects of others, starts the agent again, and looks at
// it while nothing happens.
func (b *bench) crowd(ctx context.Context) error {
	member := b.fleet.Members[0]
	if err := fill(ctx, member); err != nil {
		return fmt.Errorf("fill cluster %q: %w", member.Name, err)
	}
	if err := b.restartAgents(ctx); err != nil {
		return err
	}
	ours := len(b.names) * len(kinds)
	return b.idle(ctx, fmt.Sprintf("idle, %d objects, %d of them ours", ours+crowdPods+crowdConfigMaps+crowdDeployments+crowdServices, ours))
}

func fill(ctx context.Context, m *env.Member) error {
	if err := m.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: crowdNamespace}}); err != nil {
		return err
	}
	var nodes corev1.NodeList
	if err := m.Client.List(ctx, &nodes); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	for i := range crowdPods + crowdConfigMaps + crowdDeployments + crowdServices {
		group.Go(func() error { return m.Client.Create(ctx, stranger(i, nodes.Items[i%len(nodes.Items)].Name)) })
	}
	return group.Wait()
}

// stranger returns one object of a crowd, by its number.
func stranger(i int, node string) client.Object {
	meta := metav1.ObjectMeta{Namespace: crowdNamespace, Name: fmt.Sprintf("stranger-%05d", i), Labels: map[string]string{"app": "stranger"}}
	no := false
	pod := corev1.PodSpec{
		NodeName: node, AutomountServiceAccountToken: &no,
		Containers: []corev1.Container{{Name: "main", Image: "registry.example/stranger:1.0"}},
	}
	switch {
	case i < crowdPods:
		return &corev1.Pod{ObjectMeta: meta, Spec: pod}
	case i < crowdPods+crowdConfigMaps:
		return &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"content": fmt.Sprintf("%01024d", i)}}
	case i < crowdPods+crowdConfigMaps+crowdDeployments:
		pod.NodeName = ""
		return &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{
			Paused: true, Selector: &metav1.LabelSelector{MatchLabels: meta.Labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: meta.Labels}, Spec: pod},
		}}
	default:
		return &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{Selector: meta.Labels, ClusterIP: corev1.ClusterIPNone}}
	}
}
