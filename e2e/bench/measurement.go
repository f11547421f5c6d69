package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// measurement is what one scenario gave. Its JSON form is one line of the output.
type measurement struct {
	Scenario string  `json:"scenario"`
	N        int     `json:"n"` // how often it was measured
	P50      float64 `json:"p50_ms"`
	P95      float64 `json:"p95_ms"`
	Floor    float64 `json:"floor_ms"` // median
	Ratio    float64 `json:"ratio_to_floor"`
	HubCPU   float64 `json:"hub_cpu_s"`
	AgentCPU float64 `json:"agent_cpu_s"` // of all agents
	APICPU   float64 `json:"apiserver_cpu_s"`
	HubRSS   float64 `json:"hub_rss_mib"`   // peak so far
	AgentRSS float64 `json:"agent_rss_mib"` // peak of the largest so far
	Writes   int     `json:"api_writes"`    // by all agents
	Reads    int     `json:"api_reads"`     // by all agents, the beginnings of watches among them
}

func (m *measurement) times(took, floor []time.Duration) {
	m.N = len(took)
	m.P50, m.P95, m.Floor = percentile(took, 50), percentile(took, 95), percentile(floor, 50)
	if m.Floor > 0 {
		m.Ratio = m.P50 / m.Floor
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
	return fmt.Sprintf("%-24s n=%d p50 %.0f ms p95 %.0f ms floor %.0f ms", m.Scenario, m.N, m.P50, m.P95, m.Floor)
}

func table(results []measurement) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "scenario\tn\tp50 ms\tp95 ms\tfloor ms\tratio\thub CPU s\tagents CPU s\tAPI servers CPU s\thub MiB\tagent MiB\twrites\treads\t")
	for _, m := range results {
		_, _ = fmt.Fprintf(w, "%s\t%d\t%.0f\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t%.0f\t%.0f\t%d\t%d\t\n", m.Scenario, m.N, m.P50, m.P95, m.Floor, m.Ratio,
			m.HubCPU, m.AgentCPU, m.APICPU, m.HubRSS, m.AgentRSS, m.Writes, m.Reads)
	}
	_ = w.Flush() // a strings.Builder takes everything, here and above
	return b.String()
}
