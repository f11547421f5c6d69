package hub

import (
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestMetricsAreWellNamed asks Prometheus' own linter, and whether the documentation
// names every metric.
func TestMetricsAreWellNamed(t *testing.T) {
	m := newMetrics()
	m.commit(true, 0)
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "navarch_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if name := family.GetName(); strings.HasPrefix(name, "navarch_") && !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/operations.md does not say what %s is", name)
		}
	}
}
