package fetch_test

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/agent/fetch"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// TestAcceptFlippedAnnouncement flips one bit of every byte of a sealed announcement,
// and cuts it off at every byte. What is accepted all the same is what was signed.
func TestAcceptFlippedAnnouncement(t *testing.T) {
	bed := newBed(t)
	shop := bed.app("shop", "one")
	accepted, next := announcement(1, 1, bed.index(shop)), announcement(1, 2, bed.index())
	sealed := bed.seal(next)
	f := bed.fetcher("")
	_, err := f.Accept(t.Context(), bed.seal(accepted))
	check(t, err)
	refused := 0
	try := func(what string, at int, damaged []byte) {
		t.Helper()
		// The case of a JSON key and the unused bits at the end of base64 mean nothing.
		if a, err := wire.Open(damaged, bed.key.Public().(ed25519.PublicKey), "eu-1"); err == nil {
			if a != next {
				t.Fatalf("%s at %d reads as %+v", what, at, a)
			}
			return
		}
		target, err := f.Accept(t.Context(), damaged)
		kept, says := f.Accepted()
		if err == nil || kept != accepted || says == "" {
			t.Fatalf("%s at %d: error %v, accepted %+v, refused %q", what, at, err, kept, says)
		}
		if diff := cmp.Diff(fetch.Target{}, target); diff != "" {
			t.Fatalf("%s at %d: a target all the same:\n%s", what, at, diff)
		}
		refused++
	}
	for at := range sealed {
		damaged := append([]byte(nil), sealed...)
		damaged[at] ^= 1 << (at % 8)
		try("a bit flipped", at, damaged)
		try("cut off", at, sealed[:at])
	}
	if refused < len(sealed)*3/2 {
		t.Errorf("only %d of %d were refused: this test does not damage enough", refused, 2*len(sealed))
	}
	if built, err := f.Build(shop); err != nil || len(built) != 1 {
		t.Errorf("the last good one builds %d objects: %v", len(built), err)
	}
}

// TestAcceptDamagedContent damages what an announcement names, where the broker keeps
// it: the index, and the content of an app.
func TestAcceptDamagedContent(t *testing.T) {
	damages := map[string]func(chunk []byte) []byte{
		"first bit":  func(c []byte) []byte { c[0] ^= 1; return c },
		"middle bit": func(c []byte) []byte { c[len(c)/2] ^= 1 << 4; return c },
		"last bit":   func(c []byte) []byte { c[len(c)-1] ^= 1 << 7; return c },
		"cut off":    func(c []byte) []byte { return c[:len(c)/2] },
		"nothing":    func([]byte) []byte { return nil },
	}
	bed := newBed(t)
	shop := bed.app("shop", "one")
	accepted := announcement(1, 1, bed.index(shop))
	for name, damage := range damages {
		t.Run("index "+name, func(t *testing.T) {
			content, _, err := wire.EncodeIndex(wire.Index{Version: wire.Version, Cluster: "eu-1", Desired: fleet.Desired{Apps: []fleet.DesiredApp{{Name: fleet.AppName("i-" + slug(name)), Base: shop.Base, Overlay: shop.Overlay}}}})
			check(t, err)
			refuses(t, bed, shop, accepted, bed.putDamaged(content, damage))
		})
		t.Run("artifact "+name, func(t *testing.T) {
			base, overlay := configMap(t, "blog", "a"+slug(name))
			blog := fleet.DesiredApp{Name: "blog", Base: bed.putDamaged(base.Pack(), damage), Overlay: bed.put(overlay.Pack())}
			refuses(t, bed, shop, accepted, bed.index(shop, blog))
		})
	}
}

// refuses fails unless an announcement of an index is refused and the last good one
// stays, for a fresh agent.
func refuses(t *testing.T, bed *bed, good fleet.DesiredApp, accepted wire.Announcement, index fleet.Digest) {
	t.Helper()
	f := bed.fetcher("")
	_, err := f.Accept(t.Context(), bed.seal(accepted))
	check(t, err)
	if _, err := f.Accept(t.Context(), bed.seal(announcement(1, 2, index))); err == nil {
		t.Fatal("it was accepted")
	}
	if kept, says := f.Accepted(); kept != accepted || says == "" {
		t.Errorf("accepted is %+v, refused %q", kept, says)
	}
	if built, err := f.Build(good); err != nil || len(built) != 1 {
		t.Errorf("the last good one builds %d objects: %v", len(built), err)
	}
}

// putDamaged puts content under its right digest, and damages the last chunk of it.
func (b *bed) putDamaged(content []byte, damage func([]byte) []byte) fleet.Digest {
	b.t.Helper()
	digest, chunks, err := wire.PackArtifact(content)
	check(b.t, err)
	last := len(chunks) - 1
	chunks[last] = damage(append([]byte(nil), chunks[last]...))
	check(b.t, b.hub.PutArtifact(b.t.Context(), wire.AddressOf(digest), chunks))
	return digest
}

func slug(name string) string {
	word := []byte(name)
	for i, c := range word {
		if c == ' ' {
			word[i] = '-'
		}
	}
	return string(word)
}

// TestAcceptWithFullFolder fills the folder of the cache: the agent goes on in memory,
// says so, and has no older announcement in the folder than it accepted.
func TestAcceptWithFullFolder(t *testing.T) {
	bed := newBed(t)
	dir := t.TempDir()
	cache := bed.cache(dir)
	f := fetch.New("eu-1", opener(bed.key), bed.agent, cache, wire.Announcement{})
	one, two := bed.app("shop", "one"), bed.app("shop", "two")
	_, err := f.Accept(t.Context(), bed.seal(announcement(1, 1, bed.index(one))))
	check(t, err)
	if err := cache.Trouble(); err != nil {
		t.Fatalf("before: %v", err)
	}
	// A folder where a draft would be written fails every write of it, as a full disk does.
	next := announcement(1, 2, bed.index(two))
	for _, name := range []string{"announcement", next.Index.Hex(), two.Base.Hex()} {
		check(t, os.MkdirAll(filepath.Join(dir, name+".new", "full"), 0o700))
	}
	if _, err := f.Accept(t.Context(), bed.seal(next)); err != nil {
		t.Fatal(err)
	}
	if built, err := f.Build(two); err != nil || len(built) != 1 {
		t.Errorf("it builds %d objects: %v", len(built), err)
	}
	if cache.Trouble() == nil {
		t.Error("it says nothing")
	}
	if sealed, err := cache.Last(); sealed != nil || err != nil {
		t.Errorf("the folder still has an older announcement: %q, %v", sealed, err)
	}
	for _, digest := range []fleet.Digest{next.Index, two.Base} {
		if _, err := os.Stat(filepath.Join(dir, digest.Hex())); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is in the folder: %v", digest.Short(), err)
		}
	}
	// There is space again.
	for _, name := range []string{"announcement", next.Index.Hex(), two.Base.Hex()} {
		check(t, os.RemoveAll(filepath.Join(dir, name+".new")))
	}
	three := bed.app("shop", "three")
	_, err = f.Accept(t.Context(), bed.seal(announcement(1, 3, bed.index(three))))
	check(t, err)
	if err := cache.Trouble(); err != nil {
		t.Errorf("it still complains: %v", err)
	}
}
