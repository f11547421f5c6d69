package view

import (
	"maps"
	"net/url"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// Board takes facts in and gives snapshots out. It is safe for any number of
// goroutines, and keeps what it is given without copying: nobody may change it
// afterwards.
//
// A fact costs what it changes: only the clusters that it is about are folded
// again, by the next reader, and share everything else with the snapshot before.
type Board struct {
	mu         sync.Mutex
	repository Repository
	latest     *Commit
	accepted   *Commit
	announced  *Commit
	hold       *Hold
	apps       map[fleet.AppName]fleet.App // that Git names
	changed    map[fleet.AppName]change    // the newest change of each app
	decided    bool                        // something was published since the hub started
	members    map[fleet.ClusterName]*member
	received   Received
	admitted   []Member
	patience   time.Duration // how long an agent may be silent

	fold     folded
	watchers map[chan struct{}]bool
}

// Received counts what agents sent since the hub started.
type Received struct {
	Reports    uint64
	Heartbeats uint64
}

// NewBoard returns a board that knows nothing yet.
func NewBoard() *Board {
	return &Board{
		apps:     map[fleet.AppName]fleet.App{},
		changed:  map[fleet.AppName]change{},
		members:  map[fleet.ClusterName]*member{},
		patience: Patience,
		watchers: map[chan struct{}]bool{},
		fold: folded{
			dirty:   map[fleet.ClusterName]bool{},
			tallies: map[fleet.AppName]tally{},
			stale:   true,
		},
	}
}

// Repository says how the hub gets on with the repository.
func (b *Board) Repository(r Repository) {
	if u, err := url.Parse(r.URL); err == nil && u.User != nil {
		u.User = nil
		r.URL = u.String()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.repository == r {
		return
	}
	quiet := b.repository
	quiet.Fetched = r.Fetched
	if b.repository = r; quiet != r {
		b.touch()
	}
}

// Members says who was admitted to the fleet, by name.
func (b *Board) Members(members []Member) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.admitted = members
	b.touch()
}

// Commit says what became of the newest commit.
func (b *Board) Commit(c Commit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.latest = &c
	if c.Accepted {
		b.accepted = &c
	}
	b.touch()
}

// Plan says what the accepted commit wants. While nothing of it is announced,
// clusters and apps stay as an earlier commit describes them.
func (b *Board) Plan(p Plan) {
	because := make(map[fleet.ClusterName]map[fleet.AppName]fleet.Because, len(p.Definition.Clusters))
	for _, outcome := range p.Outcomes {
		for _, decision := range outcome.Placed {
			if because[decision.Cluster] == nil {
				because[decision.Cluster] = map[fleet.AppName]fleet.Because{}
			}
			because[decision.Cluster][outcome.App] = decision.Because
		}
		for _, cluster := range outcome.Kept {
			if because[cluster] == nil {
				because[cluster] = map[fleet.AppName]fleet.Because{}
			}
			because[cluster][outcome.App] = fleet.Because{Rule: fleet.RuleKept, Detail: "left as it is: " + outcome.Evicted[cluster].String()}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.touch()
	b.hold = nil
	if p.Held {
		b.hold = &Hold{Revision: p.Revision, Reasons: p.Holds, Announced: p.Announced}
	}
	if p.Held && !p.Announced {
		b.hold.Changes = p.Changes
		for _, change := range p.Changes {
			b.hold.Deleted += len(change.Deleted)
		}
		if b.describes() {
			return
		}
	}
	if silent := time.Duration(p.Definition.Settings.Failover.SilentAfter); silent > 0 && silent != b.patience {
		b.patience = silent
		b.fold.silentAt = time.Unix(0, 1) // look at once: some may be silent by now
	}
	clear(b.apps)
	for _, app := range p.Definition.Apps {
		b.apps[app.Name] = app
	}
	clusters := make(map[fleet.ClusterName]*fleet.Cluster, len(p.Definition.Clusters))
	for _, cluster := range p.Definition.Clusters {
		clusters[cluster.Name] = &cluster
		b.member(cluster.Name)
	}
	for name, m := range b.members {
		if !reflect.DeepEqual(m.git, clusters[name]) || !maps.Equal(m.because, because[name]) {
			m.git, m.because = clusters[name], because[name]
			b.fold.dirty[name] = true
		}
	}
}

// describes tells whether a definition is known already.
func (b *Board) describes() bool {
	if len(b.apps) > 0 {
		return true
	}
	for _, m := range b.members {
		if m.git != nil {
			return true
		}
	}
	return false
}

// Announced says what one cluster was told by the commit of a revision, at a time
// that is zero where nobody remembers.
func (b *Board) Announced(cluster fleet.ClusterName, desired fleet.Desired, revision string, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.announce(b.member(cluster), desired, change{revision, at})
}

// Published says what every cluster has been told by now. Where that differs from
// before, the commit of a revision brought it, at the given time.
func (b *Board) Published(published fleet.Published, revision string, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.touch()
	if b.accepted != nil && b.accepted.Revision == revision {
		b.announced = b.accepted
	}
	if !b.decided {
		b.decided = true
		for name := range b.members {
			b.fold.dirty[name] = true
		}
	}
	for name, m := range b.members {
		if _, ok := published[name]; !ok {
			b.announce(m, fleet.Desired{}, change{revision, at})
		}
	}
	for name, desired := range published {
		b.announce(b.member(name), desired, change{revision, at})
	}
}

// announce notes what m was told. Each app keeps the change that brought the
// content which it still has.
func (b *Board) announce(m *member, desired fleet.Desired, brought change) {
	if reflect.DeepEqual(m.announced.desired, desired) {
		return
	}
	apps := make(map[fleet.AppName]change, len(desired.Apps))
	before := m.announced
	for _, app := range desired.Apps {
		i := slices.IndexFunc(before.desired.Apps, func(was fleet.DesiredApp) bool { return was.Name == app.Name })
		if i >= 0 && before.desired.Apps[i].Overlay == app.Overlay && before.desired.Apps[i].Base == app.Base {
			apps[app.Name] = before.apps[app.Name]
			continue
		}
		apps[app.Name] = brought
		if !brought.at.Before(b.changed[app.Name].at) {
			b.changed[app.Name] = brought
		}
	}
	m.announced = announced{desired: desired, revision: brought.revision, at: brought.at, apps: apps}
	b.fold.dirty[m.name] = true
	b.touch()
}

// Report takes in what an agent says of an app, received at a time.
func (b *Board) Report(r wire.Report, received time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.received.Reports++
	m := b.hear(r.Cluster, received)
	before := m.reports[r.App].report
	m.reports[r.App] = said{report: &r, received: received}
	if before == nil || !sameReport(*before, r) {
		b.touch()
	}
}

// Forget forgets every report of a cluster, but not that its agent was heard.
func (b *Board) Forget(cluster fleet.ClusterName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.member(cluster)
	m.reports = map[fleet.AppName]said{}
	b.fold.dirty[cluster] = true
	b.touch()
}

// Heartbeat takes in what an agent says of its cluster, received at a time.
func (b *Board) Heartbeat(h wire.Heartbeat, received time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.received.Heartbeats++
	m := b.hear(h.Cluster, received)
	before := m.heartbeat
	m.heartbeat = h
	if !sameHeartbeat(before, h) {
		b.touch()
	}
}

// Received returns how much was taken in so far.
func (b *Board) Received() Received {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.received
}

// hear notes that the agent of a cluster is alive. Messages of long ago, which are
// read again when the hub starts, do not make it younger.
func (b *Board) hear(name fleet.ClusterName, at time.Time) *member {
	m := b.member(name)
	b.fold.dirty[name] = true
	if !at.After(m.heard) {
		return m
	}
	m.heard = at
	if m.connected {
		return m
	}
	m.connected = true // as of then: the next reader looks whether that was long ago
	if silentAt := at.Add(b.patience); b.fold.silentAt.IsZero() || silentAt.Before(b.fold.silentAt) {
		b.fold.silentAt = silentAt
	}
	b.touch()
	return m
}

// member returns what is known of a cluster, which is nothing if it is new.
func (b *Board) member(name fleet.ClusterName) *member {
	m, ok := b.members[name]
	if !ok {
		m = &member{name: name, reports: map[fleet.AppName]said{}}
		b.members[name] = m
		b.fold.dirty[name] = true
	}
	return m
}

// sameReport tells whether two reports differ in nothing but their time.
func sameReport(a, b wire.Report) bool {
	a.Time = b.Time
	return reflect.DeepEqual(a, b)
}

// sameHeartbeat tells whether two heartbeats differ in nothing but their time and what
// never stands still: what nodes use and what the agent costs.
func sameHeartbeat(a, b wire.Heartbeat) bool {
	a.Time, a.Cost, a.Facts.Used = b.Time, b.Cost, b.Facts.Used
	return reflect.DeepEqual(a, b)
}
