package gate

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/navarch/navarch/hub/access"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newJournal(t *testing.T) (*Journal, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), JournalName)
	j, err := OpenJournal(file, discard)
	if err != nil {
		t.Fatal(err)
	}
	return j, file
}

func TestJournal(t *testing.T) {
	j, file := newJournal(t)
	if entries, err := j.Newest(10); len(entries) != 0 || err != nil {
		t.Fatal(entries, err)
	}
	var group sync.WaitGroup
	for range 40 {
		group.Go(func() {
			j.Write(access.EntryOf(access.Caller{Person: access.Person{Name: "ada", By: access.ByOIDC}, From: "192.0.2.1"}, access.Release, "main@sha1:1\n{", nil, noon))
		})
	}
	group.Wait()
	again, err := OpenJournal(file, discard) // what is there stays
	if err != nil {
		t.Fatal(err)
	}
	again.Write(access.EntryOf(access.Caller{}, access.SignIn, "", errors.New("no"), noon.Add(time.Second)))
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(content), "\n"); lines != 41 || !strings.HasSuffix(string(content), "\n") {
		t.Errorf("%d lines", lines)
	}
	if stat, err := os.Stat(file); err != nil || stat.Mode().Perm() != 0o600 {
		t.Error(stat, err)
	}
	entries, err := j.Newest(2)
	if err != nil || len(entries) != 2 || entries[0].Outcome != access.Refused || entries[1].On != "main@sha1:1\n{" {
		t.Errorf("%+v %v", entries, err)
	}
	if err := os.WriteFile(file, append(content, `{"at":"2026`...), 0o600); err != nil { // as a hub leaves it that dies
		t.Fatal(err)
	}
	if entries, err := j.Newest(100); err != nil || len(entries) != 41 {
		t.Errorf("%d entries: %v", len(entries), err)
	}
	if _, err := OpenJournal(filepath.Join(t.TempDir(), "none", "x"), discard); err == nil || !strings.Contains(err.Error(), "--audit") {
		t.Error(err)
	}
}

// TestJournalIsNotFilled: who is refused again and again writes no more than a line a
// second after a while, and what was not written is counted.
func TestJournalIsNotFilled(t *testing.T) {
	j, file := newJournal(t)
	refused := access.EntryOf(access.Caller{From: "192.0.2.1"}, access.SignIn, "", access.ErrToken, noon)
	for range 10_000 {
		j.Write(refused)
	}
	j.Write(access.EntryOf(access.Caller{Person: access.Person{Name: "ada"}}, access.Revoke, "eu-1", nil, noon))
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := j.Newest(1)
	if lines := strings.Count(string(content), "\n"); err != nil || lines != refusalsBurst+1 || entries[0].More != 10_000-refusalsBurst {
		t.Errorf("%d lines, %+v, %v", lines, entries, err)
	}
	large := strings.Repeat(`{"who":"x"}`+"\n", tailSize/8)
	if err := os.WriteFile(file, []byte(large), 0o600); err != nil {
		t.Fatal(err)
	}
	if entries, err := j.Newest(1 << 20); err != nil || len(entries) >= tailSize/8 || len(entries) == 0 {
		t.Errorf("%d entries of a large file: %v", len(entries), err)
	}
}
