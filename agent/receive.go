package agent

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/navarch/navarch/agent/fetch"
)

// aloneAfter is how long an agent that starts waits for what the hub announces before
// it goes on with what it kept, which may be older.
const aloneAfter = 2 * time.Second

// receiver takes in announcements, from the hub or from what was kept, one at a time.
type receiver struct {
	hands      *hands
	reconciler *reconciler
	keeper     *keeper
	heart      *heart
	log        *slog.Logger

	mu   sync.Mutex
	told chan struct{} // closed when the first announcement was accepted
	once sync.Once
}

// accept takes in one sealed announcement, and makes it what the cluster should run.
func (r *receiver) accept(ctx context.Context, sealed []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	target, err := r.hands.fetcher.Accept(ctx, sealed)
	r.heart.beatSoon()
	if err != nil {
		return err
	}
	r.once.Do(func() { close(r.told) })
	r.hands.inventory.Accept(target.Announcement) // before anything of it is applied
	r.reconciler.aim(target)
	r.keeper.keep(sealed)
	return nil
}

// alone goes on with what was kept when the hub does not tell anything in time.
func (r *receiver) alone(ctx context.Context, cache *fetch.Cache) error {
	sealed := kept(cache, r.hands.shelf)
	if sealed == nil {
		return nil
	}
	wait := time.NewTimer(aloneAfter)
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.told:
		return nil
	case <-wait.C:
	}
	if err := r.accept(ctx, sealed); err != nil && ctx.Err() == nil {
		r.log.Info("the kept announcement is of no use", "err", err)
	}
	return nil
}
