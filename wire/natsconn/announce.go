package natsconn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// Announce tells a cluster what it should run. The announcement is sealed; see
// [wire.Seal].
func (c *Conn) Announce(ctx context.Context, cluster fleet.ClusterName, sealed []byte) error {
	if err := c.publish(ctx, wire.DesiredSubject(cluster), sealed); err != nil {
		return fmt.Errorf("announce to cluster %q: %w", cluster, err)
	}
	return nil
}

// AnnounceAll tells several clusters. After an error some may have been told.
func (c *Conn) AnnounceAll(ctx context.Context, sealed map[fleet.ClusterName][]byte) error {
	bodies := make(map[string][]byte, len(sealed))
	for cluster, body := range sealed {
		bodies[wire.DesiredSubject(cluster)] = body
	}
	if err := c.publishAll(ctx, bodies); err != nil {
		return fmt.Errorf("announce to %d clusters: %w", len(sealed), err)
	}
	return nil
}

// KeptAnnouncements returns the last announcement to every cluster, as it was
// sealed.
func (c *Conn) KeptAnnouncements(ctx context.Context) (map[fleet.ClusterName][]byte, error) {
	for attempt := 1; ; attempt++ {
		kept, err := c.readAnnouncements(ctx)
		// Of several servers one may not have heard yet of the consumer that another has made.
		if !errors.Is(err, nats.ErrNoResponders) || attempt == readAttempts {
			return kept, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(delay(attempt)):
		}
	}
}

const readAttempts = 5

func (c *Conn) readAnnouncements(ctx context.Context) (map[fleet.ClusterName][]byte, error) {
	consumer, err := c.js.CreateConsumer(ctx, wire.StreamDesired, everything)
	if err != nil {
		return nil, fmt.Errorf("read announcements: %w", unavailable(ctx, err))
	}
	kept := make(map[fleet.ClusterName][]byte)
	for pending := consumer.CachedInfo().NumPending; pending > 0; {
		batch, err := consumer.Fetch(int(min(pending, 1000)), jetstream.FetchContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("read announcements: %w", unavailable(ctx, err))
		}
		got := false
		for message := range batch.Messages() {
			meta, err := message.Metadata()
			if err != nil {
				return nil, fmt.Errorf("read announcements: %w", err)
			}
			got, pending = true, meta.NumPending
			if cluster, err := wire.ParseDesiredSubject(message.Subject()); err == nil {
				kept[cluster] = message.Data()
			}
		}
		if err := batch.Error(); err != nil || !got {
			return nil, fmt.Errorf("read announcements: %w", unavailable(ctx, errors.Join(err, ctx.Err())))
		}
	}
	if err := c.js.DeleteConsumer(ctx, wire.StreamDesired, consumer.CachedInfo().Name); err != nil {
		return nil, fmt.Errorf("read announcements: %w", unavailable(ctx, err))
	}
	return kept, nil
}

// Desired calls accept with the announcement that is kept for a cluster: at the
// start, after every connection, and now and then; and with every announcement as
// it is made. It may see any of them again, and older ones after newer ones. An
// announcement that accept refuses while it is on its way is not the last word:
// the kept one follows at once. Nothing is called at the same time.
//
// Desired returns nil when ctx ends, and not before. That the hub is away, or has
// announced nothing yet, is not an error.
func (c *Conn) Desired(ctx context.Context, cluster fleet.ClusterName, accept func(sealed []byte) error) error {
	hints := make(chan []byte, 1)
	subscription, err := c.nc.Subscribe(wire.DesiredSubject(cluster), func(m *nats.Msg) {
		select {
		case <-hints: // superseded
		default:
		}
		hints <- m.Data
	})
	if err != nil {
		return fmt.Errorf("listen to announcements for cluster %q: %w", cluster, err)
	}
	defer subscription.Unsubscribe() //nolint:errcheck // the connection ends or has ended
	look := time.NewTimer(0)
	defer look.Stop()
	_, next := c.Connects()
	soon := afterConnecting
	for {
		select {
		case <-ctx.Done():
			return nil
		case sealed := <-hints:
			if accept(sealed) == nil {
				continue
			}
		case <-next:
			soon = afterConnecting
		case <-look.C:
		}
		_, next = c.Connects()
		sealed, err := c.kept(ctx, wire.DirectGet(wire.StreamDesired, wire.DesiredSubject(cluster)))
		again := jitter(c.refresh, c.refresh/2)
		switch {
		case err == nil:
			_ = accept(sealed) // what it refuses now it will refuse until the hub announces again
		case errors.Is(err, ErrUnavailable), errors.Is(err, nats.ErrNoResponders):
			again = min(again, jitter(maxDelay, maxDelay/2))
		case !errors.Is(err, ErrNotFound) && ctx.Err() == nil:
			c.log.Warn("cannot read the announcement", "cluster", cluster, "err", err)
		}
		if len(soon) > 0 {
			again, soon = min(again, jitter(soon[0], soon[0]/2)), soon[1:]
		}
		look.Reset(again)
	}
}

// afterConnecting is how long to wait before the looks that follow the first one: the
// server tells of an announcement before it keeps it, so that who comes in between hears
// nothing and finds the one before.
var afterConnecting = []time.Duration{time.Second, 10 * time.Second}
