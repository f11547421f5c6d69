package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/navarch/navarch/wire"
)

// chest is where a heart beats in these tests: its facts are a number of nodes, and
// what the hub hears is kept with the time since the test began.
type chest struct {
	*heart
	*outbox
	nodes int
	dirty chan struct{}
}

func (c *chest) look() wire.Heartbeat {
	c.mu.Lock()
	defer c.mu.Unlock()
	return wire.Heartbeat{Time: time.Now(), Facts: wire.Facts{Nodes: c.nodes}}
}

func (c *chest) hear(_ context.Context, h wire.Heartbeat) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken = append(c.taken, fmt.Sprintf("%5.1fs %d nodes", time.Since(c.begin).Seconds(), h.Facts.Nodes))
	return nil
}

// see changes the facts, or tells that they may have changed when they have not.
func (c *chest) see(nodes int) {
	c.mu.Lock()
	c.nodes = nodes
	c.mu.Unlock()
	signal(c.dirty)
	synctest.Wait()
}

func beat(t *testing.T, script func(t *testing.T, c *chest)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &chest{outbox: &outbox{begin: time.Now()}, dirty: make(chan struct{}, 1)}
		c.heart = newHeart(c.hear, c.look, c.dirty, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.run(ctx) }()
		synctest.Wait()
		expect(t, c.outbox, "  0.0s 0 nodes")
		script(t, c)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestHeartTellsFactsAtBothEdges: the first change is told at once, what follows
// within 200 ms is told together at its end, and what is as before is not told.
func TestHeartTellsFactsAtBothEdges(t *testing.T) {
	beat(t, func(t *testing.T, c *chest) {
		time.Sleep(time.Second) //nolint:forbidigo // in the time of the bubble
		c.see(1)
		expect(t, c.outbox, "  1.0s 1 nodes")
		for i := range 50 {
			c.see(i)
		}
		expect(t, c.outbox)
		time.Sleep(settleFacts) //nolint:forbidigo // in the time of the bubble
		expect(t, c.outbox, "  1.2s 49 nodes")
		c.see(50)
		c.see(49)
		time.Sleep(time.Second) //nolint:forbidigo // in the time of the bubble
		c.see(49)
		expect(t, c.outbox)
		c.see(51) // closely after a look that found nothing
		expect(t, c.outbox)
		time.Sleep(settleFacts) //nolint:forbidigo // in the time of the bubble
		expect(t, c.outbox, "  2.4s 51 nodes")
	})
}

// TestHeartBeatsRegularly: silence is never longer than the interval, and there is no
// regular heartbeat closely after another.
func TestHeartBeatsRegularly(t *testing.T) {
	beat(t, func(t *testing.T, c *chest) {
		time.Sleep(9 * time.Second) //nolint:forbidigo // in the time of the bubble
		c.see(1)
		expect(t, c.outbox, "  9.0s 1 nodes")
		time.Sleep(20 * time.Second) //nolint:forbidigo // in the time of the bubble
		expect(t, c.outbox, " 19.0s 1 nodes", " 29.0s 1 nodes")
	})
}

// TestHeartBeatsSoon: what was accepted or refused does not wait for facts to settle.
func TestHeartBeatsSoon(t *testing.T) {
	beat(t, func(t *testing.T, c *chest) {
		c.beatSoon()
		expect(t, c.outbox, "  0.0s 0 nodes")
	})
}
