package view

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// folded is what a board made of its facts for the last reader.
type folded struct {
	current  *Snapshot  // nil before the first reader
	clusters []*Cluster // managed or not, by name
	tallies  map[fleet.AppName]tally
	dirty    map[fleet.ClusterName]bool // their facts changed since
	stale    bool                       // something changed that a viewer wants to see at once
	silentAt time.Time                  // no connected cluster falls silent before; zero: none is connected
}

// tally counts the cells of one app on managed clusters.
type tally struct {
	counts Counts
	behind int
}

// Snapshot returns the fleet as of now. While nothing changes that is the same
// snapshot again: that agents are still alive alone makes a new one only every
// [wire.HeartbeatInterval], so that what it says of their last word is never much
// older.
func (b *Board) Snapshot(now time.Time) *Snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watchSilence(now)
	f := &b.fold
	if f.current != nil && !f.stale {
		quiet := len(f.dirty) == 0 && b.repository == f.current.Repository
		if quiet || now.Sub(f.current.At) < wire.HeartbeatInterval {
			return f.current
		}
	}
	b.refold()
	f.current, f.stale = b.assemble(now), false
	return f.current
}

// Watch returns a channel that receives when there may be a new snapshot; what
// happens while nobody reads it is one signal. Falling silent is not signalled: it
// is the reader who knows what time it is. Call cancel when done.
func (b *Board) Watch() (dirty <-chan struct{}, cancel func()) {
	signal := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watchers[signal] = true
	return signal, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.watchers, signal)
	}
}

// touch says that the next reader needs a new snapshot.
func (b *Board) touch() {
	b.fold.stale = true
	for watcher := range b.watchers {
		select {
		case watcher <- struct{}{}:
		default:
		}
	}
}

// watchSilence finds the clusters that have fallen silent by now.
func (b *Board) watchSilence(now time.Time) {
	f := &b.fold
	if f.silentAt.IsZero() || now.Before(f.silentAt) {
		return
	}
	f.silentAt = time.Time{}
	for name, m := range b.members {
		if !m.connected {
			continue
		}
		silentAt := m.heard.Add(b.patience)
		if !silentAt.After(now) {
			m.connected = false
			f.dirty[name], f.stale = true, true
			continue
		}
		if f.silentAt.IsZero() || silentAt.Before(f.silentAt) {
			f.silentAt = silentAt
		}
	}
}

// refold folds the clusters whose facts changed, and corrects the sums by the
// difference.
func (b *Board) refold() {
	f := &b.fold
	if len(f.dirty) == 0 {
		return
	}
	clusters := slices.Clone(f.clusters)
	for _, name := range slices.Sorted(maps.Keys(f.dirty)) {
		i, found := slices.BinarySearchFunc(clusters, name, compareCluster)
		if found {
			f.count(clusters[i], -1)
		}
		m := b.members[name]
		switch {
		case m.forgotten():
			delete(b.members, name)
			if found {
				clusters = slices.Delete(clusters, i, i+1)
			}
			continue
		case !found:
			clusters = slices.Insert(clusters, i, nil)
		}
		clusters[i] = fold(m, b.decided)
		f.count(clusters[i], +1)
	}
	f.clusters = clusters
	clear(f.dirty)
}

// forgotten tells whether nothing is left to say of m.
func (m *member) forgotten() bool {
	return m.git == nil && m.heard.IsZero() && !m.told()
}

// count adds a cluster's cells to the tallies of their apps, or takes them off.
func (f *folded) count(c *Cluster, sign int) {
	if !c.managed() {
		return
	}
	for _, cell := range c.Cells {
		t := f.tallies[cell.App]
		t.counts[cell.Health] += sign
		if cell.Behind {
			t.behind += sign
		}
		f.tallies[cell.App] = t
		if t.counts.Total() == 0 {
			delete(f.tallies, cell.App)
		}
	}
}

// assemble puts a snapshot together from what is folded.
func (b *Board) assemble(now time.Time) *Snapshot {
	s := &Snapshot{
		Version:    uint64(max(now.UnixMilli(), 1)),
		At:         now,
		Repository: b.repository,
		Latest:     b.latest,
		Accepted:   b.accepted,
		Announced:  b.announced,
		Hold:       b.hold,
		Members:    b.admitted,
		Clusters:   make([]*Cluster, 0, len(b.fold.clusters)),
	}
	if before := b.fold.current; before != nil {
		s.Version = before.Version + 1
	}
	for _, c := range b.fold.clusters {
		if !c.managed() {
			s.Unmanaged = append(s.Unmanaged, c)
			continue
		}
		s.Clusters = append(s.Clusters, c)
		s.Counts.add(c)
	}
	names := slices.Collect(maps.Keys(b.apps))
	for name := range b.fold.tallies {
		if _, ok := b.apps[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		app := b.app(name)
		s.Counts.Apps[app.Counts.Worst()]++
		s.Apps = append(s.Apps, app)
	}
	return s
}

func (b *Board) app(name fleet.AppName) *App {
	definition, ok := b.apps[name]
	if !ok {
		definition.Name = name
	}
	tally, changed := b.fold.tallies[name], b.changed[name]
	return &App{
		App:       definition,
		InGit:     ok,
		Counts:    tally.counts,
		Behind:    tally.behind,
		Revision:  changed.revision,
		Announced: changed.at,
	}
}

func (n *FleetCounts) add(c *Cluster) {
	n.Clusters[c.Health]++
	for health, count := range c.Counts {
		n.Cells[health] += count
	}
	if c.Connected {
		n.Connected++
	}
	if !c.Behind {
		return
	}
	for _, cell := range c.Cells {
		if cell.Behind {
			n.Behind++
		}
	}
	n.BehindSince = earliest(n.BehindSince, c.BehindSince)
}

// managed tells whether the cluster is of any concern to Git.
func (c *Cluster) managed() bool { return c.InGit || c.Told }

func compareCluster(c *Cluster, name fleet.ClusterName) int { return cmp.Compare(c.Name, name) }
