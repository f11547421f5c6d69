package agent

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/navarch/navarch/wire"
)

var (
	leadingDesc   = prometheus.NewDesc("navarch_agent_leading", "1 while this agent works for its cluster, 0 while it stands by.", nil, nil)
	connectedDesc = prometheus.NewDesc("navarch_agent_connected", "1 while the agent is connected to its hub.", nil, nil)
	appsDesc      = prometheus.NewDesc("navarch_agent_apps", "Apps, by how they do: ready, progressing, failed or held.", []string{"state"}, nil)
	unsentDesc    = prometheus.NewDesc("navarch_agent_reports_unsent", "Apps of which the hub does not have the last word.", nil, nil)
	kindsDesc     = prometheus.NewDesc("navarch_agent_watched_kinds", "Kinds of objects that are watched because apps have some.", nil, nil)
)

// Describe sends what Collect may send.
func (s *state) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{leadingDesc, connectedDesc, appsDesc, unsentDesc, kindsDesc} {
		descriptions <- d
	}
}

// Collect sends how the agent does now. One that stands by has no apps.
func (s *state) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value int, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), labels...)
	}
	leading := s.leading.Load()
	conn, reports, watcher := s.conn.Load(), s.reports.Load(), s.watcher.Load()
	gauge(leadingDesc, oneIf(leading))
	gauge(connectedDesc, oneIf(leading && conn != nil && conn.Connected()))
	if !leading || reports == nil || watcher == nil {
		return
	}
	states, unsent := reports.count()
	for _, state := range appStates {
		gauge(appsDesc, states[state], state)
	}
	gauge(unsentDesc, unsent)
	gauge(kindsDesc, watcher.Kinds())
}

func oneIf(is bool) int {
	if is {
		return 1
	}
	return 0
}

// The states of apps.
const (
	appReady       = "ready"
	appProgressing = "progressing"
	appFailed      = "failed"
	appHeld        = "held"
)

var appStates = []string{appReady, appProgressing, appFailed, appHeld}

// stateOf says in one word what a report says of its app.
func stateOf(r wire.Report) string {
	if r.Held {
		return appHeld
	}
	for _, c := range r.Conditions {
		if c.Type == wire.Ready && c.Status == "True" {
			return appReady
		}
		if c.Type == wire.Stalled && c.Status == "True" {
			return appFailed
		}
	}
	return appProgressing
}

// count counts the apps of this cluster by their state, and those of which the last
// word was not sent.
func (p *reporter) count() (states map[string]int, unsent int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	states = map[string]int{}
	for _, r := range p.last {
		if !r.Removed {
			states[stateOf(r)]++
		}
	}
	return states, len(p.unsent)
}
