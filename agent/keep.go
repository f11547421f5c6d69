package agent

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/agent/fetch"
)

const (
	// keepAfter is how long announcements may follow each other before the last of them
	// is kept in the cluster: keeping is in nobody's way.
	keepAfter = 500 * time.Millisecond
	// keepAgain is how long to wait after it failed.
	keepAgain = 30 * time.Second
)

// kept returns the announcement to start with: the folder's, or else the cluster's.
func kept(cache *fetch.Cache, shelf *apply.Shelf) []byte {
	if sealed, err := cache.Last(); err == nil && sealed != nil {
		return sealed
	}
	return shelf.Announcement()
}

// keeper keeps what was accepted last in the cluster, beside the work.
type keeper struct {
	shelf *apply.Shelf
	cache *fetch.Cache
	log   *slog.Logger

	mu     sync.Mutex
	sealed []byte // the announcement to keep
	dirty  chan struct{}
}

func newKeeper(shelf *apply.Shelf, cache *fetch.Cache, log *slog.Logger) *keeper {
	return &keeper{shelf: shelf, cache: cache, log: log, dirty: make(chan struct{}, 1)}
}

// keep makes an accepted announcement, with the content that the cache has, the one
// to keep.
func (k *keeper) keep(sealed []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sealed = sealed
	signal(k.dirty)
}

// run keeps what it is told until ctx ends.
func (k *keeper) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-k.dirty:
		}
		pause := keepAfter
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(pause):
			}
			if k.store(ctx) {
				break
			}
			pause = keepAgain
		}
	}
}

// store keeps the newest announcement and tells whether it could.
func (k *keeper) store(ctx context.Context) bool {
	k.mu.Lock()
	sealed, contents := k.sealed, k.cache.Packed()
	k.mu.Unlock()
	if err := k.cache.Trouble(); err != nil {
		k.log.Warn("the cache folder takes nothing more: content is kept in memory and in the cluster", "err", err)
	}
	tooLarge, err := k.shelf.Store(ctx, sealed, contents)
	if err != nil && ctx.Err() == nil {
		k.log.Warn("what to run is not kept in the cluster: an agent that starts while the hub is away does not know it", "err", err)
	}
	for _, digest := range tooLarge {
		k.log.Warn("content is too large to be kept in the cluster: an agent that starts while the hub is away does not have it", "digest", digest.Short())
	}
	return err == nil
}
