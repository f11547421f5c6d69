package agent

import (
	"context"
	"crypto/rand"
	"log/slog"
	"reflect"
	"time"

	"github.com/navarch/navarch/wire"
)

// heart says regularly, and when something changed, that the agent is alive and
// what it sees of its cluster. It says the whole of it, which is small: a hub that
// missed what changed could not make it good.
type heart struct {
	send    func(context.Context, wire.Heartbeat) error
	look    func() wire.Heartbeat // what there is to say now
	facts   <-chan struct{}       // they may have changed
	log     *slog.Logger
	changed chan struct{} // one slot: something was accepted or refused
}

// newHeart returns a heart that sends with send, as [natsconn.Conn.Heartbeat].
func newHeart(send func(context.Context, wire.Heartbeat) error, look func() wire.Heartbeat, facts <-chan struct{}, log *slog.Logger) *heart {
	return &heart{send: send, look: look, facts: facts, log: log, changed: make(chan struct{}, 1)}
}

// lookAround returns what heartbeats say.
func lookAround(c Config, m *metrics, h *hands) func() wire.Heartbeat {
	instance := rand.Text()[:12]
	return func() wire.Heartbeat {
		accepted, refused := h.fetcher.Accepted()
		return wire.Heartbeat{
			Version: wire.Version, Cluster: c.Cluster, Instance: instance, Agent: c.Version, Time: time.Now().UTC(),
			Epoch: accepted.Epoch, Sequence: accepted.Sequence, Revision: accepted.Revision, Index: accepted.Index,
			Refused: refused, Facts: h.cluster.Facts(), Cost: m.cost(), Pins: h.pins.Told(), Recipient: h.keys.Recipient(),
		}
	}
}

// beatSoon makes the next heartbeat come at once.
func (h *heart) beatSoon() {
	signal(h.changed)
}

// settleFacts is how close together facts may be told. The first change is told at
// once, what follows within this time is told together.
const settleFacts = 200 * time.Millisecond

// run beats until ctx ends.
func (h *heart) run(ctx context.Context) error {
	for {
		told := h.beat(ctx)
		if err := h.rest(ctx, told); err != nil {
			return err
		}
	}
}

// beat sends a heartbeat and returns the facts in it.
func (h *heart) beat(ctx context.Context) wire.Facts {
	now := h.look()
	if err := h.send(ctx, now); err != nil {
		h.log.Debug("heartbeat not sent", "err", err)
	}
	return now.Facts
}

// rest returns when the next heartbeat is due: after the interval, when something was
// accepted or refused, or when facts differ from those told last.
func (h *heart) rest(ctx context.Context, told wire.Facts) error {
	regular, settled := time.After(wire.HeartbeatInterval), time.After(settleFacts)
	var facts <-chan struct{} // nil while they settle; the signal waits
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-h.changed:
			return nil
		case <-regular:
			return nil
		case <-settled:
			facts = h.facts
		case <-facts:
			if !reflect.DeepEqual(h.look().Facts, told) {
				return nil
			}
			facts, settled = nil, time.After(settleFacts)
		}
	}
}
