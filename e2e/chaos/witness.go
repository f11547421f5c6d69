package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/navarch/navarch/e2e/env"
	"github.com/navarch/navarch/wire"
)

// witness looks at the members all the time.
type witness struct {
	mu       sync.Mutex
	accepted map[string]wire.Announcement  // the last seen, by cluster
	made     map[string]map[types.UID]bool // Deployments ever seen, by "cluster/app"
	forgot   bool                          // the hub lost its data
	broken   []string                      // what was seen and must not be
}

func newWitness() *witness {
	return &witness{accepted: map[string]wire.Announcement{}, made: map[string]map[types.UID]bool{}}
}

// watch looks until ctx ends. What it cannot see it does not judge.
func (w *witness) watch(ctx context.Context, members []*env.Member) *sync.WaitGroup {
	var group sync.WaitGroup
	for _, member := range members {
		group.Go(func() {
			tick := time.NewTicker(300 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					w.look(ctx, member)
				}
			}
		})
	}
	return &group
}

func (w *witness) look(ctx context.Context, m *env.Member) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var kept corev1.ConfigMap
	if err := m.Client.Get(ctx, client.ObjectKey{Namespace: "navarch-system", Name: "navarch-accepted"}, &kept); err == nil {
		w.sawAccepted(m.Name, kept.Data["announcement"])
	}
	var deployments appsv1.DeploymentList
	if err := m.Client.List(ctx, &deployments, client.InNamespace(namespace), client.HasLabels{"navarch.dev/app"}); err == nil {
		w.sawDeployments(m.Name, deployments.Items)
	}
}

func (w *witness) sawAccepted(cluster, content string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var now wire.Announcement
	if err := json.Unmarshal([]byte(content), &now); err != nil {
		w.broken = append(w.broken, fmt.Sprintf("%s remembers %q: %v", cluster, content, err))
		return
	}
	if before := w.accepted[cluster]; before.After(now.Epoch, now.Sequence) {
		w.broken = append(w.broken, fmt.Sprintf("%s went from %d.%d back to %d.%d", cluster, before.Epoch, before.Sequence, now.Epoch, now.Sequence))
	}
	w.accepted[cluster] = now
}

func (w *witness) sawDeployments(cluster string, deployments []appsv1.Deployment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range deployments {
		key := cluster + "/" + d.Name
		if w.made[key] == nil {
			w.made[key] = map[types.UID]bool{}
		}
		w.made[key][d.UID] = true
	}
}

// hubForgot is told before the hub comes back without its data.
func (w *witness) hubForgot() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forgot = true
}

// mayAsk tells whether the hub has a reason to wait for a person.
func (w *witness) mayAsk() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.forgot
}

// violations returns what must not have been, sorted; arrivals says how often Git
// brought an app to a cluster, by "cluster/app".
func (w *witness) violations(arrivals map[string]int) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	broken := slices.Clone(w.broken)
	for key, uids := range w.made {
		if len(uids) > arrivals[key] {
			broken = append(broken, fmt.Sprintf("Deployment %s was made %d times, Git brought it %d times", key, len(uids), arrivals[key]))
		}
	}
	slices.Sort(broken)
	return broken
}
