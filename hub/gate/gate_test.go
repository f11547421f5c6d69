package gate

import (
	"crypto/ed25519"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/navarch/navarch/e2e/env/provider"
	"github.com/navarch/navarch/hub/access"
)

var (
	update  = flag.Bool("update", false, "rewrite the goldens")
	discard = slog.New(slog.DiscardHandler)
)

// bed is a gate with one page for each need, on a real HTTP server.
type bed struct {
	t       *testing.T
	gate    *Gate
	journal *Journal
	url     string
	key     ed25519.PrivateKey
	good    []ed25519.PublicKey
	now     time.Time
}

// newBed serves a gate. With a provider, people of it sign in as the settings say.
func newBed(t *testing.T, settings Settings, open bool) *bed {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	journal, _ := newJournal(t)
	b := &bed{t: t, journal: journal, key: private, good: []ed25519.PublicKey{public}, now: time.Now()}
	server := httptest.NewUnstartedServer(nil)
	b.url = "http://" + server.Listener.Addr().String()
	if settings.OIDC != nil {
		settings.URL, err = url.Parse(b.url)
		if err != nil {
			t.Fatal(err)
		}
	}
	b.gate, err = New(Config{
		Settings: settings, Open: open, Keys: func(time.Time) []ed25519.PublicKey { return b.good }, Journal: journal, Log: discard, Now: func() time.Time { return b.now },
		Refuse: func(w http.ResponseWriter, _ *http.Request, status int, title, message string) {
			http.Error(w, title+": "+message, status)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	who := func(w http.ResponseWriter, r *http.Request) {
		c := access.Of(r.Context())
		_, _ = fmt.Fprintf(w, "%s by %s is %s", c.Name, c.By, c.Rights)
	}
	routes := append(b.gate.Routes(),
		access.Route{Pattern: "GET /anyone", Need: access.Anyone, Handler: who},
		access.Route{Pattern: "GET /{$}", Need: access.Viewers, Handler: who},
		access.Route{Pattern: "GET /viewers", Need: access.Viewers, Handler: who},
		access.Route{Pattern: "POST /operators", Need: access.Operators, Handler: who},
		access.Route{Pattern: "GET /admins", Need: access.Admins, Handler: who},
		access.Route{Pattern: "GET /sign-in", Need: access.Anyone, Handler: func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "sign in: "+r.URL.RawQuery)
		}},
		access.Route{Pattern: "GET /follow", Need: access.Viewers, Handler: func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}},
	)
	server.Config.Handler, err = b.gate.Handler(routes)
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(server.Close)
	return b
}

// token makes an access token.
func (b *bed) token(edit func(*access.Token)) string {
	b.t.Helper()
	token := access.Token{ID: "1", Name: "ada", Role: "admin", Expires: b.now.Add(time.Hour)}
	if edit != nil {
		edit(&token)
	}
	text, err := token.Seal(b.key)
	if err != nil {
		b.t.Fatal(err)
	}
	return text
}

// browser is a client that keeps cookies, as a person's does.
func (b *bed) browser() *http.Client {
	b.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return &http.Client{Jar: jar, Timeout: 20 * time.Second}
}

// do makes a request with headers and returns status and body.
func (b *bed) do(client *http.Client, method, address string, form url.Values, headers ...string) (int, string) {
	b.t.Helper()
	if !strings.HasPrefix(address, "http") {
		address = b.url + address
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Accept", "text/html")
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// want makes a request and compares what is answered.
func (b *bed) want(what string, client *http.Client, method, address string, form url.Values, status int, says string, headers ...string) {
	b.t.Helper()
	if got, body := b.do(client, method, address, form, headers...); got != status || !strings.Contains(body, says) {
		b.t.Errorf("%s: %d %q, want %d and %q", what, got, body, status, says)
	}
}

// newest returns what was written down last, in short.
func (b *bed) newest(most int) []string {
	b.t.Helper()
	entries, err := b.journal.Newest(most)
	if err != nil {
		b.t.Fatal(err)
	}
	var said []string
	for _, e := range entries {
		said = append(said, fmt.Sprintf("%s %s by %s: %s", e.Who, e.Action, e.By, e.Outcome))
	}
	return said
}

// TestOpen: whoever is on the hub's machine comes in where that is said, and may not
// do what admins do. Everybody else is asked.
func TestOpen(t *testing.T) {
	b := newBed(t, Settings{}, true)
	b.want("here", http.DefaultClient, "GET", "/viewers", nil, http.StatusOK, "local by loopback is operator")
	b.want("here, as admin", http.DefaultClient, "GET", "/admins", nil, http.StatusForbidden, "role admin")
	b.want("a name made to lead here", http.DefaultClient, "GET", "/viewers", nil, http.StatusOK, "sign in: to=%2Fviewers", "Host", "evil.example.com")
	b.want("through a proxy", http.DefaultClient, "POST", "/operators", nil, http.StatusUnauthorized, "access token", "X-Forwarded-For", "192.0.2.1", "Accept", "application/json")
	b.want("with a token that is no good", http.DefaultClient, "GET", "/viewers", nil, http.StatusUnauthorized, "not one of this hub", "Authorization", "Bearer nva1.x.y")
	b.want("with a password", http.DefaultClient, "GET", "/viewers", nil, http.StatusUnauthorized, "Bearer", "Authorization", "Basic eDp5")
	b.want("another site's form", http.DefaultClient, "POST", "/operators", url.Values{}, http.StatusForbidden, "", "Sec-Fetch-Site", "cross-site")

	closed := newBed(t, Settings{}, false)
	closed.want("here, and not open", http.DefaultClient, "GET", "/viewers", nil, http.StatusOK, "sign in: to=%2Fviewers")
	closed.want("what anyone may", http.DefaultClient, "GET", "/anyone", nil, http.StatusOK, " by  is none")
	closed.want("a program", http.DefaultClient, "GET", "/viewers", nil, http.StatusUnauthorized, `{"error":"sign in`, "Accept", "*/*")
}

// TestTokens: with an access token in a header, and in the form.
func TestTokens(t *testing.T) {
	b := newBed(t, Settings{RevokedTokens: []string{"gone"}}, false)
	bearer := func(edit func(*access.Token)) string { return "Bearer " + b.token(edit) }
	viewer := func(t *access.Token) { t.Role, t.Apps = "viewer", "team=shop" }
	b.want("an admin", http.DefaultClient, "GET", "/admins", nil, http.StatusOK, "ada by access token is admin", "Authorization", bearer(nil))
	b.want("a viewer", http.DefaultClient, "GET", "/viewers", nil, http.StatusOK, "is viewer of apps team=shop", "Authorization", bearer(viewer))
	b.want("a viewer who releases", http.DefaultClient, "POST", "/operators", nil, http.StatusForbidden, "role operator", "Authorization", bearer(viewer))
	b.want("one that was taken back", http.DefaultClient, "GET", "/viewers", nil, http.StatusUnauthorized, "not one of this hub", "Authorization", bearer(func(t *access.Token) { t.ID = "gone" }))
	b.want("one that has expired", http.DefaultClient, "GET", "/viewers", nil, http.StatusUnauthorized, "not one of this hub", "Authorization", bearer(func(t *access.Token) { t.Expires = b.now }))

	person := b.browser()
	b.want("the form, wrong", person, "POST", "/sign-in", url.Values{"token": {"nva1.x.y"}, "to": {"/viewers"}}, http.StatusOK, "sign in: to=%2Fviewers&why=token")
	b.want("the form", person, "POST", "/sign-in", url.Values{"token": {" " + b.token(nil) + "\n"}, "to": {"/viewers"}}, http.StatusOK, "ada by access token is admin")
	b.want("afterwards", person, "GET", "/admins", nil, http.StatusOK, "ada")
	b.want("signing out from another site", person, "POST", "/sign-out", nil, http.StatusForbidden, "", "Sec-Fetch-Site", "cross-site")
	b.want("signing out", person, "POST", "/sign-out", nil, http.StatusOK, "why=out")
	b.want("afterwards, out", person, "GET", "/admins", nil, http.StatusOK, "sign in: to=%2Fadmins")
	want := []string{"ada sign out by access token: done", "ada sign in by access token: done", " sign in by access token: refused"}
	if got := b.newest(10); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("written down: %q", got)
	}
}

// TestSessions: cookies are for this host and its scripts do not see them; a session
// ends with its token, with its life and when its person signs out, and what is open
// ends with it.
func TestSessions(t *testing.T) {
	b := newBed(t, Settings{Session: 2 * time.Hour}, false)
	cookies := func(headers ...string) []*http.Cookie {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, "/sign-in", strings.NewReader(url.Values{"token": {b.token(nil)}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		b.gate.signIn(w, r)
		return w.Result().Cookies()
	}
	plain, secure := cookies()[0], cookies("X-Forwarded-Proto", "https")[0]
	if !plain.HttpOnly || plain.SameSite != http.SameSiteLaxMode || plain.Path != "/" || plain.Domain != "" || plain.Secure || plain.MaxAge <= 0 || plain.MaxAge > 3600 {
		t.Errorf("%+v", plain)
	}
	if !secure.Secure || !secure.HttpOnly || secure.Name != "__Host-"+plain.Name {
		t.Errorf("over HTTPS: %+v", secure)
	}
	if plain.Value == secure.Value || len(plain.Value) < 50 {
		t.Error("sessions have names that can be guessed")
	}

	person := b.browser()
	b.want("in", person, "POST", "/sign-in", url.Values{"token": {b.token(nil)}}, http.StatusOK, "ada")
	response, err := person.Get(b.url + "/follow")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b.want("out", person, "POST", "/sign-out", nil, http.StatusOK, "why=out")
	if _, err := io.ReadAll(response.Body); err != nil {
		t.Errorf("what follows live: %v", err)
	}

	b.want("in again", person, "POST", "/sign-in", url.Values{"token": {b.token(nil)}}, http.StatusOK, "ada")
	b.now = b.now.Add(61 * time.Minute)
	b.want("after the token's life", person, "GET", "/viewers", nil, http.StatusOK, "sign in:")
	b.want("in with a longer token", person, "POST", "/sign-in", url.Values{"token": {b.token(func(t *access.Token) { t.Expires = b.now.Add(1000 * time.Hour) })}}, http.StatusOK, "ada")
	b.now = b.now.Add(119 * time.Minute)
	b.want("before the session's life", person, "GET", "/viewers", nil, http.StatusOK, "ada")
	b.now = b.now.Add(2 * time.Minute)
	b.want("after it", person, "GET", "/viewers", nil, http.StatusOK, "sign in:")
}

// TestKeysAreExchanged: what counts is the keys of the moment. A key that is no longer
// good takes with it whoever signed in by it, and what such a one follows live.
func TestKeysAreExchanged(t *testing.T) {
	b := newBed(t, Settings{RevokedTokens: []string{"gone"}}, false)
	old := b.token(nil)
	taken := b.token(func(t *access.Token) { t.ID = "gone" })
	person := b.browser()
	b.want("in", person, "POST", "/sign-in", url.Values{"token": {old}}, http.StatusOK, "ada")

	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	b.key, b.good = private, []ed25519.PublicKey{public, b.good[0]}
	b.want("by the key of before", http.DefaultClient, "GET", "/admins", nil, http.StatusOK, "ada", "Authorization", "Bearer "+old)
	b.want("by the key of before, taken back", http.DefaultClient, "GET", "/admins", nil, http.StatusUnauthorized, "not one of this hub", "Authorization", "Bearer "+taken)
	b.want("by the key of now", http.DefaultClient, "GET", "/admins", nil, http.StatusOK, "ada", "Authorization", "Bearer "+b.token(nil))
	b.want("still in", person, "GET", "/admins", nil, http.StatusOK, "ada")
	another := b.browser()
	b.want("in by the key of now", another, "POST", "/sign-in", url.Values{"token": {b.token(nil)}}, http.StatusOK, "ada")
	response, err := person.Get(b.url + "/follow")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()

	b.good = b.good[:1]
	b.want("by a key that is retired", http.DefaultClient, "GET", "/admins", nil, http.StatusUnauthorized, "not one of this hub", "Authorization", "Bearer "+old)
	b.want("out", person, "GET", "/admins", nil, http.StatusOK, "sign in: to=%2Fadmins")
	b.want("still in by the key of now", another, "GET", "/admins", nil, http.StatusOK, "ada")
	if _, err := io.ReadAll(response.Body); err != nil {
		t.Errorf("what follows live: %v", err)
	}
}

// TestSessionsAreBounded: the oldest makes room.
func TestSessionsAreBounded(t *testing.T) {
	s := newSessions()
	first := s.begin(holder{until: noon.Add(time.Minute)}, noon)
	for range mostSessions {
		s.begin(holder{until: noon.Add(time.Hour)}, noon)
	}
	if s.find(first, noon) != nil || len(s.all) != mostSessions {
		t.Errorf("%d sessions", len(s.all))
	}
	s.begin(holder{until: noon.Add(3 * time.Hour)}, noon.Add(2*time.Hour))
	if len(s.all) != 1 {
		t.Errorf("%d sessions are left of those that have ended", len(s.all))
	}
}

// TestUndecidedRoute: a route that nobody has decided about is not served.
func TestUndecidedRoute(t *testing.T) {
	b := newBed(t, Settings{}, true)
	if _, err := b.gate.Handler([]access.Route{{Pattern: "GET /new", Handler: func(http.ResponseWriter, *http.Request) {}}}); err == nil {
		t.Error("served")
	}
}

// TestWithin: nobody is sent away from the dashboard by an address.
func TestWithin(t *testing.T) {
	for address, want := range map[string]string{
		"/apps/shop?q=eu": "/apps/shop?q=eu", "": "/", "apps": "/", "//evil.example.com": "/", `/\evil.example.com`: "/", "https://evil.example.com/": "/",
		"javascript:alert(1)": "/", "/\t/evil.example.com": "/", "/sign-in?to=x": "/", "/%2f/x": "/", "/a#b": "/a",
	} {
		if got := within(address); got != want {
			t.Errorf("%q leads to %q, want %q", address, got, want)
		}
	}
}

func FuzzWithin(f *testing.F) {
	f.Add("/apps/shop?q=eu")
	f.Add("//evil.example.com")
	f.Add(`/\\evil`)
	f.Fuzz(func(t *testing.T, address string) {
		here, err := url.Parse("https://hub.example.com/sign-in")
		if err != nil {
			t.Fatal(err)
		}
		to, err := here.Parse(within(address))
		if err != nil || to.Scheme != "https" || to.Host != here.Host || to.User != nil {
			t.Errorf("%q leads to %v: %v", address, to, err)
		}
	})
}

// users of the identity provider in these tests.
var users = []provider.User{
	{Name: "ada", Password: "correct horse", Email: "ada@example.com", Verified: true, Groups: []string{"platform"}},
	{Name: "grace", Password: "battery", Email: "grace@example.com", Verified: true, Groups: []string{"shop"}},
	{Name: "eve", Password: "staple", Email: "ada@example.com", Groups: []string{}},
	{Name: "nobody", Password: "known", Email: "nobody@example.com", Verified: true},
}
