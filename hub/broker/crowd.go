package broker

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// mostConnections is what one user may have. An agent has one, while it renews two,
	// and for a while those that it has lost without a word.
	mostConnections = 8
	crowdInterval   = time.Second
	// maxCrowd bounds the connections that are looked at: more than a server takes.
	maxCrowd = 1 << 20
)

// Disperse cuts off, until ctx ends, what a single user has opened beyond a few
// connections: each may hold megabytes that the server keeps for who reads slowly, and
// NATS knows no such limit for users. It returns nil.
func (b *Broker) Disperse(ctx context.Context) error {
	tick := time.NewTicker(crowdInterval)
	defer tick.Stop()
	for settled := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if b.server.NumClients() > settled { // else nobody has become a crowd
			b.disperse()
		}
		settled = b.server.NumClients()
	}
}

// disperse cuts off the newest connections of every user who has too many.
func (b *Broker) disperse() {
	all, err := b.server.Connz(&server.ConnzOptions{Username: true, Limit: maxCrowd, Sort: server.ByCid})
	if err != nil {
		b.log.log.Warn("cannot look at the connections", "err", err)
		return
	}
	users := map[string][]*server.ConnInfo{}
	for _, c := range all.Conns {
		users[c.AuthorizedUser] = append(users[c.AuthorizedUser], c)
	}
	delete(users, "") // who has not said yet
	for _, user := range slices.Sorted(maps.Keys(users)) {
		conns := users[user]
		if len(conns) <= mostConnections {
			continue
		}
		for _, c := range conns[mostConnections:] {
			_ = b.server.DisconnectClientByID(c.Cid) // it has gone by itself
		}
		b.log.limited(slog.LevelWarn, "too many connections of one user: those above the first few are cut off (if it goes on, revoke the cluster): "+conns[0].Name+" "+conns[0].IP)
	}
}
