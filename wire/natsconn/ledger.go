package natsconn

import (
	"github.com/navarch/navarch/fleet"
)

// What may be kept of the reports of one cluster. It is far more than a cluster has.
const (
	MaxReports  = 2000      // apps
	maxReported = 128 << 20 // bytes, as they travel
)

// ledger counts what clusters have reported, so that none fills the disk of all. NATS
// itself limits only what one message holds.
type ledger map[fleet.ClusterName]*reported

type reported struct {
	sizes map[fleet.AppName]int
	sum   int
}

// admit tells whether a report may be kept, and counts it then.
func (l ledger) admit(cluster fleet.ClusterName, app fleet.AppName, size int) bool {
	r := l[cluster]
	if r == nil {
		r = &reported{sizes: map[fleet.AppName]int{}}
		l[cluster] = r
	}
	before, known := r.sizes[app]
	if !known && len(r.sizes) >= MaxReports || r.sum-before+size > maxReported {
		return false
	}
	r.sum += size - before
	r.sizes[app] = size
	return true
}
