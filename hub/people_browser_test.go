package hub

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/navarch/navarch/e2e/env/provider"
	"github.com/navarch/navarch/hub/access"
	"github.com/navarch/navarch/wire"
)

// window is a real browser, with one page.
type window struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // it is the browser's, which ends with the test
}

func openWindow(t *testing.T) window {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes a while")
	}
	if !slices.ContainsFunc([]string{"chromium", "chromium-browser", "google-chrome"}, func(name string) bool { _, err := exec.LookPath(name); return err == nil }) {
		t.Skip("there is no Chromium: `make browser` says how to get one")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	check(t, chromedp.Do(ctx, chromedp.EmulateViewport(1200, 800))) // which starts it, for as long as ctx lives
	return window{t, ctx}
}

func (w window) do(actions ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	limited, cancel := context.WithTimeout(w.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(limited, actions...); err != nil {
		w.t.Fatalf("%v at %s:\n%s", err, w.ask(`location.href`), w.ask(`document.body.innerText`))
	}
}

func (w window) ask(script string) string {
	w.t.Helper()
	answer, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](script))
	if err != nil {
		w.t.Fatalf("%s: %v", script, err)
	}
	return answer
}

// shows waits until the page has an element.
func shows(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.WaitVisible(chromedp.CSS(selector))
}

// fill writes into the fields of a form and sends it.
func (w window) fill(form string, fields map[string]string) {
	w.t.Helper()
	for name, value := range fields {
		w.ask(fmt.Sprintf(`document.querySelector(%q).elements[%q].value = %q, ""`, form, name, value))
	}
	w.ask(fmt.Sprintf(`document.querySelector(%q).querySelector("button").click(), ""`, form))
}

// picture keeps what the page looks like where NAVARCH_ARTIFACTS says.
func (w window) picture(name string) {
	w.t.Helper()
	target := os.Getenv("NAVARCH_ARTIFACTS")
	if target == "" {
		return
	}
	content, err := chromedp.Run(w.ctx, chromedp.FullScreenshot(100))
	check(w.t, err)
	check(w.t, os.MkdirAll(target, 0o750))
	check(w.t, os.WriteFile(filepath.Join(target, "people-"+name+".png"), content, 0o600))
}

// providerFile is an access file of a hub whose people a provider knows.
func providerFile(p *provider.Provider, secret string) func(string) string {
	return func(url string) string {
		return fmt.Sprintf(`url: %s
oidc: {issuer: %q, clientID: navarch, clientSecretFile: %s, name: the login of Example}
grants:
- {who: "user:ada@example.com", role: admin}
- who: group:shop
  role: operator
  apps: {matchLabels: {team: shop}}
  clusters: {matchLabels: {env: prod}}
`, url, p.URL, secret)
	}
}

// startProvider starts an identity provider. The hub's address is not known to it
// yet: tell it with Know.
func startProvider(t *testing.T) (*provider.Provider, string) {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "secret")
	check(t, os.WriteFile(secret, []byte("hush\n"), 0o600))
	p := provider.Start([]provider.User{
		{Name: "ada", Password: "correct horse", Email: "ada@example.com", Verified: true},
		{Name: "grace", Password: "battery", Email: "grace@example.com", Verified: true, Groups: []string{"shop"}},
	})
	t.Cleanup(p.Close)
	return p, secret
}

// TestBrowserAddsCluster signs in at a real provider and adds a cluster: the page that
// shows the line turns green by itself when the agent reports.
func TestBrowserAddsCluster(t *testing.T) {
	w := openWindow(t)
	idp, secret := startProvider(t)
	p := servePeople(t, newBed(t, teams()), Config{Listen: "127.0.0.1:8080"}, providerFile(idp, secret))
	idp.Know(provider.Client{ID: "navarch", Secret: "hush", Redirect: p.url + "/sign-in/callback"})
	p.apps("eu-1", "blog", "shop")

	w.do(chromedp.Navigate(p.url+"/members"), shows("#sign-in"))
	w.picture("sign-in")
	w.ask(`document.querySelector("#provider").click(), ""`)
	w.do(shows("#username"))
	w.fill("form", map[string]string{"username": "ada", "password": "correct horse"})
	w.do(shows("#members"))
	if got := w.ask(`location.pathname + " " + document.querySelector(".who .name").innerText`); !strings.HasPrefix(got, "/members ada@example.com") {
		t.Errorf("signed in at %s", got)
	}
	if got := w.ask(`document.cookie`); got != "" {
		t.Errorf("scripts see the cookie %q", got)
	}

	w.do(chromedp.Navigate(p.url+"/add-cluster"), shows("#add"))
	w.picture("add")
	w.ask(`document.querySelector("#add [name=approve]").checked = true, ""`)
	w.fill("#add form", map[string]string{"cluster": "eu-1", "labels": "site=ham"})
	w.do(shows("#joining .line"), shows("#live[data-state=on]"), shows("#state.is-pending"))
	w.picture("line")
	token := regexp.MustCompile(`/install/(nvt1\.[\w.-]+)`).FindStringSubmatch(w.ask(`document.querySelector("#joining .line").textContent`))
	if token == nil {
		t.Fatal("there is no line")
	}
	w.ask(`document.querySelector("#line").marked = "the same element", ""`)
	come := p.newcomer("eu-1", token[1])
	come()
	w.do(shows("#state.is-held"), shows("#approve"), shows("#line .line"))
	w.picture("waits")
	if got := w.ask(`document.querySelector("#line").marked`); got != "the same element" {
		t.Error("the page was loaded again")
	}
	w.ask(`document.querySelector("#approve button").click(), ""`)
	w.do(shows("#state.is-pending, #state.is-progressing"), shows("#live[data-state=on]"))
	if answer := come(); answer.JWT == "" {
		t.Fatalf("approved: %+v", answer)
	}
	p.beat("eu-1", wire.Announcement{})
	w.do(shows("#state.is-ready"), shows("#done"))
	w.picture("green")

	for page, selector := range map[string]string{"/members": "#m-eu-1", "/audit": "#audit tbody tr", "/": "#clusters"} {
		w.do(chromedp.Navigate(p.url+page), shows(selector))
		w.picture(strings.Trim(page, "/") + "-page")
	}
	w.ask(`document.querySelector(".who form button").click(), ""`)
	w.do(shows("#sign-in"))
	p.until("the provider's person to be written down", func() bool {
		for _, e := range p.written() {
			if e.Who == "ada@example.com" && e.By == access.ByOIDC && e.Action == access.SignOut {
				return true
			}
		}
		return false
	})
}

// TestBrowserIsSignedOut: a page that is open when its person signs out elsewhere asks
// to sign in again.
func TestBrowserIsSignedOut(t *testing.T) {
	w := openWindow(t)
	p := servePeople(t, newBed(t, teams()), Config{Listen: ":8080"})
	p.apps("eu-1", "blog", "shop")
	w.do(chromedp.Navigate(p.url), shows("#sign-in"))
	w.fill("#sign-in form", map[string]string{"token": p.token(access.Viewer, "team=shop", "env=prod")})
	w.do(shows("#live[data-state=on]"), shows("#c-eu-1"))
	w.picture("scoped")
	if got := w.ask(`document.body.innerText`); strings.Contains(got, "us-1") || strings.Contains(got, "blog") {
		t.Errorf("what is seen: %s", got)
	}
	w.ask(`fetch("/sign-out", {method: "POST"}), ""`)
	w.do(shows("#sign-in"))
}
