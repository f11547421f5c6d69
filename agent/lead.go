package agent

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// leaseName is the Lease that one agent of a cluster holds while it works.
const leaseName = "navarch-agent"

// How fast another agent takes over where one is lost. They are client-go's own
// defaults for controllers.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// lead works whenever this agent holds the cluster's Lease, and stands by while
// another one does. It returns with ctx, or with the error of work.
func lead(ctx context.Context, c Config, leading *atomic.Bool, work func(context.Context) error) error {
	config := rest.CopyConfig(c.REST)
	config.Timeout = renewDeadline / 2
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		t := &term{leading: leading, work: work, done: make(chan error, 1)}
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: &resourcelock.LeaseLock{
				LeaseMeta:  metav1.ObjectMeta{Namespace: c.Namespace, Name: leaseName},
				Client:     clients.CoordinationV1(),
				LockConfig: resourcelock.ResourceLockConfig{Identity: c.Identity},
			},
			LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
			ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(held context.Context) { t.begin(ctx, held) },
				OnStoppedLeading: func() {},
				OnNewLeader: func(holder string) {
					if holder != c.Identity && holder != "" {
						c.Log.Info("another agent works for this cluster: standing by", "agent", holder)
					}
				},
			},
		})
		if err != nil {
			return fmt.Errorf("prepare the Lease: %w", err)
		}
		// The Lease is given back after the work has ended, never before.
		election, stop := context.WithCancel(context.WithoutCancel(ctx))
		t.stop = stop
		idle := context.AfterFunc(ctx, t.retire)
		elector.Run(election)
		idle()
		stop()
		if err := t.end(); err != nil {
			return err
		}
		if ctx.Err() == nil {
			c.Log.Warn("the Lease is lost: standing by until it can be had again")
		}
	}
	return ctx.Err()
}

// term is one time of working.
type term struct {
	leading *atomic.Bool
	work    func(context.Context) error
	stop    context.CancelFunc // ends the election
	done    chan error         // what work returned

	mu      sync.Mutex
	working bool
	over    bool // work may not begin any more
}

// begin works until ctx ends, or the Lease is no longer held.
func (t *term) begin(ctx, held context.Context) {
	t.mu.Lock()
	if t.over {
		t.mu.Unlock()
		return
	}
	t.working = true
	t.mu.Unlock()
	defer t.stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(held, cancel)()
	t.leading.Store(true)
	err := t.work(ctx)
	t.leading.Store(false)
	if held.Err() != nil || ctx.Err() != nil {
		err = nil
	}
	t.done <- err
}

// retire ends the election unless there is work, which ends it afterwards.
func (t *term) retire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.working {
		t.stop()
	}
}

// end returns what came of the work, if there was any.
func (t *term) end() error {
	t.mu.Lock()
	t.over = true
	working := t.working
	t.mu.Unlock()
	if !working {
		return nil
	}
	return <-t.done
}
