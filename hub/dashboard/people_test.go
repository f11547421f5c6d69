package dashboard

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/access"
	"github.com/navarch/navarch/hub/view"
	"github.com/navarch/navarch/wire"
)

// storyPeople answer as a hub would that is told nothing new.
var storyPeople = People{
	Provider: "login.example.com",
	Invite: func(_ context.Context, i wire.Invitation, address string) (string, error) {
		return "kubectl apply --server-side -f " + address + "/install/nvt1.the-token-of-" + string(i.Cluster), nil
	},
	Tell: func(_ context.Context, action access.Action, cluster fleet.ClusterName) error {
		if action == access.Approve && cluster != "edge-9" {
			return access.ErrScope
		}
		return nil
	},
	Audit: func(int) ([]access.Entry, error) {
		return []access.Entry{
			{At: ago(time.Minute), Who: "ada@example.com", By: access.ByOIDC, Action: access.Revoke, On: "old-1", From: "192.0.2.7", Outcome: access.Done},
			{At: ago(2 * time.Minute), By: access.ByToken, Action: access.SignIn, From: "198.51.100.9", Via: "203.0.113.5", Outcome: access.Refused, Why: "the access token is not one of this hub", More: 12},
			{At: ago(3 * time.Minute), Who: "identity", By: access.ByIdentity, Action: access.Approve, On: "us-1", From: "192.0.2.7", Outcome: access.Done},
		}, nil
	},
}

// joiningStory is a fleet to which clusters come and from which they go.
func joiningStory() *view.Board {
	b := small().board()
	b.Members([]view.Member{
		{Name: "edge-9", Joined: ago(40 * time.Second), Waiting: true, Labels: map[string]string{"site": "ham", "env": "edge"}},
		{Name: "eu-1", Joined: ago(90 * time.Hour), Expires: noon.Add(80 * 24 * time.Hour)},
		{Name: "new-1", Joined: ago(5 * time.Second), Expires: noon.Add(90 * 24 * time.Hour)},
		{Name: "old-1", Joined: ago(900 * time.Hour), Revoked: ago(time.Minute)},
		{Name: "us-1", Joined: ago(10 * time.Second), Expires: noon.Add(90 * 24 * time.Hour)},
		{Name: "us-2", Joined: ago(90 * time.Hour), Rejoin: true},
	})
	return b
}

// shopViewer sees one app, on the clusters of production.
var shopViewer = access.Caller{
	Person: access.Person{Name: "grace@example.com", By: access.ByOIDC},
	Rights: access.Grants(access.Viewer, access.Scope{
		Apps: labels.SelectorFromSet(labels.Set{"team": "shop"}), Clusters: labels.SelectorFromSet(labels.Set{"env": "prod"}),
	}),
}

// labelled is a board where the app shop has the label of a team, and a commit is held
// that takes another app away.
func labelled() *view.Board {
	s := small()
	for i := range s.plan.Definition.Apps {
		if app := &s.plan.Definition.Apps[i]; app.Name == "shop" {
			app.Labels = map[string]string{"team": "shop"}
		}
	}
	b := s.board()
	b.Members([]view.Member{{Name: "edge-1", Joined: ago(time.Hour)}, {Name: "eu-1", Joined: ago(time.Hour)}})
	p := s.plan
	p.Revision, p.Held = revisionOf("c"), true
	p.Holds = []fleet.Hold{{Cluster: "eu-1", Message: "deletes Namespace payments: removing a namespace always needs a person"}}
	p.Changes = []fleet.Change{
		{Cluster: "eu-1", Removed: []fleet.AppName{"payments", "shop"}, Deleted: []fleet.ObjectID{{Kind: "Namespace", Name: "payments"}}},
		{Cluster: "edge-1", Changed: []fleet.AppName{"shop"}},
	}
	b.Commit(view.Commit{Revision: p.Revision, Message: "payments: retire", Author: "Grace Example", Time: ago(time.Minute), Accepted: true})
	b.Plan(p)
	return b
}

var (
	nowMillis = strconv.FormatInt(noon.UnixMilli(), 10)
	steady    = regexp.MustCompile(`"version": \d+`) // which counts on with each test
)

// TestPeoplePages compares the pages of joining, of members, of the audit log and of
// signing in, and what somebody with a scope sees, with testdata.
func TestPeoplePages(t *testing.T) {
	tests := map[string]struct {
		board     *view.Board
		caller    access.Caller
		addresses []string
	}{
		"people": {joiningStory(), admin, []string{
			"/sign-in?why=role&to=%2Fapps%2Fshop", "/add-cluster?cluster=eu-7", "/members", "/audit", "/",
			"/joining/eu-7", "/joining/edge-9", "/joining/new-1", "/joining/us-1", "/joining/old-1",
			"/joining/eu-1?since=" + nowMillis, "/joining/us-2?since=" + nowMillis,
		}},
		"scope": {labelled(), shopViewer, []string{"/", "/clusters/eu-1", "/apps/shop", "/api/v1/fleet", "/api/v1/clusters", "/api/v1/apps"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			handler := newStoryAs(test.caller, test.board)
			archive := new(txtar.Archive)
			for _, address := range test.addresses {
				w := get(t, handler, address)
				if w.Code != http.StatusOK {
					t.Fatalf("%s: %d\n%s", address, w.Code, w.Body)
				}
				content := w.Body.String()
				if strings.Contains(w.Header().Get("Content-Type"), "html") {
					content = mainOf(t, content)
				}
				archive.Files = append(archive.Files, txtar.File{Name: address, Data: []byte(steady.ReplaceAllString(content, `"version": 1`))})
			}
			golden := filepath.Join("testdata", name+".txtar")
			got := txtar.Format(archive)
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("pages differ; look at them, then rewrite them with -update (-want +got):\n%s", diff)
			}
		})
	}
}

// TestScope: who sees one app on some clusters is not told of others in any way that
// the dashboard has, and what is outside answers as what is absent.
func TestScope(t *testing.T) {
	handler := newStoryAs(shopViewer, labelled())
	for _, address := range []string{
		"/", "/?q=edge", "/clusters/eu-1", "/apps/shop", "/metrics",
		"/api/v1/fleet", "/api/v1/clusters", "/api/v1/clusters/eu-1", "/api/v1/apps", "/api/v1/apps/shop",
	} {
		w := get(t, handler, address)
		for _, foreign := range []string{"edge-1", "ingress", "worker", `"payments"`, ">payments<", "Namespace payments"} {
			if strings.Contains(w.Body.String(), foreign) {
				t.Errorf("%s speaks of %s", address, foreign)
			}
		}
		if !strings.Contains(w.Body.String(), "shop") && !strings.Contains(w.Body.String(), "eu-1") {
			t.Errorf("%s shows nothing of what is seen", address)
		}
	}
	for foreign, absent := range map[string]string{
		"/clusters/edge-1": "/clusters/none-1", "/apps/payments": "/apps/nonesuch",
		"/api/v1/clusters/edge-1": "/api/v1/clusters/none-1", "/api/v1/apps/payments": "/api/v1/apps/nonesuch",
	} {
		got, want := get(t, handler, foreign), get(t, handler, absent)
		name, other := filepath.Base(foreign), filepath.Base(absent)
		if got.Code != http.StatusNotFound || strings.ReplaceAll(got.Body.String(), name, other) != want.Body.String() {
			t.Errorf("%s answers %d otherwise than %s, which is not there", foreign, got.Code, absent)
		}
	}
	if w := get(t, newStoryAs(access.Caller{}, labelled()), "/sign-in"); strings.Contains(w.Body.String(), "git.example.com") {
		t.Error("who has not signed in is told where the repository is")
	}
}

// TestETagsDiffer: what one person has is not what another is told to have still.
func TestETagsDiffer(t *testing.T) {
	board := labelled()
	whole := get(t, newStoryAs(admin, board), "/api/v1/clusters").Header()
	part := get(t, newStoryAs(shopViewer, board), "/api/v1/clusters").Header()
	if whole.Get("ETag") == part.Get("ETag") || !strings.Contains(part.Get("Cache-Control"), "private") {
		t.Errorf("%v and %v", whole, part)
	}
}

func TestAddCluster(t *testing.T) {
	good := url.Values{"cluster": {"eu-7"}, "life": {"8h"}, "labels": {"env=prod, site=ham"}, "approve": {"yes"}, "namespaces": {"shop, blog,shop"}}
	var invited wire.Invitation
	people := storyPeople
	people.Invite = func(_ context.Context, i wire.Invitation, address string) (string, error) {
		invited = i
		return "kubectl apply -f " + address, nil
	}
	handler := as(admin, Config{Board: joiningStory(), People: people, Now: func() time.Time { return noon }})
	tests := map[string]struct {
		field, value string
		status       int
		says         string
	}{
		"good":           {"", "", http.StatusOK, "kubectl apply -f http://example.com"},
		"no name":        {"cluster", "", http.StatusBadRequest, "cluster"},
		"no such name":   {"cluster", "EU_7", http.StatusBadRequest, "EU_7"},
		"for ever":       {"life", "87600h", http.StatusBadRequest, "how long a token can be good"},
		"labels":         {"labels", "env", http.StatusBadRequest, "is no label"},
		"a script":       {"labels", "<script>alert(1)</script>", http.StatusBadRequest, "&lt;script&gt;"},
		"another's form": {"cluster", "<script>", http.StatusBadRequest, "&lt;script&gt;"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			form := url.Values{}
			for key, value := range good {
				form[key] = value
			}
			if test.field != "" {
				form.Set(test.field, test.value)
			}
			w := post(handler, "/add-cluster", form)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.says) || strings.Contains(w.Body.String(), "<script>") {
				t.Errorf("%d %s", w.Code, mainOf(t, w.Body.String()))
			}
		})
	}
	want := wire.Invitation{
		Cluster: "eu-7", Expires: noon.Add(8 * time.Hour), Approve: true, Labels: map[string]string{"env": "prod", "site": "ham"},
		Namespaces: []string{"blog", "shop"},
	}
	if diff := cmp.Diff(want, invited); diff != "" {
		t.Errorf("the invitation (-want +got):\n%s", diff)
	}
}

func TestTellMembers(t *testing.T) {
	handler := newStoryAs(admin, joiningStory())
	for name, test := range map[string]struct {
		form   url.Values
		status int
	}{
		"approve":             {url.Values{"cluster": {"edge-9"}, "action": {"approve"}}, http.StatusSeeOther},
		"revoke":              {url.Values{"cluster": {"eu-1"}, "action": {"revoke"}, "agree": {"yes"}}, http.StatusSeeOther},
		"revoke, not meant":   {url.Values{"cluster": {"eu-1"}, "action": {"revoke"}}, http.StatusBadRequest},
		"what nobody can do":  {url.Values{"cluster": {"eu-1"}, "action": {"sign in"}}, http.StatusBadRequest},
		"outside of the own":  {url.Values{"cluster": {"us-1"}, "action": {"approve"}}, http.StatusForbidden},
		"no name of clusters": {url.Values{"cluster": {"//evil"}, "action": {"approve"}, "back": {"joining"}}, http.StatusConflict},
	} {
		if w := post(handler, "/members", test.form); w.Code != test.status {
			t.Errorf("%s: %d, want %d: %s", name, w.Code, test.status, w.Body)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/members", strings.NewReader("cluster=edge-9&action=approve"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	if handler.ServeHTTP(w, r); w.Code != http.StatusForbidden {
		t.Errorf("another site approves a cluster: %d", w.Code)
	}
}

func post(handler http.Handler, address string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}
