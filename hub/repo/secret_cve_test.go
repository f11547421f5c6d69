package repo_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/navarch/navarch/hub/repo"
)

// secret is a token with everything that forms write in another way.
const secretToken = "s3cr3t/tök&en+with %20 and 'quotes'"

// forms are all the ways in which a token may be said.
func forms(username string) []string {
	pair := username + ":" + secretToken
	return []string{
		secretToken, "s3cr3t", url.PathEscape(secretToken), url.QueryEscape(secretToken), url.UserPassword(username, secretToken).String(),
		base64.StdEncoding.EncodeToString([]byte(pair)), base64.RawURLEncoding.EncodeToString([]byte(pair)), base64.StdEncoding.EncodeToString([]byte(secretToken)),
	}
}

// parrots are servers that say what they were told, wherever a server can say
// something.
func parrots() map[string]http.HandlerFunc {
	said := func(r *http.Request) string {
		_, password, _ := r.BasicAuth()
		pair, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Basic ")
		return strings.Join([]string{password, pair, url.PathEscape(password), url.QueryEscape(password), strings.ToLower(url.PathEscape(password))}, " ")
	}
	line := func(w io.Writer, text string) { _, _ = fmt.Fprintf(w, "%04x%s", len(text)+4, text) }
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, said(r))
		}
	}
	return map[string]http.HandlerFunc{
		"401": status(401), "403": status(403), "404": status(404), "418": status(418), "500": status(500), "200": status(200),
		"error line": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			line(w, "# service=git-upload-pack\n")
			_, _ = io.WriteString(w, "0000")
			line(w, "ERR "+said(r))
		},
		"odd line": func(w http.ResponseWriter, r *http.Request) {
			line(w, "# service=git-upload-pack\n")
			_, _ = io.WriteString(w, "0000")
			line(w, said(r))
		},
		"branch": func(w http.ResponseWriter, r *http.Request) {
			line(w, "# service=git-upload-pack\n")
			_, _ = io.WriteString(w, "0000")
			line(w, strings.Repeat("1", 40)+" refs/heads/"+strings.ReplaceAll(said(r), " ", "_")+"\x00ofs-delta\n0000")
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			_, password, _ := r.BasicAuth()
			http.Redirect(w, r, "http://s3cr3t.example/?"+url.QueryEscape(password), http.StatusFound)
		},
		"odd redirect": func(w http.ResponseWriter, r *http.Request) {
			_, password, _ := r.BasicAuth()
			w.Header().Set("Location", "http://%zz"+password)
			w.WriteHeader(http.StatusFound)
		},
	}
}

// TestCVE202555190 (Argo CD) and the two before it: a token is in no error, no log and
// no status, whatever a server says and however the token was given.
func TestCVE202555190(t *testing.T) { neverTold(t) }

// TestCVE202325163 (Argo CD): credentials do not come out in an error message.
func TestCVE202325163(t *testing.T) { neverTold(t) }

// TestCVE202431216 (Flux): credentials do not come out in the log.
func TestCVE202431216(t *testing.T) { neverTold(t) }

func neverTold(t *testing.T) {
	t.Helper()
	for name, parrot := range parrots() {
		for _, way := range []string{"config", "url", "token only"} {
			t.Run(name+" "+way, func(t *testing.T) {
				server := httptest.NewServer(parrot)
				defer server.Close()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				log := &lastWord{then: cancel}
				config := repo.Config{URL: server.URL + "/fleet.git", Dir: t.TempDir(), Username: "ada", Password: secretToken}
				username := "ada"
				switch way {
				case "url":
					u, err := url.Parse(config.URL)
					if err != nil {
						t.Fatal(err)
					}
					u.User = url.UserPassword("ada", secretToken)
					config.URL, config.Username, config.Password = u.String(), "", ""
				case "token only":
					config.Username, username = "", "git"
				}
				config.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				r := open(t, config)
				_ = r.Run(ctx)
				status := r.Status()
				if status.Err == nil || log.Len() == 0 {
					t.Fatalf("nothing went wrong: %+v", status)
				}
				for _, text := range []string{status.Err.Error(), fmt.Sprintf("%+v", status), log.String(), r.URL(), fmt.Sprintf("%+v", errorChain(status.Err))} {
					for _, form := range forms(username) {
						if strings.Contains(text, form) && (name != "redirect" || form != "s3cr3t") {
							t.Errorf("%q holds the token as %q", text, form)
						}
					}
				}
			})
		}
	}
}

// TestOrigin refuses redirects that leave the server in any way.
func TestOrigin(t *testing.T) {
	s := newStage(t)
	s.publish(t, map[string]string{"file": "1"})
	var to func(r *http.Request) string
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/fleet.git") {
			http.Redirect(w, r, to(r)+strings.TrimPrefix(r.URL.RequestURI(), "/fleet.git"), http.StatusFound)
			return
		}
		s.server.ServeHTTP(w, r)
	})
	visited := ""
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visited = r.Header.Get("Authorization") + "!"
		s.server.ServeHTTP(w, r)
	}))
	defer elsewhere.Close()
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	ca := fileOf(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	host := func(u string) string { _, host, _ := strings.Cut(u, "://"); return host }
	cases := map[string]struct {
		from string
		to   string
		want string
	}{
		"same":              {plain.URL, "/team/fleet.git", ""},
		"same, with TLS":    {secure.URL, secure.URL + "/team/fleet.git", ""},
		"another port":      {plain.URL, elsewhere.URL + "/team/fleet.git", "redirects to another"},
		"another host":      {plain.URL, strings.Replace(plain.URL, "127.0.0.1", "localhost", 1) + "/team/fleet.git", "redirects to another"},
		"another name":      {plain.URL, "http://ada@127.1:" + host(plain.URL)[len("127.0.0.1:"):] + "/team/fleet.git", "redirects to another"},
		"without TLS":       {secure.URL, "http://" + host(secure.URL) + "/team/fleet.git", "changes scheme"},
		"with TLS":          {plain.URL, "https://" + host(plain.URL) + "/team/fleet.git", "redirects to another"},
		"in circles":        {plain.URL, "/fleet.git", "redirects again and again"},
		"another scheme":    {plain.URL, "file:///etc/passwd", "unsupported scheme"},
		"another secret":    {plain.URL, "http://eve:sesame@" + host(plain.URL) + "/team/fleet.git", ""},
		"protocol-relative": {plain.URL, "//" + host(elsewhere.URL) + "/team/fleet.git", "redirects to another"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			to, visited = func(*http.Request) string { return c.to }, ""
			config := repo.Config{URL: c.from + "/fleet.git", Dir: t.TempDir(), Password: "open sesame"}
			if c.from == secure.URL {
				config.CAFile = ca
			}
			_, _, err := open(t, config).Fetch(t.Context())
			switch {
			case c.want != "":
				expectError(t, err, c.want, "sesame")
			case err != nil:
				t.Error(err)
			}
			if visited != "" {
				t.Errorf("the other server was asked with %q", visited)
			}
		})
	}
}

// TestCVE202641506 (go-git): credentials do not follow a redirect to another host.
func TestCVE202641506(t *testing.T) { TestOrigin(t) }

// TestCAFile trusts a private server by its CA, and then only by that.
func TestCAFile(t *testing.T) {
	s := newStage(t)
	s.publish(t, map[string]string{"file": "1"})
	server := httptest.NewTLSServer(s.server)
	defer server.Close()
	other := httptest.NewTLSServer(http.NotFoundHandler())
	defer other.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	config := repo.Config{URL: server.URL + "/team/fleet.git", Dir: t.TempDir()}
	_, _, err := open(t, config).Fetch(t.Context())
	expectError(t, err, "--git-ca-file")
	config.CAFile = fileOf(t, "ca.pem", ca)
	fetch(t, open(t, config))
	for content, want := range map[string]string{"": "holds no certificate", "hello": "holds no certificate"} {
		config.CAFile = fileOf(t, "ca.pem", content)
		_, err := repo.Open(config)
		expectError(t, err, want)
	}
	config.CAFile = "/nowhere"
	_, err = repo.Open(config)
	expectError(t, err, "no such file")
}

// lastWord is a log, and does something after its first line.
type lastWord struct {
	bytes.Buffer
	then func()
}

func (l *lastWord) Write(p []byte) (int, error) {
	defer l.then()
	return l.Buffer.Write(p)
}

// errorChain returns an error and all that it wraps.
func errorChain(err error) []string {
	var chain []string
	for ; err != nil; err = errors.Unwrap(err) {
		chain = append(chain, fmt.Sprintf("%+v %#v", err, err))
	}
	return chain
}
