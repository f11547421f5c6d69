package gate

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/hub/access"
)

// FuzzJournal reads journals of any content, such as a hub leaves that died, or that
// somebody has edited. What is written then can be read, and nothing before it is touched.
func FuzzJournal(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte(`{"at":"2026-11-27T13:06:07.1Z","who":"ada@example.com","by":"oidc","action":"approve","on":"eu-1","from":"192.0.2.7","outcome":"done"}` + "\n"))
	f.Add([]byte(`{"at":"2026-11-27T13:06:07.1Z","who":"ada"}` + "\n" + `{"at":"2026`))
	f.Add([]byte("\n\nnull\n[]\n\x00\n"))
	file := filepath.Join(f.TempDir(), JournalName)
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := OpenJournal(file, discard)
		if err != nil {
			t.Fatal(err)
		}
		before, err := j.Newest(1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		want := access.EntryOf(access.Caller{Person: access.Person{Name: "ada", By: access.ByOIDC}, From: "192.0.2.1"}, access.Release, "main@sha1:1", nil, noon)
		j.Write(want)
		after, err := j.Newest(1 << 20)
		if err != nil || len(after) == 0 {
			t.Fatalf("%d entries, %v", len(after), err)
		}
		if diff := cmp.Diff(want, after[0]); diff != "" {
			t.Errorf("the newest is another (-want +got):\n%s", diff)
		}
		if len(content) < tailSize/2 {
			if diff := cmp.Diff(before, after[1:], cmpEmpty); diff != "" {
				t.Errorf("others are no longer read (-before +after):\n%s", diff)
			}
		}
		if kept, err := os.ReadFile(file); err != nil || string(kept[:len(content)]) != string(content) {
			t.Errorf("what was there was changed: %v", err)
		}
	})
}

// cmpEmpty holds no entries to be the same as none.
var cmpEmpty = cmp.FilterValues(func(a, b []access.Entry) bool { return len(a)+len(b) == 0 }, cmp.Ignore())
