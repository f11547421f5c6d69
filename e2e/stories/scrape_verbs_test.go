package stories

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// scrapeVerbs look at a fleet as Prometheus and Grafana do.
var scrapeVerbs = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"prometheus": plain(prometheus),
	"query":      plain(query),
	"grafana":    plain(grafana),
}

// prometheus starts a Prometheus and waits until it has scraped the hub and every agent.
func prometheus(ctx context.Context, _ *testscript.TestScript, s *story, _ []string) error {
	return s.StartPrometheus(ctx)
}

// query EXPRESSION VALUE waits until an expression has one value.
func query(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	return until(ctx, func() error {
		samples, err := s.Prometheus.Query(ctx, args[0])
		if err == nil && (len(samples) != 1 || samples[0].Value != args[1]) {
			err = fmt.Errorf("%s is %v, want %s", args[0], samples, args[1])
		}
		return err
	})
}

// panel is what a dashboard of Grafana shows in one place.
type panel struct {
	Title   string
	Targets []struct{ Expr string }
	Panels  []panel // of a row that is folded
}

// grafana FILE waits until every query of a dashboard in manifests/grafana has data,
// and every metric that it names.
func grafana(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	content, err := os.ReadFile(filepath.Join("..", "..", "manifests", "grafana", args[0]))
	if err != nil {
		return err
	}
	var dashboard panel
	if err := json.Unmarshal(content, &dashboard); err != nil {
		return fmt.Errorf("read %s: %w", args[0], err)
	}
	asked := 0
	err = s.ask(ctx, dashboard, &asked)
	if err == nil && asked == 0 {
		err = errors.New("the dashboard asks for nothing")
	}
	return err
}

// inGrafana gives Grafana's variables the values that it would.
var inGrafana = strings.NewReplacer("$__rate_interval", "2m", "$cluster", ".*")

func (s *story) ask(ctx context.Context, p panel, asked *int) error {
	for _, inner := range p.Panels {
		if err := s.ask(ctx, inner, asked); err != nil {
			return err
		}
	}
	for _, target := range p.Targets {
		*asked++
		expression := inGrafana.Replace(target.Expr)
		names, err := s.Prometheus.Metrics(ctx, expression)
		if err == nil && len(names) == 0 {
			err = fmt.Errorf("%s names no metric", expression)
		}
		if err != nil {
			return fmt.Errorf("panel %q: %w", p.Title, err)
		}
		for _, wanted := range append(names, expression) {
			if err := until(ctx, func() error { return s.hasData(ctx, wanted) }); err != nil {
				return fmt.Errorf("panel %q: %w", p.Title, err)
			}
		}
	}
	return nil
}

// hasData returns nil when an expression has a value.
func (s *story) hasData(ctx context.Context, expression string) error {
	samples, err := s.Prometheus.Query(ctx, expression)
	if err != nil {
		return err
	}
	for _, sample := range samples {
		if sample.Value != "NaN" {
			return nil
		}
	}
	return fmt.Errorf("%s has no data: %v", expression, samples)
}
