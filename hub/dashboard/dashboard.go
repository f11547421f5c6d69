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

	"github.com/navarch/navarch/hub/access"
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
	Metrics *prometheus.Registry // the hub's own, which stand beside those of the fleet; default: those of the process
	// Series is how many clusters, and how many apps, have metrics of their own; the
	// others are summed up as "_other". Default DefaultSeries.
	Series int
	Now    func() time.Time // default time.Now
	People People
}

// Dashboard is a Config with its defaults, and what the handlers share.
type Dashboard struct {
	Config
	pages   map[string]*template.Template
	assets  assets
	viewers atomic.Int64 // pages that follow live
}

// New returns a dashboard.
func New(c Config) *Dashboard {
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
	c.People = c.People.withDefaults()
	d := &Dashboard{Config: c, assets: loadAssets()}
	d.pages = parsePages(d.assets)
	return d
}

// Routes are all pages, the API below /api/v1/, /events, /metrics, /healthz and
// /readyz. Handlers read who asks from the context, and show nothing to nobody.
func (d *Dashboard) Routes() []access.Route {
	healthz := func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") }
	return []access.Route{
		{Pattern: "GET /{$}", Need: access.Viewers, Handler: d.serveOverview},
		{Pattern: "GET /clusters/{name}", Need: access.Viewers, Handler: d.serveCluster},
		{Pattern: "GET /apps/{name}", Need: access.Viewers, Handler: d.serveApp},
		{Pattern: "GET /events", Need: access.Viewers, Handler: d.serveEvents},
		{Pattern: "GET /assets/{name}", Need: access.Anyone, Handler: d.assets.serve},
		{Pattern: "GET /api/v1/fleet", Need: access.Viewers, Handler: d.serveFleetJSON},
		{Pattern: "GET /api/v1/clusters", Need: access.Viewers, Handler: d.serveClustersJSON},
		{Pattern: "GET /api/v1/clusters/{name}", Need: access.Viewers, Handler: d.serveClusterJSON},
		{Pattern: "GET /api/v1/apps", Need: access.Viewers, Handler: d.serveAppsJSON},
		{Pattern: "GET /api/v1/apps/{name}", Need: access.Viewers, Handler: d.serveAppJSON},
		{Pattern: "POST /api/v1/release", Need: access.Operators, Handler: d.serveRelease},
		{Pattern: "GET /healthz", Need: access.Anyone, Handler: healthz},
		{Pattern: "GET /readyz", Need: access.Anyone, Handler: d.serveReady},
		{Pattern: "GET /metrics", Need: access.Viewers, Handler: d.serveMetrics},
		{Pattern: "GET /sign-in", Need: access.Anyone, Handler: d.serveSignIn},
		{Pattern: "GET /add-cluster", Need: access.Admins, Handler: d.serveAdd},
		{Pattern: "POST /add-cluster", Need: access.Admins, Handler: d.serveInvite},
		{Pattern: "GET /joining/{name}", Need: access.Admins, Handler: d.serveJoining},
		{Pattern: "GET /members", Need: access.Admins, Handler: d.serveMembers},
		{Pattern: "POST /members", Need: access.Admins, Handler: d.serveTell},
		{Pattern: "GET /audit", Need: access.Admins, Handler: d.serveAudit},
		{Pattern: "/", Need: access.Viewers, Handler: d.serveNotFound},
	}
}

// Secure sets the headers that keep a browser from doing anything for others.
func Secure(next http.Handler) http.Handler {
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

func (d *Dashboard) serveReady(w http.ResponseWriter, _ *http.Request) {
	if err := d.Ready(); err != nil {
		answer(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, http.StatusOK, "ready")
}

// snapshot is what somebody sees of the fleet now.
func (d *Dashboard) snapshot(r *http.Request) *view.Snapshot {
	return d.Board.Snapshot(d.Now()).Narrow(access.Of(r.Context()).Rights)
}

func (d *Dashboard) serveMetrics(w http.ResponseWriter, r *http.Request) {
	fleet := prometheus.NewRegistry()
	fleet.MustRegister(&collector{dashboard: d, rights: access.Of(r.Context()).Rights})
	promhttp.HandlerFor(prometheus.Gatherers{d.Metrics, fleet}, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// answer writes one line of text.
func answer(w http.ResponseWriter, status int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, line) //nolint:gosec // plain text, and nosniff keeps it that
}

// render writes a page whole, or says that it could not be made.
func (d *Dashboard) render(w http.ResponseWriter, status int, name string, page any) {
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
