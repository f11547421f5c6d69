package view

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// Snapshot is the whole fleet at one moment. Neither it nor anything that it
// points to ever changes.
type Snapshot struct {
	// Version counts up with every snapshot that differs from the one before it, also
	// across restarts of the hub.
	Version    uint64
	At         time.Time // the moment that the snapshot is as of
	Repository Repository
	Latest     *Commit    // the newest commit that the hub looked at; nil before the first
	Accepted   *Commit    // the newest that loaded and built; nil before the first
	Announced  *Commit    // the newest that the fleet was told; nil before this hub told the first
	Hold       *Hold      // nil: nothing waits for a person
	Clusters   []*Cluster // that Git names or that were told something, by name
	Unmanaged  []*Cluster // heard from, and of no concern to Git, by name
	Apps       []*App     // by name
	Members    []Member   // by name
	Counts     FleetCounts
}

// FleetCounts sums up a snapshot. Clusters that Git does not name are not in it.
type FleetCounts struct {
	Clusters  Counts // by the health of the cluster
	Apps      Counts // by the worst health of the app
	Cells     Counts
	Connected int // clusters
	Behind    int // cells that have not applied what was announced
	// BehindSince is when the longest of those was announced; zero when there is none.
	BehindSince time.Time
}

// Cluster is one member cluster.
type Cluster struct {
	fleet.Cluster // as Git describes it; only the name where Git does not
	InGit         bool
	Told          bool   // it was told to run or to remove something
	Health        Health // the worst of its cells, or of the connection
	Message       string // why, where the cells do not say it
	Connected     bool   // heard no longer ago than [Patience]
	Heard         time.Time
	Heartbeat     wire.Heartbeat // the last; zero before the first
	Revision      string         // the commit that last changed what it should run
	Announced     time.Time      // when it was told
	Behind        bool           // some cell has not applied what was announced …
	BehindSince   time.Time      // … at this time
	Cells         []Cell         // by app
	Counts        Counts         // of cells
}

// Cell returns the cluster's cell of an app.
func (c *Cluster) Cell(app fleet.AppName) (Cell, bool) {
	i, found := slices.BinarySearchFunc(c.Cells, app, func(cell Cell, app fleet.AppName) int { return cmp.Compare(cell.App, app) })
	if !found {
		return Cell{}, false
	}
	return c.Cells[i], true
}

// Cell is one app on one cluster.
type Cell struct {
	App       fleet.AppName
	Cluster   fleet.ClusterName
	Namespace string
	Health    Health
	Said      Health // where Health is NotHeard: what it was when the agent fell silent
	Message   string // why it is not Ready
	Because   fleet.Because
	Desired   wire.Applied // zero where the cluster was not told to run it
	Announced time.Time    // when Desired, or the app's removal, was announced; zero when this hub did not see it
	Behind    bool         // not applied, or not removed, since then
	Leaving   bool         // the cluster was told to remove it
	Report    *wire.Report // the agent's last; nil before the first
	Reported  time.Time    // when it came, by the hub's clock
}

// Applied returns what the agent last said that it has applied whole.
func (c Cell) Applied() wire.Applied {
	if c.Report == nil {
		return wire.Applied{}
	}
	return c.Report.Applied
}

// Objects returns what the agent last said of the app's objects, by id.
func (c Cell) Objects() []wire.ObjectReport {
	if c.Report == nil {
		return nil
	}
	return c.Report.Objects
}

// App is one app across the fleet.
type App struct {
	fleet.App // as Git describes it; only the name where Git does not
	InGit     bool
	Counts    Counts    // of its cells
	Behind    int       // cells that have not applied what was announced
	Revision  string    // the commit that last changed it on any cluster
	Announced time.Time // when
}

// Cluster returns a cluster by name, managed or not.
func (s *Snapshot) Cluster(name fleet.ClusterName) (*Cluster, bool) {
	for _, clusters := range [][]*Cluster{s.Clusters, s.Unmanaged} {
		i, found := slices.BinarySearchFunc(clusters, name, func(c *Cluster, name fleet.ClusterName) int { return cmp.Compare(c.Name, name) })
		if found {
			return clusters[i], true
		}
	}
	return nil, false
}

// App returns an app by name.
func (s *Snapshot) App(name fleet.AppName) (*App, bool) {
	i, found := slices.BinarySearchFunc(s.Apps, name, func(a *App, name fleet.AppName) int { return cmp.Compare(a.Name, name) })
	if !found {
		return nil, false
	}
	return s.Apps[i], true
}

// Member returns a member by name.
func (s *Snapshot) Member(name fleet.ClusterName) (Member, bool) {
	i, found := slices.BinarySearchFunc(s.Members, name, func(m Member, name fleet.ClusterName) int { return cmp.Compare(m.Name, name) })
	if !found {
		return Member{}, false
	}
	return s.Members[i], true
}

// Cells returns every cell of an app, by cluster.
func (s *Snapshot) Cells(app fleet.AppName) []Cell {
	var cells []Cell
	for _, c := range s.Clusters {
		if cell, ok := c.Cell(app); ok {
			cells = append(cells, cell)
		}
	}
	return cells
}

// Filter selects clusters. The zero value selects all.
type Filter struct {
	// Text is words that must all be found in the cluster's name, region, provider,
	// zones, taints or labels (as key=value), whatever their case.
	Text string
	// App keeps the clusters that have a cell of an app.
	App fleet.AppName
	// Healths keeps the clusters with one of these; with App, it is the health of
	// that cell. None: every health.
	Healths []Health
}

// Select returns the clusters that pass a filter, by name.
func (s *Snapshot) Select(f Filter) []*Cluster {
	words := strings.Fields(strings.ToLower(f.Text))
	var selected []*Cluster
	for _, c := range s.Clusters {
		if f.passes(c) && matches(c, words) {
			selected = append(selected, c)
		}
	}
	return selected
}

func (f Filter) passes(c *Cluster) bool {
	health := c.Health
	if f.App != "" {
		cell, ok := c.Cell(f.App)
		if !ok {
			return false
		}
		health = cell.Health
	}
	return len(f.Healths) == 0 || slices.Contains(f.Healths, health)
}

func matches(c *Cluster, words []string) bool {
	if len(words) == 0 {
		return true
	}
	said := []string{string(c.Name), c.Region, c.Provider}
	said = append(said, c.Zones...)
	for key, value := range c.Labels {
		said = append(said, key+"="+value)
	}
	for _, taint := range c.Taints {
		said = append(said, taint.Key+"="+taint.Value+":"+taint.Effect)
	}
	for _, word := range words {
		if !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(strings.ToLower(s), word) }) {
			return false
		}
	}
	return true
}
