package gitserver

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// environment keeps what the person at this machine has configured for Git out of
// the server and of the clones.
var environment = []string{"GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C"}

var validName = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]*(/[a-zA-Z0-9_][a-zA-Z0-9._-]*)*$`)

// Server serves the bare repositories of one folder until Close. Everybody on this
// machine may read and push, unless RequireLogin says otherwise.
type Server struct {
	dir     string
	address string
	http    *http.Server
	backend *cgi.Handler
	file    *os.File       // of the log
	log     *log.Logger    // to which git says what is wrong, too
	calls   sync.WaitGroup // webhooks on their way and the loop that accepts connections
	order   sync.Mutex     // held while refs are read and compared: one push is announced after the other

	mu       sync.Mutex
	username string
	password string
	hook     webhook
	refs     map[string]refs // by repository, as last announced
}

// Start serves the repositories of dir, which it makes when it is absent, on a
// free port of loopback.
func Start(dir string) (*Server, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("start git server: %w", err)
	}
	backend, err := backendPath()
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, refs: map[string]refs{}}
	if err := s.listen(backend); err != nil {
		return nil, fmt.Errorf("start git server: %w", err)
	}
	return s, nil
}

func (s *Server) listen(backend string) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(s.dir, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, file.Close())
	}
	s.file, s.log = file, log.New(file, "", log.LstdFlags)
	s.address = listener.Addr().String()
	s.backend = &cgi.Handler{
		Path: backend,
		Dir:  s.dir,
		Env: append([]string{
			"GIT_PROJECT_ROOT=" + s.dir, "GIT_HTTP_EXPORT_ALL=1",
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.receivepack", "GIT_CONFIG_VALUE_0=true",
		}, environment...),
		Logger: s.log,
		Stderr: file,
	}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	s.calls.Go(func() { _ = s.http.Serve(listener) }) // it ends with Close
	return nil
}

// backendPath finds the part of Git that speaks smart HTTP.
func backendPath() (string, error) {
	output, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return "", fmt.Errorf("ask git for its programs: %w (install git)", err)
	}
	path := filepath.Join(strings.TrimSpace(string(output)), "git-http-backend")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("find git-http-backend: %w (install the whole of git)", err)
	}
	return path, nil
}

// Close stops the server. Requests and webhooks on their way have a few seconds to
// end.
func (s *Server) Close() error {
	grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := s.http.Shutdown(grace)
	if err != nil {
		err = s.http.Close()
	}
	s.calls.Wait()
	return errors.Join(err, s.file.Close())
}

// Create makes an empty repository whose branch is main, and returns its URL. One
// that exists is kept.
func (s *Server) Create(name string) (string, error) {
	if !validName.MatchString(name) {
		return "", fmt.Errorf("repository name %q: use letters, digits, '.', '_' and '-', with '/' between folders", name)
	}
	dir := s.Dir(name)
	if _, err := os.Stat(dir); err == nil {
		return s.URL(name), nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("create repository %q: %w", name, err)
	}
	if _, err := run(context.Background(), s.dir, "init", "--quiet", "--bare", "--initial-branch=main", dir); err != nil {
		return "", fmt.Errorf("create repository %q: %w", name, err)
	}
	return s.URL(name), nil
}

// Dir returns the folder of a repository.
func (s *Server) Dir(name string) string {
	return filepath.Join(s.dir, filepath.FromSlash(name)+".git")
}

// URL returns the address of a repository, without credentials.
func (s *Server) URL(name string) string { return "http://" + s.address + "/" + name + ".git" }

// RequireLogin serves only those who know the username and password from now on.
func (s *Server) RequireLogin(username, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.username, s.password = username, password
}

// Announce calls a webhook after every push from now on. Its requests are signed
// with the secret, in the header X-Navarch-Signature.
func (s *Server) Announce(url, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = webhook{url: url, secret: secret}
}

// ServeHTTP hands a request to git-http-backend.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.welcome(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(w, "wrong user name or password", http.StatusUnauthorized)
		return
	}
	// The CGI of net/http refuses the chunked bodies of large pushes, but passes a
	// body of unknown length on, which git-http-backend reads to its end.
	r.TransferEncoding = nil
	name, pushes := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/"), ".git/git-receive-pack")
	if !pushes || !validName.MatchString(name) {
		s.backend.ServeHTTP(w, r)
		return
	}
	ctx := context.WithoutCancel(r.Context()) // what was pushed is announced, whoever has hung up
	s.remember(ctx, name)
	s.backend.ServeHTTP(w, r)
	s.announce(ctx, name)
}

func (s *Server) welcome(r *http.Request) bool {
	s.mu.Lock()
	username, password := s.username, s.password
	s.mu.Unlock()
	if username == "" && password == "" {
		return true
	}
	u, p, _ := r.BasicAuth()
	return subtle.ConstantTimeCompare([]byte(u+"\x00"+p), []byte(username+"\x00"+password)) == 1
}

// run runs git in dir and returns what it printed.
func run(ctx context.Context, dir string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	cmd.Env = append(os.Environ(), environment...)
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(stdout.String()), nil
}
