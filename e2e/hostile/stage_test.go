package hostile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/navarch/navarch/e2e/env"
	"github.com/navarch/navarch/e2e/env/gitserver"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
)

// stage is a hub that runs whole, with a Git server.
type stage struct {
	t        *testing.T
	url      string // of the dashboard
	identity *enrol.Identity
	work     *gitserver.WorkDir
	log      *logbook
}

const webhookSecret = "a secret of this test"

func newStage(t *testing.T) *stage {
	t.Helper()
	server, err := gitserver.Start(t.TempDir())
	check(t, err)
	t.Cleanup(func() { check(t, server.Close()) })
	repository, err := server.Create("fleet")
	check(t, err)
	work, err := gitserver.Clone(t.Context(), repository, t.TempDir())
	check(t, err)
	dir := t.TempDir()
	s := &stage{t: t, work: work, log: &logbook{}}
	s.identity, err = enrol.Open(filepath.Join(dir, "identity"))
	check(t, err)
	const local = "127.0.0.1:0"
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- hub.Run(ctx, hub.Config{
			Repository: hub.Repository{URL: repository, Poll: time.Hour}, Data: filepath.Join(dir, "data"), Identity: filepath.Join(dir, "identity"),
			Listen: local, NATS: hub.NATS{Listen: local}, WebhookSecret: webhookSecret, Log: slog.New(slog.NewTextHandler(s.log, nil)),
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the hub said:\n%s", s.log.tail(30))
		}
	})
	s.until("the hub to start", func() bool {
		select {
		case err := <-done:
			done <- err
			t.Fatal(err)
		default:
		}
		_, address, found := strings.Cut(s.log.String(), "dashboard=")
		s.url, _, _ = strings.Cut(address, " ")
		return found
	})
	server.Announce(s.url+"/webhook", webhookSecret)
	return s
}

// logbook is what a program logs.
type logbook struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *logbook) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(line)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func (l *logbook) tail(lines int) string {
	all := strings.SplitAfter(strings.TrimSpace(l.String()), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "")
}

// push commits and pushes files, and returns the revision.
func (s *stage) push(files map[string]string) string {
	s.t.Helper()
	pushed, err := s.work.Publish(s.t.Context(), "change", files)
	check(s.t, err)
	return "main@sha1:" + pushed.Commit
}

// answer reads a page of the hub.
func (s *stage) answer(path string) (int, []byte) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, http.NoBody)
	check(s.t, err)
	response, err := http.DefaultClient.Do(request)
	check(s.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	check(s.t, err)
	return response.StatusCode, body
}

// api reads a page of the hub's API into value.
func (s *stage) api(path string, value any) {
	s.t.Helper()
	status, body := s.answer("/api/v1/" + path)
	if status != http.StatusOK {
		s.t.Fatalf("%s: %d %s", path, status, body)
	}
	check(s.t, json.Unmarshal(body, value))
}

// commits is what the API says of the repository.
type commits struct {
	Latest, Announced *struct {
		Revision string
		Accepted bool
		Problems fleet.Problems
	}
	Clusters map[string]int
}

// announced waits until a revision is announced.
func (s *stage) announced(revision string) {
	s.t.Helper()
	s.until("the commit to be announced", func() bool {
		var c commits
		s.api("fleet", &c)
		if c.Latest != nil && c.Latest.Revision == revision && len(c.Latest.Problems) > 0 {
			s.t.Fatal(c.Latest.Problems)
		}
		return c.Announced != nil && c.Announced.Revision == revision
	})
}

// shown tells whether the API says a word of a cluster.
func (s *stage) shown(cluster fleet.ClusterName, word string) bool {
	s.t.Helper()
	_, body := s.answer("/api/v1/clusters/" + string(cluster))
	return bytes.Contains(body, []byte(word))
}

func (s *stage) until(what string, holds func() bool) {
	s.t.Helper()
	deadline := time.After(60 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("waiting for %s; the hub said:\n%s", what, s.log.tail(20))
		}
	}
}

// install is what an install manifest gives to whoever has it.
type install struct {
	hub, hubKey string
	ca, door    []byte
	token       wire.Token
	text        string // the token
}

// invite makes a token and fetches the manifest that it is for.
func (s *stage) invite(cluster fleet.ClusterName) install {
	s.t.Helper()
	token, err := s.identity.NewToken(wire.Invitation{Cluster: cluster, Expires: time.Now().Add(time.Hour)})
	check(s.t, err)
	status, manifest := s.answer("/install/" + token.String())
	if status != http.StatusOK {
		s.t.Fatalf("no manifest: %d %s", status, manifest)
	}
	files, err := env.SecretFiles(manifest)
	check(s.t, err)
	var said struct {
		Hub    []string
		HubKey string
	}
	check(s.t, yaml.Unmarshal(files["agent.yaml"], &said))
	return install{hub: said.Hub[0], hubKey: said.HubKey, ca: files["ca.crt"], door: files["door.creds"], token: token, text: string(files["token"])}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
