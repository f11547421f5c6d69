package hub

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// identityEvery is how often it is looked whether a key was exchanged.
const identityEvery = 2 * time.Second

// followIdentity takes in what `navarch identity` changes while the hub runs, and has
// every cluster told by the new key.
func followIdentity(ctx context.Context, identity *enrol.Identity, d *deployer) error {
	tick := time.NewTicker(identityEvery)
	defer tick.Stop()
	said := ""
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		changed, err := identity.Refresh()
		switch {
		case err != nil && err.Error() != said:
			said = err.Error()
			d.log.Error("the identity's file cannot be taken in: the hub goes on with the keys that it has", "err", err)
		case changed:
			said = ""
			d.log.Info("a key of the identity was exchanged: every cluster is told by the newest", "key", wire.KeyID(identity.PublicKey()))
			d.send(ctx, signal{exchanged: true})
		}
	}
}

// notePins has the desk note whom agents say that they obey.
func notePins(l natsconn.Listener, desk *enrol.Desk) natsconn.Listener {
	heartbeat := l.Heartbeat
	l.Heartbeat = func(h wire.Heartbeat, received time.Time) {
		desk.Pinned(h.Cluster, h.Pins)
		heartbeat(h, received)
	}
	return l
}

// reseal tells every cluster once more what it was told last, by the newest key, where
// some was sealed before a key was exchanged. What is announced stays as it is, so
// that agents have nothing to do but to follow.
func (a *announcer) reseal(ctx context.Context) error {
	if !a.outdated {
		return nil
	}
	sealed := make(map[fleet.ClusterName][]byte, len(a.told))
	told := maps.Clone(a.told)
	for cluster, announcement := range a.told {
		announcement.Sequence = a.sequence + 1
		message, err := a.identity.Seal(announcement)
		if err != nil {
			return err
		}
		sealed[cluster], told[cluster] = message, announcement
	}
	// Never used twice, and remembered, also when only some clusters hear of it.
	a.sequence++
	a.told = told
	if err := a.conn.AnnounceAll(ctx, sealed); err != nil {
		return fmt.Errorf("announce by the newest key: %w", err)
	}
	a.outdated = false
	return nil
}
