package dashboard

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/navarch/navarch/hub/view"
)

// Config is what a dashboard needs. Only Board has no default.
type Config struct {
	Board *view.Board
	// Release is a person's go for a held commit. It returns why not, for that person
	// to read. Default: there is never anything to release.
	Release func(ctx context.Context, revision string) error
	Ready   func() error         // why the hub is not ready; default: it is
	Version string               // of the hub
	Metrics *prometheus.Registry // where the fleet's metrics are added; default: a registry with those of the process
	// Series is how many clusters, and how many apps, have metrics of their own; the
	// others are summed up as "_other". Default DefaultSeries.
	Series int
	Now    func() time.Time // default time.Now
}

// dashboard is a Config with its defaults, and what the handlers share.
type dashboard struct {
	Config
	pages   map[string]*template.Template
	assets  assets
	viewers atomic.Int64 // pages that follow live
}

// New returns the handler of all pages, of the API below /api/v1/, of /events,
// /metrics, /healthz and /readyz.
func New(c Config) http.Handler {
	if c.Release == nil {
		c.Release = func(_ context.Context, revision string) error {
			return fmt.Errorf("revision %q is not held", revision)
		}
	}
	if c.Ready == nil {
		c.Ready = func() error { return nil }
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
		c.Metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	if c.Series <= 0 {
		c.Series = DefaultSeries
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	d := &dashboard{Config: c, assets: loadAssets()}
	d.pages = parsePages(d.assets)
	c.Metrics.MustRegister(&collector{dashboard: d})

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", d.serveOverview)
	mux.HandleFunc("GET /clusters/{name}", d.serveCluster)
	mux.HandleFunc("GET /apps/{name}", d.serveApp)
	mux.HandleFunc("GET /events", d.serveEvents)
	mux.HandleFunc("GET /assets/{name}", d.assets.serve)
	mux.HandleFunc("GET /api/v1/fleet", d.serveFleetJSON)
	mux.HandleFunc("GET /api/v1/clusters", d.serveClustersJSON)
	mux.HandleFunc("GET /api/v1/clusters/{name}", d.serveClusterJSON)
	mux.HandleFunc("GET /api/v1/apps", d.serveAppsJSON)
	mux.HandleFunc("GET /api/v1/apps/{name}", d.serveAppJSON)
	mux.HandleFunc("POST /api/v1/release", d.serveRelease)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", d.serveReady)
	mux.Handle("GET /metrics", promhttp.HandlerFor(c.Metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /", d.serveNotFound)
	return secure(http.NewCrossOriginProtection().Handler(mux))
}

// secure sets the headers that keep a browser from doing anything for others.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
			"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

func (d *dashboard) serveReady(w http.ResponseWriter, _ *http.Request) {
	if err := d.Ready(); err != nil {
		answer(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, http.StatusOK, "ready")
}

// answer writes one line of text.
func answer(w http.ResponseWriter, status int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, line) //nolint:gosec // plain text, and nosniff keeps it that
}

// render writes a page whole, or says that it could not be made.
func (d *dashboard) render(w http.ResponseWriter, status int, name string, page any) {
	var b bytes.Buffer
	if err := d.pages[name].ExecuteTemplate(&b, "layout.html", page); err != nil {
		answer(w, http.StatusInternalServerError, "the page cannot be shown: "+err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w) // the viewer is gone
}
