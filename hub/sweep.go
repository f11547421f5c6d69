package hub

import (
	"context"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/artifacts"
)

// sweepEvery is how often artifacts are looked for that nothing refers to. The
// first of them goes after [artifacts.Grace].
const sweepEvery = artifacts.Grace / 2

// sweep deletes artifacts that no kept announcement refers to, and that what is
// wanted does not either.
func (d *deployer) sweep(ctx context.Context, now time.Time) {
	if d.wanted == nil {
		return // what is wanted is not known yet
	}
	live := map[fleet.Digest]bool{}
	for _, announcement := range d.announcer.told {
		live[announcement.Index] = true
	}
	for _, published := range []fleet.Published{d.announcer.published, d.wanted.Desired} {
		for _, cluster := range published {
			for _, app := range cluster.Apps {
				live[app.Overlay], live[app.Base] = true, true
			}
		}
	}
	n, err := d.announcer.store.Sweep(ctx, live, now)
	if err != nil && ctx.Err() == nil {
		d.log.Warn("artifacts that nothing refers to were not deleted: it is tried again", "err", err)
	}
	d.metrics.swept.Add(float64(n))
}
