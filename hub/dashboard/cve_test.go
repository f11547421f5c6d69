package dashboard

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/access"
	"github.com/navarch/navarch/hub/view"
	"github.com/navarch/navarch/wire"
)

// scriptAddresses are addresses that a browser would run, in the ways that they are
// hidden.
var scriptAddresses = []string{
	"javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\nscript:alert(1)", "\x01javascript:alert(1)", "javascript://example.com/%0aalert(1)",
	"data:text/html,<script>alert(1)</script>", "vbscript:msgbox(1)", "https:javascript:alert(1)", "//evil.example.com", "https://git.example.com/\" onclick=\"alert(1)",
}

var links = regexp.MustCompile(`(?:href|src|action|formaction)="([^"]*)"`)

// onlyOwnLinks fails where a page leads anywhere but into the dashboard, or to one of
// the addresses that are allowed.
func onlyOwnLinks(t *testing.T, what, page string, allowed ...string) {
	t.Helper()
	for _, found := range links.FindAllStringSubmatch(page, -1) {
		own := strings.HasPrefix(found[1], "/") && !strings.HasPrefix(found[1], "//") || strings.HasPrefix(found[1], "#") || strings.HasPrefix(found[1], "?")
		for _, address := range allowed {
			own = own || found[1] == address
		}
		if !own {
			t.Errorf("%s leads to %q", what, found[1])
		}
	}
	if strings.Contains(page, "onclick=\"") {
		t.Errorf("%s has a handler", what)
	}
}

// TestCVE202547933 (a script in the URL of a repository): the address of the fleet
// repository is a link only where a browser would open it as a page.
func TestCVE202547933(t *testing.T) {
	for _, address := range scriptAddresses {
		board := small().board()
		board.Repository(view.Repository{URL: address, Branch: address, Error: address})
		for _, page := range []string{"/", "/clusters/eu-1", "/apps/shop", "/members", "/audit"} {
			onlyOwnLinks(t, fmt.Sprintf("%s with the repository %q", page, address), get(t, newStoryAs(admin, board), page).Body.String(),
				"https://git.example.com/%22%20onclick=%22alert%281%29") // which is that host, and no handler
		}
	}
	const good = "https://git.example.com/platform/fleet.git"
	onlyOwnLinks(t, "a good repository", get(t, newStoryAs(admin, small().board()), "/").Body.String(), good)
}

// writtenByOthers is a fleet of which everything that somebody else can write is a
// text: labels, messages, names of objects, what agents say of themselves.
func writtenByOthers(text string) *view.Board {
	s := small()
	s.plan.Definition.Clusters[1].Labels = map[string]string{"link.example.com/docs": text, text: "x"}
	s.plan.Definition.Clusters[1].Taints = []fleet.Taint{{Key: text, Value: text, Effect: text}}
	s.plan.Definition.Clusters[1].Zones = []string{text}
	s.plan.Definition.Apps[3].Labels = map[string]string{"link.example.com/docs": text}
	s.plan.Definition.Apps[3].Source.Path, s.plan.Definition.Apps[3].Policy = text, text
	s.beats[1].Agent, s.beats[1].Instance, s.beats[1].Facts.Kubernetes = text, text, text
	s.beats[1].Facts.Pods = map[string]int{text: 1}
	r := s.report("eu-1", "shop")
	r.Conditions = []wire.Condition{{Type: wire.Stalled, Status: "True", Reason: text, Message: text}}
	r.Objects[0] = wire.ObjectReport{
		ObjectID: fleet.ObjectID{Group: text, Kind: text, Namespace: text, Name: text}, Health: wire.Health(text), Message: text,
		Drift: &wire.Drift{Time: noon, Fields: []string{text}, By: []string{text}},
	}
	b := s.board()
	b.Commit(view.Commit{Revision: revisionOf("d"), Message: text, Author: text, Time: ago(time.Minute), Problems: fleet.Problems{{File: text, Field: text, Message: text, Hint: text}}})
	b.Members([]view.Member{{Name: "eu-1", Joined: noon, Waiting: true, Labels: map[string]string{text: text}}})
	return b
}

// everyPage are pages that show what others write.
var everyPage = []string{"/", "/clusters/eu-1", "/apps/shop", "/members", "/joining/eu-1", "/audit", "/add-cluster"}

// TestCVE202428175 (a script in a link that an app's annotation makes): labels, and
// whatever an app or an agent says, make no link at all.
func TestCVE202428175(t *testing.T) {
	for _, address := range scriptAddresses {
		handler := newStoryAs(admin, writtenByOthers(address))
		for _, page := range everyPage {
			onlyOwnLinks(t, fmt.Sprintf("%s with %q", page, address), get(t, handler, page).Body.String(), "https://git.example.com/platform/fleet.git")
		}
	}
}

// TestCVE202231035 (a script behind a link that somebody clicks): a real browser shows
// what others write, every link on it is clicked, and no script of theirs runs.
func TestCVE202231035(t *testing.T) {
	const evil = `"><script>window.ran=1</script><img src=x onerror="window.ran=1"><a href="javascript:window.ran=1">x</a><svg onload=window.ran=1>`
	board := writtenByOthers(evil)
	server := newServerAs(t, admin, Config{Board: board, Now: func() time.Time { return noon }, People: storyPeople})
	do, ask := browse(t, server.URL)
	for _, page := range everyPage {
		do(chromedp.Navigate(server.URL+page), shows("main"))
		if got := ask(`String(window.ran)`); got != "undefined" {
			t.Errorf("%s ran a script", page)
		}
		if got := ask(`document.querySelectorAll("main script, main img, main [onload], main [onerror], a[href^='javascript']").length + " " + document.scripts.length`); got != "0 1" {
			t.Errorf("%s has foreign elements, and scripts: %s", page, got)
		}
		if got := ask(`[...document.querySelectorAll("a")].filter(a => new URL(a.href).origin !== location.origin).map(a => a.href).join(" ")`); got != "https://git.example.com/platform/fleet.git" {
			t.Errorf("%s leads to %s", page, got)
		}
	}
	do(chromedp.Navigate(server.URL+"/"), shows("#live[data-state=on]"))
	board.Commit(view.Commit{Revision: revisionOf("f"), Message: evil + "once more", Problems: fleet.Problems{{File: evil, Message: evil}, {File: "newest", Message: evil}}}) // which the page fetches
	do(shows(".problems + .problems"))
	if got := ask(`String(window.ran)`); got != "undefined" {
		t.Error("a page that is kept up to date ran a script")
	}
}

// TestCVE202645738 (a script in what comes back from an address): nothing of an address
// or of a form comes back as markup, or leads away after signing in.
func TestCVE202645738(t *testing.T) {
	handler := newStoryAs(admin, joiningStory())
	for _, text := range append(scriptAddresses, `"><script>alert(1)</script>`, `' autofocus onfocus=alert(1) x='`) {
		escaped := url.QueryEscape(text)
		for _, address := range []string{
			"/sign-in?to=" + escaped, "/sign-in?why=" + escaped, "/add-cluster?cluster=" + escaped, "/joining/eu-1?since=" + escaped, "/joining/" + url.PathEscape(text),
			"/?q=" + escaped, "/?sort=" + escaped, "/apps/shop?q=" + escaped, "/" + url.PathEscape(text),
		} {
			w := get(t, handler, address)
			onlyOwnLinks(t, address, w.Body.String(), "https://git.example.com/platform/fleet.git")
			if strings.Contains(w.Body.String(), "<script>") || strings.Contains(w.Body.String(), "'><") {
				t.Errorf("%s comes back as markup", address)
			}
		}
		for address, form := range map[string]url.Values{
			"/add-cluster": {"cluster": {text}, "labels": {text}, "life": {text}}, "/members": {"cluster": {text}, "action": {"approve"}, "back": {text}},
		} {
			w := post(handler, address, form)
			onlyOwnLinks(t, address, w.Body.String(), "https://git.example.com/platform/fleet.git")
			if w.Code < http.StatusBadRequest || strings.Contains(w.Body.String(), "<script>") {
				t.Errorf("%s with %q: %d", address, text, w.Code)
			}
		}
	}
	people := storyPeople
	people.Audit = func(int) ([]access.Entry, error) {
		evil := `"><script>alert(1)</script>`
		return []access.Entry{{At: noon, Who: evil, By: access.Means(evil), Action: access.Action(evil), On: evil, From: evil, Via: evil, Outcome: access.Outcome(evil), Why: evil}}, nil
	}
	page := get(t, as(admin, Config{Board: small().board(), People: people}), "/audit").Body.String()
	if strings.Contains(page, "<script>") {
		t.Error("the audit log has markup of others")
	}
}
