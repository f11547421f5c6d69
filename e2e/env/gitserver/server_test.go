package gitserver_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/e2e/env/gitserver"
)

func TestPushAndClone(t *testing.T) {
	s, url := start(t, "team/fleet")
	ada := clone(t, url)
	pushed, err := ada.Publish(t.Context(), "first", map[string]string{"a/b.txt": "hello\n"})
	if err != nil {
		t.Fatal(err)
	}
	bob := clone(t, url)
	head, err := bob.Git(t.Context(), "rev-parse", "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	if head != pushed.Commit {
		t.Errorf("the second clone has %s, want %s", head, pushed.Commit)
	}
	content, err := bob.Git(t.Context(), "show", "HEAD:a/b.txt")
	if err != nil || content != "hello" {
		t.Errorf("the file is %q, %v", content, err)
	}
	if again, err := s.Create("team/fleet"); err != nil || again != url {
		t.Errorf("creating what exists gives %q, %v", again, err)
	}
}

// TestLargePush pushes more than Git puts into a request of known length.
func TestLargePush(t *testing.T) {
	_, url := start(t, "fleet")
	ada := clone(t, url)
	noise := make([]byte, 0, 3<<20)
	for sum := sha256.Sum256(nil); len(noise) < 3<<20; sum = sha256.Sum256(sum[:]) {
		noise = append(noise, sum[:]...)
	}
	if _, err := ada.Publish(t.Context(), "large", map[string]string{"large": string(noise)}); err != nil {
		t.Fatal(err)
	}
	bob := clone(t, url)
	size, err := bob.Git(t.Context(), "cat-file", "-s", "HEAD:large")
	if err != nil || size != "3145728" {
		t.Errorf("the file has %q bytes, %v", size, err)
	}
}

func TestRequireLogin(t *testing.T) {
	s, url := start(t, "fleet")
	s.RequireLogin("ada", "open sesame")
	if _, err := gitserver.Clone(t.Context(), url, t.TempDir()); err == nil {
		t.Error("a clone without a password succeeds")
	}
	clone(t, strings.Replace(url, "http://", "http://ada:open%20sesame@", 1))
}

func TestAnnounce(t *testing.T) {
	const secret = "between us"
	bodies := make(chan string, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		if got, want := r.Header.Get("X-Navarch-Signature"), "sha256="+hex.EncodeToString(mac.Sum(nil)); got != want {
			t.Errorf("the signature is %q, want %q", got, want)
		}
		w.WriteHeader(http.StatusAccepted)
		bodies <- string(body)
	}))
	defer hook.Close()
	s, url := start(t, "team/fleet")
	s.Announce(hook.URL, secret)
	ada := clone(t, url)

	first, err := ada.Publish(t.Context(), "first", map[string]string{"file": "1"})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, bodies, "refs/heads/main", strings.Repeat("0", 40), first.Commit)
	second, err := ada.Publish(t.Context(), "second", map[string]string{"file": "2"})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, bodies, "refs/heads/main", first.Commit, second.Commit)
	if _, err := ada.Git(t.Context(), "push", "origin", "HEAD:refs/heads/other"); err != nil {
		t.Fatal(err)
	}
	expect(t, bodies, "refs/heads/other", strings.Repeat("0", 40), second.Commit)
	if _, err := ada.Git(t.Context(), "push", "origin", ":refs/heads/other"); err != nil {
		t.Fatal(err)
	}
	expect(t, bodies, "refs/heads/other", second.Commit, strings.Repeat("0", 40))
}

func TestNames(t *testing.T) {
	s, _ := start(t, "fleet")
	for _, name := range []string{"", "..", "../x", "a/../b", "/etc", "a//b", ".git", "a b"} {
		if _, err := s.Create(name); err == nil {
			t.Errorf("repository name %q is accepted", name)
		}
	}
}

func expect(t *testing.T, bodies <-chan string, ref, before, after string) {
	t.Helper()
	var got struct {
		Ref, Before, After string
		Repository         struct {
			FullName string `json:"full_name"`
		}
	}
	select {
	case <-t.Context().Done():
		t.Fatal("no webhook was called")
	case body := <-bodies:
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
	}
	want := got
	want.Ref, want.Before, want.After, want.Repository.FullName = ref, before, after, "team/fleet"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("webhook (-want +got):\n%s", diff)
	}
}

func start(t *testing.T, name string) (*gitserver.Server, string) {
	t.Helper()
	s, err := gitserver.Start(filepath.Join(t.TempDir(), "served"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	url, err := s.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	return s, url
}

func clone(t *testing.T, url string) *gitserver.WorkDir {
	t.Helper()
	w, err := gitserver.Clone(t.Context(), url, filepath.Join(t.TempDir(), "clone"))
	if err != nil {
		t.Fatal(err)
	}
	return w
}
