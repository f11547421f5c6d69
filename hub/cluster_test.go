package hub

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/navarch/navarch/e2e/env/natsserver"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// hears collects what an agent finds announced, as it is opened.
type hears struct {
	mu  sync.Mutex
	all []wire.Announcement
}

// listen has the agent of a cluster listen until the test ends.
func (b *bed) listen(cluster fleet.ClusterName) *hears {
	b.t.Helper()
	h := &hears{}
	agent := b.agent(cluster)
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() {
		done <- agent.Desired(ctx, cluster, func(sealed []byte) error {
			a, err := wire.Open(sealed, b.identity.PublicKey(), cluster)
			if err != nil {
				return err
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			h.all = append(h.all, a)
			return nil
		})
	}()
	b.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	})
	return h
}

// newest returns the newest that was heard.
func (h *hears) newest() wire.Announcement {
	h.mu.Lock()
	defer h.mu.Unlock()
	var newest wire.Announcement
	for _, a := range h.all {
		if a.After(newest.Epoch, newest.Sequence) {
			newest = a
		}
	}
	return newest
}

func needCluster(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("a cluster takes a while")
	}
}

func (b *bed) leader(stream string) *natsserver.Node {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	node, err := b.servers.Leader(ctx, stream)
	check(b.t, err)
	return node
}

func (b *bed) wake() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	check(b.t, b.servers.Start(ctx))
}

// TestLeaderKilled kills the server that leads while the hub announces, three times: every
// agent hears the last commit, and once that is so nothing is announced again.
func TestLeaderKilled(t *testing.T) {
	needCluster(t)
	b := newBed(t, repository("shop"))
	b.outside(stockServer(t), 3)
	b.start()
	b.apps("eu-1", "shop")
	eu, us := b.listen("eu-1"), b.listen("us-1")
	revision := ""
	for round := range 3 {
		leader := b.leader(wire.StreamDesired)
		for i := range 4 {
			revision = b.push("more", map[string]string{"shop/base/settings.yaml": settings(fmt.Sprintf("word-%d-%d", round, i))})
			if i == 1 {
				leader.Kill()
			}
		}
		b.until("the last commit to be heard", func() bool { return eu.newest().Revision == revision && us.newest().Revision == revision })
		b.wake()
	}
	b.until("the servers to store", func() bool { return storing(t.Context(), b.conn) == nil })
	before := []wire.Announcement{eu.newest(), us.newest()}
	for _, node := range b.servers.Nodes { // whoever was connected to it finds another
		node.Kill()
		b.until("the others to go on", func() bool { return storing(t.Context(), b.conn) == nil })
		b.wake()
		b.until("the agents to be back", func() bool { return b.agent("eu-1").Connected() && b.agent("us-1").Connected() })
	}
	b.until("the servers to store", func() bool { return storing(t.Context(), b.conn) == nil })
	b.calm()
	if after := []wire.Announcement{eu.newest(), us.newest()}; !slices.Equal(before, after) {
		t.Errorf("announced again: %+v after %+v", after, before)
	}
	if now, _ := b.told("eu-1"); now != before[0] {
		t.Errorf("kept is %+v, heard was %+v", now, before[0])
	}
}

// calm waits until the hub listens and has taken in every signal.
func (b *bed) calm() {
	b.t.Helper()
	before := b.board.Received().Heartbeats
	b.until("the witness to be heard", func() bool {
		ctx, cancel := context.WithTimeout(b.t.Context(), time.Second)
		defer cancel()
		_ = b.agent("witness").Heartbeat(ctx, wire.Heartbeat{Version: wire.Version, Cluster: "witness"})
		return b.board.Received().Heartbeats > before
	})
	b.quiet()
}

// TestMostServersAway: with two servers of three away nothing is kept. The hub says so,
// and announces what was committed meanwhile as soon as one is back.
func TestMostServersAway(t *testing.T) {
	needCluster(t)
	b := newBed(t, repository("shop"))
	b.outside(stockServer(t), 3)
	b.start()
	b.apps("eu-1", "shop")
	eu := b.listen("eu-1")
	said := &logged{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- guard(ctx, slog.New(slog.NewTextHandler(said, nil)), nil, b.conn) }()
	t.Cleanup(func() { cancel(); check(t, <-done) })

	leader := b.leader(wire.StreamDesired)
	leader.Kill()
	for _, node := range b.servers.Nodes {
		if node != leader {
			node.Kill()
			break
		}
	}
	b.until("the hub to say so", func() bool { return said.has("announcements and reports are lost until this ends") })
	b.until("the hub not to be ready", func() bool {
		err := storing(t.Context(), b.conn)
		return err != nil && strings.Contains(err.Error(), "of three servers two have to run")
	})
	revision := b.push("meanwhile", map[string]string{"shop/base/settings.yaml": settings("meanwhile")})
	check(t, leader.Start())
	b.until("what was committed meanwhile to be heard", func() bool { return eu.newest().Revision == revision })
	b.until("the hub to say that it is over", func() bool { return said.has("NATS stores again") })
}

// TestStartsWithoutMost: a hub that starts while most servers are away waits for them.
func TestStartsWithoutMost(t *testing.T) {
	needCluster(t)
	b := newBed(t, repository("shop"))
	b.outside(stockServer(t), 3)
	b.start()()
	b.servers.Nodes[0].Kill()
	b.servers.Nodes[1].Kill()
	woken := make(chan struct{})
	go func() {
		defer close(woken)
		<-time.After(3 * time.Second) // long enough for the first attempts to fail
		_ = b.servers.Nodes[0].Start()
	}()
	b.start()
	<-woken
	b.apps("eu-1", "shop")
}

// logged keeps what is logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write is part of [io.Writer].
func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) has(word string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), word)
}
