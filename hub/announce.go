package hub

import (
	"context"
	"fmt"
	"maps"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/artifacts"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/overlays"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// announcer knows what every cluster was told and tells it what changed.
type announcer struct {
	identity  *enrol.Identity
	conn      *natsconn.Conn
	store     *artifacts.Store
	sequence  uint64                       // of the last announcement
	epochs    map[fleet.ClusterName]uint64 // where it is not the first; see rise
	published fleet.Published
	told      map[fleet.ClusterName]wire.Announcement // the last that each may have heard
	stored    map[fleet.ClusterName]wire.Announcement // the last that NATS has acknowledged: that of published
	outdated  bool                                    // some of it was sealed before a key was exchanged
}

// epoch is that of the next announcement to a cluster. Each cluster has its own:
// what one agent says decides nothing about another.
func (a *announcer) epoch(cluster fleet.ClusterName) uint64 { return max(1, a.epochs[cluster]) }

// announce stores what the changed clusters need and tells them. Nobody is told
// before everything that an index names is stored.
func (a *announcer) announce(ctx context.Context, revision string, files map[fleet.Digest]overlays.Files, plan fleet.Plan) error {
	if len(plan.Changes) == 0 {
		return nil
	}
	indexes := make(map[fleet.ClusterName]fleet.Digest, len(plan.Changes))
	blobs := map[fleet.Digest][]byte{}
	for _, change := range plan.Changes {
		content, digest, err := wire.EncodeIndex(wire.Index{Version: wire.Version, Cluster: change.Cluster, Desired: change.Desired})
		if err != nil {
			return err
		}
		indexes[change.Cluster], blobs[digest] = digest, content
		for _, app := range change.Desired.Apps {
			for _, d := range []fleet.Digest{app.Overlay, app.Base} {
				if _, packed := blobs[d]; !packed && !a.store.Has(d) {
					blobs[d] = files[d].Pack()
				}
			}
		}
	}
	if err := a.store.PutAll(ctx, blobs); err != nil {
		return fmt.Errorf("store artifacts: %w", err)
	}
	sealed := make(map[fleet.ClusterName][]byte, len(plan.Changes))
	told := maps.Clone(a.told)
	for _, change := range plan.Changes {
		announcement := wire.Announcement{
			Version:  wire.Version,
			Cluster:  change.Cluster,
			Epoch:    a.epoch(change.Cluster),
			Sequence: a.sequence + 1,
			Revision: revision,
			Index:    indexes[change.Cluster],
		}
		message, err := a.identity.Seal(announcement)
		if err != nil {
			return err
		}
		sealed[change.Cluster], told[change.Cluster] = message, announcement
	}
	// Never used twice, and remembered, also when only some clusters hear of it.
	a.sequence++
	a.told = told
	if err := a.conn.AnnounceAll(ctx, sealed); err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	published := maps.Clone(a.published)
	for _, change := range plan.Changes {
		published[change.Cluster], a.stored[change.Cluster] = change.Desired, told[change.Cluster]
	}
	a.published = published
	return nil
}

// leave forgets clusters that are no longer in Git. Nothing tells their agents, so
// they keep what they run.
func (a *announcer) leave(clusters []fleet.ClusterName) {
	if len(clusters) == 0 {
		return
	}
	a.published = maps.Clone(a.published)
	for _, cluster := range clusters {
		delete(a.published, cluster)
	}
}

// rebuild returns the objects of an app that was announced before this hub started.
func (a *announcer) rebuild(ctx context.Context, app fleet.DesiredApp) ([]fleet.ObjectID, error) {
	var files [2]overlays.Files
	for i, digest := range []fleet.Digest{app.Base, app.Overlay} {
		content, err := a.store.Get(ctx, digest)
		if err != nil {
			return nil, err
		}
		if files[i], err = overlays.Unpack(content); err != nil {
			return nil, err
		}
	}
	objects, err := overlays.Build(app.Name, files[0], files[1])
	if err != nil {
		return nil, err
	}
	return overlays.ObjectIDs(objects), nil
}

// behind tells whether an agent has accepted an announcement that this hub does
// not remember to have made.
func (a *announcer) behind(h wire.Heartbeat) bool {
	seen := wire.Announcement{Epoch: h.Epoch, Sequence: h.Sequence}
	told, ok := a.told[h.Cluster]
	if !ok {
		return seen.After(a.epoch(h.Cluster), a.sequence)
	}
	same := seen.Epoch == told.Epoch && seen.Sequence == told.Sequence
	return seen.After(told.Epoch, told.Sequence) || same && h.Index != told.Index
}

// rise begins an epoch above one that the agent of a cluster has seen, and forgets
// what was announced to it so that it is told again. It happens after the hub's data
// was lost.
func (a *announcer) rise(cluster fleet.ClusterName, seen uint64) {
	a.epochs[cluster] = max(seen, seen+1) // there is none above the last
	a.published = maps.Clone(a.published)
	delete(a.published, cluster)
	delete(a.told, cluster)
	delete(a.stored, cluster)
}

// forget forgets everything that was announced, so that every cluster is told again.
func (a *announcer) forget() {
	a.published, a.told, a.stored = fleet.Published{}, map[fleet.ClusterName]wire.Announcement{}, map[fleet.ClusterName]wire.Announcement{}
}
