package hub

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// What the agent of one cluster can make the hub remember. Both lie far above what a
// cluster has to say: all of its objects, and apps that came and went. What the NATS
// server keeps is bounded by [natsconn.MaxReports], and anew with each connection; names
// are counted here as long as the hub runs.
const (
	maxSaid = 64 << 20 // bytes of all its reports, as the hub has them in memory
	maxApps = 10_000   // names of apps, those that have gone among them
)

// quota bounds what agents can make the hub remember and write to its log. One that is
// in somebody else's hands costs the hub a few megabytes, and the others nothing. It is
// for one goroutine.
type quota struct {
	clusters map[fleet.ClusterName]*spent
	log      *slog.Logger
}

// spent is what one agent has used of its quota.
type spent struct {
	apps  map[fleet.AppName]int // bytes of the last report
	bytes int
	lines *rate.Limiter // of the log
}

func newQuota(log *slog.Logger) *quota {
	return &quota{clusters: map[fleet.ClusterName]*spent{}, log: log}
}

func (q *quota) of(cluster fleet.ClusterName) *spent {
	s := q.clusters[cluster]
	if s == nil {
		s = &spent{apps: map[fleet.AppName]int{}, lines: rate.NewLimiter(rate.Every(time.Minute), 5)}
		q.clusters[cluster] = s
	}
	return s
}

// take counts a report, and tells whether the cluster has used up its quota. It begins
// again with this report then: what was said before is to be forgotten.
func (q *quota) take(r wire.Report) (exceeded bool) {
	s, size := q.of(r.Cluster), sizeOf(r)
	if _, known := s.apps[r.App]; s.bytes-s.apps[r.App]+size > maxSaid || !known && len(s.apps) == maxApps {
		s.apps, s.bytes, exceeded = map[fleet.AppName]int{}, 0, true
	}
	s.bytes += size - s.apps[r.App]
	s.apps[r.App] = size
	return exceeded
}

// warn logs what an agent does wrong, unless it has done so too often.
func (q *quota) warn(ctx context.Context, cluster fleet.ClusterName, message string, args ...any) {
	level := slog.LevelWarn
	if !q.of(cluster).lines.Allow() {
		level = slog.LevelDebug
	}
	q.log.Log(ctx, level, message, append(args, "cluster", cluster)...) //nolint:sloglint // the callers' are constant
}

// sizeOf returns about how many bytes a report takes in memory.
func sizeOf(r wire.Report) int {
	const perReport, perCondition, perObject, perText = 512, 64, 160, 16
	size := perReport + perCondition*len(r.Conditions) + perObject*len(r.Objects)
	for _, c := range r.Conditions {
		size += len(c.Type) + len(c.Status) + len(c.Reason) + len(c.Message)
	}
	for i := range r.Objects {
		o := &r.Objects[i]
		size += len(o.Group) + len(o.Kind) + len(o.Namespace) + len(o.Name) + len(o.Health) + len(o.Message)
		if o.Drift != nil {
			for _, text := range o.Drift.Fields {
				size += len(text) + perText
			}
			for _, text := range o.Drift.By {
				size += len(text) + perText
			}
		}
	}
	return size + len(r.Attempted.Revision) + len(r.Attempted.Overlay) + len(r.Attempted.Base) +
		len(r.Applied.Revision) + len(r.Applied.Overlay) + len(r.Applied.Base)
}
