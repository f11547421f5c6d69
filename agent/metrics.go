package agent

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the agent's own.
type metrics struct {
	registry *prometheus.Registry
	objects  prometheus.Counter
	repairs  prometheus.Counter
	failures prometheus.Counter
	requests *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		objects:  prometheus.NewCounter(prometheus.CounterOpts{Name: "navarch_agent_objects_applied_total", Help: "Objects applied because an app changed."}),
		repairs:  prometheus.NewCounter(prometheus.CounterOpts{Name: "navarch_agent_objects_repaired_total", Help: "Objects applied again because somebody changed or deleted them."}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "navarch_agent_apply_failures_total", Help: "Attempts at an app that did not succeed."}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "navarch_agent_api_requests_total", Help: "Requests to the cluster's API server."}, []string{"method", "code"}),
	}
	m.registry.MustRegister(m.objects, m.repairs, m.failures, m.requests,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) applied(objects int, err error) {
	m.objects.Add(float64(objects))
	if err != nil && !errors.Is(err, context.Canceled) {
		m.failures.Inc()
	}
}

func (m *metrics) repaired(objects int) { m.repairs.Add(float64(objects)) }

// count wraps a transport so that its requests are counted.
func (m *metrics) count(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(r)
		code := "error"
		if err == nil {
			code = strconv.Itoa(response.StatusCode)
		}
		m.requests.WithLabelValues(r.Method, code).Inc()
		return response, err
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// serve serves /metrics, /healthz and /readyz until ctx ends.
func (m *metrics) serve(ctx context.Context, listener net.Listener, ready func() error) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() }) // what was asked for does not matter any more
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return ctx.Err()
}
