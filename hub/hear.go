package hub

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// heard is what agents said that decides something here. Everything else that
// they say goes to the board only.
type heard struct {
	removed map[fleet.ClusterName]map[fleet.AppName]bool // every object of a tombstoned app is gone
	orphans map[fleet.ClusterName]map[fleet.AppName]bool // kept by an agent, named by no index
}

// signal is one thing that an agent said which the deployer has to know.
type signal struct {
	cluster   fleet.ClusterName
	report    *wire.Report    // Removed or Held, or no longer so
	heartbeat *wire.Heartbeat // has seen an announcement that is ahead of this hub
	received  time.Time       // by the NATS server
	lost      bool            // the NATS server lost what it kept
}

// listener takes in what agents say, in any order and any number of times.
func (d *deployer) listener(ctx context.Context) natsconn.Listener {
	return natsconn.Listener{
		Report: func(r wire.Report, received time.Time) {
			d.board.Report(r, received)
			d.send(ctx, signal{cluster: r.Cluster, report: &r, received: received})
		},
		Heartbeat: func(h wire.Heartbeat, received time.Time) {
			d.board.Heartbeat(h, received)
			d.send(ctx, signal{cluster: h.Cluster, heartbeat: &h, received: received})
		},
		Refused: func(subject string, err error) {
			d.log.Warn("message of an agent refused", "subject", subject, "err", err)
		},
		Lost: func() { d.send(ctx, signal{lost: true}) },
	}
}

func (d *deployer) send(ctx context.Context, s signal) {
	select {
	case d.signals <- s:
	case <-ctx.Done():
	}
}

// hear takes in one signal.
func (d *deployer) hear(ctx context.Context, s signal) {
	if s.report != nil {
		d.observed.report(*s.report, s.received)
		mark(d.heard.removed, s.cluster, s.report.App, s.report.Removed)
		if d.heard.orphans[s.cluster][s.report.App] != s.report.Held {
			mark(d.heard.orphans, s.cluster, s.report.App, s.report.Held)
			d.republish(ctx)
		}
		return
	}
	if s.heartbeat != nil {
		d.observed.heartbeat(*s.heartbeat, s.received)
	}
	a := &d.announcer
	if s.lost {
		d.log.Warn("the NATS server lost what it kept: everything is announced again")
		if err := a.store.Reload(ctx); err != nil {
			d.log.Error("look up the artifacts", "err", err)
		}
		a.published, a.told = fleet.Published{}, map[fleet.ClusterName]wire.Announcement{}
		d.republish(ctx)
		return
	}
	if !a.behind(*s.heartbeat) {
		return
	}
	d.log.Warn("an agent has accepted an announcement that this hub does not remember: its data was lost; a new epoch begins",
		"cluster", s.cluster, "epoch", s.heartbeat.Epoch, "sequence", s.heartbeat.Sequence)
	a.rise(s.heartbeat.Epoch)
	d.republish(ctx)
}

// republish announces what is wanted to whom it was not announced yet.
func (d *deployer) republish(ctx context.Context) {
	if d.wanted == nil {
		return
	}
	if err := d.publish(ctx, d.wanted); err != nil {
		d.log.Error("announce failed: it is tried again soon", "revision", d.wanted.revision, "err", err)
	}
}

// orphans are the apps that agents keep though neither Git names them nor a
// tombstone removes them.
func (d *deployer) orphans(desired fleet.Published) map[fleet.ClusterName]map[fleet.AppName]bool {
	orphans := map[fleet.ClusterName]map[fleet.AppName]bool{}
	for cluster, apps := range d.heard.orphans {
		for app := range apps {
			if !d.runs(desired, cluster, app) {
				mark(orphans, cluster, app, true)
			}
		}
	}
	return orphans
}

// runs tells whether an app is wanted on a cluster, or has a tombstone there.
func (d *deployer) runs(desired fleet.Published, cluster fleet.ClusterName, app fleet.AppName) bool {
	wanted := slices.ContainsFunc(desired[cluster].Apps, func(a fleet.DesiredApp) bool { return a.Name == app })
	return wanted || slices.ContainsFunc(d.announcer.published[cluster].Tombstones, func(t fleet.Tombstone) bool { return t.App == app })
}

// holdsFor says of each orphan that it waits for a person.
func holdsFor(orphans map[fleet.ClusterName]map[fleet.AppName]bool) []fleet.Hold {
	var holds []fleet.Hold
	for _, cluster := range slices.Sorted(maps.Keys(orphans)) {
		for _, app := range slices.Sorted(maps.Keys(orphans[cluster])) {
			holds = append(holds, fleet.Hold{Cluster: cluster, Message: fmt.Sprintf(
				"the agent keeps app %q, which Git does not name and no commit known to this hub took away: agree to remove it", app)})
		}
	}
	return holds
}

func mark(set map[fleet.ClusterName]map[fleet.AppName]bool, cluster fleet.ClusterName, app fleet.AppName, is bool) {
	if !is {
		delete(set[cluster], app)
		return
	}
	if set[cluster] == nil {
		set[cluster] = map[fleet.AppName]bool{}
	}
	set[cluster][app] = true
}
