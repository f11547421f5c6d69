package gate

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/navarch/navarch/hub/access"
)

// Config is what a gate needs to know. Keys, Journal, Log and Refuse have no default.
type Config struct {
	Settings Settings
	// Open lets in whoever is on the hub's machine, as an operator. It is for a hub
	// that listens there only and has no access file.
	Open bool
	// Keys returns those that an access token which is shown now may be signed with. It
	// is asked each time, because keys are exchanged while the hub runs.
	Keys    func(now time.Time) []ed25519.PublicKey
	Journal *Journal
	// Refuse tells a person at a browser why there is no page.
	Refuse func(w http.ResponseWriter, r *http.Request, status int, title, message string)
	Log    *slog.Logger
	Now    func() time.Time // default time.Now
}

// Gate stands before handlers. It is for any number of goroutines.
type Gate struct {
	config   Config
	settings Settings
	sessions *sessions
	provider *issuer // nil: none
	failures *rate.Limiter
}

// How often all together may show a token of an identity provider that is no good: to
// look at one may ask the provider for its keys.
const (
	failuresEvery = rate.Limit(5) // times a second
	failuresBurst = 50
)

// localName is who is on the hub's machine.
const localName = "local"

// New returns a gate. It does not ask the identity provider anything yet: the hub
// starts without it.
func New(c Config) (*Gate, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Settings.Session == 0 {
		c.Settings.Session = DefaultSession
	}
	g := &Gate{config: c, settings: c.Settings, sessions: newSessions(), failures: rate.NewLimiter(failuresEvery, failuresBurst)}
	if c.Settings.OIDC != nil {
		var err error
		if g.provider, err = newIssuer(*c.Settings.OIDC, c.Settings.URL.String()+callbackPath); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// Handler serves routes, each to those who may. It refuses to exist with a route that
// nobody decided about.
func (g *Gate) Handler(routes []access.Route) (http.Handler, error) {
	mux := http.NewServeMux()
	for _, route := range routes {
		if route.Need <= access.Undecided || route.Need > access.Admins {
			return nil, fmt.Errorf("route %q: nobody has decided who may use it", route.Pattern)
		}
		mux.Handle(route.Pattern, g.guard(route))
	}
	return http.NewCrossOriginProtection().Handler(mux), nil
}

// guard lets a request through to a route if who asks has the role somewhere.
func (g *Gate) guard(route access.Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if route.Need == access.Anyone {
			caller, _ := g.identifyBrowser(r)
			route.Handler(w, r.WithContext(access.With(r.Context(), caller)))
			return
		}
		caller, until, err := g.identify(r)
		switch {
		case errors.Is(err, errBusy):
			g.refuse(w, r, http.StatusTooManyRequests, "Too many requests", "too many tokens that are no good: try again in a second")
			return
		case err != nil, !caller.Known():
			g.ask(w, r, err)
			return
		case caller.Rights.Role() < route.Need.Role():
			g.refuse(w, r, http.StatusForbidden, "Not for you", fmt.Sprintf("this takes the role %s: %s", route.Need.Role(), said(caller)))
			return
		}
		ctx := access.With(r.Context(), caller)
		if !until.time.IsZero() { // a page that follows live ends with the session
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, until.time)
			defer cancel()
		}
		if until.ended != nil {
			var cancel context.CancelFunc
			ctx, cancel = context.WithCancel(ctx)
			defer context.AfterFunc(until.ended, cancel)()
			defer cancel()
		}
		w.Header().Add("Vary", "Cookie, Authorization")
		route.Handler(w, r.WithContext(ctx))
	})
}

func said(c access.Caller) string {
	return fmt.Sprintf("%q is %s", c.Name, c.Rights)
}

// end is when a request's right to go on ends.
type end struct {
	time  time.Time       // zero: never
	ended context.Context // nil: never
}

// errBusy is that too many showed what is no good.
var errBusy = errors.New("too many tokens that are no good")

// identify finds out who asks. Who shows something that is no good is nobody, and an
// error: never somebody else.
func (g *Gate) identify(r *http.Request) (access.Caller, end, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		caller, until := g.identifyBrowser(r)
		return caller, until, nil
	}
	from, via := origin(r)
	caller := access.Caller{From: from, Via: via}
	bearer, ok := cutBearer(header)
	if !ok {
		return caller, end{}, errors.New("want Authorization: Bearer and a token")
	}
	person, rights, until, err := g.bearer(r.Context(), bearer, g.config.Now())
	if err != nil {
		return caller, end{}, err
	}
	caller.Person, caller.Rights = person, rights
	return caller, end{time: until}, nil
}

// identifyBrowser finds out who asks by a session, or by being on the hub's machine.
func (g *Gate) identifyBrowser(r *http.Request) (access.Caller, end) {
	from, via := origin(r)
	nobody := access.Caller{From: from, Via: via}
	if r.Header.Get("Authorization") != "" {
		return nobody, end{}
	}
	if name := g.read(r, sessionCookie); name != "" {
		if s := g.sessions.find(name, g.config.Now()); s != nil {
			if g.trusts(s.key) {
				caller := s.caller
				caller.From, caller.Via = from, via
				return caller, end{time: s.until, ended: s.ended}
			}
			g.sessions.finish(name)
		}
	}
	if g.config.Open && local(r) {
		nobody.Person, nobody.Rights = access.Person{Name: localName, By: access.ByLoopback}, access.Grants(access.Operator, access.Scope{})
	}
	return nobody, end{}
}

func cutBearer(header string) (string, bool) {
	scheme, token, ok := strings.Cut(header, " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "Bearer")
}

// bearer finds out who shows a token, of this hub or of the identity provider.
func (g *Gate) bearer(ctx context.Context, text string, now time.Time) (access.Person, access.Rights, time.Time, error) {
	if access.IsToken(text) || g.provider == nil {
		h, err := g.openToken(text, now)
		return h.Person, h.rights, h.until, err
	}
	if g.failures.TokensAt(now) < 1 {
		return access.Person{}, access.Rights{}, time.Time{}, errBusy
	}
	person, until, err := g.provider.open(ctx, text)
	if err != nil {
		g.failures.AllowN(now, 1)
		g.config.Log.Debug("token of the identity provider refused", "err", err)
		return access.Person{}, access.Rights{}, time.Time{}, errors.New("the token is not one of the identity provider for this hub, or has expired")
	}
	return person, access.Decide(person, g.settings.Grants), until, nil
}

// ask answers who did not say who he is.
func (g *Gate) ask(w http.ResponseWriter, r *http.Request, why error) {
	if wantsPage(r) && why == nil {
		to := "/"
		if r.Method == http.MethodGet {
			to = r.URL.RequestURI()
		}
		http.Redirect(w, r, signInPage(to, ""), http.StatusSeeOther)
		return
	}
	message := "sign in: send an access token (make one with `navarch token access`) with --token-file or NAVARCH_TOKEN"
	if why != nil {
		message = why.Error()
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="navarch"`)
	refuseJSON(w, http.StatusUnauthorized, message)
}

func (g *Gate) refuse(w http.ResponseWriter, r *http.Request, status int, title, message string) {
	if wantsPage(r) {
		g.config.Refuse(w, r, status, title, message)
		return
	}
	refuseJSON(w, status, message)
}

func refuseJSON(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": message}) // who went away needs none
}

// wantsPage tells whether a person at a browser asks.
func wantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }
