package hub

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/navarch/navarch/e2e/env/gitserver"
	"github.com/navarch/navarch/hub/repo"
)

// TestHoldsUnsigned: what is not signed is shown and announced to nobody, and a hub
// that starts again goes on with what was.
func TestHoldsUnsigned(t *testing.T) {
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("no ssh-keygen is installed")
	}
	b := newBed(t, repository("shop"))
	key, line, err := gitserver.MakeKey(t.TempDir(), "ada")
	check(t, err)
	keys := filepath.Join(t.TempDir(), "keys")
	check(t, os.WriteFile(keys, line, 0o600))
	b.repo.Verify = repo.Verify{Mode: repo.VerifyCommits, Keys: keys}
	sign := func(whether string) {
		for _, setting := range [][2]string{{"gpg.format", "ssh"}, {"user.signingKey", key + ".pub"}, {"commit.gpgSign", whether}} {
			_, err := b.work.Git(t.Context(), "config", setting[0], setting[1])
			check(t, err)
		}
	}
	sign("true")
	good := b.push("signed", map[string]string{"shop/base/settings.yaml": settings("two")})
	stop := b.start()
	b.handled(good)
	first := b.apps("eu-1", "shop")

	sign("false")
	unsigned := b.push("unsigned", map[string]string{"shop/base/settings.yaml": settings("three")})
	s := b.handled(unsigned)
	if len(s.Latest.Problems) != 1 || !strings.Contains(s.Latest.Problems[0].Message, "not signed") || s.Latest.Problems[0].Hint == "" || s.Latest.Author != "Ada Example" {
		t.Errorf("handled as %+v", s.Latest)
	}
	if s.Announced == nil || s.Announced.Revision != good {
		t.Errorf("announced is %+v", s.Announced)
	}
	stop()
	b.start()
	s = b.handled(unsigned)
	if s.Accepted == nil || s.Accepted.Revision != good {
		t.Errorf("a hub that starts again has accepted %+v", s.Accepted)
	}
	if now, _ := b.told("eu-1"); now != first {
		t.Errorf("announced %+v, want %+v", now, first)
	}
	sign("true")
	b.push("signed again", map[string]string{"shop/base/settings.yaml": settings("four")})
	b.until("the signed one to be announced", func() bool { now, _ := b.told("eu-1"); return now.Sequence > first.Sequence })
}

// TestCVE202647680 (Flux): the path of an app's source leads nowhere but into the
// commit.
func TestCVE202647680(t *testing.T) {
	b := newBed(t, repository("shop"))
	b.start()
	b.apps("eu-1", "shop")
	for _, path := range []string{"../../../../etc", "/etc", "..", "base/../../..", "../.git", "link/etc"} {
		check(t, b.work.Remove("blog/link"))
		check(t, os.MkdirAll(filepath.Join(b.work.Path, "blog"), 0o755))
		check(t, os.Symlink("/", filepath.Join(b.work.Path, "blog", "link")))
		app := "apiVersion: fleet.navarch.dev/v1alpha1\nkind: App\nmetadata: {name: blog, namespace: blog}\nspec: {source: {path: " + path + "}}\n"
		s := b.handled(b.push(path, map[string]string{"blog/app.yaml": app}))
		if s.Latest.Accepted || len(s.Latest.Problems) == 0 || s.Latest.Problems[0].File != "blog/app.yaml" {
			t.Errorf("%s is handled as %+v", path, s.Latest)
		}
	}
}

// TestNeverTellsCredentials: a token in the URL of the repository is on no page of
// the hub and in no line of its log, when all is well and when it is not.
func TestNeverTellsCredentials(t *testing.T) {
	server, err := gitserver.Start(t.TempDir())
	check(t, err)
	t.Cleanup(func() { check(t, server.Close()) })
	plain, err := server.Create("fleet")
	check(t, err)
	server.RequireLogin("ada", "s3cr3t")
	u, err := url.Parse(plain)
	check(t, err)
	u.User = url.UserPassword("ada", "s3cr3t")
	dir, log := t.TempDir(), &syncLog{started: make(chan string, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Config{
			Repository: Repository{URL: u.String(), Poll: 10 * time.Millisecond}, Data: filepath.Join(dir, "data"), Identity: filepath.Join(dir, "identity"),
			Listen: "127.0.0.1:0", NATS: NATS{Listen: "127.0.0.1:0"},
			Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
	}()
	var address string
	select {
	case address = <-log.started:
	case err := <-done:
		t.Fatal(err)
	}
	page := func(path string) string {
		answer, err := http.Get(address + path)
		check(t, err)
		defer answer.Body.Close()
		content, err := io.ReadAll(answer.Body)
		check(t, err)
		return string(content)
	}
	await := func(word string) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !strings.Contains(page("/api/v1/fleet"), word); {
			if time.Now().After(deadline) {
				t.Fatalf("%q does not come:\n%s", word, page("/api/v1/fleet"))
			}
		}
		for _, path := range []string{"/", "/api/v1/fleet", "/metrics", "/readyz", "/api/v1/explain/x", "/api/v1/observed"} {
			if strings.Contains(page(path), "s3cr3t") {
				t.Errorf("the token is on %s when the hub says %q", path, word)
			}
		}
	}
	await("no commits")
	server.RequireLogin("ada", "another")
	await("does not accept")
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if strings.Contains(log.content.String(), "s3cr3t") || !strings.Contains(log.content.String(), "does not accept") {
		t.Errorf("the log: %s", log.content.String())
	}
}

// syncLog is a log that tells where the hub has started.
type syncLog struct {
	mu      sync.Mutex
	content bytes.Buffer
	started chan string
}

func (l *syncLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, after, ok := strings.Cut(string(p), " dashboard="); ok {
		address, _, _ := strings.Cut(after, " ")
		l.started <- address
	}
	return l.content.Write(p)
}
