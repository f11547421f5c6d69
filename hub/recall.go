package hub

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/view"
	"github.com/navarch/navarch/overlays"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// recall reads what was announced before this hub started and tells the board.
// What no key of this hub has signed, or whose index is lost, counts as never
// announced.
func (a *announcer) recall(ctx context.Context, board *view.Board) error {
	kept, err := a.conn.KeptAnnouncements(ctx)
	if err != nil {
		return err
	}
	for cluster, sealed := range kept {
		announcement, current, err := a.identity.Unseal(sealed, cluster)
		if err != nil {
			continue
		}
		a.outdated = a.outdated || !current
		a.epochs[cluster] = announcement.Epoch
		a.sequence = max(a.sequence, announcement.Sequence)
		desired, err := a.index(ctx, announcement)
		if errors.Is(err, errIndexLost) {
			continue
		}
		if err != nil {
			return err
		}
		a.published[cluster], a.told[cluster], a.stored[cluster] = desired, announcement, announcement
		board.Announced(cluster, desired, announcement.Revision, time.Time{})
	}
	return nil
}

// errIndexLost is that the index of an announcement is not kept, or not as it was.
var errIndexLost = errors.New("the index of the announcement is lost")

// index reads what an announcement announces.
func (a *announcer) index(ctx context.Context, announcement wire.Announcement) (fleet.Desired, error) {
	content, err := a.store.Get(ctx, announcement.Index)
	if errors.Is(err, natsconn.ErrNotFound) || errors.Is(err, wire.ErrCorrupt) {
		return fleet.Desired{}, errIndexLost
	}
	if err != nil {
		return fleet.Desired{}, err
	}
	index, err := wire.DecodeIndex(content, announcement.Cluster)
	if err != nil {
		return fleet.Desired{}, errIndexLost
	}
	return index.Desired, nil
}

// check finds out what the NATS server has lost of what was announced, though its
// streams are there: a server that had no power has what was on its disk by then. It
// returns what to announce again, which is what was announced last. Whom nobody has the
// files for any more counts as told what is kept now, if that is whole. What each may
// have heard stays remembered: no sequence is used twice. An announcement that was not
// acknowledged may be kept or not, and is made again anyway: to announce the one before
// again would take agents back that have heard of it.
func (a *announcer) check(ctx context.Context, files map[fleet.Digest]overlays.Files) (again []fleet.Change, err error) {
	kept, err := a.conn.KeptAnnouncements(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.store.Reload(ctx); err != nil {
		return nil, err
	}
	lacking, err := a.store.Lacking(ctx, a.live())
	if err != nil {
		return nil, err
	}
	published := maps.Clone(a.published)
	for _, cluster := range slices.Sorted(maps.Keys(a.published)) {
		desired, told := a.published[cluster], a.told[cluster]
		now, _, err := a.identity.Unseal(kept[cluster], cluster)
		same := err == nil && (sameAnnouncement(now, told) || sameAnnouncement(now, a.stored[cluster]))
		lost := among(desired, lacking)
		if same && !lacking[told.Index] && len(lost) == 0 {
			continue
		}
		if !slices.ContainsFunc(lost, func(d fleet.Digest) bool { _, known := files[d]; return !known }) {
			again = append(again, fleet.Change{Cluster: cluster, Desired: desired})
			continue
		}
		delete(published, cluster)
		if err != nil || same {
			continue
		}
		older, err := a.index(ctx, now)
		if err == nil {
			published[cluster] = older
		} else if !errors.Is(err, errIndexLost) {
			return nil, err
		}
	}
	a.published = published
	return again, nil
}

func sameAnnouncement(a, b wire.Announcement) bool {
	return a.Epoch == b.Epoch && a.Sequence == b.Sequence && a.Index == b.Index
}

// live are the artifacts that what is announced refers to.
func (a *announcer) live() map[fleet.Digest]bool {
	live := map[fleet.Digest]bool{}
	for cluster, desired := range a.published {
		live[a.told[cluster].Index] = true
		for _, app := range desired.Apps {
			live[app.Overlay], live[app.Base] = true, true
		}
	}
	return live
}

// among returns the artifacts of a cluster that are among some.
func among(desired fleet.Desired, digests map[fleet.Digest]bool) []fleet.Digest {
	var found []fleet.Digest
	for _, app := range desired.Apps {
		for _, d := range []fleet.Digest{app.Overlay, app.Base} {
			if digests[d] {
				found = append(found, d)
			}
		}
	}
	return found
}

// lookUp finds out what the NATS server keeps, where it may have lost something, and
// announces that again.
func (d *deployer) lookUp(ctx context.Context) error {
	if d.lost {
		if err := d.announcer.store.Reload(ctx); err != nil {
			return fmt.Errorf("look up the artifacts: %w", err)
		}
		d.announcer.forget()
		d.lost, d.doubt = false, false
	}
	if !d.doubt {
		return nil
	}
	files, revision := map[fleet.Digest]overlays.Files{}, ""
	for _, w := range []*wanted{d.wanted, d.live} {
		if w != nil {
			maps.Copy(files, w.Files)
			revision = w.revision
		}
	}
	again, err := d.announcer.check(ctx, files)
	if err != nil {
		return fmt.Errorf("look up what is kept: %w", err)
	}
	if len(again) > 0 {
		d.log.Warn("the NATS server has lost some of what it kept: that is announced again", "clusters", len(again))
		if err := d.announcer.announce(ctx, revision, files, fleet.Plan{Changes: again}); err != nil {
			return err
		}
		d.metrics.announcements.Add(float64(len(again)))
	}
	d.doubt = false
	return nil
}
