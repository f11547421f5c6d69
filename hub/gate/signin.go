package gate

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/navarch/navarch/hub/access"
)

// The addresses of signing in and out. The page with the form is the dashboard's.
const (
	signInPath   = "/sign-in"
	oidcPath     = "/sign-in/oidc"
	callbackPath = "/sign-in/callback"
	signOutPath  = "/sign-out"
)

// Why somebody is asked again. The page says it in words: an address can be written
// by anybody, so that it carries none.
const (
	WhyToken    = "token"    // it was no good
	WhyProvider = "provider" // the identity provider did not say who it is
	WhyRole     = "role"     // it is known who it is, and that one has no role here
	WhyOut      = "out"      // signed out
)

// Provider returns the name of the identity provider for people; empty: there is none.
func (g *Gate) Provider() string {
	if g.provider == nil {
		return ""
	}
	return g.provider.settings.Name
}

// Routes are those that sign people in and out.
func (g *Gate) Routes() []access.Route {
	routes := []access.Route{
		{Pattern: "POST " + signInPath, Need: access.Anyone, Handler: g.signIn},
		{Pattern: "POST " + signOutPath, Need: access.Anyone, Handler: g.signOut},
	}
	if g.provider != nil {
		routes = append(routes,
			access.Route{Pattern: "GET " + oidcPath, Need: access.Anyone, Handler: g.begin},
			access.Route{Pattern: "GET " + callbackPath, Need: access.Anyone, Handler: g.callback})
	}
	return routes
}

// signIn signs in who has an access token.
func (g *Gate) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	now := g.config.Now()
	to := r.PostFormValue("to")
	h, err := g.openToken(strings.TrimSpace(r.PostFormValue("token")), now)
	if err != nil {
		g.record(r, access.Person{By: access.ByToken}, access.SignIn, err)
		http.Redirect(w, r, signInPage(to, WhyToken), http.StatusSeeOther)
		return
	}
	g.enter(w, r, h, to)
}

// enter begins a session of who was found to be somebody with a role.
func (g *Gate) enter(w http.ResponseWriter, r *http.Request, h holder, to string) {
	now := g.config.Now()
	if most := now.Add(g.settings.Session); h.until.IsZero() || h.until.After(most) {
		h.until = most
	}
	if before := g.read(r, sessionCookie); before != "" {
		g.sessions.finish(before)
	}
	name := g.sessions.begin(h, now)
	http.SetCookie(w, g.cookie(r, sessionCookie, name, h.until.Sub(now)))
	g.record(r, h.Person, access.SignIn, nil)
	http.Redirect(w, r, within(to), http.StatusSeeOther)
}

func (g *Gate) signOut(w http.ResponseWriter, r *http.Request) {
	if name := g.read(r, sessionCookie); name != "" {
		if s := g.sessions.find(name, g.config.Now()); s != nil {
			g.record(r, s.caller.Person, access.SignOut, nil)
		}
		g.sessions.finish(name)
	}
	http.SetCookie(w, g.cookie(r, sessionCookie, "", 0))
	http.Redirect(w, r, signInPage("", WhyOut), http.StatusSeeOther)
}

// begin sends somebody to the identity provider.
func (g *Gate) begin(w http.ResponseWriter, r *http.Request) {
	p := newPending(within(r.URL.Query().Get("to")), g.config.Now())
	address, err := g.provider.begin(r.Context(), p)
	if err != nil {
		g.config.Log.Error("the identity provider does not answer", "issuer", g.provider.settings.Issuer, "err", err)
		http.Redirect(w, r, signInPage(p.To, WhyProvider), http.StatusSeeOther)
		return
	}
	http.SetCookie(w, g.cookie(r, pendingCookie, g.provider.seal(p), pendingLife))
	http.Redirect(w, r, address, http.StatusSeeOther) //nolint:gosec // it is where the configured provider says that it is
}

// callback is where the identity provider sends people back to.
func (g *Gate) callback(w http.ResponseWriter, r *http.Request) {
	now := g.config.Now()
	p, err := g.provider.unseal(g.read(r, pendingCookie), now)
	http.SetCookie(w, g.cookie(r, pendingCookie, "", 0))
	query := r.URL.Query()
	var person access.Person
	switch {
	case err != nil:
	case subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(p.State)) != 1:
		err = errors.New("the answer is to another question than this browser asked")
	case query.Get("error") != "":
		err = errors.New("the identity provider answered " + brief(query.Get("error")))
	default:
		person, err = g.provider.exchange(r.Context(), query.Get("code"), p)
	}
	if err != nil {
		g.config.Log.Warn("somebody could not be signed in", "err", err)
		g.record(r, access.Person{By: access.ByOIDC}, access.SignIn, errors.New("the identity provider did not vouch for anybody; the hub's log says more"))
		http.Redirect(w, r, signInPage(p.To, WhyProvider), http.StatusSeeOther)
		return
	}
	rights := access.Decide(person, g.settings.Grants)
	if rights.Role() == access.None {
		g.record(r, person, access.SignIn, errors.New("no grant names the person or a group of the person"))
		http.Redirect(w, r, signInPage(p.To, WhyRole), http.StatusSeeOther)
		return
	}
	g.enter(w, r, holder{Person: person, rights: rights}, p.To)
}

func (g *Gate) record(r *http.Request, p access.Person, action access.Action, err error) {
	from, via := origin(r)
	g.config.Journal.Write(access.EntryOf(access.Caller{Person: p, From: from, Via: via}, action, "", err, g.config.Now()))
}

// brief is a text that somebody else wrote, for the log.
func brief(text string) string {
	const most = 64
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

// signInPage is the address of the form, from which somebody comes to another page.
func signInPage(to, why string) string {
	values := url.Values{}
	if to = within(to); to != "/" {
		values.Set("to", to)
	}
	if why != "" {
		values.Set("why", why)
	}
	if len(values) == 0 {
		return signInPath
	}
	return signInPath + "?" + values.Encode()
}

// within returns an address if it is a page of this dashboard, and the first page
// otherwise: nobody is sent away from here by an address that somebody else wrote.
func within(address string) string {
	const most = 2000
	if len(address) > most || !strings.HasPrefix(address, "/") || strings.ContainsFunc(address, func(c rune) bool { return c < ' ' || c == '\\' }) {
		return "/"
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || strings.HasPrefix(u.Path, "//") || strings.HasPrefix(u.Path, signInPath) {
		return "/"
	}
	return u.RequestURI()
}
