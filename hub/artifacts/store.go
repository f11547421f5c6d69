package artifacts

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// Grace is how long an artifact stays after it was first seen to be of no use. An
// agent may still be on its way to it.
const Grace = time.Hour

// putsAtOnce is how many artifacts PutAll writes at a time.
const putsAtOnce = 16

// Store is the artifacts of a fleet. It is for any number of goroutines.
type Store struct {
	conn *natsconn.Conn

	mu   sync.Mutex
	kept map[wire.Address]artifact
	busy map[wire.Address]chan struct{} // being written or deleted now; closed when that is over
}

// artifact is what the store knows of one.
type artifact struct {
	whole  bool      // false: it was never put to its end
	unused time.Time // since when nothing refers to it; zero: something does, or Sweep has not looked
}

// Open returns the store behind a connection, whose streams are there.
func Open(ctx context.Context, conn *natsconn.Conn) (*Store, error) {
	s := &Store{conn: conn, busy: make(map[wire.Address]chan struct{})}
	return s, s.Reload(ctx)
}

// Reload looks up anew what is kept, after the server may have lost something. It
// does not run beside Sweep.
func (s *Store) Reload(ctx context.Context) error {
	found, err := s.conn.KeptArtifacts(ctx)
	if err != nil {
		return err
	}
	kept := make(map[wire.Address]artifact, len(found))
	for address, whole := range found {
		kept[address] = artifact{whole: whole}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = kept
	return nil
}

// Has tells whether the content with a digest is kept, as far as the store knows.
func (s *Store) Has(digest fleet.Digest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[wire.AddressOf(digest)].whole
}

// Put keeps content and returns its digest. It writes nothing when the content is
// there already.
func (s *Store) Put(ctx context.Context, content []byte) (fleet.Digest, error) {
	digest := fleet.DigestOf(content)
	return digest, s.put(ctx, digest, content)
}

// PutAll keeps several contents, each of which has the digest that it is under.
// After an error some may have been kept.
func (s *Store) PutAll(ctx context.Context, contents map[fleet.Digest][]byte) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(putsAtOnce)
	for digest, content := range contents {
		group.Go(func() error { return s.put(ctx, digest, content) })
	}
	return group.Wait()
}

func (s *Store) put(ctx context.Context, digest fleet.Digest, content []byte) error {
	address := wire.AddressOf(digest)
	known, err := s.take(ctx, address)
	if err != nil {
		return err
	}
	if !known.whole {
		err = s.write(ctx, digest, content)
	}
	s.leave(address, artifact{whole: err == nil})
	return err
}

func (s *Store) write(ctx context.Context, digest fleet.Digest, content []byte) error {
	actual, chunks, err := wire.PackArtifact(content)
	if err != nil {
		return err
	}
	if actual != digest {
		return fmt.Errorf("put artifact %s: its content has digest %s", digest, actual)
	}
	return s.conn.PutArtifact(ctx, wire.AddressOf(digest), chunks)
}

// Get returns the content with a digest.
func (s *Store) Get(ctx context.Context, digest fleet.Digest) ([]byte, error) {
	return s.conn.Artifact(ctx, digest)
}

// Sweep deletes what was of no use at a sweep at least [Grace] before now, and is
// still. Live is everything that an announcement that is kept, or about to be
// made, refers to: its index, and the overlays and bases in there. Sweep returns
// how many artifacts it deleted.
func (s *Store) Sweep(ctx context.Context, live map[fleet.Digest]bool, now time.Time) (int, error) {
	used := make(map[wire.Address]bool, len(live))
	for digest := range live {
		used[wire.AddressOf(digest)] = true
	}
	deleted := 0
	for _, address := range s.mark(used, now) {
		known, err := s.take(ctx, address)
		if err != nil {
			return deleted, err
		}
		if known.unused.IsZero() { // put meanwhile
			s.leave(address, known)
			continue
		}
		if err := s.conn.DeleteArtifact(ctx, address); err != nil {
			s.leave(address, artifact{}) // whether it is still there, nobody knows
			return deleted, err
		}
		s.forget(address)
		deleted++
	}
	return deleted, nil
}

// mark notes since when each artifact is of no use, and returns those whose grace
// is over.
func (s *Store) mark(used map[wire.Address]bool, now time.Time) []wire.Address {
	s.mu.Lock()
	defer s.mu.Unlock()
	var over []wire.Address
	for address, known := range s.kept {
		switch {
		case used[address]:
			known.unused = time.Time{}
		case known.unused.IsZero():
			known.unused = now
		case now.Sub(known.unused) >= Grace:
			over = append(over, address)
		}
		s.kept[address] = known
	}
	return over
}

// take waits until nobody else writes or deletes an artifact, and then keeps
// others from it until leave or forget.
func (s *Store) take(ctx context.Context, address wire.Address) (artifact, error) {
	for {
		s.mu.Lock()
		others, busy := s.busy[address]
		if !busy {
			s.busy[address] = make(chan struct{})
			known := s.kept[address]
			s.mu.Unlock()
			return known, nil
		}
		s.mu.Unlock()
		select {
		case <-others:
		case <-ctx.Done():
			return artifact{}, ctx.Err()
		}
	}
}

// leave gives back an artifact as it now is.
func (s *Store) leave(address wire.Address, now artifact) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[address] = now
	close(s.busy[address])
	delete(s.busy, address)
}

// forget gives back an artifact that is no more.
func (s *Store) forget(address wire.Address) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, address)
	close(s.busy[address])
	delete(s.busy, address)
}
