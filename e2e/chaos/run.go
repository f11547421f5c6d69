package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/navarch/navarch/e2e/env"
)

// chaos is one run: a fleet, what breaks it, and what must stay true.
type chaos struct {
	settings
	fleet      *env.Fleet
	links      map[string]*proxy // by cluster
	dir        string
	repository *repository
	witness    *witness
	hands      map[string]*bystander // by cluster
}

func newRun(s settings, f *env.Fleet, links map[string]*proxy, dir string) *chaos {
	c := &chaos{
		settings: s, fleet: f, links: links, dir: dir,
		repository: newRepository(randomOf(s.seed, "commits")), witness: newWitness(), hands: map[string]*bystander{},
	}
	for _, member := range f.Members {
		c.hands[member.Name] = newBystander(member, randomOf(s.seed, "bystander's hands on "+member.Name))
	}
	return c
}

// play breaks things while commits land, lets go, and returns what is not as it must be.
func (c *chaos) play(ctx context.Context) error {
	if err := c.commit(ctx, "begin"); err != nil {
		return err
	}
	begin, cancel := context.WithTimeout(ctx, c.settle)
	defer cancel()
	if err := c.fleet.Ready(begin); err != nil {
		return fmt.Errorf("the fleet was never ready: %w\n%s", err, c.fleet.Describe())
	}
	watching, unwatch := context.WithCancel(ctx)
	watched := c.witness.watch(watching, c.fleet.Members)
	err := c.breakThings(ctx)
	if err == nil {
		err = c.settled(ctx)
	}
	if err == nil { // what was done by hand before may have been committed over
		for _, hand := range c.hands {
			hand.do(ctx, "edit")
			hand.do(ctx, "delete")
		}
		err = c.settled(ctx)
	}
	unwatch()
	watched.Wait()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, c.fleet.Describe())
	}
	return c.verdict(ctx)
}

// breakThings returns when every commit has landed and every fault is over.
func (c *chaos) breakThings(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.land(ctx) })
	group.Go(func() error { return c.befall(ctx, "hub", hubFaults, 40*time.Second, c.hubFault, nil) })
	for _, member := range c.fleet.Members {
		name, agent, link := member.Name, c.fleet.Agents[member.Name], c.links[member.Name]
		hand := c.hands[name]
		group.Go(func() error {
			return c.befall(ctx, "agent of "+name, agentFaults, 30*time.Second, func(ctx context.Context, f fault) error {
				agent.Kill()
				pause(ctx, f.lasts)
				return agent.Start()
			}, agent)
		})
		group.Go(func() error {
			return c.befall(ctx, "API server of "+name, serverFaults, time.Minute, func(ctx context.Context, f fault) error {
				if err := member.KillPart(ctx, "kube-apiserver"); err != nil {
					return err
				}
				pause(ctx, f.lasts)
				return member.Restart(ctx)
			}, nil)
		})
		group.Go(func() error {
			return c.befall(ctx, "link of "+name, linkFaults, 15*time.Second, func(ctx context.Context, f fault) error {
				breakLink(ctx, link, f)
				return nil
			}, nil)
		})
		group.Go(func() error {
			return c.befall(ctx, "bystander of "+name, handFaults, 5*time.Second, func(ctx context.Context, f fault) error {
				hand.do(ctx, f.kind)
				return nil
			}, nil)
		})
	}
	return group.Wait()
}

// befall lets happen what the seed has in store for one part of the fleet. In between
// it starts an agent that ended by itself, as a kubelet would.
func (c *chaos) befall(ctx context.Context, part string, kinds []string, every time.Duration, do func(context.Context, fault) error, agent *env.Agent) error {
	for _, f := range schedule(c.seed, part, kinds, c.length, every) {
		if err := keepAlive(ctx, agent, f.after); err != nil {
			return err
		}
		c.log.Info("fault", "part", part, "kind", f.kind, "lasts", f.lasts.Round(time.Millisecond))
		if err := do(ctx, f); err != nil {
			return fmt.Errorf("%s of the %s: %w", f.kind, part, err)
		}
	}
	return ctx.Err()
}

// keepAlive waits, and starts an agent again a second after it ended.
func keepAlive(ctx context.Context, agent *env.Agent, d time.Duration) error {
	over := time.NewTimer(d)
	defer over.Stop()
	for {
		var ended <-chan struct{}
		if agent != nil {
			ended = agent.Ended()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over.C:
			return nil
		case <-ended:
			pause(ctx, time.Second)
			if err := agent.Start(); err != nil {
				return err
			}
		}
	}
}

func (c *chaos) hubFault(ctx context.Context, f fault) error {
	select {
	case <-c.fleet.Hub.Ended():
		return fmt.Errorf("the hub had ended by itself:\n%s", c.fleet.Hub.Tail(20))
	default:
	}
	c.fleet.Hub.Kill()
	if f.kind == "lose-data" {
		c.witness.hubForgot()
		if err := os.RemoveAll(c.fleet.Hub.Data); err != nil {
			return err
		}
	}
	pause(ctx, f.lasts)
	start, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return c.fleet.Hub.Start(start)
}

func breakLink(ctx context.Context, link *proxy, f fault) {
	switch f.kind {
	case "cut":
		link.Cut()
		return
	case "refuse":
		link.Set(weather{refuse: true})
		link.Cut()
	case "swallow":
		link.Set(weather{swallow: true})
	case "delay":
		link.Set(weather{delay: 300 * time.Millisecond})
	case "throttle":
		link.Set(weather{rate: 4 << 10})
	}
	pause(ctx, f.lasts)
	link.Set(weather{})
}

// land commits and pushes while things break.
func (c *chaos) land(ctx context.Context) error {
	random := randomOf(c.seed, "pauses between commits")
	for range c.commits {
		pause(ctx, time.Duration(random.Int64N(1+2*int64(c.length)/int64(max(1, c.commits)))))
		message := c.repository.step()
		c.log.Info("commit", "message", message)
		if err := c.commit(ctx, message); err != nil {
			return err
		}
	}
	return nil
}

// commit makes the repository hold what it should, in a new commit, and pushes it.
func (c *chaos) commit(ctx context.Context, message string) error {
	work := c.fleet.Work
	if err := work.Remove("apps"); err != nil {
		return err
	}
	pushed, err := work.Publish(ctx, message, c.repository.files())
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	c.fleet.Pushed = pushed
	return nil
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
