package fleet

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Decision places one app on one cluster.
type Decision struct {
	Cluster ClusterName `json:"cluster"`
	Because Because     `json:"because"`
}

// Because is the rule that put an app on a cluster, or kept it off.
type Because struct {
	Rule   string `json:"rule"`             // a stable word: one of the Rule constants
	Detail string `json:"detail,omitempty"` // what in the rule decided, for people
}

// Outcome is what was decided for one app.
type Outcome struct {
	App       AppName    `json:"app"`
	Placed    []Decision `json:"placed"`              // by cluster
	Divisions []Division `json:"divisions,omitempty"` // by workload; those whose replicas were decided
	// Affinity is the group that won, and Rescheduled the request that was honoured; see
	// [Previous].
	Affinity    string `json:"affinity,omitempty"`
	Rescheduled string `json:"rescheduled,omitempty"`
	// Problem says what could not be had. Placed is then what the decision before said,
	// or nothing where no cluster is feasible at all.
	Problem string `json:"problem,omitempty"`
	// Evicted is where the app was taken away because the cluster, or the app in it,
	// failed.
	Evicted map[ClusterName]Eviction `json:"evicted,omitempty"`
	// Kept are clusters, not among Placed, where what is published stays for now:
	// because they are lost, or until the app is well elsewhere. Sorted.
	Kept []ClusterName `json:"kept,omitempty"`
	// Again is when time alone may decide otherwise; zero: never.
	Again time.Time `json:"again,omitzero"`
}

// Division is how the replicas of one workload are divided.
type Division struct {
	Workload ObjectID `json:"workload"`
	Total    int64    `json:"total"`
	Counts   []int64  `json:"counts"` // beside Placed; 0: the workload is not in that cluster
	// Completions of a Job, beside Counts; nil where the Job does not have any.
	Completions []int64 `json:"completions,omitempty"`
}

// Decide places every app of a definition, in the order of the apps: what clusters
// run it, and how many replicas of which of its workloads. Workloads are those of the
// apps' bases, by app.
//
// The same arguments give the same outcomes, whatever was decided in between: what
// has to be remembered is in the state.
func Decide(def Definition, workloads map[AppName][]Workload, state State) []Outcome {
	d := newDeciding(def, state)
	outcomes := make([]Outcome, len(def.Apps))
	for i := range def.Apps {
		outcomes[i] = d.decide(&def.Apps[i], workloads[def.Apps[i].Name])
	}
	return outcomes
}

// deciding is one call of [Decide].
type deciding struct {
	def     Definition
	sites   []site
	state   State
	scratch []Decision // as long as the longest list so far
	members map[membership][]AppName
	placed  map[AppName][]Decision // of the apps with a group, decided by now
}

func newDeciding(def Definition, state State) *deciding {
	d := &deciding{def: def, sites: sitesOf(def, state), state: state, members: map[membership][]AppName{}, placed: map[AppName][]Decision{}}
	for _, app := range def.Apps {
		for _, m := range membershipsOf(app) {
			d.members[m] = append(d.members[m], app.Name)
		}
	}
	return d
}

// decide decides about one app. Apps are decided in their order.
func (d *deciding) decide(app *App, workloads []Workload) Outcome {
	if d.plain(app) {
		return d.everywhere(app)
	}
	o := d.schedule(app, workloads).outcome()
	if app.Placement.WorkloadAffinity != nil {
		d.placed[app.Name] = o.Placed
	}
	return o
}

// plain tells whether each cluster can be decided about by itself, and nothing has to
// be remembered.
func (d *deciding) plain(app *App) bool {
	p := &app.Placement
	_, decided := d.state.Previous[app.Name]
	return !decided && len(p.ClusterAffinities) == 0 && len(p.SpreadConstraints) == 0 && !p.divided() && p.WorkloadAffinity == nil
}

// everywhere places an app on every site that its placement takes. Selectors are
// compiled once, and reasons share their text, since there may be ten thousand
// sites and a thousand apps.
func (d *deciding) everywhere(app *App) Outcome {
	affinity := compileAffinity(app.Placement.ClusterAffinity)
	because := Because{Rule: affinity.rule, Detail: affinity.text}
	placed := d.scratch[:0]
	for i := range d.sites {
		s := &d.sites[i]
		if affinity.match(s.Cluster).rule != "" {
			continue
		}
		if s.tainted {
			if _, found := untolerated(s.taints, app.Placement.ClusterTolerations); found {
				continue
			}
		}
		placed = append(placed, Decision{Cluster: s.Name, Because: s.because(because)})
	}
	d.scratch = placed
	return Outcome{App: app.Name, Placed: append(make([]Decision, 0, len(placed)), placed...)}
}

// schedule is one app that is being decided about.
type schedule struct {
	*deciding
	app       *App
	workloads []Workload
	previous  Previous
	decided   bool // previous is set
	fresh     bool // what runs does not count
	evicted   map[ClusterName]Eviction
	again     time.Time

	group      affinityGroup // the one that won, or the last that was tried
	candidates []candidate   // those of the group that are feasible
	rejected   []Verdict     // the other clusters, by name, with why
	chosen     []candidate
	shares     []map[ClusterName]int64 // of the chosen, by workload; nil: not divided
	problem    error
	infeasible bool // problem is that no cluster is feasible
}

func (d *deciding) schedule(app *App, workloads []Workload) *schedule {
	s := &schedule{deciding: d, app: app, workloads: workloads}
	s.previous, s.decided = d.state.Previous[app.Name]
	s.fresh = s.reschedules() != s.previous.Rescheduled
	s.evict()
	groups := groupsOf(&app.Placement)
	begin := 0
	if !s.fresh {
		begin = max(0, slices.IndexFunc(groups, func(g affinityGroup) bool { return g.name == s.previous.Affinity }))
	}
	for _, group := range groups[begin:] {
		if s.try(group); s.problem == nil {
			break
		}
	}
	return s
}

// reschedules is the request for a fresh division.
func (s *schedule) reschedules() string {
	if r := s.app.Placement.ReplicaScheduling; r != nil {
		return r.RescheduleAt
	}
	return ""
}

// try tries one affinity group.
func (s *schedule) try(group affinityGroup) {
	s.group, s.candidates, s.rejected = group, nil, nil
	s.chosen, s.shares, s.problem, s.infeasible = nil, nil, nil, false
	for i := range s.sites {
		at := &s.sites[i]
		tier := group.tier(at.Cluster)
		if because, out := s.rejects(group, tier, at); out {
			s.rejected = append(s.rejected, Verdict{Cluster: at.Name, Because: because})
			continue
		}
		s.candidates = append(s.candidates, s.candidate(at, tier))
	}
	if len(s.candidates) == 0 {
		s.problem, s.infeasible = s.nowhere(), true
		return
	}
	sortCandidates(s.candidates)
	if s.chosen, s.problem = s.spread().choose(s.candidates); s.problem != nil {
		return
	}
	sortCandidates(s.chosen)
	s.problem = s.divide()
}

// rejects tells whether a cluster is not feasible, and why.
func (s *schedule) rejects(group affinityGroup, tier int, at *site) (Because, bool) {
	if tier < 0 {
		return group.because(at.Cluster, tier), true
	}
	if eviction, out := s.evicted[at.Name]; out {
		return Because{RuleEvicted, eviction.String()}, true
	}
	if _, placed := s.previous.Clusters[at.Name]; !placed && at.tainted {
		if taint, found := untolerated(at.taints, s.app.Placement.ClusterTolerations); found {
			return Because{RuleTaint, taint.String() + " is not tolerated"}, true
		}
	}
	for _, constraint := range s.app.Placement.SpreadConstraints {
		if (constraint.SpreadByLabel != "" || constraint.SpreadByField != "cluster") && len(constraint.groupsOf(at.Cluster)) == 0 {
			return Because{RuleSpread, fmt.Sprintf("the cluster has no %s to spread over", strings.TrimSuffix(constraint.noun(), "s"))}, true
		}
	}
	return s.company(at)
}

// candidate makes a cluster ready to be chosen.
func (s *schedule) candidate(at *site, tier int) candidate {
	c := candidate{site: *at, tier: tier}
	counts, placed := s.previous.Clusters[at.Name]
	if c.placed = placed && !s.fresh; c.placed {
		c.score = localityScore
	}
	for i := range s.app.Placement.Preferences {
		p := &s.app.Placement.Preferences[i]
		if wanted := compileAffinity(&p.TargetCluster); wanted.match(at.Cluster).rule == "" {
			c.score += p.Weight
		}
	}
	if w := s.leading(); w != nil {
		c.room = at.room(*w, s.total(*w))
		c.available = c.room + counts[w.Object]
	}
	return c
}

// localityScore is what a cluster that runs the app has ahead of others, as in
// Karmada.
const localityScore = 100

// room is how many more replicas of a workload fit. A cluster of which that is not
// known takes all.
func (s *site) room(w Workload, total int64) int64 {
	if !s.known || s.observed.Nodes == nil {
		return total
	}
	return min(unlimited, Fits(s.observed.Nodes, w.Requests))
}

// leading is the workload that decides which clusters are chosen: the one with the
// most replicas. Nil where there is none.
func (s *schedule) leading() *Workload {
	var most *Workload
	for i := range s.workloads {
		if w := &s.workloads[i]; s.total(*w) > 0 && (most == nil || s.total(*w) > s.total(*most)) {
			most = w
		}
	}
	return most
}

// total is how many replicas of a workload are to be divided.
func (s *schedule) total(w Workload) int64 {
	if r := s.app.Placement.ReplicaScheduling; r != nil && r.Replicas != nil && len(s.workloads) == 1 {
		return *r.Replicas
	}
	return w.Replicas
}

func (s *schedule) spread() spread {
	choice := spread{placement: s.app.Placement, replicas: anyCapacity}
	if w := s.leading(); w != nil {
		choice.each = s.total(*w)
		if s.app.Placement.divided() {
			choice.replicas = s.total(*w)
		}
	}
	return choice
}

// divide divides the replicas of every workload over the chosen clusters.
func (s *schedule) divide() error {
	if !s.app.Placement.divided() {
		return nil
	}
	s.shares = make([]map[ClusterName]int64, len(s.workloads))
	for i, w := range s.workloads {
		total := s.total(w)
		if total == 0 && len(s.app.Placement.ReplicaScheduling.ClusterReplicas) == 0 {
			continue // scaled to nothing: every cluster has it so
		}
		candidates := slices.Clone(s.chosen)
		running := map[ClusterName]int64{}
		for j := range candidates {
			c := &candidates[j]
			running[c.Name] = s.previous.Clusters[c.Name][w.Object]
			c.room = c.site.room(w, total)
			c.available = c.room + running[c.Name]
		}
		sortCandidates(candidates)
		d := division{scheduling: s.app.Placement.ReplicaScheduling, candidates: candidates, previous: running, total: total, fresh: s.fresh}
		counts, err := d.counts()
		if err != nil {
			return fmt.Errorf("%s: %w", w.Object, err)
		}
		s.shares[i] = counts
	}
	return nil
}

// nowhere says how many clusters are not feasible for which reason.
func (s *schedule) nowhere() error {
	counts := map[string]int{}
	for _, v := range s.rejected {
		counts[v.Because.Rule]++
	}
	words := make([]string, 0, len(counts))
	for rule, n := range counts {
		words = append(words, fmt.Sprintf("%d by %s", n, rule))
	}
	slices.Sort(words)
	if len(words) == 0 {
		return errors.New("there are no clusters")
	}
	return fmt.Errorf("none of %d clusters is feasible: %s", len(s.rejected), strings.Join(words, ", "))
}

// outcome is what was decided.
func (s *schedule) outcome() Outcome {
	o := Outcome{App: s.app.Name, Placed: []Decision{}, Affinity: s.group.name, Rescheduled: s.reschedules(), Evicted: s.evicted}
	if s.problem != nil {
		o.Problem = s.problem.Error()
		if !s.infeasible && s.decided {
			o = s.asBefore(o)
		}
		return s.settled(o)
	}
	chosen := slices.Clone(s.chosen)
	slices.SortFunc(chosen, func(a, b candidate) int { return cmp.Compare(a.Name, b.Name) })
	for _, c := range chosen {
		if s.runsIn(c.Name) {
			o.Placed = append(o.Placed, Decision{Cluster: c.Name, Because: c.because(s.group.because(c.Cluster, c.tier))})
		}
	}
	for i, w := range s.workloads {
		if s.shares != nil && s.shares[i] != nil {
			o.Divisions = append(o.Divisions, divisionOf(w, s.shares[i], o.Placed))
		}
	}
	return s.settled(o)
}

// settled adds what follows from where the app is placed.
func (s *schedule) settled(o Outcome) Outcome {
	o.Kept = s.kept(o)
	o.Again = s.again
	return o
}

// runsIn tells whether a cluster has a replica of anything that was divided. Where
// nothing was, it runs the app.
func (s *schedule) runsIn(cluster ClusterName) bool {
	divided := false
	for _, counts := range s.shares {
		if counts != nil {
			divided = true
			if counts[cluster] > 0 {
				return true
			}
		} else if s.shares != nil {
			return true // a workload that is not divided is everywhere
		}
	}
	return !divided
}

// asBefore repeats the decision before, without clusters that are gone or evicted.
func (s *schedule) asBefore(o Outcome) Outcome {
	o.Affinity = s.previous.Affinity
	for i := range s.sites {
		at := &s.sites[i]
		if _, placed := s.previous.Clusters[at.Name]; placed {
			if _, out := s.evicted[at.Name]; !out {
				o.Placed = append(o.Placed, Decision{Cluster: at.Name, Because: Because{RuleBefore, "it runs there, and " + o.Problem}})
			}
		}
	}
	for _, w := range s.workloads {
		counts := map[ClusterName]int64{}
		known := false
		for cluster, objects := range s.previous.Clusters {
			if n, ok := objects[w.Object]; ok {
				counts[cluster], known = n, true
			}
		}
		if known {
			o.Divisions = append(o.Divisions, divisionOf(w, counts, o.Placed))
		}
	}
	return o
}

// divisionOf is the division of a workload, beside the clusters where its app is.
func divisionOf(w Workload, counts map[ClusterName]int64, placed []Decision) Division {
	d := Division{Workload: w.Object, Counts: make([]int64, len(placed))}
	for i, p := range placed {
		d.Counts[i] = counts[p.Cluster]
		d.Total += d.Counts[i]
	}
	if w.Completions == nil {
		return d
	}
	parties := make([]party, 0, len(placed))
	for i, p := range placed {
		if d.Counts[i] > 0 {
			parties = append(parties, party{name: p.Cluster, votes: d.Counts[i]})
		}
	}
	webster(parties, *w.Completions)
	seats := make(map[ClusterName]int64, len(parties))
	for _, p := range parties {
		seats[p.name] = p.seats
	}
	d.Completions = make([]int64, len(placed))
	for i, p := range placed {
		d.Completions[i] = seats[p.Cluster]
	}
	return d
}

// In returns what the next decision has to know of the cluster at a place of Placed.
func (o *Outcome) In(i int) Decided {
	d := Decided{Affinity: o.Affinity, Rescheduled: o.Rescheduled}
	for _, division := range o.Divisions {
		d.Replicas = append(d.Replicas, WorkloadReplicas{division.Workload, division.Counts[i]})
	}
	return d
}
