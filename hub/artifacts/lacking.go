package artifacts

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// Lacking reads artifacts and returns those that are not kept, or not as they were
// put. The store knows from then on that it has them no more, so that they are put
// again.
func (s *Store) Lacking(ctx context.Context, digests map[fleet.Digest]bool) (map[fleet.Digest]bool, error) {
	var mu sync.Mutex
	lacking := map[fleet.Digest]bool{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(putsAtOnce)
	for digest := range digests {
		group.Go(func() error {
			_, err := s.Get(ctx, digest)
			if err == nil {
				return nil
			}
			if !errors.Is(err, natsconn.ErrNotFound) && !errors.Is(err, wire.ErrCorrupt) {
				return err
			}
			address := wire.AddressOf(digest)
			if _, err := s.take(ctx, address); err != nil {
				return err
			}
			s.leave(address, artifact{})
			mu.Lock()
			defer mu.Unlock()
			lacking[digest] = true
			return nil
		})
	}
	return lacking, group.Wait()
}
