package fetch

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/navarch/navarch/fleet"
)

// Cache keeps content by digest: in memory as it was packed, and in a folder where
// one is given, so that an agent that starts while the hub is away has what it
// needs. It is for any number of goroutines.
type Cache struct {
	dir    string
	writer *zstd.Encoder
	reader *zstd.Decoder

	mu      sync.Mutex
	memory  map[fleet.Digest][]byte // compressed, verified
	trouble error                   // of the last write to the folder
}

// maxContent bounds what a compressed entry may become.
const maxContent = 64 << 20

// NewCache returns a cache over a folder, which is made; an empty dir keeps
// everything in memory only.
func NewCache(dir string) (*Cache, error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the cache folder: %w (the agent runs without one when --cache is empty)", err)
		}
	}
	writer, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	reader, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxContent), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	return &Cache{dir: dir, memory: map[fleet.Digest][]byte{}, writer: writer, reader: reader}, nil
}

// Has tells whether the content with a digest is here.
func (c *Cache) Has(digest fleet.Digest) bool {
	c.mu.Lock()
	_, ok := c.memory[digest]
	c.mu.Unlock()
	if !ok {
		_, ok = c.Get(digest)
	}
	return ok
}

// Get returns the content with a digest. What the folder holds is verified; content
// that is damaged is as good as absent.
func (c *Cache) Get(digest fleet.Digest) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	packed, ok := c.memory[digest]
	if !ok && c.dir != "" {
		var err error
		packed, err = os.ReadFile(c.file(digest))
		ok = err == nil
	}
	if !ok {
		return nil, false
	}
	content, err := c.reader.DecodeAll(packed, nil)
	if err != nil || fleet.DigestOf(content) != digest {
		return nil, false
	}
	c.memory[digest] = packed
	return content, true
}

// Put keeps content under its digest. A folder that takes nothing more does not keep
// it out of memory; [Cache.Trouble] says so. Nothing is half kept.
func (c *Cache) Put(digest fleet.Digest, content []byte) error {
	packed := bytes.Clone(c.writer.EncodeAll(content, nil)) // what is encoded to has room for more
	c.mu.Lock()
	defer c.mu.Unlock()
	c.memory[digest] = packed
	if c.dir != "" {
		c.trouble = write(c.file(digest), packed)
	}
	return nil
}

// Trouble returns why the folder did not take what it was given last, nil when it did.
// Until it does, an agent that starts anew reads more from the hub or the cluster.
func (c *Cache) Trouble() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trouble == nil {
		return nil
	}
	return fmt.Errorf("%w (free space in the agent's cache folder)", c.trouble)
}

// write makes a file hold content, or leaves it as it was.
func write(file string, content []byte) error {
	draft := file + ".new"
	if err := os.WriteFile(draft, content, 0o600); err != nil {
		_ = os.Remove(draft) // what was written of it only takes space
		return err
	}
	return os.Rename(draft, file)
}

// Restore takes in content as [Cache.Packed] gave it, from a place that may have
// damaged it. What is damaged is left out.
func (c *Cache) Restore(packed map[fleet.Digest][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for digest, bytes := range packed {
		if content, err := c.reader.DecodeAll(bytes, nil); err == nil && fleet.DigestOf(content) == digest {
			c.memory[digest] = bytes
		}
	}
}

// Packed returns everything that is in memory, compressed.
func (c *Cache) Packed() map[fleet.Digest][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.memory)
}

// Keep forgets everything but the given content.
func (c *Cache) Keep(live map[fleet.Digest]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for digest := range c.memory {
		if !live[digest] {
			delete(c.memory, digest)
		}
	}
	entries, err := os.ReadDir(c.dir)
	if c.dir == "" || err != nil {
		return
	}
	for _, entry := range entries {
		if !live[fleet.Digest("sha256:"+entry.Name())] && entry.Name() != lastFile {
			_ = os.Remove(filepath.Join(c.dir, entry.Name())) // it is only in the way
		}
	}
}

func (c *Cache) file(digest fleet.Digest) string { return filepath.Join(c.dir, digest.Hex()) }

// lastFile holds the last accepted announcement, sealed.
const lastFile = "announcement"

// Remember keeps the sealed announcement that was accepted last. A folder that does not
// take it has none from then on, rather than an older one; [Cache.Trouble] says so.
func (c *Cache) Remember(sealed []byte) {
	if c.dir == "" {
		return
	}
	file := filepath.Join(c.dir, lastFile)
	if known, err := os.ReadFile(file); err == nil && bytes.Equal(known, sealed) {
		return
	}
	err := write(file, sealed)
	if err != nil {
		_ = os.Remove(file) // where it cannot be removed, it is refused as stale
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.trouble = err
	}
}

// Last returns the sealed announcement that was accepted last, nil where none is known.
func (c *Cache) Last() ([]byte, error) {
	if c.dir == "" {
		return nil, nil
	}
	sealed, err := os.ReadFile(filepath.Join(c.dir, lastFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return sealed, err
}
