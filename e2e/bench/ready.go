package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/navarch/navarch/e2e/env"
)

// liveApp has one pod, which is replaced whenever the app is rolled: the one before
// goes first, so that the new pod's being Ready is the last thing that happens.
const liveApp = "live"

func liveYAML(mark string) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: 1
  strategy: {type: Recreate}
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s, mark: %[2]q}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: "registry.example/%[1]s:1.0"}]
`, liveApp, mark)
}

// sighting is that somebody has seen the live app to be Ready on a member at a mark.
type sighting struct {
	member, mark string
	who          witness
	at           time.Time
}

type witness int

const (
	ofPod witness = iota
	ofDeployment
	ofHub
	witnesses
)

// becomeReady measures how long it takes, once a watcher on a member has seen the pod
// of a commit to be Ready, until the hub's API says that the app is Ready there at that
// commit. The floor is how long the cluster itself takes to say so of the Deployment.
func (b *bench) becomeReady(ctx context.Context) error {
	return b.measure(ctx, "pod Ready until the hub says so", quiet, func(ctx context.Context, m *measurement) error {
		watching, stop := context.WithCancel(ctx)
		group, watching := errgroup.WithContext(watching)
		defer func() { stop(); _ = group.Wait() }() // their end is ours
		sightings := make(chan sighting)
		for _, member := range b.fleet.Members {
			if err := watchLive(watching, group, member, sightings); err != nil {
				return err
			}
		}
		files := map[string]string{}
		appFiles(files, liveApp)
		var took, floor []time.Duration
		for range b.rounds {
			mark := b.nextMark()
			files["apps/"+liveApp+"/base/objects.yaml"] = liveYAML(mark)
			pushed, err := b.fleet.Work.Publish(ctx, mark, files)
			if err != nil {
				return err
			}
			b.fleet.Pushed = pushed
			group.Go(func() error { return b.askHub(watching, mark, sightings) })
			seen, err := b.gather(watching, mark, sightings)
			if err != nil {
				return err
			}
			for _, at := range seen {
				took = append(took, at[ofHub].Sub(at[ofPod]))
				floor = append(floor, at[ofDeployment].Sub(at[ofPod]))
			}
		}
		m.times(took, floor)
		return nil
	})
}

// gather waits until everybody has seen the live app at a mark on every member, and
// returns when each of them had.
func (b *bench) gather(ctx context.Context, mark string, sightings <-chan sighting) (map[string]*[witnesses]time.Time, error) {
	seen := map[string]*[witnesses]time.Time{}
	for _, member := range b.fleet.Members {
		seen[member.Name] = &[witnesses]time.Time{}
	}
	for missing := len(seen) * int(witnesses); missing > 0; {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait until the app is Ready at %q, as %d have yet to see: %w", mark, missing, context.Cause(ctx))
		case s := <-sightings:
			if at := seen[s.member]; s.mark == mark && at[s.who].IsZero() {
				at[s.who] = s.at
				missing--
			}
		}
	}
	return seen, nil
}

// watchLive tells of every pod and every Deployment of the live app that is Ready on a
// member.
func watchLive(ctx context.Context, group *errgroup.Group, m *env.Member, sightings chan<- sighting) error {
	clients, err := kubernetes.NewForConfig(m.Config)
	if err != nil {
		return err
	}
	pods, err := clients.CoreV1().Pods(namespace).Watch(ctx, metav1.ListOptions{LabelSelector: "app=" + liveApp})
	if err != nil {
		return err
	}
	deployments, err := clients.AppsV1().Deployments(namespace).Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + liveApp})
	if err != nil {
		return err
	}
	for who, watched := range map[witness]apiwatch.Interface{ofPod: pods, ofDeployment: deployments} {
		group.Go(func() error {
			defer watched.Stop()
			for event := range watched.ResultChan() {
				mark, ready := liveness(event.Object)
				if !ready {
					continue
				}
				select {
				case sightings <- sighting{member: m.Name, mark: mark, who: who, at: time.Now()}:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return fmt.Errorf("the watch of the live app on cluster %q ended: %w", m.Name, context.Cause(ctx))
		})
	}
	return nil
}

// liveness returns the mark of a pod or Deployment of the live app, and whether it is
// Ready.
func liveness(object runtime.Object) (mark string, ready bool) {
	switch o := object.(type) {
	case *corev1.Pod:
		for _, c := range o.Status.Conditions {
			ready = ready || c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		}
		return o.Labels["mark"], ready
	case *appsv1.Deployment:
		s := o.Status
		return o.Spec.Template.Labels["mark"], s.ObservedGeneration == o.Generation && s.Replicas == 1 && s.UpdatedReplicas == 1 && s.AvailableReplicas == 1
	}
	return "", false
}

// askHub asks the hub again and again until it has said of every member that the live
// app is Ready there at what was pushed.
func (b *bench) askHub(ctx context.Context, mark string, sightings chan<- sighting) error {
	revision := b.fleet.Revision()
	said := map[string]bool{}
	for len(said) < len(b.fleet.Members) {
		var answer struct {
			Clusters []struct {
				Cluster, Health string
				Behind          bool
				Desired         struct{ Revision string }
			}
		}
		err := b.fleet.Hub.API(ctx, "apps/"+liveApp, &answer) // it fails until the hub knows the app
		at := time.Now()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, cell := range answer.Clusters {
			if err != nil || said[cell.Cluster] || cell.Desired.Revision != revision || cell.Behind || cell.Health != "Ready" {
				continue
			}
			said[cell.Cluster] = true
			select {
			case sightings <- sighting{member: cell.Cluster, mark: mark, who: ofHub, at: at}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := pause(ctx, 4*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}
