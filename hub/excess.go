package hub

import (
	"context"
	"slices"
	"time"

	"github.com/navarch/navarch/fleet"
)

const (
	purgesAtOnce = 200       // reports deleted at a look
	maxExcess    = 10_000    // reports remembered to be deleted; a sweep finds the others
	tellExcess   = time.Hour // between two words about one cluster
)

// report names a report that the NATS server keeps.
type report struct {
	cluster fleet.ClusterName
	app     fleet.AppName
}

// excess is what clusters have the NATS server keep that nobody asked for.
type excess struct {
	purge []report                        // to be deleted; too much of one cluster
	told  map[fleet.ClusterName]time.Time // of whom it was logged when
	stray map[report]bool                 // named by no index when reports were looked at last
}

// exceeds notes a report that is one too many of its cluster.
func (d *deployer) exceeds(cluster fleet.ClusterName, app fleet.AppName, now time.Time) {
	e := &d.excess
	if len(e.purge) < maxExcess {
		e.purge = append(e.purge, report{cluster, app})
	}
	if now.Sub(e.told[cluster]) < tellExcess {
		return
	}
	if e.told == nil {
		e.told = map[fleet.ClusterName]time.Time{}
	}
	e.told[cluster] = now
	d.log.Warn("an agent reports more than a cluster may: the rest is deleted (revoke the cluster if it is not yours)", "cluster", cluster, "app", app)
}

// purge deletes some of the reports that are too many.
func (d *deployer) purge(ctx context.Context) {
	e := &d.excess
	some := e.purge[:min(len(e.purge), purgesAtOnce)]
	for _, r := range some {
		if err := d.announcer.conn.DeleteReport(ctx, r.cluster, r.app); err != nil {
			return // with the next look
		}
	}
	e.purge = slices.Clone(e.purge[len(some):])
}

// sweepReports deletes reports of apps that a cluster was neither told to run nor to
// remove, and that its agent does not hold, when that was so at the last sweep too. What
// clusters say that Git does not name is left alone: they may be on their way.
func (d *deployer) sweepReports(ctx context.Context) {
	kept, err := d.announcer.conn.KeptReports(ctx)
	if err != nil {
		return // with the next sweep
	}
	stray := map[report]bool{}
	for cluster, apps := range kept {
		desired, named := d.announcer.published[cluster]
		if !named {
			continue
		}
		known := map[fleet.AppName]bool{}
		for _, app := range desired.Apps {
			known[app.Name] = true
		}
		for _, stone := range desired.Tombstones {
			known[stone.App] = true
		}
		for _, app := range apps {
			r := report{cluster, app}
			switch {
			case known[app] || d.heard.orphans[cluster][app]:
			case !d.excess.stray[r]:
				stray[r] = true
			case d.announcer.conn.DeleteReport(ctx, cluster, app) != nil:
				stray[r] = true
			}
		}
	}
	d.excess.stray = stray
}
