package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/navarch/navarch/e2e/env"
)

// patience bounds how long one round may take.
const patience = 2 * time.Minute

// bench is a running fleet with its watchers and bare clients, one of each a member.
type bench struct {
	fleet    *env.Fleet
	watchers []*watcher
	bare     []*bare
	names    []string // of the apps
	mark     int      // counts up, so that no round looks like another
}

func newBench(ctx context.Context, f *env.Fleet) (*bench, error) {
	b := &bench{fleet: f}
	for i := range apps {
		b.names = append(b.names, appName(i))
	}
	for _, member := range f.Members {
		w, err := watch(ctx, member)
		if err != nil {
			return nil, err
		}
		floor, err := newBare(ctx, member, w)
		if err != nil {
			return nil, err
		}
		b.watchers, b.bare = append(b.watchers, w), append(b.bare, floor)
	}
	return b, nil
}

func (b *bench) nextMark() string {
	b.mark++
	return "mark-" + strconv.Itoa(b.mark)
}

// deploy pushes files and returns how long it took, from the call of git push,
// until every member's watcher has seen the named apps at mark.
func (b *bench) deploy(ctx context.Context, files map[string]string, names []string, mark string) (time.Duration, error) {
	if err := b.fleet.Work.Write(files); err != nil {
		return 0, err
	}
	if _, err := b.fleet.Work.Commit(ctx, mark); err != nil {
		return 0, err
	}
	seen := make([]time.Time, len(b.watchers))
	group, ctx := errgroup.WithContext(ctx)
	for i, w := range b.watchers {
		group.Go(func() (err error) {
			seen[i], err = w.all(ctx, namespace, names, mark)
			return err
		})
	}
	push, err := b.fleet.Work.Push(ctx)
	if err != nil {
		return 0, err
	}
	b.fleet.Pushed = push
	if err := group.Wait(); err != nil {
		return 0, err
	}
	last := seen[0]
	for _, at := range seen {
		if at.After(last) {
			last = at
		}
	}
	return last.Sub(push.At), nil
}

// measure runs a scenario and adds what it cost.
func (b *bench) measure(ctx context.Context, name string, scenario func(ctx context.Context, m *measurement) error) (measurement, error) {
	m := measurement{Scenario: name}
	before, err := b.costs()
	if err != nil {
		return m, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := scenario(ctx, &m); err != nil {
		return m, fmt.Errorf("%s: %w", name, err)
	}
	if err := b.fleet.Ready(ctx); err != nil {
		return m, fmt.Errorf("%s: %w", name, err)
	}
	if err := b.settle(ctx); err != nil {
		return m, err
	}
	after, err := b.costs()
	if err != nil {
		return m, err
	}
	m.HubCPU, m.AgentCPU = after.hub.cpu-before.hub.cpu, after.agents.cpu-before.agents.cpu
	m.APICPU = after.api - before.api
	m.HubRSS, m.AgentRSS = after.hub.peak, after.agents.peak
	m.Writes, m.Reads = after.writes-before.writes, after.reads-before.reads
	return m, nil
}

// settle waits until no agent has written anything for a while.
func (b *bench) settle(ctx context.Context) error {
	last, since := -1, time.Now()
	for time.Since(since) < quiet {
		c, err := b.costs()
		if err != nil {
			return err
		}
		if c.writes != last {
			last, since = c.writes, time.Now()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(quiet / 10):
		}
	}
	return nil
}

// install has all apps deployed for the first time.
func (b *bench) install(ctx context.Context) (measurement, error) {
	return b.measure(ctx, "100 apps installed", func(ctx context.Context, m *measurement) error {
		mark := b.nextMark()
		floor, err := b.floor(ctx, b.names, mark)
		if err != nil {
			return err
		}
		took, err := b.deploy(ctx, fleetFiles(mark), b.names, mark)
		m.times([]time.Duration{took}, []time.Duration{floor})
		return err
	})
}

// changeOne changes one app of all, again and again, each time another.
func (b *bench) changeOne(ctx context.Context, rounds int) (measurement, error) {
	return b.measure(ctx, "1 app of 100 changed", func(ctx context.Context, m *measurement) error {
		var took, floor []time.Duration
		for i := range rounds {
			mark, name := b.nextMark(), []string{appName(i % apps)}
			f, err := b.floor(ctx, name, mark)
			if err != nil {
				return err
			}
			t, err := b.deploy(ctx, map[string]string{"apps/" + name[0] + "/base/objects.yaml": objectsYAML(name[0], mark)}, name, mark)
			if err != nil {
				return err
			}
			took, floor = append(took, t), append(floor, f)
		}
		m.times(took, floor)
		return nil
	})
}

// changeAll changes every app at once.
func (b *bench) changeAll(ctx context.Context, rounds int) (measurement, error) {
	return b.measure(ctx, "100 apps of 100 changed", func(ctx context.Context, m *measurement) error {
		var took, floor []time.Duration
		for range rounds {
			mark := b.nextMark()
			f, err := b.floor(ctx, b.names, mark)
			if err != nil {
				return err
			}
			t, err := b.deploy(ctx, fleetFiles(mark), b.names, mark)
			if err != nil {
				return err
			}
			took, floor = append(took, t), append(floor, f)
		}
		m.times(took, floor)
		return nil
	})
}

// repair deletes and edits objects behind the agent's back, one at a time.
func (b *bench) repair(ctx context.Context, rounds int) (measurement, error) {
	return b.measure(ctx, "1 object deleted or edited", func(ctx context.Context, m *measurement) error {
		member, w := b.fleet.Members[0], b.watchers[0]
		var took []time.Duration
		for i := range rounds {
			service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: appName(i % apps)}}
			key := "services/" + namespace + "/" + service.Name
			good, turn := w.turn(key)
			begin := time.Now()
			var err error
			if i%2 == 0 {
				err = member.Client.Delete(ctx, service)
			} else {
				err = member.Client.Patch(ctx, service, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"mark":"foreign"}}}`)))
			}
			if err != nil {
				return err
			}
			at, err := w.returns(ctx, key, good, turn)
			if err != nil {
				return err
			}
			took = append(took, at.Sub(begin))
		}
		m.times(took, nil)
		return nil
	})
}

// changeNothing commits what no app is made of.
func (b *bench) changeNothing(ctx context.Context) (measurement, error) {
	return b.measure(ctx, "README changed", func(ctx context.Context, m *measurement) error {
		m.N = 1
		pushed, err := b.fleet.Work.Publish(ctx, "say more", map[string]string{"README.md": "# Measured again\n"})
		b.fleet.Pushed = pushed
		return err
	})
}

// costs is what everything has cost so far.
type costs struct {
	hub, agents   usage // cpu of all agents, peak of the largest
	api           float64
	writes, reads int
}

func (b *bench) costs() (costs, error) {
	var c costs
	var err error
	if c.hub, err = usageOf(b.fleet.Hub.PID()); err != nil {
		return c, err
	}
	for _, member := range b.fleet.Members {
		agent, err := usageOf(b.fleet.Agents[member.Name].PID())
		if err != nil {
			return c, err
		}
		c.agents.cpu += agent.cpu
		c.agents.peak = max(c.agents.peak, agent.peak)
		pid, err := member.PartPID("kube-apiserver")
		if err != nil {
			return c, err
		}
		api, err := usageOf(pid)
		if err != nil {
			return c, err
		}
		c.api += api.cpu
		requests, _, err := member.Requests(0, true)
		if err != nil {
			return c, err
		}
		for _, request := range requests {
			switch {
			case request.Resource == "leases.coordination.k8s.io": // each agent renews its own all the time
			case request.Writes():
				c.writes++
			default:
				c.reads++
			}
		}
	}
	return c, nil
}
