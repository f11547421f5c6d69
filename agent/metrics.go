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

	"github.com/navarch/navarch/wire"
)

// metrics are the agent's own. Those in told are summed up in heartbeats too.
type metrics struct {
	told     *prometheus.Registry
	registry *prometheus.Registry // the others
	objects  prometheus.Counter
	repairs  prometheus.Counter
	failures prometheus.Counter
	requests *prometheus.CounterVec
	working  *prometheus.GaugeVec
	took     *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{
		told:     prometheus.NewRegistry(),
		registry: prometheus.NewRegistry(),
		objects:  prometheus.NewCounter(prometheus.CounterOpts{Name: appliedTotal, Help: "Objects applied because an app changed."}),
		repairs:  prometheus.NewCounter(prometheus.CounterOpts{Name: repairedTotal, Help: "Objects applied again because somebody changed or deleted them."}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: failuresTotal, Help: "Attempts at an app that did not succeed."}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: requestsTotal, Help: "Requests to the cluster's API server, beginnings of watches among them."}, []string{"method", "code"}),
		working:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "navarch_agent_work", Help: "Apps that are worked on now, those that wait for a dependency among them, by what is done: apply, repair, look or remove."}, []string{"work"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "navarch_agent_work_duration_seconds", Help: "How long one app was worked on, with its wait for dependencies, by what was done: apply, repair, look or remove.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"work"}),
	}
	for _, word := range workKinds {
		m.working.WithLabelValues(word)
		m.took.WithLabelValues(word)
	}
	m.told.MustRegister(m.objects, m.repairs, m.failures, m.requests, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(m.working, m.took, collectors.NewGoCollector())
	return m
}

// The metrics that heartbeats tell too.
const (
	appliedTotal  = "navarch_agent_objects_applied_total"
	repairedTotal = "navarch_agent_objects_repaired_total"
	failuresTotal = "navarch_agent_apply_failures_total"
	requestsTotal = "navarch_agent_api_requests_total"
	cpuTotal      = "process_cpu_seconds_total"     // of the process collector
	residentBytes = "process_resident_memory_bytes" // of the process collector
)

// cost sums up what the agent took and did so far.
func (m *metrics) cost() wire.Cost {
	families, _ := m.told.Gather() // what could not be had is not in it
	sums := make(map[string]float64, len(families))
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			sums[family.GetName()] += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	return wire.Cost{
		CPUSeconds: sums[cpuTotal], ResidentBytes: int64(sums[residentBytes]), Requests: uint64(sums[requestsTotal]),
		Applied: uint64(sums[appliedTotal]), Repaired: uint64(sums[repairedTotal]), Failures: uint64(sums[failuresTotal]),
	}
}

func (m *metrics) applied(objects int, err error) {
	m.objects.Add(float64(objects))
	if err != nil && !errors.Is(err, context.Canceled) {
		m.failures.Inc()
	}
}

func (m *metrics) repaired(objects int) { m.repairs.Add(float64(objects)) }

// work counts a piece of work while it is done. Call the function that it returns at
// the end.
func (m *metrics) work(kind workKind) (end func()) {
	began, word := time.Now(), workKinds[kind]
	working := m.working.WithLabelValues(word)
	working.Inc()
	return func() {
		working.Dec()
		m.took.WithLabelValues(word).Observe(time.Since(began).Seconds())
	}
}

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
	mux.Handle("GET /metrics", promhttp.HandlerFor(prometheus.Gatherers{m.told, m.registry}, promhttp.HandlerOpts{}))
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
