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
	orphans orphans                                      // kept by an agent, named by no index
	lines   *quota                                       // of the log, about agents that say they know of a future
}

// orphans are apps of clusters.
type orphans = map[fleet.ClusterName]map[fleet.AppName]bool

// signal is one thing that an agent said which the deployer has to know.
type signal struct {
	cluster   fleet.ClusterName
	report    *wire.Report    // Removed or Held, or no longer so
	heartbeat *wire.Heartbeat // has seen an announcement that is ahead of this hub
	received  time.Time       // by the NATS server
	lost      bool            // the NATS server lost what it kept
	exchanged bool            // a key of the hub was
	forget    bool            // the cluster has said more than a hub remembers: see [quota]
	connected bool            // to a NATS server, which may have lost some of what it kept
	excess    fleet.AppName   // of which a report is kept that is one too many of the cluster
}

// listener takes in what agents say, in any order and any number of times.
func (d *deployer) listener(ctx context.Context) natsconn.Listener {
	quota := newQuota(d.log)
	return natsconn.Listener{
		Report: func(r wire.Report, received time.Time) {
			if quota.take(r) {
				d.forget(ctx, quota, r.Cluster)
			}
			d.board.Report(r, received)
			d.send(ctx, signal{cluster: r.Cluster, report: &r, received: received})
		},
		Heartbeat: func(h wire.Heartbeat, received time.Time) {
			d.board.Heartbeat(h, received)
			d.send(ctx, signal{cluster: h.Cluster, heartbeat: &h, received: received})
		},
		Refused: func(subject string, err error) {
			quota.warn(ctx, senderOf(subject), "message of an agent refused", "subject", subject, "err", err)
		},
		Lost:  func() { d.send(ctx, signal{lost: true}) },
		Begun: func() { d.send(ctx, signal{connected: true}) },
		Excess: func(cluster fleet.ClusterName, app fleet.AppName) {
			d.send(ctx, signal{cluster: cluster, excess: app})
		},
	}
}

// senderOf returns whose agent alone may write to a subject.
func senderOf(subject string) fleet.ClusterName {
	if cluster, err := wire.ParseClusterSubject(subject); err == nil {
		return cluster
	}
	cluster, _, _ := wire.ParseReportSubject(subject)
	return cluster
}

// forget forgets the reports of a cluster, here and on the NATS server. Its agent
// reports again what it has, with the next change or connection.
func (d *deployer) forget(ctx context.Context, q *quota, cluster fleet.ClusterName) {
	q.warn(ctx, cluster, "an agent reports more than any cluster has to say: its reports are forgotten (if it goes on, revoke the cluster)")
	d.board.Forget(cluster)
	d.send(ctx, signal{cluster: cluster, forget: true})
	if err := d.announcer.conn.DeleteReports(ctx, cluster); err != nil && ctx.Err() == nil {
		q.warn(ctx, cluster, "the reports of an agent stay on the NATS server", "err", err)
	}
}

func (d *deployer) send(ctx context.Context, s signal) {
	select {
	case d.signals <- s:
	case <-ctx.Done():
	}
}

// hear takes in a signal and those that wait behind it. However many there are,
// they make the hub publish once.
func (d *deployer) hear(ctx context.Context, s signal) {
	again := d.take(ctx, s)
	for range len(d.signals) {
		again = d.take(ctx, <-d.signals) || again
	}
	if again {
		d.republish(ctx)
	}
}

// take takes in one signal and tells whether something is to be published.
func (d *deployer) take(ctx context.Context, s signal) bool {
	a := &d.announcer
	if s.heartbeat != nil {
		d.observed.heartbeat(*s.heartbeat, s.received)
	}
	switch {
	case s.forget:
		delete(d.heard.removed, s.cluster)
		delete(d.heard.orphans, s.cluster)
		d.observed.forget(s.cluster)
		return false
	case s.report != nil:
		d.observed.report(*s.report, a.published[s.cluster], s.received)
		mark(d.heard.removed, s.cluster, s.report.App, s.report.Removed)
		if d.heard.orphans[s.cluster][s.report.App] == s.report.Held {
			return false
		}
		mark(d.heard.orphans, s.cluster, s.report.App, s.report.Held)
		return true
	case s.lost:
		d.log.Warn("the NATS server lost what it kept: everything is announced again")
		d.lost = true
		return true
	case s.exchanged:
		a.outdated = true
		return true
	case s.excess != "":
		d.exceeds(s.cluster, s.excess, time.Now())
		return false
	case s.connected:
		d.doubt = true
		return true
	case !a.behind(*s.heartbeat):
		return false
	}
	if d.heard.lines == nil {
		d.heard.lines = newQuota(d.log)
	}
	d.heard.lines.warn(ctx, s.cluster, "an agent has accepted an announcement that this hub does not remember: its data was lost; a new epoch begins",
		"epoch", s.heartbeat.Epoch, "sequence", s.heartbeat.Sequence)
	a.rise(s.cluster, s.heartbeat.Epoch)
	return true
}

// republish announces what is wanted to whom it was not announced yet.
func (d *deployer) republish(ctx context.Context) {
	if d.wanted == nil {
		d.retry = nil
		if err := d.announcer.reseal(ctx); err != nil {
			d.retry = time.After(retryAfter)
			d.log.Error("announce failed: it is tried again soon", "err", err)
		}
		return
	}
	if err := d.publish(ctx, d.wanted); err != nil {
		d.log.Error("announce failed: it is tried again soon", "revision", d.wanted.revision, "err", err)
	}
}

// orphans are the apps that agents keep though neither Git names them nor a
// tombstone removes them, without those that a person agreed to remove.
func (d *deployer) orphans(desired fleet.Published) orphans {
	kept := orphans{}
	for cluster, apps := range d.heard.orphans {
		for app := range apps {
			if !d.runs(desired, cluster, app) && !d.buried[cluster][app] {
				mark(kept, cluster, app, true)
			}
		}
	}
	return kept
}

// runs tells whether an app is wanted on a cluster, or has a tombstone there.
func (d *deployer) runs(desired fleet.Published, cluster fleet.ClusterName, app fleet.AppName) bool {
	wanted := slices.ContainsFunc(desired[cluster].Apps, func(a fleet.DesiredApp) bool { return a.Name == app })
	return wanted || slices.ContainsFunc(d.announcer.published[cluster].Tombstones, func(t fleet.Tombstone) bool { return t.App == app })
}

// holdsFor says of each orphan that it waits for a person.
func holdsFor(kept orphans) []fleet.Hold {
	var holds []fleet.Hold
	for _, cluster := range slices.Sorted(maps.Keys(kept)) {
		for _, app := range slices.Sorted(maps.Keys(kept[cluster])) {
			holds = append(holds, fleet.Hold{Cluster: cluster, Message: fmt.Sprintf(
				"the agent keeps app %q, which Git does not name and no commit known to this hub took away: agree to remove it", app)})
		}
	}
	return holds
}

func mark(set orphans, cluster fleet.ClusterName, app fleet.AppName, is bool) {
	if !is {
		delete(set[cluster], app)
		return
	}
	if set[cluster] == nil {
		set[cluster] = map[fleet.AppName]bool{}
	}
	set[cluster][app] = true
}
