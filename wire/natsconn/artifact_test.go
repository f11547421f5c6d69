package natsconn_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// noise is content that does not become smaller.
func noise(size int, seed byte) []byte {
	content := make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(content) //nolint:errcheck // it never fails
	return content
}

// put keeps content and returns its digest.
func (b *bed) put(content []byte) fleet.Digest {
	b.t.Helper()
	digest, chunks, err := wire.PackArtifact(content)
	check(b.t, err)
	check(b.t, b.hub.PutArtifact(b.t.Context(), wire.AddressOf(digest), chunks))
	return digest
}

func TestArtifact(t *testing.T) { everywhere(t, testArtifact) }

func testArtifact(t *testing.T, bed *bed) {
	agent := bed.agent("eu-1")
	for name, content := range map[string][]byte{
		"nothing":         {},
		"a word":          []byte("navarch"),
		"three megabytes": noise(3<<20, 1),
	} {
		t.Run(name, func(t *testing.T) {
			digest := fleet.DigestOf(content)
			if _, err := agent.Artifact(t.Context(), digest); !errors.Is(err, natsconn.ErrNotFound) {
				t.Errorf("before it is put: %v", err)
			}
			bed.put(content)
			got, err := agent.Artifact(t.Context(), digest)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes of %d, %v", len(got), len(content), err)
			}
		})
	}
}

func TestArtifacts(t *testing.T) { everywhere(t, testArtifacts) }

func testArtifacts(t *testing.T, bed *bed) {
	agent := bed.agent("eu-1")
	want := map[fleet.Digest][]byte{}
	var digests []fleet.Digest
	for i := range byte(40) {
		content := noise(1000*int(i), i)
		digest := bed.put(content)
		want[digest] = content
		digests = append(digests, digest)
	}
	got := map[fleet.Digest][]byte{}
	take := func(d fleet.Digest, content []byte) error {
		got[d] = content
		return nil
	}
	check(t, agent.Artifacts(t.Context(), digests, take))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	missing := fleet.DigestOf([]byte("never put"))
	if err := agent.Artifacts(t.Context(), append(digests, missing), take); !errors.Is(err, natsconn.ErrNotFound) {
		t.Errorf("with one that is not there: %v", err)
	}
	stop := errors.New("enough")
	if err := agent.Artifacts(t.Context(), digests, func(fleet.Digest, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("stopped: %v", err)
	}
}

// TestArtifactCorrupt: what the broker keeps under an address is not believed.
func TestArtifactCorrupt(t *testing.T) { everywhere(t, testArtifactCorrupt) }

func testArtifactCorrupt(t *testing.T, bed *bed) {
	agent := bed.agent("eu-1")
	_, js := bed.streams()
	content := noise(1<<20, 1)
	digest, chunks, err := wire.PackArtifact(content)
	check(t, err)
	_, others, err := wire.PackArtifact(noise(1<<20, 2))
	check(t, err)
	flipped := bytes.Clone(chunks[1])
	flipped[1000] ^= 1
	tests := map[string]struct {
		chunk int
		body  []byte
	}{
		"a flipped bit":            {1, flipped},
		"a chunk of another":       {1, others[1]},
		"the first of another":     {0, others[0]},
		"nothing":                  {2, nil},
		"what was never an object": {0, []byte("hello")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bed.put(content)
			_, err := js.Publish(t.Context(), wire.ArtifactSubject(wire.AddressOf(digest), test.chunk), test.body)
			check(t, err)
			if got, err := agent.Artifact(t.Context(), digest); !errors.Is(err, wire.ErrCorrupt) || got != nil {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			bed.put(content)
			if got, err := agent.Artifact(t.Context(), digest); err != nil || !bytes.Equal(got, content) {
				t.Errorf("put again: %d bytes, %v", len(got), err)
			}
		})
	}
}

func TestDeleteArtifact(t *testing.T) { everywhere(t, testDeleteArtifact) }

func testDeleteArtifact(t *testing.T, bed *bed) {
	stays, goes := bed.put(noise(1<<20, 1)), bed.put(noise(1<<20, 2))
	_, chunks, err := wire.PackArtifact(noise(1<<20, 3))
	check(t, err)
	half := wire.AddressOf(fleet.DigestOf(noise(1<<20, 3)))
	_, js := bed.streams()
	_, err = js.Publish(t.Context(), wire.ArtifactSubject(half, 1), chunks[1]) // a hub died here
	check(t, err)

	kept, err := bed.hub.KeptArtifacts(t.Context())
	want := map[wire.Address]bool{wire.AddressOf(stays): true, wire.AddressOf(goes): true, half: false}
	if diff := cmp.Diff(want, kept); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, address := range []wire.Address{wire.AddressOf(goes), half, wire.AddressOf(goes)} {
		check(t, bed.hub.DeleteArtifact(t.Context(), address))
	}
	kept, err = bed.hub.KeptArtifacts(t.Context())
	if diff := cmp.Diff(map[wire.Address]bool{wire.AddressOf(stays): true}, kept); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err := bed.hub.Artifact(t.Context(), goes); !errors.Is(err, natsconn.ErrNotFound) {
		t.Error(err)
	}
}

func BenchmarkArtifact(b *testing.B) {
	bed := newBed(b)
	agent := bed.agent("eu-1")
	for name, size := range map[string]int{"4KiB": 4 << 10, "3MiB": 3 << 20} {
		digest := bed.put(noise(size, 1))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				_, err := agent.Artifact(b.Context(), digest)
				check(b, err)
			}
		})
	}
}
