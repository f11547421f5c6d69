package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// measurement is what one scenario gave. Its JSON form is one line of the output.
type measurement struct {
	Scenario string         `json:"scenario"`
	N        int            `json:"n"` // how often it was measured
	P50      float64        `json:"p50_ms"`
	P95      float64        `json:"p95_ms"`
	Floor    float64        `json:"floor_ms"` // median
	Ratio    float64        `json:"ratio_to_floor"`
	HubCPU   float64        `json:"hub_cpu_s"`
	AgentCPU float64        `json:"agent_cpu_s"`     // of all agents; of a rival, its own
	APICPU   float64        `json:"apiserver_cpu_s"` // of all API servers, that for the floor left out
	FloorAPI float64        `json:"floor_apiserver_cpu_s"`
	HubNow   float64        `json:"hub_rss_mib"`
	HubPeak  float64        `json:"hub_peak_mib"`  // so far
	AgentNow float64        `json:"agent_rss_mib"` // of the largest
	Agent    float64        `json:"agent_peak_mib"`
	Share    float64        `json:"agent_core_percent"` // of the busiest agent, where nothing happens
	Writes   int            `json:"api_writes"`         // by all agents, or by the rival; not to Leases
	Reads    int            `json:"api_reads"`          // the same; without watches
	DryRuns  int            `json:"api_dry_runs"`       // of the reads
	Asked    map[string]int `json:"asked,omitempty"`    // by all agents
	still    bool           // nothing should have been asked
}

func (m *measurement) times(took, floor []time.Duration) {
	m.N = len(took)
	m.P50, m.P95, m.Floor = percentile(took, 50), percentile(took, 95), percentile(floor, 50)
	if m.Floor > 0 {
		m.Ratio = m.P50 / m.Floor
	}
}

// cost sets what was spent from one reading of the meter to another.
func (m *measurement) cost(before, after costs) {
	m.HubCPU, m.AgentCPU, m.APICPU = after.hub.cpu-before.hub.cpu, after.agents.cpu-before.agents.cpu, after.api-before.api
	m.HubNow, m.HubPeak, m.AgentNow, m.Agent = after.hub.resident, after.hub.peak, after.agents.resident, after.agents.peak
	m.Writes, m.Reads = count(after.writes)-count(before.writes), count(after.reads)-count(before.reads)
	m.Asked = map[string]int{}
	for _, asked := range []struct{ before, after map[string]int }{{before.writes, after.writes}, {before.reads, after.reads}} {
		for what, times := range asked.after {
			if more := times - asked.before[what]; more > 0 {
				m.Asked[what] = more
			}
		}
	}
}

// percentile is the smallest value that p percent of all are not above, in
// milliseconds; zero where there are none.
func percentile(all []time.Duration, p int) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	at := (len(sorted)*p + 99) / 100
	return float64(sorted[max(at, 1)-1].Microseconds()) / 1000
}

func (m measurement) summary() string {
	return fmt.Sprintf("%-40s n=%d p50 %.0f ms p95 %.0f ms floor %.0f ms writes %d reads %d", m.Scenario, m.N, m.P50, m.P95, m.Floor, m.Writes, m.Reads)
}

func table(results []measurement) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "scenario\tn\tp50 ms\tp95 ms\tfloor ms\tratio\thub CPU s\tagents CPU s\tAPI servers CPU s\tfor the floor\thub MiB\tpeak\tagent MiB\tpeak\t% of a core\twrites\treads\tdry runs\t")
	for _, m := range results {
		_, _ = fmt.Fprintf(w, "%s\t%d\t%.0f\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.0f\t%.0f\t%.0f\t%.0f\t%.3f\t%d\t%d\t%d\t\n", m.Scenario, m.N, m.P50, m.P95, m.Floor, m.Ratio,
			m.HubCPU, m.AgentCPU, m.APICPU, m.FloorAPI, m.HubNow, m.HubPeak, m.AgentNow, m.Agent, m.Share, m.Writes, m.Reads, m.DryRuns)
	}
	_ = w.Flush() // a strings.Builder takes everything, here and above
	for _, m := range results {
		if !m.still {
			continue
		}
		for _, what := range slices.Sorted(maps.Keys(m.Asked)) {
			fmt.Fprintf(&b, "%s: %s, %d times\n", m.Scenario, what, m.Asked[what])
		}
	}
	return b.String()
}
