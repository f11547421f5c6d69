package agent

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/navarch/navarch/agent/fetch"
	"github.com/navarch/navarch/agent/observe"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// heart says regularly, and when something changed, that the agent is alive and
// what it sees of its cluster.
type heart struct {
	config   Config
	conn     *natsconn.Conn
	fetcher  *fetch.Fetcher
	cluster  *observe.Cluster
	instance string
	changed  chan struct{} // one slot: something was accepted or refused
}

func newHeart(c Config, conn *natsconn.Conn, f *fetch.Fetcher, cluster *observe.Cluster) *heart {
	return &heart{config: c, conn: conn, fetcher: f, cluster: cluster, instance: rand.Text()[:12], changed: make(chan struct{}, 1)}
}

// beatSoon makes the next heartbeat come at once.
func (h *heart) beatSoon() {
	signal(h.changed)
}

// factsSettle is how long facts may change before they are told.
const factsSettle = time.Second

// run beats until ctx ends.
func (h *heart) run(ctx context.Context) error {
	regular := time.NewTicker(wire.HeartbeatInterval)
	defer regular.Stop()
	for {
		if err := h.conn.Heartbeat(ctx, h.beat()); err != nil {
			h.config.Log.Debug("heartbeat not sent", "err", err)
		}
		settled := time.NewTimer(factsSettle)
		select {
		case <-ctx.Done():
		case <-h.changed:
		case <-regular.C:
		case <-settled.C:
			select {
			case <-ctx.Done():
			case <-h.changed:
			case <-regular.C:
			case <-h.cluster.Dirty():
			}
		}
		settled.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (h *heart) beat() wire.Heartbeat {
	accepted, refused := h.fetcher.Accepted()
	return wire.Heartbeat{
		Version: wire.Version, Cluster: h.config.Cluster, Instance: h.instance, Agent: h.config.Version, Time: time.Now().UTC(),
		Epoch: accepted.Epoch, Sequence: accepted.Sequence, Revision: accepted.Revision, Index: accepted.Index,
		Refused: refused, Facts: h.cluster.Facts(),
	}
}
