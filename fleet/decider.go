package fleet

import (
	"maps"
	"reflect"
	"slices"
)

// Decider decides about one fleet again and again. Its outcomes are those of [Decide],
// but what little changes costs little: an app is decided again only where something
// has changed that may decide otherwise about it.
//
// The zero value is ready. A Decider is for one goroutine. Nothing that was passed to
// it may be changed afterwards, except what is observed of apps. It is quickest when
// what did not change is the same value as before: as the previous decision, pass the
// Next of the last outcomes.
type Decider struct {
	deciding
	policies []TaintPolicy
	clusters []Cluster // those that the sites were made of
	kinds    map[string]map[kind]bool
	memory   map[AppName]*memo
}

// memo is what was decided about one app last, and of what.
type memo struct {
	app       *App
	workloads []Workload
	previous  Previous
	outcome   Outcome
	placement compiledPlacement
	plain     bool // each cluster is decided about by itself
	volatile  bool // more decides than is compared
	passing   bool // the outcome may be another once it is the previous one
	resting   bool // what runs stays, whatever comes to clusters where it does not run
}

// change is a cluster that is not as it was. Before or after is nil where the cluster
// came or went.
type change struct{ before, after *site }

// Decide is [Decide].
func (d *Decider) Decide(def Definition, workloads map[AppName][]Workload, state State) []Outcome {
	changes := d.prepare(def, state)
	memory := make(map[AppName]*memo, len(def.Apps))
	outcomes := make([]Outcome, len(def.Apps))
	for i := range def.Apps {
		app := &def.Apps[i]
		m := d.memory[app.Name]
		if m == nil || !d.recall(m, app, workloads[app.Name], changes) {
			m = d.remember(app, workloads[app.Name])
		}
		memory[app.Name], outcomes[i] = m, m.outcome
	}
	d.memory = memory
	return outcomes
}

// prepare makes the sites ready, and returns those that changed. Where everything may
// be otherwise nothing is remembered.
func (d *Decider) prepare(def Definition, state State) []change {
	d.state = state
	d.group(def.Apps)
	if d.memory == nil || d.settings != def.Settings || !reflect.DeepEqual(d.policies, def.TaintPolicies) {
		d.deciding = *newDeciding(def, state)
		d.policies, d.clusters, d.memory, d.kinds = def.TaintPolicies, nil, nil, map[string]map[kind]bool{}
	}
	sameClusters := len(d.clusters) > 0 && len(d.clusters) == len(def.Clusters) && &d.clusters[0] == &def.Clusters[0]
	d.clusters = def.Clusters
	rules := taintRules(def.TaintPolicies)
	if len(d.kinds) > len(def.Clusters) {
		d.kinds = map[string]map[kind]bool{} // of agents that were updated
	}
	sorted := def.Clusters
	if compare := func(a, b Cluster) int { return compareText(a.Name, b.Name) }; !slices.IsSortedFunc(sorted, compare) {
		sorted = slices.SortedFunc(slices.Values(sorted), compare)
	}
	var changes []change
	sites := d.sites
	if len(sorted) != len(sites) || !slices.EqualFunc(sorted, sites, func(c Cluster, s site) bool { return c.Name == s.Name }) {
		sites = make([]site, len(sorted))
	}
	before := 0
	for i := range sorted {
		c := &sorted[i]
		for before < len(d.sites) && d.sites[before].Name < c.Name {
			changes = append(changes, change{before: &d.sites[before]}) // it went
			before++
		}
		known := before < len(d.sites) && d.sites[before].Name == c.Name
		if known {
			before++
			if was := &d.sites[before-1]; (sameClusters || sameCluster(was.Cluster, c)) && was.sameObserved(state.Observed) {
				observed := state.Observed[c.Name]
				sites[i] = *was
				sites[i].observed.Apps = observed.Apps
				continue
			}
		}
		after := siteOf(c, state.Observed, rules, d.kinds)
		changed := change{after: &sites[i]}
		if known {
			was := d.sites[before-1]
			changed.before = &was
		}
		sites[i] = after
		changes = append(changes, changed)
	}
	for ; before < len(d.sites); before++ {
		changes = append(changes, change{before: &d.sites[before]})
	}
	d.sites = sites
	return changes
}

func compareText[S ~string](a, b S) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// sameCluster compares what decides.
func sameCluster(a, b *Cluster) bool {
	return a == b || a.Name == b.Name && a.Provider == b.Provider && a.Region == b.Region && slices.Equal(a.Zones, b.Zones) &&
		slices.Equal(a.Taints, b.Taints) && maps.Equal(a.Labels, b.Labels)
}

// sameObserved tells whether the same is observed of the cluster, apart from its apps.
func (s *site) sameObserved(observed map[ClusterName]Observed) bool {
	o, heard := observed[s.Name]
	if heard != s.heard || !heard {
		return heard == s.heard
	}
	return o.Ready == s.observed.Ready && o.Since.Equal(s.observed.Since) && same(o.Kinds, s.observed.Kinds) &&
		(o.Kinds == nil) == (s.observed.Kinds == nil) && sameNodes(o.Nodes, s.observed.Nodes)
}

func sameNodes(a, b []NodeGroup) bool {
	if len(a) != len(b) || (a == nil) != (b == nil) {
		return false
	}
	return len(a) == 0 || &a[0] == &b[0] ||
		slices.EqualFunc(a, b, func(x, y NodeGroup) bool { return x.Count == y.Count && maps.Equal(x.Free, y.Free) })
}

// remember decides about an app.
func (d *Decider) remember(app *App, workloads []Workload) *memo {
	s := d.schedule(app, workloads)
	m := &memo{
		app: app, workloads: workloads, previous: d.state.Previous[app.Name], outcome: s.outcome(),
		placement: s.compiledPlacement,
	}
	o := &m.outcome
	if app.Placement.WorkloadAffinity != nil {
		d.placed[app.Name] = o.Placed
	}
	m.plain = !s.divided && !s.selects && len(app.Placement.ClusterAffinities) == 0 && o.Problem == ""
	m.volatile = app.Placement.WorkloadAffinity != nil || app.Failover != nil && app.Failover.Application != nil ||
		len(o.Evicted)+len(o.Kept) > 0 || slices.ContainsFunc(app.Placement.ClusterTolerations, func(t Toleration) bool { return t.TolerationSeconds != nil })
	m.passing = !m.plain || s.threatened(o.Placed)
	m.resting = s.rests(m, o)
	return m
}

// rests tells whether the outcome repeats the one before in every respect because
// nothing that is asked for is lacking: replicas that are all there, or as many
// clusters as are admitted.
func (s *schedule) rests(m *memo, o *Outcome) bool {
	if o.Problem != "" || s.fresh || len(s.group.tiers) > 1 || !o.Next.equal(&m.previous) {
		return false
	}
	if s.divided {
		steady := s.stands || s.dynamic && !s.selects
		return steady && len(s.workloads) > 0 && len(o.Divisions) == len(s.workloads)
	}
	constraints := s.app.Placement.SpreadConstraints
	return len(constraints) == 1 && constraints[0].byCluster() && constraints[0].MaxGroups == int64(len(o.Placed))
}

// threatened tells whether something is placed from where it may be driven out.
func (s *schedule) threatened(placed []Decision) bool {
	if !slices.ContainsFunc(s.sites, func(at site) bool { return s.threatens(&at) }) {
		return false
	}
	return slices.ContainsFunc(placed, func(p Decision) bool { return s.threatens(siteAt(s.sites, p.Cluster)) })
}

// threatens tells whether the app may be driven out of a cluster.
func (s *schedule) threatens(at *site) bool {
	return at != nil && (at.expels || at.lost && s.leavesLost())
}

// recall tells whether what was decided about an app holds, after it was brought up to
// date where that is simple.
func (d *Decider) recall(m *memo, app *App, workloads []Workload, changes []change) bool {
	again := m.outcome.Again
	if m.volatile || !again.IsZero() && !d.state.Now.Before(again) || !m.sameApp(app) || !sameWorkloads(m.workloads, workloads) {
		return false
	}
	previous := d.state.Previous[app.Name]
	if !previous.equal(&m.previous) && (m.passing || !previous.equal(&m.outcome.Next)) {
		return false
	}
	m.app, m.workloads, m.previous = app, workloads, previous
	if len(changes) == 0 {
		return true
	}
	if m.outcome.Problem != "" {
		return false
	}
	s := &schedule{deciding: &d.deciding, compiledPlacement: m.placement, app: app, workloads: workloads, previous: previous}
	var moved []change
	for _, c := range changes {
		if s.alike(c.before, c.after) {
			continue
		}
		if _, placed := placedAt(m.outcome.Placed, nameOf(c)); m.resting && !placed {
			continue
		}
		if !m.plain || s.threatens(c.before) || s.threatens(c.after) {
			return false
		}
		moved = append(moved, c)
	}
	if len(moved) > 0 {
		m.patch(s, moved)
	}
	return len(m.outcome.Placed) > 0
}

// sameApp compares what decides.
func (m *memo) sameApp(app *App) bool {
	return m.app == app || m.app.Namespace == app.Namespace && maps.Equal(m.app.Labels, app.Labels) &&
		reflect.DeepEqual(&m.app.Placement, &app.Placement) && reflect.DeepEqual(m.app.Failover, app.Failover)
}

func sameWorkloads(a, b []Workload) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || reflect.DeepEqual(a, b))
}

// alike tells whether a cluster that changed is the same to the app.
func (s *schedule) alike(before, after *site) bool {
	matched := false
	for i := range s.groups {
		was, is := -1, -1
		if before != nil {
			was = s.groups[i].tier(before.Cluster)
		}
		if after != nil {
			is = s.groups[i].tier(after.Cluster)
		}
		if was != is {
			return false
		}
		matched = matched || was >= 0
	}
	if !matched {
		return true
	}
	return before.lost == after.lost && !before.expels && !after.expels && before.tolerated == after.tolerated &&
		s.sameRefusals(before, after) && s.sameShares(before, after)
}

// sameRefusals compares what keeps the app off two states of a cluster.
func (s *schedule) sameRefusals(before, after *site) bool {
	for _, was := range []int{-1, 0} {
		if s.rejects(before, was) != s.rejects(after, was) {
			return false
		}
	}
	return s.full(before) == s.full(after)
}

// sameShares compares what decides how much a cluster gets, and whether it is chosen.
func (s *schedule) sameShares(before, after *site) bool {
	if s.divided || s.selects {
		if before.heard != after.heard || !sameNodes(before.observed.Nodes, after.observed.Nodes) || s.preferred(before.Cluster) != s.preferred(after.Cluster) {
			return false
		}
	}
	for i := range s.app.Placement.SpreadConstraints {
		c := &s.app.Placement.SpreadConstraints[i]
		if !slices.Equal(c.groupsOf(before.Cluster), c.groupsOf(after.Cluster)) {
			return false
		}
	}
	return s.ruleFor(before.Cluster) == s.ruleFor(after.Cluster) && s.fixedFor(before.Cluster) == s.fixedFor(after.Cluster)
}

// patch brings the outcome of a plain app up to date: each cluster that changed is
// decided about by itself. The clusters are in the order of their names.
func (m *memo) patch(s *schedule, moved []change) {
	old := m.outcome.Placed
	placed := make([]Decision, 0, len(old)+len(moved))
	for _, c := range moved {
		name := nameOf(c)
		at, found := placedAt(old, name)
		placed = append(placed, old[:at]...)
		if old = old[at:]; found {
			old = old[1:]
		}
		if c.after == nil {
			continue
		}
		was := -1
		if s.previous.has(name) {
			was = 0
		}
		if tier := s.groups[0].tier(c.after.Cluster); tier >= 0 && s.rejects(c.after, was).rule == "" {
			one := candidate{site: c.after, full: was >= 0 && s.full(c.after)}
			placed = append(placed, Decision{Cluster: name, Because: one.because(s.groups[0].in[tier])})
		}
	}
	placed = append(placed, old...)
	m.outcome.Placed = placed
	m.outcome.Next = s.next(&m.outcome)
}

func nameOf(c change) ClusterName {
	if c.after != nil {
		return c.after.Name
	}
	return c.before.Name
}
