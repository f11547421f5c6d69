package natsconn

import (
	"context"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// An artifact is read this many chunks at a time, and so many artifacts. Together they
// stay well below what a server keeps for a client that reads slowly, before it cuts it
// off: 16 MiB in a hub's.
const (
	chunksAtOnce    = 8
	artifactsAtOnce = 8
	// chunksInMemory is how many chunks of all artifacts that are read there may be: one of
	// the largest has room, and eight of them would take a gigabyte.
	chunksInMemory = 1280
)

func newMemory() *semaphore.Weighted { return semaphore.NewWeighted(chunksInMemory) }

// PutArtifact keeps the chunks of an artifact; see [wire.PackArtifact]. The first
// is written last, so that it says that the others are there.
func (c *Conn) PutArtifact(ctx context.Context, a wire.Address, chunks [][]byte) error {
	rest := make(map[string][]byte, len(chunks))
	for i, chunk := range chunks[1:] {
		rest[wire.ArtifactSubject(a, i+1)] = chunk
	}
	if err := c.publishAll(ctx, rest); err != nil {
		return fmt.Errorf("put artifact: %w", err)
	}
	if err := c.publish(ctx, wire.ArtifactSubject(a, 0), chunks[0]); err != nil {
		return fmt.Errorf("put artifact: %w", err)
	}
	return nil
}

// KeptArtifacts returns where artifacts are kept. It maps to false what was never
// put to its end.
func (c *Conn) KeptArtifacts(ctx context.Context) (map[wire.Address]bool, error) {
	stream, err := c.js.Stream(ctx, wire.StreamArtifacts)
	if err != nil {
		return nil, fmt.Errorf("list artifacts: %w", unavailable(ctx, err))
	}
	state, err := stream.Info(ctx, jetstream.WithSubjectFilter(wire.AllArtifacts))
	if err != nil {
		return nil, fmt.Errorf("list artifacts: %w", unavailable(ctx, err))
	}
	kept := make(map[wire.Address]bool, len(state.State.Subjects))
	for subject := range state.State.Subjects {
		if address, chunk, err := wire.ParseArtifactSubject(subject); err == nil {
			kept[address] = kept[address] || chunk == 0
		}
	}
	return kept, nil
}

// DeleteArtifact forgets an artifact. It is no error when there is none.
func (c *Conn) DeleteArtifact(ctx context.Context, a wire.Address) error {
	if err := c.purge(ctx, wire.StreamArtifacts, wire.ArtifactSubjects(a)); err != nil {
		return fmt.Errorf("delete artifact: %w", err)
	}
	return nil
}

// purge forgets the messages of a stream with a subject.
func (c *Conn) purge(ctx context.Context, stream, subject string) error {
	s, err := c.js.Stream(ctx, stream)
	if err != nil {
		return unavailable(ctx, err)
	}
	return unavailable(ctx, s.Purge(ctx, jetstream.WithPurgeSubject(subject)))
}

// Artifact returns the content with a digest. What is kept is not trusted: the
// content has that digest, or the error is [wire.ErrCorrupt] or another.
func (c *Conn) Artifact(ctx context.Context, d fleet.Digest) ([]byte, error) {
	address := wire.AddressOf(d)
	first, err := c.chunk(ctx, address, 0)
	if err != nil {
		return nil, fmt.Errorf("read artifact %s: %w", d, err)
	}
	count, err := wire.CountChunks(d, first)
	if err != nil {
		return nil, fmt.Errorf("read artifact %s: %w", d, err)
	}
	if err := c.memory.Acquire(ctx, int64(min(count, chunksInMemory))); err != nil {
		return nil, fmt.Errorf("read artifact %s: %w", d, err)
	}
	defer c.memory.Release(int64(min(count, chunksInMemory)))
	chunks := make([][]byte, count)
	chunks[0] = first
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(chunksAtOnce)
	for i := 1; i < count; i++ {
		group.Go(func() (err error) {
			chunks[i], err = c.chunk(groupCtx, address, i)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("read artifact %s: %w", d, err)
	}
	content, err := wire.UnpackArtifact(d, chunks)
	if err != nil {
		return nil, fmt.Errorf("read artifact %s: %w", d, err)
	}
	return content, nil
}

func (c *Conn) chunk(ctx context.Context, a wire.Address, i int) ([]byte, error) {
	return c.kept(ctx, wire.DirectGet(wire.StreamArtifacts, wire.ArtifactSubject(a, i)))
}

// Artifacts reads several artifacts at a time and calls take with each as it
// comes, in any order and one after the other. It stops at the first error, also
// of take. What take was called with is good.
func (c *Conn) Artifacts(ctx context.Context, digests []fleet.Digest, take func(fleet.Digest, []byte) error) error {
	var taking sync.Mutex
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(artifactsAtOnce)
	for _, d := range digests {
		group.Go(func() error {
			content, err := c.Artifact(groupCtx, d)
			if err != nil {
				return err
			}
			taking.Lock()
			defer taking.Unlock()
			return take(d, content)
		})
	}
	return group.Wait()
}
