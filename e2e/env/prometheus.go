package env

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Prometheus is a stock Prometheus that scrapes a hub and its agents every second.
type Prometheus struct {
	*Program
	URL string
}

// StartPrometheus starts a Prometheus with its state below dir, and waits until it has
// scraped the hub and every agent.
func (f *Fleet) StartPrometheus(ctx context.Context) error {
	dir := filepath.Join(f.dir, "prometheus")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var agents []string
	for _, member := range f.Members {
		agents = append(agents, f.Agents[member.Name].Listen)
	}
	config := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs:\n- {job_name: hub, static_configs: [{targets: [%q]}]}\n- {job_name: agents, static_configs: [{targets: [%s]}]}\n",
		strings.TrimPrefix(f.Hub.URL, "http://"), strings.Join(agents, ", "))
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	listen := fmt.Sprintf("127.0.0.1:%d", port)
	program, err := start(dir, "prometheus", f.Hub.tools.Prometheus,
		"--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+listen, "--log.level=warn")
	if err != nil {
		return err
	}
	f.Prometheus = &Prometheus{Program: program, URL: "http://" + listen}
	return until(ctx, func() error {
		up, err := f.Prometheus.Query(ctx, "up == 1")
		if err == nil && len(up) < 1+len(agents) {
			err = fmt.Errorf("%d of %d programs are scraped:\n%s", len(up), 1+len(agents), program.Tail(5))
		}
		return err
	})
}

// Sample is one series of an answer, with its value as Prometheus writes it.
type Sample struct {
	Metric map[string]string
	Value  string
}

// Query evaluates an expression now. What Prometheus warns of is an error.
func (p *Prometheus) Query(ctx context.Context, expression string) ([]Sample, error) {
	var answer struct {
		Warnings, Infos []string
		Data            struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := p.ask(ctx, "query", expression, &answer); err != nil {
		return nil, err
	}
	if notes := slices.Concat(answer.Warnings, answer.Infos); len(notes) > 0 {
		return nil, fmt.Errorf("query %q: %s", expression, strings.Join(notes, "; "))
	}
	var samples []Sample
	for _, r := range answer.Data.Result {
		samples = append(samples, Sample{Metric: r.Metric, Value: fmt.Sprint(r.Value[1])})
	}
	return samples, nil
}

// Metrics returns the names of the metrics in an expression, as Prometheus parses it.
func (p *Prometheus) Metrics(ctx context.Context, expression string) ([]string, error) {
	var answer struct{ Data any }
	if err := p.ask(ctx, "parse_query", expression, &answer); err != nil {
		return nil, err
	}
	return selected(answer.Data), nil
}

// selected returns the names of the metrics in a part of a parsed expression.
func selected(node any) []string {
	var names []string
	switch n := node.(type) {
	case map[string]any:
		if name, ok := n["name"].(string); ok && (n["type"] == "vectorSelector" || n["type"] == "matrixSelector") {
			names = append(names, name)
		}
		for _, child := range n {
			names = append(names, selected(child)...)
		}
	case []any:
		for _, child := range n {
			names = append(names, selected(child)...)
		}
	}
	return names
}

func (p *Prometheus) ask(ctx context.Context, what, expression string, into any) error {
	address := p.URL + "/api/v1/" + what + "?" + url.Values{"query": {expression}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %q: %s: %s", what, expression, response.Status, body)
	}
	return json.Unmarshal(body, into)
}
