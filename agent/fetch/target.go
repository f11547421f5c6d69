package fetch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/overlays"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// Target is what the cluster should run from now on: an accepted announcement and
// its index. Everything that the index names is in the fetcher's cache.
type Target struct {
	wire.Announcement
	Index wire.Index
}

// ErrStale means that an announcement is older than one that was accepted. Such a
// one may always arrive, and is no reason to worry.
var ErrStale = errors.New("the announcement is older than the accepted one")

// Fetcher accepts announcements for one cluster. Accept is not for use by several
// goroutines at once; everything else is.
type Fetcher struct {
	cluster fleet.ClusterName
	open    Opener
	conn    *natsconn.Conn
	cache   *Cache

	mu       sync.Mutex
	accepted wire.Announcement
	refused  string
}

// Opener verifies a sealed announcement for a cluster. An error that is
// [wire.ErrExchanged] comes with the announcement.
type Opener func(ctx context.Context, sealed []byte, cluster fleet.ClusterName) (wire.Announcement, error)

// New returns a fetcher that begins after an announcement that was accepted before;
// the zero value where there was none.
func New(cluster fleet.ClusterName, open Opener, conn *natsconn.Conn, cache *Cache, accepted wire.Announcement) *Fetcher {
	return &Fetcher{cluster: cluster, open: open, conn: conn, cache: cache, accepted: accepted}
}

// Accepted returns the last announcement that was accepted, and why the newest was
// not, which is empty when it was.
func (f *Fetcher) Accepted() (accepted wire.Announcement, refused string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.accepted, f.refused
}

// Accept verifies a sealed announcement and reads what it names. Unless all of it
// is there and right, nothing is accepted. The accepted announcement may come
// again, and gives the same target again.
func (f *Fetcher) Accept(ctx context.Context, sealed []byte) (Target, error) {
	target, err := f.accept(ctx, sealed)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err == nil:
		f.accepted, f.refused = target.Announcement, ""
	case ctx.Err() == nil && !errors.Is(err, natsconn.ErrUnavailable):
		f.refused = err.Error()
	}
	return target, err
}

func (f *Fetcher) accept(ctx context.Context, sealed []byte) (Target, error) {
	a, err := f.open(ctx, sealed, f.cluster)
	accepted, _ := f.Accepted()
	same := a.Epoch == accepted.Epoch && a.Sequence == accepted.Sequence && a.Index == accepted.Index
	if err != nil && (a != accepted || !errors.Is(err, wire.ErrExchanged)) { // what was accepted stays so, whoever signed it then
		return Target{}, err
	}
	if !same && !a.After(accepted.Epoch, accepted.Sequence) {
		return Target{}, fmt.Errorf("%w: it is %d.%d, accepted was %d.%d", ErrStale, a.Epoch, a.Sequence, accepted.Epoch, accepted.Sequence)
	}
	if err := f.read(ctx, []fleet.Digest{a.Index}); err != nil {
		return Target{}, fmt.Errorf("read the index of %s: %w", a.Revision, err)
	}
	content, _ := f.cache.Get(a.Index)
	index, err := wire.DecodeIndex(content, f.cluster)
	if err != nil {
		return Target{}, err
	}
	live := map[fleet.Digest]bool{a.Index: true}
	for _, app := range index.Apps {
		live[app.Base], live[app.Overlay] = true, true
	}
	if err := f.read(ctx, slices.Collect(maps.Keys(live))); err != nil {
		return Target{}, fmt.Errorf("read what %s names: %w", a.Revision, err)
	}
	f.cache.Remember(sealed)
	f.cache.Keep(live)
	return Target{Announcement: a, Index: index}, nil
}

// Build makes the objects of an app of the last target.
func (f *Fetcher) Build(app fleet.DesiredApp) ([]*unstructured.Unstructured, error) {
	var files [2]overlays.Files
	for i, digest := range []fleet.Digest{app.Base, app.Overlay} {
		content, ok := f.cache.Get(digest)
		if !ok {
			return nil, fmt.Errorf("content %s of app %q is lost: it is read again with the next announcement", digest.Short(), app.Name)
		}
		var err error
		if files[i], err = overlays.Unpack(content); err != nil {
			return nil, fmt.Errorf("unpack %s of app %q: %w", digest.Short(), app.Name, err)
		}
	}
	return overlays.Build(app.Name, files[0], files[1])
}

// read brings contents into the cache that are not there.
func (f *Fetcher) read(ctx context.Context, digests []fleet.Digest) error {
	missing := slices.DeleteFunc(digests, f.cache.Has)
	if len(missing) == 0 {
		return nil
	}
	if f.conn == nil {
		return fmt.Errorf("%d artifacts are not here and there is no connection", len(missing))
	}
	return f.conn.Artifacts(ctx, missing, f.cache.Put)
}
