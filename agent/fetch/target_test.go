package fetch_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/agent/fetch"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// TestAcceptRefuses tries what a broker that somebody has taken over could send.
// Whatever it is, the accepted announcement stays, and its content too.
func TestAcceptRefuses(t *testing.T) {
	bed := newBed(t)
	shop := bed.app("shop", "one")
	accepted := announcement(2, 5, bed.index(shop))
	other := bed.index(shop, bed.app("blog", "one"))
	foreign := bed.indexFor("us-1", shop)
	lost := fleet.DesiredApp{Name: "lost", Base: fleet.DigestOf([]byte("base")), Overlay: fleet.DigestOf([]byte("overlay"))}
	twisted := bed.put([]byte("apps of nobody"))
	_, key, err := ed25519.GenerateKey(nil)
	check(t, err)
	cut := bed.seal(announcement(2, 6, other))
	for name, test := range map[string]struct {
		sealed []byte
		is     error  // nil: any
		says   string // part of it
	}{
		"signed by another key":           {sealed: seal(t, announcement(2, 6, other), key), is: wire.ErrSignature},
		"of another cluster":              {sealed: bed.seal(wire.Announcement{Version: 1, Cluster: "us-1", Epoch: 2, Sequence: 6, Index: other}), says: `for cluster "us-1"`},
		"of another version":              {sealed: bed.seal(wire.Announcement{Version: 9, Cluster: "eu-1", Epoch: 2, Sequence: 6, Index: other}), says: "update the agent"},
		"a lower sequence":                {sealed: bed.seal(announcement(2, 4, other)), is: fetch.ErrStale},
		"a lower epoch":                   {sealed: bed.seal(announcement(1, 99, other)), is: fetch.ErrStale},
		"the same sequence, other things": {sealed: bed.seal(announcement(2, 5, other)), is: fetch.ErrStale},
		"nothing":                         {sealed: nil, says: "decode announcement"},
		"garbage":                         {sealed: []byte("\x00\xff{"), says: "decode announcement"},
		"one that is cut off":             {sealed: cut[:len(cut)/2], says: "decode announcement"},
		"an index that is not there":      {sealed: bed.seal(announcement(2, 6, fleet.DigestOf([]byte("no index")))), is: natsconn.ErrNotFound},
		"an index that is none":           {sealed: bed.seal(announcement(2, 6, twisted)), says: "decode index"},
		"an index of another cluster":     {sealed: bed.seal(announcement(2, 6, foreign)), says: `for cluster "us-1"`},
		"content that is not there":       {sealed: bed.seal(announcement(2, 6, bed.index(shop, lost))), is: natsconn.ErrNotFound},
		"no digest":                       {sealed: bed.seal(announcement(2, 6, "sha256:abc")), says: "index"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f := bed.fetcher(dir)
			_, err := f.Accept(t.Context(), bed.seal(accepted))
			check(t, err)

			target, err := f.Accept(t.Context(), test.sealed)
			if err == nil || test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %v and %q", err, test.is, test.says)
			}
			if diff := cmp.Diff(fetch.Target{}, target); diff != "" {
				t.Errorf("a target all the same:\n%s", diff)
			}
			kept, refused := f.Accepted()
			if kept != accepted || refused == "" {
				t.Errorf("accepted is %+v, refused %q", kept, refused)
			}
			sealed, err := bed.cache(dir).Last()
			if err != nil || !bytes.Equal(sealed, bed.seal(accepted)) {
				t.Errorf("remembered is %q, %v", sealed, err)
			}
			if built, err := f.Build(shop); err != nil || len(built) != 1 {
				t.Errorf("what was accepted builds %d objects: %v", len(built), err)
			}
		})
	}
}

// TestAccept: the accepted announcement may come again, and newer ones follow.
func TestAccept(t *testing.T) {
	bed := newBed(t)
	one, two := bed.app("shop", "one"), bed.app("shop", "two")
	f := bed.fetcher(t.TempDir())
	steps := []struct {
		name string
		a    wire.Announcement
		apps []fleet.DesiredApp
	}{
		{"the first", announcement(1, 1, bed.index(one)), []fleet.DesiredApp{one}},
		{"the same again", announcement(1, 1, bed.index(one)), []fleet.DesiredApp{one}},
		{"a newer one", announcement(1, 7, bed.index(two)), []fleet.DesiredApp{two}},
		{"a new epoch", announcement(2, 1, bed.index(one)), []fleet.DesiredApp{one}},
		{"nothing to run", announcement(2, 2, bed.index()), nil},
	}
	for _, step := range steps {
		target, err := f.Accept(t.Context(), bed.seal(step.a))
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		want := fetch.Target{Announcement: step.a, Index: wire.Index{Version: 1, Cluster: "eu-1", Desired: fleet.Desired{Apps: step.apps}}}
		if diff := cmp.Diff(want, target); diff != "" {
			t.Errorf("%s:\n%s", step.name, diff)
		}
		if kept, refused := f.Accepted(); kept != step.a || refused != "" {
			t.Errorf("%s: accepted is %+v, refused %q", step.name, kept, refused)
		}
	}
}

// TestAcceptAfterRefusal: what was refused is no longer told once something is
// accepted, and an announcement that could not be read whole can be later.
func TestAcceptAfterRefusal(t *testing.T) {
	bed := newBed(t)
	base, overlay := configMap(t, "shop", "late")
	late := fleet.DesiredApp{Name: "shop", Base: base.Digest(), Overlay: overlay.Digest()}
	a := announcement(1, 1, bed.index(late))
	f := bed.fetcher("")
	if _, err := f.Accept(t.Context(), bed.seal(a)); !errors.Is(err, natsconn.ErrNotFound) {
		t.Fatalf("before the content is there: %v", err)
	}
	bed.put(base.Pack())
	bed.put(overlay.Pack())
	if _, err := f.Accept(t.Context(), bed.seal(a)); err != nil {
		t.Fatal(err)
	}
	if _, refused := f.Accepted(); refused != "" {
		t.Errorf("refused is still %q", refused)
	}
}

// TestAcceptFromCache starts an agent anew while the hub is away.
func TestAcceptFromCache(t *testing.T) {
	bed := newBed(t)
	dir := t.TempDir()
	shop := bed.app("shop", "kept")
	a := announcement(1, 1, bed.index(shop))
	first := bed.fetcher(dir)
	want, err := first.Accept(t.Context(), bed.seal(a))
	check(t, err)

	cache := bed.cache(dir)
	sealed, err := cache.Last()
	check(t, err)
	alone := fetch.New("eu-1", opener(bed.key), nil, cache, a)
	got, err := alone.Accept(t.Context(), sealed)
	check(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	built, err := alone.Build(shop)
	check(t, err)
	if word, _ := built[0].Object["data"].(map[string]any); len(built) != 1 || word["word"] != "kept" {
		t.Errorf("built %v", built)
	}

	// The hub's announcements of before are refused by who remembers only the
	// announcement, and not the content.
	forgetful := fetch.New("eu-1", opener(bed.key), bed.agent, bed.cache(""), a)
	if _, err := forgetful.Accept(t.Context(), bed.seal(announcement(1, 0, a.Index))); !errors.Is(err, fetch.ErrStale) {
		t.Errorf("an older one: %v", err)
	}
	if _, err := forgetful.Accept(t.Context(), sealed); err != nil {
		t.Errorf("the accepted one: %v", err)
	}
}

// TestDamagedCache damages files of the cache in every way that a disk does: an
// agent notices and reads them again.
func TestDamagedCache(t *testing.T) {
	bed := newBed(t)
	shop := bed.app("shop", "whole")
	blog := bed.app("blog", "whole")
	a := announcement(1, 1, bed.index(shop, blog))
	for name, damage := range map[string]func(t *testing.T, file string){
		"gone":        func(t *testing.T, file string) { check(t, os.Remove(file)) },
		"empty":       func(t *testing.T, file string) { check(t, os.Truncate(file, 0)) },
		"cut off":     func(t *testing.T, file string) { check(t, os.Truncate(file, 9)) },
		"other words": func(t *testing.T, file string) { check(t, os.WriteFile(file, []byte("other words"), 0o600)) },
		"of another": func(t *testing.T, file string) {
			check(t, os.Rename(filepath.Join(filepath.Dir(file), blog.Overlay.Hex()), file))
		},
		"a flipped bit": flip,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := bed.fetcher(dir).Accept(t.Context(), bed.seal(a))
			check(t, err)
			damage(t, filepath.Join(dir, shop.Overlay.Hex()))

			anew := bed.fetcher(dir)
			if _, err := anew.Build(shop); err == nil || !strings.Contains(err.Error(), "is lost") {
				t.Errorf("built from damaged content: %v", err)
			}
			if _, err := anew.Accept(t.Context(), bed.seal(a)); err != nil {
				t.Fatalf("not read again: %v", err)
			}
			if built, err := anew.Build(shop); err != nil || len(built) != 1 {
				t.Errorf("built %d objects: %v", len(built), err)
			}
			if built, err := bed.fetcher(dir).Build(shop); err != nil || len(built) != 1 {
				t.Errorf("after one more start %d objects: %v", len(built), err)
			}
		})
	}
}

func flip(t *testing.T, file string) {
	content, err := os.ReadFile(file)
	check(t, err)
	content[len(content)/2] ^= 0x10
	check(t, os.WriteFile(file, content, 0o600))
}

// TestCacheKeepsWhatIsNamed: only what the accepted index names stays, and what
// another agent left half written goes.
func TestCacheKeepsWhatIsNamed(t *testing.T) {
	bed := newBed(t)
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "left.new"), []byte("half"), 0o600))
	f := bed.fetcher(dir)
	one, two := bed.app("shop", "one"), bed.app("shop", "two")
	_, err := f.Accept(t.Context(), bed.seal(announcement(1, 1, bed.index(one))))
	check(t, err)
	index := bed.index(two)
	_, err = f.Accept(t.Context(), bed.seal(announcement(1, 2, index)))
	check(t, err)
	entries, err := os.ReadDir(dir)
	check(t, err)
	got := map[string]bool{}
	for _, entry := range entries {
		got[entry.Name()] = true
	}
	want := map[string]bool{"announcement": true, index.Hex(): true, two.Base.Hex(): true, two.Overlay.Hex(): true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := f.Build(one); err == nil {
		t.Error("what no index names any more still builds")
	}
}
