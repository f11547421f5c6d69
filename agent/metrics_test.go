package agent

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/navarch/navarch/agent/observe"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// working is a state of an agent that leads, follows no kind yet and is not connected.
func working() (*metrics, *state) {
	m, s := newMetrics(), &state{}
	m.registry.MustRegister(s)
	s.leading.Store(true)
	s.watcher.Store(&observe.Watcher{})
	s.reports.Store(newReporter(nil, slog.New(slog.DiscardHandler)))
	return m, s
}

// TestMetrics: apps are counted by their state, removed ones not; work while it is
// done, and afterwards how long it took.
func TestMetrics(t *testing.T) {
	m, s := working()
	for app, r := range map[string]wire.Report{
		"a": {Conditions: []wire.Condition{{Type: wire.Ready, Status: "True"}}},
		"b": {Conditions: []wire.Condition{{Type: wire.Ready, Status: "False"}, {Type: wire.Stalled, Status: "True"}}},
		"c": {Conditions: []wire.Condition{{Type: wire.Ready, Status: "False"}, {Type: wire.Reconciling, Status: "True"}}},
		"d": {Held: true, Conditions: []wire.Condition{{Type: wire.Ready, Status: "False"}}},
		"e": {Removed: true},
		"f": {},
	} {
		r.App = fleet.AppName(app)
		s.reports.Load().tell(r)
	}
	end := m.work(mends)
	const want = `
# HELP navarch_agent_apps Apps, by how they do: ready, progressing, failed or held.
# TYPE navarch_agent_apps gauge
navarch_agent_apps{state="failed"} 1
navarch_agent_apps{state="held"} 1
navarch_agent_apps{state="progressing"} 2
navarch_agent_apps{state="ready"} 1
# HELP navarch_agent_connected 1 while the agent is connected to its hub.
# TYPE navarch_agent_connected gauge
navarch_agent_connected 0
# HELP navarch_agent_leading 1 while this agent works for its cluster, 0 while it stands by.
# TYPE navarch_agent_leading gauge
navarch_agent_leading 1
# HELP navarch_agent_reports_unsent Apps of which the hub does not have the last word.
# TYPE navarch_agent_reports_unsent gauge
navarch_agent_reports_unsent 6
# HELP navarch_agent_watched_kinds Kinds of objects that are watched because apps have some.
# TYPE navarch_agent_watched_kinds gauge
navarch_agent_watched_kinds 0
# HELP navarch_agent_work Apps that are worked on now, those that wait for a dependency among them, by what is done: apply, repair, look or remove.
# TYPE navarch_agent_work gauge
navarch_agent_work{work="apply"} 0
navarch_agent_work{work="look"} 0
navarch_agent_work{work="remove"} 0
navarch_agent_work{work="repair"} 1
`
	names := []string{"navarch_agent_apps", "navarch_agent_connected", "navarch_agent_leading", "navarch_agent_reports_unsent", "navarch_agent_watched_kinds", "navarch_agent_work"}
	if err := testutil.GatherAndCompare(m.registry, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	end()
	if now := testutil.ToFloat64(m.working.WithLabelValues("repair")); now != 0 {
		t.Errorf("%v are worked on after the end", now)
	}
	s.leading.Store(false)
	if n, err := testutil.GatherAndCount(m.registry, "navarch_agent_apps"); n != 0 || err != nil {
		t.Errorf("who stands by counts apps of %d states, error %v", n, err)
	}
}

// TestCost: heartbeats say what the metrics do.
func TestCost(t *testing.T) {
	m := newMetrics()
	m.applied(5, nil)
	m.applied(2, errors.New("refused"))
	m.repaired(3)
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	client := &http.Client{Transport: m.count(http.DefaultTransport)}
	for _, method := range []string{http.MethodGet, http.MethodGet, http.MethodDelete} {
		request, err := http.NewRequestWithContext(t.Context(), method, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close() // it is empty
	}
	got := m.cost()
	if got.CPUSeconds <= 0 || got.ResidentBytes < 1<<20 {
		t.Errorf("this process took %+v", got)
	}
	got.CPUSeconds, got.ResidentBytes = 0, 0
	if want := (wire.Cost{Requests: 3, Applied: 7, Repaired: 3, Failures: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestMetricsAreWellNamed asks Prometheus' own linter, and whether the documentation
// names every metric.
func TestMetricsAreWellNamed(t *testing.T) {
	m, _ := working()
	m.requests.WithLabelValues("GET", "200").Inc()
	gatherer := prometheus.Gatherers{m.told, m.registry}
	problems, err := testutil.GatherAndLint(gatherer)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "navarch_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	families, err := gatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, family := range families {
		has[family.GetName()] = true
		if name := family.GetName(); strings.HasPrefix(name, "navarch_") && !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/operations.md does not say what %s is", name)
		}
	}
	for _, name := range regexp.MustCompile("`(navarch_agent_[a-z_]+)`").FindAllStringSubmatch(string(page), -1) {
		if !has[name[1]] {
			t.Errorf("docs/operations.md speaks of %s, which the agent does not have", name[1])
		}
	}
}
