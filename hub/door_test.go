package hub

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
)

func newTestDoor(t *testing.T) (*door, *enrol.Identity, http.Handler) {
	t.Helper()
	identity, err := enrol.Open(t.TempDir())
	check(t, err)
	desk, err := enrol.OpenDesk(enrol.DeskConfig{Identity: identity, File: filepath.Join(t.TempDir(), enrol.RollName), Log: discard})
	check(t, err)
	d := newDoor(Config{NATS: NATS{URL: "tls://nats.example.com:4222", CA: []byte("a CA")}, Log: discard}, identity, desk, nil)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /install/{token}", d.install)
	mux.HandleFunc("POST /api/v1/members", d.members)
	return d, identity, mux
}

func get(handler http.Handler, path string) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
	return recorder
}

func TestInstall(t *testing.T) {
	d, identity, handler := newTestDoor(t)
	create := func(life time.Duration) wire.Token {
		token, err := identity.NewToken(wire.Invitation{Cluster: "eu-3", Expires: time.Now().Add(life)})
		check(t, err)
		return token
	}
	good, expired := create(time.Hour), create(-time.Hour)
	answer := get(handler, "/install/"+good.String())
	for _, want := range []string{"cluster: eu-3", "tls://nats.example.com:4222", "token: " + good.String(), "BEGIN NATS USER JWT"} {
		if !strings.Contains(answer.Body.String(), want) {
			t.Errorf("the manifest does not say %q", want)
		}
	}
	if answer.Code != http.StatusOK || answer.Header().Get("Cache-Control") != "no-store" {
		t.Error(answer.Code, answer.Header())
	}
	limited, err := identity.NewToken(wire.Invitation{Cluster: "eu-3", Expires: time.Now().Add(time.Hour), Namespaces: []string{"blog", "shop"}})
	check(t, err)
	for text, want := range map[string]bool{good.String(): true, limited.String(): false} {
		if got := strings.Contains(get(handler, "/install/"+text).Body.String(), "kind: ClusterRoleBinding"); got != want {
			t.Errorf("a manifest grants something in the whole cluster: %v, want %v", got, want)
		}
	}
	if !strings.Contains(get(handler, "/install/"+limited.String()).Body.String(), "namespaces: [blog, shop]") {
		t.Error("the agent does not hear that it is let into two namespaces only")
	}
	nobody := get(handler, "/install/none")
	for name, text := range map[string]string{"expired": expired.String(), "without its secret": good.Public(), "cut off": good.String()[:50]} {
		got := get(handler, "/install/"+text)
		if got.Code != http.StatusNotFound || got.Body.String() != nobody.Body.String() {
			t.Errorf("%s: answered %d %q, who has no token %q", name, got.Code, got.Body, nobody.Body)
		}
	}
	d.limit = rate.NewLimiter(0, 0)
	if got := get(handler, "/install/"+good.String()); got.Code != http.StatusTooManyRequests {
		t.Errorf("asked too often: %d", got.Code)
	}
}

func TestMembers(t *testing.T) {
	_, identity, handler := newTestDoor(t)
	post := func(body string) *httptest.ResponseRecorder {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/api/v1/members", strings.NewReader(body)))
		return recorder
	}
	sealed, err := identity.SealCommand(enrol.VerbList, "", time.Now())
	check(t, err)
	for _, test := range []struct {
		name, body string
		code       int
	}{
		{"signed", string(sealed), http.StatusOK},
		{"again", string(sealed), http.StatusForbidden},
		{"nothing", "", http.StatusForbidden},
		{"too long", strings.Repeat(" ", maxCommand+1), http.StatusBadRequest},
	} {
		if got := post(test.body); got.Code != test.code {
			t.Errorf("%s: answered %d %s, want %d", test.name, got.Code, got.Body, test.code)
		}
	}
}
