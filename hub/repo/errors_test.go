package repo_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/navarch/navarch/hub/repo"
)

func TestOpenRefuses(t *testing.T) {
	cases := map[string]struct {
		config repo.Config
		want   string
	}{
		"nothing":        {repo.Config{}, "https, http or ssh"},
		"file":           {repo.Config{URL: "/srv/git/fleet.git"}, "https, http or ssh"},
		"broken URL":     {repo.Config{URL: "https://ada:sesame@git.example:port/"}, "https, http or ssh"},
		"query":          {repo.Config{URL: "https://git.example/fleet?token=sesame"}, "query"},
		"branch":         {repo.Config{URL: "https://git.example/fleet", Branch: "../../etc"}, `branch "../../etc"`},
		"branch of none": {repo.Config{URL: "https://git.example/fleet", Branch: "a..b"}, `branch "a..b"`},
		"poll":           {repo.Config{URL: "https://git.example/fleet", Poll: -1}, "negative"},
		"folder":         {repo.Config{URL: "https://git.example/fleet"}, "folder"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.want != "folder" {
				c.config.Dir = t.TempDir()
			}
			_, err := repo.Open(c.config)
			expectError(t, err, c.want, "sesame")
		})
	}
}

func TestUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://ada:sesame@" + listener.Addr().String() + "/fleet.git"
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	answer := func(status int, body string) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body+" "+r.Header.Get("Authorization"))
		})
	}
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	defer tls.Close()
	elsewhere := answer(http.StatusOK, "secrets of another")
	cases := map[string]struct{ url, want string }{
		"nobody listens": {nobody, "cannot be reached (dial tcp 127.0.0.1"},
		"no such host":   {"http://ada:sesame@nowhere.invalid/fleet.git", "host cannot be found"},
		"certificate":    {strings.Replace(tls.URL, "://", "://ada:sesame@", 1) + "/fleet.git", "--git-ca-file"},
		"no git":         {answer(http.StatusOK, "<html>hello"), "not one of a Git repository"},
		"not found":      {answer(http.StatusNotFound, "no"), "there is no such repository"},
		"forbidden":      {answer(http.StatusForbidden, "no"), "forbids it"},
		"unauthorized":   {answer(http.StatusUnauthorized, "no"), "does not accept the user name and password"},
		"down":           {answer(http.StatusBadGateway, "no"), "status 502"},
		"other host": {serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, strings.Replace(elsewhere, "127.0.0.1", "localhost", 1), http.StatusFound)
		}), `redirects to another, "http://localhost`},
		"hangs up": {serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), "cannot be reached (EOF)"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, err := repo.Open(repo.Config{URL: c.url, Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			_, changed, err := r.Fetch(t.Context())
			expectError(t, err, c.want, "sesame", base64.StdEncoding.EncodeToString([]byte("ada:sesame")))
			if status := r.Status(); changed || status.Err == nil || status.Failing.IsZero() || !status.Checked.IsZero() {
				t.Errorf("changed %t, status %+v", changed, status)
			}
		})
	}
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, err := repo.Open(repo.Config{Dir: t.TempDir(), URL: serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Fetch(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestLogin(t *testing.T) {
	s := newStage(t)
	s.publish(t, map[string]string{"file": "1"})
	const secret = "open/sesame%20 & more"
	s.server.RequireLogin("ada", secret)
	cases := map[string]struct{ username, password, want string }{
		"none":           {"", "", "wants a user name and a password"},
		"wrong password": {"ada", "open/sesame%20 & less", "does not accept"},
		"wrong name":     {"bob", secret, "does not accept"},
		"right":          {"ada", secret, ""},
	}
	for name, c := range cases {
		for _, way := range []string{"config", "url"} {
			t.Run(name+" in "+way, func(t *testing.T) {
				config := repo.Config{URL: s.url, Dir: t.TempDir(), Username: c.username, Password: c.password}
				if way == "url" && c.username != "" {
					u, err := url.Parse(s.url)
					if err != nil {
						t.Fatal(err)
					}
					u.User = url.UserPassword(c.username, c.password)
					config = repo.Config{URL: u.String(), Dir: config.Dir}
				}
				r, err := repo.Open(config)
				if err != nil {
					t.Fatal(err)
				}
				_, _, err = r.Fetch(t.Context())
				if c.want == "" {
					if err != nil {
						t.Error(err)
					}
					rewrite(t, store(t, config.Dir), "config", func(content []byte) []byte {
						if strings.Contains(string(content), "sesame") {
							t.Error("the password is in the store")
						}
						return content
					})
					return
				}
				expectError(t, err, c.want, "sesame", url.QueryEscape(c.password+" "))
			})
		}
	}
}

// TestTokenOnly gives a token without a user name, which servers take with any name.
func TestTokenOnly(t *testing.T) {
	s := newStage(t)
	s.publish(t, map[string]string{"file": "1"})
	s.server.RequireLogin("git", "token")
	r, err := repo.Open(repo.Config{URL: s.url, Dir: t.TempDir(), Password: "token"})
	if err != nil {
		t.Fatal(err)
	}
	fetch(t, r)
}

func TestBranchMissing(t *testing.T) {
	s := newStage(t)
	s.publish(t, map[string]string{"file": "1"})
	branch := func(name string) error {
		r, err := repo.Open(repo.Config{URL: s.url, Dir: t.TempDir(), Branch: name})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = r.Fetch(t.Context())
		return err
	}
	expectError(t, branch("release"), `has no branch "release": it has "main"`)
	refs := []string{"push", "--quiet", "origin"}
	for _, name := range strings.Split("abcdefghijkl", "") {
		refs = append(refs, "HEAD:refs/heads/"+name)
	}
	s.git(t, refs...)
	expectError(t, branch("release"), `it has "a", "b", "c", "d", "e", "f", "g", "h", "i", "j" and 3 more`)
}

func TestEmpty(t *testing.T) {
	s := newStage(t)
	r := s.open(t)
	_, changed, err := r.Fetch(t.Context())
	if !errors.Is(err, repo.ErrEmpty) || changed {
		t.Errorf("changed %t, %v", changed, err)
	}
	expectError(t, err, `push a first one to branch "main"`)
	s.publish(t, map[string]string{"file": "1"})
	fetch(t, r)

	s.git(t, "rm", "--quiet", "-r", ".")
	s.git(t, "commit", "--quiet", "--message", "nothing left")
	s.git(t, "push", "--quiet", "origin", "main")
	compare(t, s, fetch(t, r).Tree)
}

// TestBranchGone shows that a commit stays when its branch goes.
func TestBranchGone(t *testing.T) {
	s := newStage(t)
	s.publish(t, map[string]string{"file": "1"})
	r := s.open(t)
	before := fetch(t, r)
	s.git(t, "push", "--quiet", "origin", "main:other")
	remove(t, s.server.Dir("team/fleet"), "refs/heads/main")
	commit, changed, err := r.Fetch(t.Context())
	expectError(t, err, `no branch "main": it has "other"`)
	if changed || commit.Hash != before.Hash {
		t.Errorf("commit %q, changed %t", commit.Hash, changed)
	}
}

// TestRenamed follows a redirect that stays on the server, as after a rename.
func TestRenamed(t *testing.T) {
	s := newStage(t)
	hash := s.publish(t, map[string]string{"file": "1"})
	renamed := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if rest, ok := strings.CutPrefix(r.URL.Path, "/fleet.git"); ok {
			http.Redirect(w, r, "/team/fleet.git"+rest+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
			return
		}
		s.server.ServeHTTP(w, r)
	})
	r, err := repo.Open(repo.Config{URL: renamed, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if commit := fetch(t, r); commit.Hash != hash {
		t.Errorf("commit %s, want %s", commit.Hash, hash)
	}
}

// serve serves with a handler and returns the URL of a repository there, with
// credentials.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "://", "://ada:sesame@", 1) + "/fleet.git"
}

// expectError expects one line that holds some words and others not.
func expectError(t *testing.T, err error, want string, never ...string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) || strings.ContainsAny(err.Error(), "\n\r") {
		t.Errorf("error %q, want one line with %q", err, want)
		return
	}
	for ; err != nil; err = errors.Unwrap(err) {
		for _, word := range never {
			if strings.Contains(err.Error(), word) {
				t.Errorf("error %q holds %q", err, word)
			}
		}
	}
}
