package apply_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/fleet"
)

// shelf opens the shelf of the test's namespace, as an agent that starts.
func (b *bed) shelf() (*apply.Shelf, *meddler) {
	b.t.Helper()
	m := &meddler{}
	config := rest.CopyConfig(b.Config)
	config.Wrap(m.wrap)
	s, err := apply.OpenShelf(b.t.Context(), config, b.namespace)
	check(b.t, err)
	return s, m
}

func shelved(words ...string) map[fleet.Digest][]byte {
	contents := map[fleet.Digest][]byte{}
	for _, word := range words {
		contents[fleet.DigestOf([]byte(word))] = []byte(word)
	}
	return contents
}

// TestShelf: what an announcement names is kept until the one after the next, and an
// announcement that comes again, or to an agent that has started again, is not written.
func TestShelf(t *testing.T) {
	b := newBed(t)
	s, writes := b.shelf()
	store := func(announcement string, contents map[fleet.Digest][]byte, want map[fleet.Digest][]byte, mayWrite bool) {
		t.Helper()
		before := writes.writes.Load()
		tooLarge, err := s.Store(t.Context(), []byte(announcement), contents)
		check(t, err)
		if len(tooLarge) > 0 {
			t.Errorf("%s: too large: %v", announcement, tooLarge)
		}
		if made := writes.writes.Load() - before; made > 0 && !mayWrite {
			t.Errorf("%s: %d writes of what is kept", announcement, made)
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(s.Contents()))); diff != "" {
			t.Errorf("%s: kept content (-want +got):\n%s", announcement, diff)
		}
		if got := string(s.Announcement()); got != announcement {
			t.Errorf("kept announcement is %q, want %q", got, announcement)
		}
	}
	store("first", shelved("a", "b"), shelved("a", "b"), true)
	store("second", shelved("b", "c"), shelved("a", "b", "c"), true)
	store("second", shelved("b", "c"), shelved("a", "b", "c"), false)
	s, writes = b.shelf()
	store("second", shelved("b", "c"), shelved("a", "b", "c"), false)
	store("second, of a hub that began anew", shelved("b", "c"), shelved("a", "b", "c"), true)
	store("third", shelved("c"), shelved("b", "c"), true)
	store("fourth", shelved("d"), shelved("c", "d"), true)
}
