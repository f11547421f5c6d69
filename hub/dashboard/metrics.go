package dashboard

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/navarch/navarch/hub/access"
	"github.com/navarch/navarch/hub/view"
)

// collector gives the fleet as metrics. How many series there are is bounded, however
// large the fleet is. Who asks gets the series of what that one sees.
type collector struct {
	dashboard *Dashboard
	rights    access.Rights
}

var (
	clustersDesc     = describe("clusters", "Member clusters, by health.", "health")
	appsDesc         = describe("apps", "Apps, by their worst health on any cluster.", "health")
	cellsDesc        = describe("cells", "Apps on clusters, by health.", "health")
	connectedDesc    = describe("clusters_connected", "Member clusters whose agent is not silent.")
	unmanagedDesc    = describe("clusters_unmanaged", "Clusters whose agent is heard and that Git does not name.")
	behindDesc       = describe("cells_behind", "Apps on clusters that have not applied what was announced.")
	lagDesc          = describe("lag_seconds", "How long the longest of the cells that are behind has been so.")
	revisionDesc     = describe("revision_info", "Always 1: the newest commit that was accepted, and the newest of all.", "accepted", "latest")
	refusedDesc      = describe("commit_refused", "1 while the newest commit cannot be loaded or built.")
	problemsDesc     = describe("problems", "Problems of the newest commit, with its warnings.")
	heldDesc         = describe("commit_held", "1 while a commit waits for a person.")
	heldDeletesDesc  = describe("held_deletions", "Objects that the held commit would delete.")
	repositoryUpDesc = describe("repository_up", "1 while the fleet repository can be read.")
	fetchedDesc      = describe("repository_fetched_timestamp_seconds", "When the fleet repository was last read.")
	reportsDesc      = describe("reports_received_total", "Reports received from agents since the hub started.")
	heartbeatsDesc   = describe("heartbeats_received_total", "Heartbeats received from agents since the hub started.")
	viewersDesc      = describe("viewers", "Pages of the dashboard that follow live.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("navarch_"+name, help, labels, nil)
}

// Describe sends nothing: what there is depends on the fleet.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the metrics of the snapshot of now.
func (c *collector) Collect(metrics chan<- prometheus.Metric) {
	now := c.dashboard.Now()
	s := c.dashboard.Board.Snapshot(now).Narrow(c.rights)
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	count := func(desc *prometheus.Desc, value float64, labels ...string) {
		send(desc, prometheus.CounterValue, value, labels...)
	}
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		send(desc, prometheus.GaugeValue, value, labels...)
	}
	for _, h := range view.Healths() {
		gauge(clustersDesc, float64(s.Counts.Clusters.Of(h)), h.String())
		gauge(appsDesc, float64(s.Counts.Apps.Of(h)), h.String())
		gauge(cellsDesc, float64(s.Counts.Cells.Of(h)), h.String())
	}
	gauge(connectedDesc, float64(s.Counts.Connected))
	gauge(unmanagedDesc, float64(len(s.Unmanaged)))
	gauge(behindDesc, float64(s.Counts.Behind))
	lag := 0.0
	if since := s.Counts.BehindSince; !since.IsZero() {
		lag = max(now.Sub(since).Seconds(), 0)
	}
	gauge(lagDesc, lag)
	var accepted, latest string
	var problems int
	if s.Accepted != nil {
		accepted = s.Accepted.Revision
	}
	if s.Latest != nil {
		latest, problems = s.Latest.Revision, len(s.Latest.Problems)
	}
	gauge(revisionDesc, 1, accepted, latest)
	gauge(refusedDesc, oneIf(s.Latest != nil && !s.Latest.Accepted))
	gauge(problemsDesc, float64(problems))
	deletions := 0
	if s.Hold != nil {
		deletions = s.Hold.Deleted
	}
	gauge(heldDesc, oneIf(s.Hold != nil))
	gauge(heldDeletesDesc, float64(deletions))
	gauge(repositoryUpDesc, oneIf(s.Repository.Error == "" && !s.Repository.Fetched.IsZero()))
	if !s.Repository.Fetched.IsZero() {
		gauge(fetchedDesc, float64(s.Repository.Fetched.UnixMilli())/1000)
	}
	received := c.dashboard.Board.Received()
	count(reportsDesc, float64(received.Reports))
	count(heartbeatsDesc, float64(received.Heartbeats))
	sendClusters(s, now, c.dashboard.Series, gauge, count)
	sendApps(s, c.dashboard.Series, gauge)
	gauge(viewersDesc, float64(c.dashboard.viewers.Load()))
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
