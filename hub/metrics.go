package hub

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics are the hub's own, beside those of the fleet that the dashboard adds.
type metrics struct {
	registry      *prometheus.Registry
	commits       *prometheus.CounterVec
	handled       prometheus.Histogram
	announcements prometheus.Counter
	swept         prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		commits:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "navarch_commits_total", Help: "Commits that the hub looked at, by what became of them: accepted or refused."}, []string{"outcome"}),
		handled: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "navarch_commit_duration_seconds", Help: "From a fetched commit to its announcements.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}),
		announcements: prometheus.NewCounter(prometheus.CounterOpts{Name: "navarch_announcements_total", Help: "Clusters told something new, summed up."}),
		swept:         prometheus.NewCounter(prometheus.CounterOpts{Name: "navarch_artifacts_swept_total", Help: "Artifacts deleted because nothing refers to them any more."}),
	}
	for _, outcome := range []string{accepted, refused} {
		m.commits.WithLabelValues(outcome) // a rate of what was never counted is not 0
	}
	m.registry.MustRegister(m.commits, m.handled, m.announcements, m.swept,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// What becomes of a commit.
const (
	accepted = "accepted"
	refused  = "refused"
)

func (m *metrics) commit(ok bool, took time.Duration) {
	outcome := refused
	if ok {
		outcome = accepted
	}
	m.commits.WithLabelValues(outcome).Inc()
	m.handled.Observe(took.Seconds())
}
