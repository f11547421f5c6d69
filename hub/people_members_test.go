package hub

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/access"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
)

// TestJoinsByForm: an admin makes a token by the form, an agent comes with it, waits,
// is approved and is cut off, and all of it is written down without a secret.
func TestJoinsByForm(t *testing.T) {
	p := servePeople(t, newBed(t, teams()), Config{})
	p.apps("eu-1", "blog", "shop")
	admin := p.token(access.Admin, "", "")
	status, page := p.ask(admin, "POST", "/add-cluster", form, "life=8h&approve=yes&labels=site%3Dham&cluster=eu-1")
	line := regexp.MustCompile(`kubectl apply --server-side -f (\S+)/install/(nvt1\.[\w.-]+)`).FindStringSubmatch(page)
	if status != http.StatusOK || line == nil || line[1] != p.url {
		t.Fatalf("%d %s", status, page)
	}
	if status, manifest := p.ask("", "GET", "/install/"+line[2], "", ""); status != http.StatusOK || !strings.Contains(manifest, "cluster: eu-1") {
		t.Fatalf("the line leads to %d %s", status, manifest)
	}
	come := p.newcomer("eu-1", line[2])
	if got := come(); got.Refusal != wire.RefusedWaiting {
		t.Fatalf("%+v", got)
	}
	if _, page := p.ask(admin, "GET", "/joining/eu-1", "", ""); !strings.Contains(page, "Approve eu-1") {
		t.Errorf("the page says nothing of approval: %s", page)
	}
	if _, page := p.ask(admin, "GET", "/", "", ""); !strings.Contains(page, `id="waiting"`) {
		t.Error("the first page does not say who waits")
	}
	if status, body := p.ask(admin, "POST", "/members", form, "action=approve&cluster=eu-1"); status != http.StatusSeeOther {
		t.Fatalf("%d %s", status, body)
	}
	if got := come(); got.JWT == "" {
		t.Fatalf("approved: %+v", got)
	}
	if _, page := p.ask(admin, "GET", "/joining/eu-1", "", ""); !strings.Contains(page, "Let in") {
		t.Errorf("the page does not say that it is let in: %s", page)
	}
	if status, _ := p.ask(admin, "POST", "/members", form, "action=revoke&agree=yes&cluster=eu-1"); status != http.StatusSeeOther {
		t.Errorf("revoked: %d", status)
	}
	if got := come(); got.Refusal != wire.RefusedRevoked {
		t.Errorf("cut off: %+v", got)
	}
	p.command(enrol.VerbAllowRejoin, "eu-1", http.StatusOK)
	p.command(enrol.VerbApprove, "none", http.StatusForbidden)
	p.command(enrol.VerbList, "", http.StatusOK)
	if status, _ := p.ask("", "POST", "/api/v1/members", "", "{}"); status != http.StatusForbidden {
		t.Errorf("a command that nobody signed: %d", status)
	}
	var said []string
	for _, e := range p.written() {
		said = append(said, fmt.Sprintf("%s %s %s %s", e.Who, e.Action, e.On, e.Outcome))
	}
	want := []string{
		"a admin make join token eu-1 done", "a admin approve eu-1 done", "a admin revoke eu-1 done",
		"identity allow-rejoin eu-1 done", "identity approve none refused", " command  refused",
	}
	if strings.Join(said, "\n") != strings.Join(want, "\n") {
		t.Errorf("written down:\n%s\nwant:\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
	content, err := os.ReadFile(p.audit)
	check(t, err)
	for _, secret := range []string{line[2], strings.Split(line[2], ".")[1], admin, strings.Split(admin, ".")[2]} {
		if strings.Contains(string(content), secret) {
			t.Error("a secret is written down")
		}
	}
}

// newcomer is the agent of a cluster that has a token: what is returned asks to be let
// in, again and again.
func (p *peopleBed) newcomer(cluster fleet.ClusterName, text string) (come func() wire.EnrolAnswer) {
	p.t.Helper()
	token, err := wire.ParseToken(text, p.identity.PublicKey())
	check(p.t, err)
	key, err := nkeys.CreateUser()
	check(p.t, err)
	public, err := key.PublicKey()
	check(p.t, err)
	return func() wire.EnrolAnswer {
		p.t.Helper()
		request := wire.EnrolRequest{Version: wire.Version, Cluster: cluster, Key: public, Nonce: "n"}
		sealed, err := wire.SealEnrolRequest(request, key, &token)
		check(p.t, err)
		answer, err := wire.OpenEnrolAnswer(p.desk.Answer(cluster, sealed, time.Now()), request, p.identity.PublicKey())
		check(p.t, err)
		return answer
	}
}

// command sends a command that is signed with the hub's identity.
func (p *peopleBed) command(verb string, cluster fleet.ClusterName, want int) {
	p.t.Helper()
	sealed, err := p.identity.SealCommand(verb, cluster, time.Now())
	check(p.t, err)
	if status, body := p.ask("", "POST", "/api/v1/members", "application/json", string(sealed)); status != want {
		p.t.Errorf("%s %s: %d %s", verb, cluster, status, body)
	}
}

// TestAnswersInScope: what decides, and why, is told of what is seen only.
func TestAnswersInScope(t *testing.T) {
	p := servePeople(t, newBed(t, teams()), Config{})
	p.apps("eu-1", "blog", "shop")
	p.beat("eu-1", wire.Announcement{})
	p.beat("us-1", wire.Announcement{})
	p.quiet()
	p.handled(p.push("more", map[string]string{"shop/base/settings.yaml": settings("two")})) // it is decided by what was said
	token, whole := p.token(access.Viewer, "team=shop", "env=prod"), p.token(access.Viewer, "", "")
	for _, path := range []string{"/api/v1/explain/shop", "/api/v1/observed", "/metrics"} {
		status, body := p.ask(token, "GET", path, "", "")
		if status != http.StatusOK || strings.Contains(body, "us-1") || strings.Contains(body, "blog") || !strings.Contains(body, "shop") {
			t.Errorf("%s: %d %s", path, status, body)
		}
		if _, body := p.ask(whole, "GET", path, "", ""); !strings.Contains(body, "us-1") {
			t.Errorf("%s for who sees everything: %s", path, body)
		}
	}
	for path, absent := range map[string]string{"/api/v1/explain/blog": "/api/v1/explain/none", "/api/v1/explain/shop?cluster=us-1": "/api/v1/explain/shop?cluster=none"} {
		status, body := p.ask(token, "GET", path, "", "")
		_, want := p.ask(token, "GET", absent, "", "")
		name := path[strings.LastIndexAny(path, "/=")+1:]
		if status != http.StatusNotFound || strings.ReplaceAll(body, name, "none") != want {
			t.Errorf("%s: %d %s, want as %s: %s", path, status, body, absent, want)
		}
	}
}
