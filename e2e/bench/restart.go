package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// long is how long nobody may write after a restart before it counts as over: longer
// than anything that agents put off.
const long = 6 * time.Second

// restartAgents ends every agent and starts it again.
func (b *bench) restartAgents(ctx context.Context) error {
	return b.restart(ctx, "agents restarted", func(ctx context.Context) error {
		before, err := b.instances(ctx)
		if err != nil {
			return err
		}
		for _, agent := range b.fleet.Agents {
			agent.Stop()
		}
		for _, agent := range b.fleet.Agents {
			if err := agent.Start(); err != nil {
				return err
			}
		}
		return b.heard(ctx, before)
	})
}

// restartHub ends the hub and starts it again.
func (b *bench) restartHub(ctx context.Context) error {
	return b.restart(ctx, "hub restarted", func(ctx context.Context) error {
		b.fleet.Hub.Stop()
		return b.fleet.Hub.Start(ctx)
	})
}

// loseHub ends the hub and starts it again with nothing but its identity.
func (b *bench) loseHub(ctx context.Context) error {
	return b.restart(ctx, "hub's data lost", func(ctx context.Context) error {
		b.fleet.Hub.Stop()
		if err := os.RemoveAll(b.fleet.Hub.Data); err != nil {
			return err
		}
		return b.fleet.Hub.Start(ctx)
	})
}

// restart measures how long it takes from the beginning of a restart until everything
// is ready again, and what is written meanwhile and afterwards.
func (b *bench) restart(ctx context.Context, name string, again func(context.Context) error) error {
	return b.measure(ctx, name, long, func(ctx context.Context, m *measurement) error {
		m.still = true
		begin := time.Now()
		if err := again(ctx); err != nil {
			return err
		}
		if err := b.fleet.Ready(ctx); err != nil {
			return err
		}
		m.times([]time.Duration{time.Since(begin)}, nil)
		return nil
	})
}

// instances returns the name of the run of every agent that the hub hears.
func (b *bench) instances(ctx context.Context) (map[string]string, error) {
	var answer struct {
		Clusters []struct {
			Name      string
			Connected bool
			Agent     struct{ Instance string }
		}
	}
	if err := b.fleet.Hub.API(ctx, "clusters", &answer); err != nil {
		return nil, err
	}
	instances := map[string]string{}
	for _, cluster := range answer.Clusters {
		if cluster.Connected {
			instances[cluster.Name] = cluster.Agent.Instance
		}
	}
	return instances, nil
}

// heard waits until the hub hears another run of every agent than before.
func (b *bench) heard(ctx context.Context, before map[string]string) error {
	for {
		now, err := b.instances(ctx)
		if err != nil {
			return err
		}
		missing := ""
		for _, member := range b.fleet.Members {
			if now[member.Name] == "" || now[member.Name] == before[member.Name] {
				missing = member.Name
			}
		}
		if missing == "" {
			return nil
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("nothing is heard of the agent of %q: %w", missing, err)
		}
	}
}
