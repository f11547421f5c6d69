package repo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/navarch/navarch/hub/repo"
)

// TestPushIsAnnounced pushes to a server that calls the webhook: every push comes
// out without a poll.
func TestPushIsAnnounced(t *testing.T) {
	s := newStage(t)
	r := s.open(t)
	handler, err := r.Webhook(webhookSecret)
	if err != nil {
		t.Fatal(err)
	}
	hook := httptest.NewServer(handler)
	defer hook.Close()
	s.server.Announce(hook.URL, webhookSecret)
	start(t, r)
	for i := range 5 {
		hash := s.publish(t, map[string]string{"file": strconv.Itoa(i)})
		if commit := next(t, r); commit.Hash != hash || commit.Rewound {
			t.Errorf("commit %s, rewound %t, want %s", commit.Hash, commit.Rewound, hash)
		}
	}
	s.git(t, "reset", "--quiet", "--hard", "HEAD~2")
	s.git(t, "push", "--quiet", "--force", "origin", "main")
	if commit := next(t, r); commit.Hash != s.git(t, "rev-parse", "HEAD") || !commit.Rewound {
		t.Errorf("commit %s, rewound %t after a force-push", commit.Hash, commit.Rewound)
	}
}

// TestPoll finds a push that nobody tells of.
func TestPoll(t *testing.T) {
	s := newStage(t)
	s.publish(t, map[string]string{"file": "1"})
	r, err := repo.Open(repo.Config{URL: s.url, Dir: s.dir, Poll: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	start(t, r)
	next(t, r)
	hash := s.publish(t, map[string]string{"file": "2"})
	if commit := next(t, r); commit.Hash != hash {
		t.Errorf("commit %s, want %s", commit.Hash, hash)
	}
}

// TestTrouble lets the password be wrong for a while. It is said once.
func TestTrouble(t *testing.T) {
	s := newStage(t)
	first := s.publish(t, map[string]string{"file": "1"})
	fetch(t, s.open(t))
	s.server.RequireLogin("ada", "other")
	var log syncBuffer
	r, err := repo.Open(repo.Config{URL: s.url, Dir: s.dir, Poll: time.Millisecond, Username: "ada", Password: "sesame", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	start(t, r)
	if commit := next(t, r); commit.Hash != first {
		t.Errorf("without a server the commit is %s, want that of the last run, %s", commit.Hash, first)
	}
	if status := r.Status(); status.Err == nil || status.Failing.IsZero() {
		t.Errorf("status %+v", status)
	}
	r.Nudge()
	s.server.RequireLogin("ada", "sesame")
	s.git(t, "remote", "set-url", "origin", strings.Replace(s.url, "://", "://ada:sesame@", 1))
	second := s.publish(t, map[string]string{"file": "2"})
	r.Nudge()
	if commit := next(t, r); commit.Hash != second {
		t.Errorf("commit %s, want %s", commit.Hash, second)
	}
	if status := r.Status(); status.Err != nil || !status.Failing.IsZero() {
		t.Errorf("status %+v", status)
	}
	said := log.String()
	if strings.Count(said, "cannot be read") != 1 || strings.Count(said, "can be read again") != 1 || strings.Contains(said, "sesame") {
		t.Errorf("the log:\n%s", said)
	}
}

// TestMended damages the store of a running watch, from which a reader finds out.
func TestMended(t *testing.T) {
	s := newStage(t)
	s.publish(t, fleetFiles(3))
	fetch(t, s.open(t))
	var log syncBuffer
	r, err := repo.Open(repo.Config{URL: s.url, Dir: s.dir, Poll: time.Hour, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	start(t, r)
	commit := next(t, r)
	rewrite(t, store(t, s.dir), "objects/pack/*.pack", scramble)
	if _, err := commit.Tree.ReadFile("apps/app-0001/app.yaml"); err == nil {
		t.Fatal("a broken store is read")
	}
	again := next(t, r)
	if again.Hash != commit.Hash {
		t.Errorf("commit %s, want %s", again.Hash, commit.Hash)
	}
	compare(t, s, again.Tree)
	if said := log.String(); strings.Count(said, "damaged") != 1 {
		t.Errorf("the log:\n%s", said)
	}
}

// TestTidy makes the store anew when packs have gathered. Trees stay readable.
func TestTidy(t *testing.T) {
	s := newStage(t)
	files := fleetFiles(3)
	files["large"] = strings.Repeat("a large file\n", 10_000)
	s.publish(t, files)
	r := s.open(t)
	r.SetCrowd(2)
	start(t, r)
	trees := []*repo.Tree{next(t, r).Tree}
	for i := range 9 {
		s.publish(t, map[string]string{"mark": strconv.Itoa(i)})
		r.Nudge()
		trees = append(trees, next(t, r).Tree)
		if content, err := trees[i+1].ReadFile("mark"); string(content) != strconv.Itoa(i) || err != nil {
			t.Fatalf("mark %q, %v", content, err)
		}
		if _, err := trees[i].ReadFile("large"); err != nil {
			t.Errorf("the tree of the commit before cannot be read any more: %v", err)
		}
	}
	compare(t, s, trees[9])
	wait(t, func() bool { // it is tidied after a commit is out
		stores, err := filepath.Glob(filepath.Join(s.dir, "store-*"))
		return err == nil && len(stores) == 2 && filepath.Base(stores[1]) >= "store-000003"
	})
	if count := len(packs(t, s.dir)); count > 2*5 {
		t.Errorf("%d files of packs", count)
	}
}

// TestReadWhileFetching reads a tree while commits come in.
func TestReadWhileFetching(t *testing.T) {
	s := newStage(t)
	s.publish(t, fleetFiles(20))
	r := s.open(t)
	tree := fetch(t, r).Tree
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for worker := range 4 {
		readers.Go(func() {
			for i := worker; ctx.Err() == nil; i++ {
				if _, err := tree.ReadFile(fmt.Sprintf("apps/app-%04d/base/objects.yaml", i%20)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 5 {
		s.publish(t, map[string]string{"apps/app-0003/base/objects.yaml": manifest(3, i+1)})
		fetch(t, r)
	}
	cancel()
	readers.Wait()
}

// TestCoalesced does not take commits: the last one is there in the end, and says
// that one before it was rewound.
func TestCoalesced(t *testing.T) {
	s := newStage(t)
	s.publish(t, map[string]string{"file": "0"})
	s.publish(t, map[string]string{"file": "1"})
	r := s.open(t)
	start(t, r)
	wait(t, func() bool { return r.Status().Revision != "" })
	s.git(t, "reset", "--quiet", "--hard", "HEAD~1")
	s.git(t, "push", "--quiet", "--force", "origin", "main")
	r.Nudge()
	wait(t, func() bool { return strings.HasSuffix(r.Status().Revision, s.git(t, "rev-parse", "HEAD")) })
	last := s.publish(t, map[string]string{"file": "2"})
	r.Nudge()
	wait(t, func() bool { return strings.HasSuffix(r.Status().Revision, last) })
	// What was found is put out after the status has changed.
	for commit := next(t, r); commit.Hash != last; commit = next(t, r) {
		if len(commit.Hash) == 0 {
			t.Fatal("no commit")
		}
	}
}

func TestFolderThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := repo.Open(repo.Config{URL: "https://git.example/fleet.git", Dir: filepath.Join(file, "store")})
	expectError(t, err, "make the folder for the copy of the repository")
}

// start runs a watch until the test ends.
func start(t *testing.T, r *repo.Repo) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the watch ended with %v", err)
		}
	})
}

// next waits for the next commit of a watch.
func next(t *testing.T, r *repo.Repo) repo.Commit {
	t.Helper()
	select {
	case commit := <-r.Commits():
		return commit
	case <-time.After(30 * time.Second):
		t.Fatalf("no commit comes: %v", r.Status().Err)
		return repo.Commit{}
	}
}

// wait waits until something is so.
func wait(t *testing.T, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it does not come about")
		}
	}
}

// syncBuffer is a log that can be read while it is written.
type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
