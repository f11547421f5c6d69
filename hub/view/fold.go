package view

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// Patience is how long an agent may be silent before its cluster is not heard from,
// where the fleet's settings do not say: three heartbeats.
const Patience = 3 * wire.HeartbeatInterval

// member is everything that is known of one cluster: what Git says, what was
// announced and what its agent said. A [Cluster] is folded from it.
type member struct {
	name      fleet.ClusterName
	git       *fleet.Cluster // nil: Git does not name it
	because   map[fleet.AppName]fleet.Because
	announced announced
	heartbeat wire.Heartbeat // zero before the first
	heard     time.Time      // when the agent last said anything; zero before
	connected bool           // heard no longer ago than Patience, at the last look
	reports   map[fleet.AppName]said
}

// announced is what a cluster was last told.
type announced struct {
	desired  fleet.Desired
	revision string
	at       time.Time
	apps     map[fleet.AppName]change // what last changed each app of desired
}

// change is the commit that changed something, and when that was announced.
type change struct {
	revision string
	at       time.Time
}

// said is an agent's last report of an app.
type said struct {
	report   *wire.Report
	received time.Time
}

// fold gives what is known of m as one value. Whether anything was announced at
// all since the hub started is decided: before that, nobody can say that an app is
// held.
func fold(m *member, decided bool) *Cluster {
	c := &Cluster{
		Cluster:   fleet.Cluster{Name: m.name},
		InGit:     m.git != nil,
		Told:      m.told(),
		Connected: m.connected,
		Heard:     m.heard,
		Heartbeat: m.heartbeat,
		Revision:  m.announced.revision,
		Announced: m.announced.at,
	}
	if m.git != nil {
		c.Cluster = *m.git
	}
	for _, app := range m.announced.desired.Apps {
		c.Cells = append(c.Cells, desiredCell(m, app))
	}
	for _, tombstone := range m.announced.desired.Tombstones {
		if cell, ok := leavingCell(m, tombstone); ok {
			c.Cells = append(c.Cells, cell)
		}
	}
	c.Cells = append(c.Cells, strayCells(m, decided)...)
	slices.SortFunc(c.Cells, func(a, b Cell) int { return cmp.Compare(a.App, b.App) })
	for i := range c.Cells {
		cell := &c.Cells[i]
		if !m.connected {
			cell.Said, cell.Health = cell.Health, NotHeard
		}
		c.count(*cell)
	}
	c.Health, c.Message = judgeCluster(m, c.Counts)
	return c
}

// count adds a cell to what sums the cluster up.
func (c *Cluster) count(cell Cell) {
	c.Counts[cell.Health]++
	if cell.Behind {
		c.Behind, c.BehindSince = true, earliest(c.BehindSince, cell.Announced)
	}
}

// earliest returns the earlier of two times. The zero time is unknown.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// told tells whether m was told to run or to remove something.
func (m *member) told() bool {
	return len(m.announced.desired.Apps)+len(m.announced.desired.Tombstones) > 0
}

// judgeCluster says how a cluster does as a whole.
func judgeCluster(m *member, cells Counts) (Health, string) {
	switch {
	case m.heard.IsZero():
		return NotHeard, "no agent has connected yet"
	case !m.connected:
		return NotHeard, "its agent is silent"
	case m.heartbeat.Refused != "":
		return Failed, "the agent refused the announcement: " + m.heartbeat.Refused
	}
	return cells.Worst(), ""
}

// desiredCell is an app that the cluster was told to run.
func desiredCell(m *member, app fleet.DesiredApp) Cell {
	since := m.announced.apps[app.Name]
	cell := Cell{
		App:       app.Name,
		Cluster:   m.name,
		Namespace: app.Namespace,
		Because:   m.because[app.Name],
		Desired:   wire.Applied{Revision: since.revision, Overlay: app.Overlay, Base: app.Base},
		Announced: since.at,
		Report:    m.reports[app.Name].report,
		Reported:  m.reports[app.Name].received,
	}
	cell.Behind = !sameContent(cell.Applied(), cell.Desired)
	cell.Health, cell.Message = judge(cell.Desired, cell.Report)
	if cell.Health == Pending && m.heartbeat.Refused != "" {
		cell.Health, cell.Message = Failed, "the agent refused the announcement: "+m.heartbeat.Refused
	}
	return cell
}

// leavingCell is an app that the cluster was told to remove. There is none once
// the agent says that every object is gone.
func leavingCell(m *member, tombstone fleet.Tombstone) (Cell, bool) {
	last := m.reports[tombstone.App]
	if last.report != nil && last.report.Removed {
		return Cell{}, false
	}
	cell := Cell{
		App:       tombstone.App,
		Cluster:   m.name,
		Health:    Progressing,
		Message:   "being removed: " + tombstone.Revision + " took it away",
		Leaving:   true,
		Behind:    true,
		Announced: m.announced.at,
		Report:    last.report,
		Reported:  last.received,
	}
	if stalled := condition(last.report, wire.Stalled); stalled.Status == statusTrue {
		cell.Health, cell.Message = Failed, stalled.Message
	}
	return cell, true
}

// strayCells are the apps that an agent reports and that its cluster was neither
// told to run nor to remove.
func strayCells(m *member, decided bool) []Cell {
	named := make(map[fleet.AppName]bool, len(m.announced.desired.Apps)+len(m.announced.desired.Tombstones))
	for _, app := range m.announced.desired.Apps {
		named[app.Name] = true
	}
	for _, tombstone := range m.announced.desired.Tombstones {
		named[tombstone.App] = true
	}
	var cells []Cell
	for _, app := range slices.Sorted(maps.Keys(m.reports)) {
		last := m.reports[app]
		if named[app] || last.report.Removed {
			continue
		}
		cell := Cell{App: app, Cluster: m.name, Report: last.report, Reported: last.received}
		cell.Health, cell.Message = Held, "kept by the agent: Git names neither the app nor its removal"
		if !decided && !last.report.Held {
			cell.Health, cell.Message = Unknown, "the hub has not read the repository yet"
		}
		cells = append(cells, cell)
	}
	return cells
}

// judge says how an app does from the last report on it. What the report says
// counts only for the content that it speaks of.
func judge(desired wire.Applied, r *wire.Report) (Health, string) {
	if r == nil || r.Removed || r.Held {
		return Pending, "announced; the agent has not answered yet"
	}
	if attempted := r.Attempted.Overlay != ""; attempted && !sameContent(r.Attempted, desired) ||
		!attempted && !sameContent(r.Applied, desired) {
		return Pending, "announced; the agent's last word is about earlier content"
	}
	ready, stalled, reconciling := condition(r, wire.Ready), condition(r, wire.Stalled), condition(r, wire.Reconciling)
	switch {
	case stalled.Status == statusTrue:
		return Failed, cmp.Or(stalled.Message, ready.Message, stalled.Reason)
	case reconciling.Status == statusTrue:
		return Progressing, cmp.Or(reconciling.Message, ready.Message, reconciling.Reason)
	case ready.Status == statusTrue && sameContent(r.Applied, desired):
		return Ready, ready.Message
	case ready.Status == statusTrue:
		return Progressing, "reported ready, but not with what was announced"
	case ready.Status == statusFalse:
		return Failed, cmp.Or(ready.Message, ready.Reason)
	}
	return Unknown, cmp.Or(ready.Message, "the agent does not say whether it is ready")
}

// The statuses of a condition.
const (
	statusTrue  = "True"
	statusFalse = "False"
)

// condition returns the condition of a type, zero where there is none.
func condition(r *wire.Report, kind string) wire.Condition {
	if r == nil {
		return wire.Condition{}
	}
	for _, c := range r.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return wire.Condition{}
}

// sameContent tells whether two revisions brought the same content.
func sameContent(a, b wire.Applied) bool {
	return a.Overlay == b.Overlay && a.Base == b.Base
}
