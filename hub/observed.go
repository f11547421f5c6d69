package hub

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// observed is what agents say of their clusters, as far as decisions ask for it.
type observed struct {
	clusters map[fleet.ClusterName]*sighting
	// short: something did not fit, so that more room may decide otherwise.
	short bool
	// cares names the apps whose health may decide otherwise.
	cares map[fleet.AppName]bool
	dirty bool // something may decide otherwise
}

// sighting is one cluster as its agent last described it.
type sighting struct {
	heard time.Time // last message, whatever it said; zero: none since the hub started
	asked time.Time // since when a message is waited for
	ready fleet.ConditionStatus
	since time.Time // when ready took its value
	room  []fleet.NodeGroup
	kinds []string
	apps  map[fleet.AppName]fleet.AppHealth
}

func newObserved() *observed { return &observed{clusters: map[fleet.ClusterName]*sighting{}} }

func (o *observed) cluster(name fleet.ClusterName) *sighting {
	s := o.clusters[name]
	if s == nil {
		s = &sighting{apps: map[fleet.AppName]fleet.AppHealth{}}
		o.clusters[name] = s
	}
	return s
}

// heartbeat takes in what an agent says of its cluster, received at a time.
func (o *observed) heartbeat(h wire.Heartbeat, received time.Time) {
	s := o.cluster(h.Cluster)
	s.hear(received)
	if o.short && !reflect.DeepEqual(s.room, h.Facts.Room) {
		o.dirty = true
	}
	s.room, s.kinds = h.Facts.Room, h.Facts.Kinds
}

// report takes in what an agent says of an app, received at a time. The app is healthy
// when what was announced is, not what came before. A Job that runs is no reason to move
// its app elsewhere, however long it takes.
func (o *observed) report(cluster fleet.ClusterName, r word, announced fleet.Desired, received time.Time) {
	s := o.cluster(cluster)
	s.hear(received)
	if r.removed {
		delete(s.apps, r.app)
		return
	}
	healthy := r.well && slices.ContainsFunc(announced.Apps, func(a fleet.DesiredApp) bool {
		return a.Name == r.app && a.Overlay == r.overlay && a.Base == r.base
	})
	if before, known := s.apps[r.app]; !known || before.Healthy != healthy {
		s.apps[r.app] = fleet.AppHealth{Healthy: healthy, Since: received}
		o.dirty = o.dirty || o.cares[r.app]
	}
}

// forget forgets what was said of the apps of a cluster.
func (o *observed) forget(name fleet.ClusterName) { clear(o.cluster(name).apps) }

// word is what of a report decides something. The rest may be large, and many reports
// can wait to be taken in.
type word struct {
	app           fleet.AppName
	removed, held bool
	well          bool         // Ready, or waiting for nothing but Jobs that run
	overlay, base fleet.Digest // that are applied
}

func wordOf(r wire.Report) word {
	w := word{app: r.App, removed: r.Removed, held: r.Held, well: onlyJobs(r), overlay: r.Applied.Overlay, base: r.Applied.Base}
	for _, condition := range r.Conditions {
		w.well = w.well || condition.Type == wire.Ready && condition.Status == "True"
	}
	return w
}

// onlyJobs tells whether an app waits for nothing but Jobs that run.
func onlyJobs(r wire.Report) bool {
	running := false
	for _, o := range r.Objects {
		job := o.Group == "batch" && o.Kind == "Job" && o.Health == wire.InProgress
		if !job && o.Health != wire.Current {
			return false
		}
		running = running || job
	}
	return running
}

func (s *sighting) hear(received time.Time) {
	if received.After(s.heard) {
		s.heard = received
	}
}

// expect waits for agents of clusters that were told something and that nobody has
// heard of, from a time on.
func (o *observed) expect(published fleet.Published, now time.Time) {
	for name := range published {
		if s := o.cluster(name); s.heard.IsZero() && s.asked.IsZero() {
			s.asked = now
		}
	}
}

// judge says which clusters are ready at a time: those that were heard from within
// the patience. It tells whether that changed.
func (o *observed) judge(now time.Time, patience time.Duration) (changed bool) {
	for _, s := range o.clusters {
		silent := s.heard.Add(patience)
		if s.heard.IsZero() {
			if silent = s.asked.Add(patience); now.Before(silent) {
				continue // nobody knows yet
			}
		}
		status, since := fleet.ConditionTrue, now
		if !now.Before(silent) {
			status, since = fleet.ConditionUnknown, silent
		}
		if s.ready != status {
			changed = changed || s.ready != "" || status != fleet.ConditionTrue
			s.ready, s.since = status, since
		}
	}
	return changed
}

// state is what a decision sees of every cluster that was judged.
func (o *observed) state() map[fleet.ClusterName]fleet.Observed {
	state := make(map[fleet.ClusterName]fleet.Observed, len(o.clusters))
	for name, s := range o.clusters {
		if s.ready == "" {
			continue
		}
		state[name] = fleet.Observed{Ready: s.ready, Since: s.since, Nodes: s.room, Kinds: s.kinds, Apps: maps.Clone(s.apps)}
	}
	return state
}
