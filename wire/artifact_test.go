package wire

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/navarch/navarch/fleet"
)

// noise is content that does not become smaller.
func noise(size int) []byte {
	content := make([]byte, size)
	rand.NewChaCha8([32]byte{7}).Read(content) //nolint:errcheck // it never fails
	return content
}

func TestArtifact(t *testing.T) {
	tests := map[string]struct {
		content []byte
		chunks  int
	}{
		"nothing":         {content: []byte{}, chunks: 1},
		"a word":          {content: []byte("navarch"), chunks: 1},
		"text":            {content: bytes.Repeat([]byte("kind: Deployment\n"), 200_000), chunks: 1},
		"one chunk":       {content: noise(chunkSize - 100), chunks: 1},
		"two chunks":      {content: noise(chunkSize), chunks: 2},
		"three megabytes": {content: noise(3 << 20), chunks: 49},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			digest, chunks, err := PackArtifact(test.content)
			if err != nil {
				t.Fatal(err)
			}
			count, err := CountChunks(digest, chunks[0])
			if err != nil || count != test.chunks || len(chunks) != test.chunks {
				t.Errorf("%d chunks, %d counted, want %d: %v", len(chunks), count, test.chunks, err)
			}
			for i, chunk := range chunks {
				if len(chunk) > MaxMessage/10 {
					t.Errorf("chunk %d is %d bytes", i, len(chunk))
				}
			}
			got, err := UnpackArtifact(digest, chunks)
			if err != nil || !bytes.Equal(got, test.content) || digest != fleet.DigestOf(test.content) {
				t.Errorf("unpacked %d bytes of %d: %v", len(got), len(test.content), err)
			}
			_, again, err := PackArtifact(test.content)
			if !slices.EqualFunc(chunks, again, bytes.Equal) || err != nil {
				t.Errorf("packed again it is another: %v", err)
			}
		})
	}
}

func TestArtifactTooLarge(t *testing.T) {
	if _, _, err := PackArtifact(make([]byte, MaxArtifact+1)); err == nil {
		t.Error("packed")
	}
	digest, chunks, err := PackArtifact(noise(MaxArtifact))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := UnpackArtifact(digest, chunks); err != nil || len(got) != MaxArtifact {
		t.Error(len(got), err)
	}
}

// TestArtifactSealed: who gets the chunks and does not know the digest has
// nothing, not even where else the content is kept.
func TestArtifactSealed(t *testing.T) {
	content := bytes.Repeat([]byte("password: opensesame\n"), 100)
	digest, chunks, err := PackArtifact(content)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(chunks[0], []byte("password")) {
		t.Error("the chunk is readable")
	}
	if string(AddressOf(digest)) == digest.Hex() {
		t.Error("the address is the digest")
	}
	if _, err := UnpackArtifact(fleet.Digest("sha256:"+string(AddressOf(digest))), chunks); !errors.Is(err, ErrCorrupt) {
		t.Errorf("opened with its address: %v", err)
	}
}

func TestArtifactCorrupt(t *testing.T) {
	digest, chunks, err := PackArtifact(noise(chunkSize * 2))
	if err != nil {
		t.Fatal(err)
	}
	_, others, err := PackArtifact(noise(chunkSize*2 + 1))
	if err != nil {
		t.Fatal(err)
	}
	flip := func(chunk []byte, at int) []byte {
		flipped := bytes.Clone(chunk)
		flipped[at] ^= 1
		return flipped
	}
	tests := map[string][][]byte{
		"no chunks":          {},
		"a chunk too few":    chunks[:2],
		"a chunk too many":   append(append([][]byte{}, chunks...), chunks[2]),
		"wrong order":        {chunks[1], chunks[0], chunks[2]},
		"a chunk twice":      {chunks[0], chunks[1], chunks[1]},
		"another's chunk":    {chunks[0], chunks[1], others[2]},
		"another's chunks":   others,
		"a flipped bit":      {chunks[0], flip(chunks[1], 5000), chunks[2]},
		"a flipped first":    {flip(chunks[0], 0), chunks[1], chunks[2]},
		"a flipped last":     {chunks[0], chunks[1], flip(chunks[2], len(chunks[2])-1)},
		"an empty chunk":     {chunks[0], {}, chunks[2]},
		"a chunk cut off":    {chunks[0][:100], chunks[1], chunks[2]},
		"no header":          {sealerFor(digest).seal(0, nil)},
		"a later form":       {sealerFor(digest).seal(0, []byte{2, 1, 0, 0, 0, 0})},
		"no compressed data": {sealerFor(digest).seal(0, header{chunks: 1, size: 10}.bytes())},
		"a size too large":   {sealerFor(digest).seal(0, header{chunks: 1, size: MaxArtifact + 1}.bytes())},
	}
	for name, chunks := range tests {
		t.Run(name, func(t *testing.T) {
			if content, err := UnpackArtifact(digest, chunks); !errors.Is(err, ErrCorrupt) || content != nil {
				t.Errorf("%d bytes, error %v", len(content), err)
			}
		})
	}
}

// TestArtifactBomb packs, under a digest that the broker knows from an
// announcement, content that is a thousand times larger than it says.
func TestArtifactBomb(t *testing.T) {
	digest := fleet.DigestOf([]byte("an index"))
	bomb := compressor.EncodeAll(make([]byte, 2*MaxArtifact), nil)
	for name, size := range map[string]int{"that says it is small": 100, "that says it is as large as may be": MaxArtifact} {
		t.Run(name, func(t *testing.T) {
			first := sealerFor(digest).seal(0, append(header{chunks: 1, size: size}.bytes(), bomb...))
			allocated := testing.AllocsPerRun(1, func() {
				if _, err := UnpackArtifact(digest, [][]byte{first}); !errors.Is(err, ErrCorrupt) {
					t.Errorf("error %v", err)
				}
			})
			if allocated > 1000 {
				t.Errorf("%v allocations", allocated)
			}
		})
	}
}

func FuzzUnpackArtifact(f *testing.F) {
	content := []byte("kind: Deployment")
	digest, chunks, err := PackArtifact(content)
	if err != nil {
		f.Fatal(err)
	}
	opened, err := sealerFor(digest).open(nil, 0, chunks[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(opened)
	f.Add(header{chunks: 1, size: 1 << 20}.bytes())
	f.Fuzz(func(t *testing.T, packed []byte) {
		got, err := UnpackArtifact(digest, [][]byte{sealerFor(digest).seal(0, packed)})
		if err == nil && !bytes.Equal(got, content) {
			t.Errorf("unpacked something else: %q", got)
		}
	})
}

func BenchmarkPackArtifact(b *testing.B) {
	for name, content := range map[string][]byte{
		"4KiB of YAML":   bytes.Repeat([]byte("apiVersion: apps/v1\nkind: Deployment\n"), 110),
		"1MiB of noise":  noise(1 << 20),
		"64MiB of noise": noise(MaxArtifact),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := PackArtifact(content); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
