package dashboard

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/view"
	"github.com/navarch/navarch/wire"
)

// scraped is what Prometheus reads of a fleet that has so many series of its own. The
// registry of metrics is checked to be consistent.
func scraped(t *testing.T, board *view.Board, series int) string {
	t.Helper()
	w := get(t, metricsOf(board, prometheus.NewPedanticRegistry(), series), "/metrics")
	if w.Code != http.StatusOK {
		t.Fatalf("%d\n%s", w.Code, w.Body)
	}
	return w.Body.String()
}

func metricsOf(board *view.Board, registry *prometheus.Registry, series int) http.Handler {
	return as(operator, Config{Board: board, Metrics: registry, Series: series, Now: func() time.Time { return noon }})
}

// TestMetrics compares what is scraped of some stories with testdata.
func TestMetrics(t *testing.T) {
	for name, series := range map[string]int{"failing": 1000, "silent": 1000, "strange": 2, "hold": 1} {
		t.Run(name, func(t *testing.T) {
			golden, got := filepath.Join("testdata", name+".metrics"), scraped(t, stories[name](), series)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestMetricsAreBounded: ten thousand clusters have no more series than are allowed,
// and those that have none of their own are not lost.
func TestMetricsAreBounded(t *testing.T) {
	few, many := scraped(t, largeStory(), 3), scraped(t, largeStory(), 10)
	perCluster := regexp.MustCompile(`(?m)^navarch_cluster_\w+\{.*cluster="_other".*$`)
	if n := len(perCluster.FindAllString(few, -1)); n == 0 || n != len(perCluster.FindAllString(many, -1)) {
		t.Errorf("%d series of the other clusters", n)
	}
	if n := strings.Count(few, "\n"); n > 500 {
		t.Errorf("%d lines for three clusters by name", n)
	}
	sum := func(text string) (sum float64) {
		for _, match := range regexp.MustCompile(`(?m)^navarch_cluster_pods\{.*\} (\S+)$`).FindAllStringSubmatch(text, -1) {
			var n float64
			if _, err := fmt.Sscan(match[1], &n); err != nil {
				t.Fatal(err)
			}
			sum += n
		}
		return sum
	}
	if a, b := sum(few), sum(many); a != b || a < 10_000 {
		t.Errorf("%v pods with three clusters by name, %v with ten", a, b)
	}
}

// TestAgentsCannotMakeSeries: however many names and phases an agent makes up, there
// are no more series, and what it says is cut.
func TestAgentsCannotMakeSeries(t *testing.T) {
	board := small().board()
	before := strings.Count(scraped(t, board, 1000), "\n")
	h := wire.Heartbeat{Version: 1, Cluster: "eu-1", Agent: strings.Repeat("é", 5000), Facts: wire.Facts{
		Pods: map[string]int{}, Capacity: map[string]string{"cpu": "many", "memory": "1Gi", "pods": "-1"},
	}}
	for i := range 200 {
		h.Facts.Pods[fmt.Sprint("phase-", i)] = 1
		h.Facts.Capacity[fmt.Sprint("resource-", i)] = "1"
		board.Report(wire.Report{Version: 1, Cluster: "eu-1", App: fleet.AppName(fmt.Sprint("made-up-", i))}, noon)
	}
	board.Heartbeat(h, noon)
	after := scraped(t, board, 1000)
	if n := strings.Count(after, "\n"); n > before+10 {
		t.Errorf("%d lines of metrics before, %d after", before, n)
	}
	for _, want := range []string{
		`navarch_cluster_pods{cluster="eu-1",phase="Unknown"} 200`,
		`navarch_cluster_agent_info{cluster="eu-1",kubernetes="",version="` + strings.Repeat("é", longestLabel) + `"} 1`,
		`navarch_app_clusters{app="_other",health="Held"} 200`,
	} {
		if !strings.Contains(after, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
}

// TestMetricsAreWellNamed asks Prometheus' own linter, and whether the documentation
// names every metric and no other.
func TestMetricsAreWellNamed(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	d := New(Config{Board: failingStory(), Metrics: registry, Now: func() time.Time { return noon }})
	registry.MustRegister(&collector{dashboard: d, rights: operator.Rights})
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, family := range families {
		has[family.GetName()] = true
		if !strings.Contains(string(page), "`"+family.GetName()+"`") {
			t.Errorf("docs/operations.md does not say what %s is", family.GetName())
		}
	}
	_, section, _ := strings.Cut(string(page), "| metric of the fleet")
	section, _, _ = strings.Cut(section, "\n\n")
	for _, name := range regexp.MustCompile("`(navarch_[a-z_]+)`").FindAllStringSubmatch(section, -1) {
		if !has[name[1]] {
			t.Errorf("docs/operations.md speaks of %s, which the fleet does not have", name[1])
		}
	}
}

// BenchmarkMetrics is one scrape of 10,000 clusters, a thousand of them by name.
func BenchmarkMetrics(b *testing.B) {
	handler := metricsOf(largeStory(), prometheus.NewRegistry(), DefaultSeries)
	for b.Loop() {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil))
	}
}
