package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/navarch/navarch/e2e/env"
)

// patience bounds how long one scenario may take to do what it does.
const patience = 10 * time.Minute

// bench is a running fleet with its watchers and bare clients, one of each a member.
type bench struct {
	options
	fleet    *env.Fleet
	watchers []*watcher
	bare     []*bare
	rival    *rival // nil: none
	names    []string
	mark     int // counts up, so that no round looks like another
	meter    meter
	profiled *profiled // CPU, in this scenario; nil: not yet
	results  []measurement
}

func newBench(ctx context.Context, f *env.Fleet, dir string, apps int, o options) (*bench, error) {
	b := &bench{options: o, fleet: f, meter: newMeter(f)}
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
	if o.compare != "" {
		var err error
		if b.rival, err = newRival(ctx, o.compare, dir, f.Members); err != nil {
			return nil, err
		}
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

// measure runs a scenario, and adds what it cost until every app is ready and no
// agent has written anything for the time that quiet says.
func (b *bench) measure(ctx context.Context, name string, quiet time.Duration, scenario func(ctx context.Context, m *measurement) error) error {
	m := measurement{Scenario: name}
	before, err := b.meter.read()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := scenario(ctx, &m); err != nil {
		return err
	}
	if err := b.fleet.Ready(ctx); err != nil {
		return err
	}
	if err := b.settle(ctx, quiet); err != nil {
		return err
	}
	after, err := b.meter.read()
	if err != nil {
		return err
	}
	m.cost(before, after)
	if err := b.profileHeap(ctx, name); err != nil {
		return err
	}
	b.results = append(b.results, m)
	fmt.Fprintln(os.Stderr, m.summary())
	return nil
}

// settle waits until no agent has written anything for a while.
func (b *bench) settle(ctx context.Context, quiet time.Duration) error {
	last, since := -1, time.Now()
	for time.Since(since) < quiet {
		c, err := b.meter.read()
		if err != nil {
			return err
		}
		if now := count(c.writes); now != last {
			last, since = now, time.Now()
		}
		if err := pause(ctx, quiet/10); err != nil {
			return err
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
