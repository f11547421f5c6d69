package hub

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/navarch/navarch/hub/access"
	"github.com/navarch/navarch/hub/dashboard"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/hub/gate"
)

// peopleBed is a bed whose hub serves its pages, as a process of it does.
type peopleBed struct {
	*bed
	desk   *enrol.Desk
	audit  string // file
	url    string
	people *people
	pages  *dashboard.Dashboard
}

// servePeople starts a hub and serves its pages to people. Without an access file it
// listens, as far as it knows, for everybody.
func servePeople(t *testing.T, b *bed, c Config, accessFile ...func(url string) string) *peopleBed {
	t.Helper()
	b.start()
	server := httptest.NewUnstartedServer(nil)
	p := &peopleBed{bed: b, audit: filepath.Join(t.TempDir(), gate.JournalName), url: "http://" + server.Listener.Addr().String()}
	for _, content := range accessFile {
		c.Access.File = filepath.Join(t.TempDir(), "access.yaml")
		check(t, os.WriteFile(c.Access.File, []byte(content(p.url)), 0o600))
	}
	var err error
	p.desk, err = enrol.OpenDesk(enrol.DeskConfig{Identity: b.identity, File: filepath.Join(t.TempDir(), enrol.RollName), Log: discard})
	check(t, err)
	c.Access.Audit, c.Log, c.NATS.Hosts = p.audit, discard, []string{"hub.example.com"}
	door := newDoor(c, b.identity, p.desk, b.broker)
	p.people, err = newPeople(c, b.deployer, door)
	check(t, err)
	p.pages = dashboard.New(dashboard.Config{Board: b.board, Release: p.people.release, Version: "v1", Metrics: b.deployer.metrics.registry, People: p.people.forDashboard()})
	server.Config.Handler, err = p.people.guard(p.pages, p.people.routes(p.pages, http.NotFoundHandler()))
	check(t, err)
	server.Start()
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return p
}

// token is an access token for a role and a scope.
func (p *peopleBed) token(role access.Role, apps, clusters string) string {
	p.t.Helper()
	token := access.Token{ID: role.String(), Name: "a " + role.String(), Role: role.String(), Apps: apps, Clusters: clusters, Expires: time.Now().Add(time.Hour)}
	text, err := token.Seal(p.key)
	check(p.t, err)
	return text
}

// ask makes a request as who holds a token; an empty one is nobody.
func (p *peopleBed) ask(token, method, path, kind, body string) (int, string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	check(p.t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: 30 * time.Second}
	response, err := client.Do(r)
	check(p.t, err)
	defer response.Body.Close()
	if response.Header.Get("Content-Type") == "text/event-stream" {
		return response.StatusCode, ""
	}
	content, err := io.ReadAll(response.Body)
	check(p.t, err)
	return response.StatusCode, string(content)
}

const form = "application/x-www-form-urlencoded"

func (p *peopleBed) release(token, revision string) (int, string) {
	p.t.Helper()
	return p.ask(token, "POST", "/api/v1/release", "application/json", fmt.Sprintf(`{"revision":%q}`, revision))
}

// written are the entries of the audit log, oldest first.
func (p *peopleBed) written() []access.Entry {
	p.t.Helper()
	content, err := os.ReadFile(p.audit)
	check(p.t, err)
	var entries []access.Entry
	for line := range strings.Lines(string(content)) {
		var e access.Entry
		check(p.t, json.Unmarshal([]byte(line), &e))
		entries = append(entries, e)
	}
	return entries
}

// teams is a fleet of two clusters with an app of each of two teams.
func teams() map[string]string {
	files := repository("blog", "shop")
	files["clusters.yaml"] = strings.NewReplacer("name: eu-1", "name: eu-1, labels: {env: prod}", "name: us-1", "name: us-1, labels: {env: edge}").Replace(files["clusters.yaml"])
	for _, app := range []string{"blog", "shop"} {
		files[app+"/app.yaml"] = labelled(files[app+"/app.yaml"], app)
	}
	return files
}

func labelled(app, team string) string {
	return strings.Replace(app, "metadata: {", "metadata: {labels: {team: "+team+"}, ", 1)
}

// decided says which role each route takes. A route that is not here, or takes another
// role, has to be decided about by somebody.
var decided = map[string]access.Need{
	"GET /{$}": access.Viewers, "GET /clusters/{name}": access.Viewers, "GET /apps/{name}": access.Viewers, "GET /events": access.Viewers,
	"GET /assets/{name}": access.Anyone, "GET /api/v1/fleet": access.Viewers, "GET /api/v1/clusters": access.Viewers,
	"GET /api/v1/clusters/{name}": access.Viewers, "GET /api/v1/apps": access.Viewers, "GET /api/v1/apps/{name}": access.Viewers,
	"POST /api/v1/release": access.Operators, "GET /healthz": access.Anyone, "GET /readyz": access.Anyone, "GET /metrics": access.Viewers,
	"GET /sign-in": access.Anyone, "POST /sign-in": access.Anyone, "POST /sign-out": access.Anyone,
	"GET /add-cluster": access.Admins, "POST /add-cluster": access.Admins, "GET /joining/{name}": access.Admins,
	"GET /members": access.Admins, "POST /members": access.Admins, "GET /audit": access.Admins, "/": access.Viewers,
	"GET /api/v1/explain/{app}": access.Viewers, "GET /api/v1/observed": access.Viewers,
	"GET /install/{token}": access.Anyone, "POST /api/v1/members": access.Anyone, "/webhook": access.Anyone,
}

// TestEveryRoute: every route has a role that somebody has decided, which nobody
// without it passes.
func TestEveryRoute(t *testing.T) {
	p := servePeople(t, newBed(t, repository("shop")), Config{Listen: ":8080"})
	p.apps("eu-1", "shop")
	routes := p.people.routes(p.pages, http.NotFoundHandler())
	tokens := map[access.Role]string{access.None: ""}
	for _, role := range []access.Role{access.Viewer, access.Operator, access.Admin} {
		tokens[role] = p.token(role, "", "")
	}
	for _, route := range routes {
		want, ok := decided[route.Pattern]
		if !ok || want != route.Need {
			t.Errorf("%s: nobody has decided that it takes the role %s", route.Pattern, route.Need.Role())
			continue
		}
		method, path, _ := strings.Cut(route.Pattern, " ")
		if path == "" {
			method, path = "POST", method
		}
		path = regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(path, "shop")
		path = strings.TrimSuffix(path, "shop$")
		for role, token := range tokens {
			status, _ := p.ask(token, method, path, form, "")
			refused := status == http.StatusUnauthorized || status == http.StatusForbidden
			if want := role < route.Need.Role(); refused != want {
				if path != "/api/v1/members" { // which asks for a signature
					t.Errorf("%s as %s: answered %d", route.Pattern, role, status)
				}
			}
		}
	}
	if len(routes) != len(decided) {
		t.Errorf("%d routes are served, %d are decided", len(routes), len(decided))
	}
}

// TestCVE202562714 (an API of the dashboard without authentication): who reaches the
// hub from elsewhere than its own machine, or seems to be there by a trick, gets nothing
// but a form from it, whatever is asked.
func TestCVE202562714(t *testing.T) {
	p := servePeople(t, newBed(t, repository("shop")), Config{Listen: "127.0.0.1:8080"})
	p.apps("eu-1", "shop")
	if status, body := p.ask("", "GET", "/api/v1/fleet", "", ""); status != http.StatusOK {
		t.Fatalf("on the hub's machine: %d %s", status, body)
	}
	public := servePeople(t, newBed(t, repository("shop")), Config{Listen: "0.0.0.0:8080"})
	for _, route := range public.people.routes(public.pages, http.NotFoundHandler()) {
		if route.Need == access.Anyone {
			continue
		}
		method, path, ok := strings.Cut(route.Pattern, " ")
		if !ok {
			method, path = "GET", "/nothing"
		}
		path = strings.NewReplacer("{name}", "eu-1", "{app}", "shop", "{$}", "").Replace(path)
		if status, body := public.ask("", method, path, form, ""); status != http.StatusUnauthorized || strings.Contains(body, "eu-1") {
			t.Errorf("%s from elsewhere: %d %s", route.Pattern, status, body)
		}
		r, err := http.NewRequestWithContext(t.Context(), method, p.url+path, nil)
		check(t, err)
		r.Host = "evil.example.com" // a name that leads to this machine
		response, err := http.DefaultTransport.RoundTrip(r)
		check(t, err)
		check(t, response.Body.Close())
		if response.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s by another name: %d", route.Pattern, response.StatusCode)
		}
	}
}

// TestReleaseInScope: somebody with a scope agrees to what is in it, and to nothing
// that is partly outside.
func TestReleaseInScope(t *testing.T) {
	p := servePeople(t, newBed(t, teams()), Config{})
	p.apps("eu-1", "blog", "shop")
	shop, prod := p.token(access.Operator, "team=shop", ""), p.token(access.Operator, "team=shop", "env=prod")
	held := p.push("shop goes", without("shop"))
	p.handled(held)
	for name, test := range map[string]struct{ token, says string }{
		"a viewer":        {p.token(access.Viewer, "", ""), "role operator"},
		"another team":    {p.token(access.Operator, "team=blog", ""), "outside of your scope"},
		"one cluster":     {prod, "outside of your scope"},
		"nobody":          {"", "sign in"},
		"another's admin": {p.token(access.Admin, "team=blog", ""), "outside of your scope"},
	} {
		if status, body := p.release(test.token, held); status != http.StatusForbidden && status != http.StatusUnauthorized || !strings.Contains(body, test.says) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	p.apps("eu-1", "blog", "shop")
	if status, body := p.release(shop, held); status != http.StatusOK {
		t.Fatalf("whose app it is: %d %s", status, body)
	}
	p.apps("eu-1", "blog")
	entries := p.written()
	last := entries[len(entries)-1]
	if last.Who != "a operator" || last.Action != access.Release || last.On != held || last.Outcome != access.Done || last.From != "127.0.0.1" {
		t.Errorf("written down: %+v", last)
	}
	if first := entries[0]; first.Outcome != access.Refused || !strings.Contains(first.Why, "outside of your scope") {
		t.Errorf("written down: %+v", first)
	}
}

// TestCVE202224768 (somebody who may change apps becomes admin by what they write
// there): who can push gives neither themselves nor another a right, in the repository
// or by labels that a commit brings together with what needs a person.
func TestCVE202224768(t *testing.T) {
	p := servePeople(t, newBed(t, teams()), Config{})
	p.apps("eu-1", "blog", "shop")
	shop := p.token(access.Operator, "team=shop", "")
	files := without("blog")
	files["clusters.yaml"] = strings.ReplaceAll(teams()["clusters.yaml"], "env:", "team: shop, env:")
	held := p.push("blog goes", files)
	p.handled(held)
	if status, body := p.release(shop, held); status != http.StatusForbidden {
		t.Errorf("another team's app: %d %s", status, body)
	}
	files = map[string]string{
		"blog/app.yaml": labelled(repository("blog")["blog/app.yaml"], "shop"), "shop/app.yaml": labelled(repository("shop")["shop/app.yaml"], "shop"),
		"blog/base/settings.yaml": strings.Replace(settings("one"), "name: settings", "name: other", 1),
	}
	held = p.push("blog is ours, and loses what it has", files)
	p.handled(held)
	if status, body := p.release(shop, held); status != http.StatusForbidden || !strings.Contains(body, "outside of your scope") {
		t.Errorf("a label of the same commit: %d %s", status, body)
	}
	p.handled(p.push("grants", map[string]string{
		"access.yaml":             "grants: [{who: 'user:eve', role: admin}]\n",
		"blog/base/settings.yaml": settings("one"), "blog/app.yaml": teams()["blog/app.yaml"],
	}))
	if len(p.people.settings.Grants) > 0 {
		t.Error("a commit has brought grants")
	}
	if status, _ := p.ask(shop, "GET", "/members", "", ""); status != http.StatusForbidden {
		t.Errorf("the members: %d", status)
	}
}

// TestCVE20221025 (whoever is signed in does what admins do): what an admin does takes
// an admin, of the very clusters, and a scope is not left by naming what is outside.
func TestCVE20221025(t *testing.T) {
	p := servePeople(t, newBed(t, teams()), Config{})
	p.apps("eu-1", "blog", "shop")
	deeds := map[string]string{
		"/add-cluster": "life=1h&cluster=", "/members": "action=approve&cluster=",
	}
	for name, test := range map[string]struct {
		token, cluster string
		status         int
	}{
		"a viewer":                           {p.token(access.Viewer, "", ""), "eu-1", http.StatusForbidden},
		"an operator":                        {p.token(access.Operator, "", ""), "eu-1", http.StatusForbidden},
		"an admin of another cluster":        {p.token(access.Admin, "", "env=edge"), "eu-1", http.StatusForbidden},
		"an admin of one app":                {p.token(access.Admin, "team=shop", ""), "eu-1", http.StatusForbidden},
		"an admin of all but production":     {p.token(access.Admin, "", "env!=prod"), "new-1", http.StatusForbidden}, // which Git does not name: it may be
		"an admin of some, of a made-up one": {p.token(access.Admin, "", "env=prod"), "new-1", http.StatusForbidden},
	} {
		for path, body := range deeds {
			if status, said := p.ask(test.token, "POST", path, form, body+test.cluster); status != test.status || strings.Contains(said, "nvt1.") {
				t.Errorf("%s, %s: %d", name, path, status)
			}
		}
	}
	for name, token := range map[string]string{"some": p.token(access.Admin, "", "env=prod"), "of one app": p.token(access.Admin, "team=shop", "")} {
		if status, body := p.ask(token, "GET", "/audit", "", ""); status != http.StatusForbidden || strings.Contains(body, "refused") {
			t.Errorf("the audit log for an admin of %s: %d", name, status)
		}
	}
	if status, body := p.ask(p.token(access.Admin, "", "env=prod"), "POST", "/add-cluster", form, "life=1h&cluster=eu-1"); status != http.StatusOK || !strings.Contains(body, "nvt1.") {
		t.Errorf("an admin of the very cluster: %d", status)
	}
	if status, _ := p.ask(p.token(access.Admin, "", ""), "GET", "/audit", "", ""); status != http.StatusOK {
		t.Errorf("the audit log for an admin: %d", status)
	}
}
