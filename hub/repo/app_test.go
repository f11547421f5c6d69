package repo_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/e2e/env/gitserver"
	"github.com/navarch/navarch/hub/repo"
)

// github is a server that answers as GitHub's API does to an App, and gives the
// repositories of a Git server to who has a token of it.
type github struct {
	t       *testing.T
	key     *rsa.PrivateKey
	git     *gitserver.Server
	life    time.Duration // of tokens
	refuses int           // status of the next answers of the API; 0: none
	message string        // of those

	mu     sync.Mutex
	issued int
	token  string // that is good; empty: none
	asked  map[string]any
}

func (g *github) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.URL.Path == "/api/v3/app/installations/77/access_tokens" && r.Method == http.MethodPost {
		g.answer(w, r)
		return
	}
	username, password, _ := r.BasicAuth()
	if username != "x-access-token" || password != g.token || g.token == "" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	g.git.ServeHTTP(w, r)
}

// answer issues a token to who proves to have the App's key.
func (g *github) answer(w http.ResponseWriter, r *http.Request) {
	switch {
	case g.refuses != 0:
		w.WriteHeader(g.refuses)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": g.message + " " + r.Header.Get("Authorization")})
		return
	case !g.proves(r.Header.Get("Authorization")):
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": "A JSON web token could not be decoded"})
		return
	}
	if err := json.NewDecoder(r.Body).Decode(&g.asked); err != nil {
		g.t.Error(err)
	}
	g.issued++
	g.token = fmt.Sprintf("ghs_token%dsesame", g.issued)
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{"token": g.token, "expires_at": time.Now().Add(g.life).UTC().Format(time.RFC3339)})
}

// proves checks a JWT by hand, with the public key.
func (g *github) proves(authorization string) bool {
	token, ok := strings.CutPrefix(authorization, "Bearer ")
	parts := strings.Split(token, ".")
	if !ok || len(parts) != 3 {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || rsa.VerifyPKCS1v15(&g.key.PublicKey, crypto.SHA256, sum[:], signature) != nil {
		return false
	}
	var head struct{ Alg, Typ string }
	var claims struct {
		Iss      string
		Iat, Exp int64
	}
	for i, into := range []any{&head, &claims} {
		content, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(content, into) != nil {
			return false
		}
	}
	now := time.Now().Unix()
	return head.Alg == "RS256" && claims.Iss == "4711" && claims.Iat <= now && claims.Exp > now && claims.Exp-claims.Iat <= 600
}

func newGitHub(t *testing.T) (*github, *stage, repo.Config) {
	t.Helper()
	s := newStage(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	g := &github{t: t, key: key, git: s.server, life: time.Hour}
	server := httptest.NewTLSServer(g)
	t.Cleanup(server.Close)
	return g, s, repo.Config{
		URL: server.URL + "/team/fleet.git", Dir: s.dir,
		CAFile: fileOf(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))),
		App:    repo.App{ID: "4711", Installation: "77", KeyFile: keyFile(t, key)},
	}
}

func keyFile(t *testing.T, key *rsa.PrivateKey) string {
	t.Helper()
	return fileOf(t, "app.pem", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
}

// TestApp fetches with tokens of a GitHub App: one is kept while it is good, and
// another is asked for before it expires, and when the server does not take it.
func TestApp(t *testing.T) {
	g, s, config := newGitHub(t)
	r := open(t, config)
	look := func(want int) {
		t.Helper()
		s.publish(t, map[string]string{"file": strconv.Itoa(want)})
		fetch(t, r)
		if g.issued != want {
			t.Errorf("%d tokens were asked for, want %d", g.issued, want)
		}
	}
	look(1)
	look(1)
	asked := map[string]any{"repositories": []any{"fleet"}, "permissions": map[string]any{"contents": "read"}}
	if diff := cmp.Diff(asked, g.asked); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	g.token = "taken back"
	_, _, err := r.Fetch(t.Context())
	expectError(t, err, "does not accept the token of the GitHub App", "sesame", "ghs_")
	g.life = 4 * time.Minute // sooner than a token is renewed
	look(2)
	look(3)
	g.life = time.Hour
	look(4)
	look(4)
}

func TestAppRefused(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		change func(g *github, c *repo.Config)
		want   string
	}{
		"other key":          {func(_ *github, c *repo.Config) { c.App.KeyFile = keyFile(t, other) }, "gives no token, status 401 (A JSON web token could not be decoded)"},
		"other App":          {func(_ *github, c *repo.Config) { c.App.ID = "1" }, "gives no token, status 401"},
		"other installation": {func(_ *github, c *repo.Config) { c.App.Installation = "78" }, "gives no token, status 401"},
		"suspended":          {func(g *github, _ *repo.Config) { g.refuses, g.message = 403, "This installation has been suspended" }, "status 403 (This installation has been suspended"},
		"no GitHub":          {func(_ *github, c *repo.Config) { c.App.API = strings.Replace(c.URL, "/team/fleet.git", "/other", 1) }, "gives no token, status 401"},
		"redirect": {func(_ *github, c *repo.Config) {
			c.App.API = strings.TrimSuffix(serve(t, redirects), "/fleet.git")
			c.App.API = strings.Replace(c.App.API, "ada:sesame@", "", 1)
			c.URL = strings.Replace(c.URL, "https", "http", 1)
			c.CAFile = ""
		}, "redirect to"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			g, s, config := newGitHub(t)
			s.publish(t, map[string]string{"file": "1"})
			c.change(g, &config)
			_, _, err := open(t, config).Fetch(t.Context())
			expectError(t, err, c.want, "eyJ", "ghs_", "PRIVATE")
		})
	}
}

func redirects(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "http://localhost:1/"+r.URL.Path, http.StatusTemporaryRedirect)
}

func TestAppOpenRefuses(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	right := repo.App{ID: "4711", Installation: "77", KeyFile: keyFile(t, key)}
	cases := map[string]struct {
		change func(c *repo.Config)
		want   string
	}{
		"no ID":           {func(c *repo.Config) { c.App.ID = "" }, "--github-app-id"},
		"no installation": {func(c *repo.Config) { c.App.Installation = "" }, "--github-installation-id"},
		"no key":          {func(c *repo.Config) { c.App.KeyFile = "" }, "--github-key-file"},
		"no such key":     {func(c *repo.Config) { c.App.KeyFile = "/nowhere" }, "no such file"},
		"other file":      {func(c *repo.Config) { c.App.KeyFile = fileOf(t, "x", "sesame") }, "is not the RSA key"},
		"odd number":      {func(c *repo.Config) { c.App.Installation = "../../user" }, "is not a number"},
		"odd API":         {func(c *repo.Config) { c.App.API = "github" }, "cannot be one"},
		"API in clear":    {func(c *repo.Config) { c.App.API = "http://github.example/api/v3" }, "in the clear"},
		"password too":    {func(c *repo.Config) { c.Password = "sesame" }, "both a password and a GitHub App"},
		"password in URL": {func(c *repo.Config) { c.URL = "https://ada:sesame@git.example/x" }, "both a password and a GitHub App"},
		"ssh":             {func(c *repo.Config) { c.URL = "git@github.com:team/fleet.git" }, "whose URL is one of ssh"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			config := repo.Config{URL: "https://github.com/team/fleet.git", Dir: t.TempDir(), App: right}
			c.change(&config)
			_, err := repo.Open(config)
			expectError(t, err, c.want, "sesame")
		})
	}
}
