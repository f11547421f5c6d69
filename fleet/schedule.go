package fleet

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// candidate is a cluster that an app may run in.
type candidate struct {
	*site
	at    int   // its place among the sites
	was   int   // its place among those of the previous decision; -1: it was not there
	tier  int   // 0, or the place in the list of overflow affinities from 1
	full  bool  // a taint lets what runs there stay, and nothing come
	score int64 // higher is preferred
	// room is how many more replicas fit; available is that and those that run there.
	room, available int64
}

// because adds to the reason for being here what has to be tolerated for it.
func (c *candidate) because(b Because) Because {
	if !c.tainted {
		return b
	}
	text := c.tolerated
	if c.full {
		text = "stays, since it runs there already: " + strings.TrimPrefix(text, "tolerates ") + " lets nothing come"
	}
	if b.Detail != "" {
		text = b.Detail + "; " + text
	}
	return Because{b.Rule, text}
}

// sortCandidates puts those first that are preferred.
// (karmada pkg/scheduler/core/spreadconstraint/util.go, sortClusters)
func sortCandidates(candidates []candidate) {
	slices.SortFunc(candidates, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.tier, b.tier), cmp.Compare(b.score, a.score), cmp.Compare(b.available, a.available), cmp.Compare(a.Name, b.Name))
	})
}

// schedule is one app that is being decided about.
type schedule struct {
	*deciding
	compiledPlacement
	app        *App
	workloads  []Workload
	previous   Previous
	decided    bool   // previous is set
	fresh      bool   // what runs does not count
	settled    string // see [Previous]
	evicted    map[ClusterName]Eviction
	tolerating map[ClusterName]time.Time
	again      time.Time

	group      *affinityGroup // the one that won, or the last that was tried
	candidates []candidate    // those of the group that are feasible
	chosen     []candidate    // by name
	counts     [][]int64      // by workload, beside chosen; nil: not divided
	problem    error          // nothing could be decided
	lacking    error          // replicas are left over
	infeasible bool           // problem is that no cluster is feasible
	stands     bool           // the division before was repeated: see keep
}

func (d *deciding) schedule(app *App, workloads []Workload) *schedule {
	s := &schedule{deciding: d, app: app, workloads: workloads, compiledPlacement: compilePlacement(&app.Placement)}
	s.previous, s.decided = d.state.Previous[app.Name]
	s.findBefore()
	s.reschedule()
	s.evict()
	if s.weighs() || s.selects {
		s.settled = digestOf(app.Placement)
	}
	if s.tryAll(); s.problem != nil && s.spare(false) {
		s.tryAll()
	}
	if before := s.evicted; s.problem != nil && s.spare(true) {
		if s.tryAll(); s.problem != nil { // that does not help
			s.evicted = before
			s.tryAll()
		}
	}
	if r := app.Placement.ReplicaScheduling; r != nil && r.Replicas != nil && len(workloads) > 1 && s.lacking == nil {
		s.lacking = fmt.Errorf("replicaScheduling.replicas is the total of one workload, and the app has %d: each has what its manifest says", len(workloads))
	}
	return s
}

// tryAll tries the affinity groups from the one that was used on. What was wrong with
// the first is the problem when none will do.
// (karmada pkg/scheduler/scheduler.go, scheduleResourceBindingWithClusterAffinities)
func (s *schedule) tryAll() {
	begin := 0
	if !s.fresh {
		begin = max(0, slices.IndexFunc(s.groups, func(g affinityGroup) bool { return g.name == s.previous.Affinity }))
	}
	var first error
	var infeasible bool
	for i := begin; i < len(s.groups); i++ {
		if s.try(&s.groups[i]); s.problem == nil {
			return
		}
		if first == nil {
			first, infeasible = s.problem, s.infeasible
		}
	}
	s.problem, s.infeasible = first, infeasible
}

// findBefore finds the sites among the clusters of the previous decision. Both are
// sorted.
func (s *schedule) findBefore() {
	s.was = slices.Grow(s.was[:0], len(s.sites))[:len(s.sites)]
	before, at := s.previous.Clusters, 0
	for i := range s.sites {
		for at < len(before) && before[at] < s.sites[i].Name {
			at++
		}
		if s.was[i] = -1; at < len(before) && before[at] == s.sites[i].Name {
			s.was[i] = at
		}
	}
}

// reschedule tells whether a fresh division is asked for, and is due.
func (s *schedule) reschedule() {
	r := s.app.Placement.ReplicaScheduling
	if r == nil || r.RescheduleAt == "" || r.RescheduleAt == s.previous.Rescheduled {
		return
	}
	at, err := time.Parse(time.RFC3339, r.RescheduleAt)
	if err != nil || s.state.Now.Before(at) {
		s.again = earlier(s.again, at)
		return
	}
	s.previous.Rescheduled = r.RescheduleAt
	s.fresh = s.decided
}

// digestOf identifies a placement.
func digestOf(p Placement) string {
	content, err := json.Marshal(p)
	if err != nil {
		return "" // only what was loaded is ever encoded, and that can be
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:6])
}

// try tries one affinity group.
func (s *schedule) try(group *affinityGroup) {
	s.group, s.chosen, s.counts, s.problem, s.lacking, s.infeasible, s.stands = group, nil, nil, nil, nil, false, false
	s.candidates = s.deciding.candidates[:0]
	for i := range s.sites {
		at := &s.sites[i]
		if tier := group.tier(at.Cluster); tier >= 0 && s.rejects(at, s.was[i]).rule == "" {
			s.candidates = append(s.candidates, candidate{site: at, at: i, was: s.was[i], tier: tier, full: s.full(at)})
		}
	}
	s.deciding.candidates = s.candidates
	if len(s.candidates) == 0 {
		s.problem, s.infeasible = s.nowhere(), true
		return
	}
	if s.keep() {
		return
	}
	s.chosen = s.candidates
	if s.selects || s.dynamic {
		if s.choose(); s.problem != nil {
			return
		}
	}
	s.divide()
	s.byName()
}

// full tells whether an untolerated taint keeps the app off a cluster. That is only
// asked about clusters where it runs already.
func (s *schedule) full(at *site) bool {
	if !at.tainted {
		return false
	}
	_, found := untolerated(at.taints, s.app.Placement.ClusterTolerations)
	return found
}

// byName puts the chosen clusters, and the counts beside them, in the order of names.
func (s *schedule) byName() {
	if slices.IsSortedFunc(s.chosen, compareCandidates) {
		return
	}
	order := make([]int, len(s.chosen))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return compareCandidates(s.chosen[a], s.chosen[b]) })
	chosen := make([]candidate, len(order))
	for n, i := range order {
		chosen[n] = s.chosen[i]
	}
	s.chosen = chosen
	for w, counts := range s.counts {
		if counts == nil {
			continue
		}
		s.counts[w] = make([]int64, len(order))
		for n, i := range order {
			s.counts[w][n] = counts[i]
		}
	}
}

func compareCandidates(a, b candidate) int { return cmp.Compare(a.at, b.at) }

// keep repeats a division that still holds: a cluster that comes moves nothing that
// runs. It holds while the placement is the same, all clusters are feasible, and the
// replicas are those that are asked for. (karmada pkg/scheduler/scheduler.go, which
// then does not schedule at all)
func (s *schedule) keep() bool {
	if !s.divided || !s.holds() {
		return false
	}
	counts := make([][]int64, len(s.workloads))
	divided := 0
	for i, w := range s.workloads {
		before, total := s.previous.counts(w.Object), s.total(w)
		if before == nil && total == 0 {
			continue
		}
		for _, n := range before {
			total -= n
		}
		if before == nil || total != 0 {
			return false
		}
		counts[i] = before
		divided++
	}
	if divided == 0 || divided != len(s.previous.Divisions) {
		return false
	}
	s.chosen, s.counts, s.stands = s.running(), counts, true
	return true
}

// holds tells whether the choice before may stand: the placement and the group are the
// same, all its clusters are feasible, and the spread still admits it.
func (s *schedule) holds() bool {
	if s.settled == "" || s.fresh || s.previous.Settled != s.settled || s.previous.Affinity != s.group.name || len(s.previous.Clusters) == 0 {
		return false
	}
	running := 0
	for i := range s.candidates {
		if s.candidates[i].was >= 0 {
			running++
		}
	}
	return running == len(s.previous.Clusters) && (!s.selects || s.app.Placement.admits(s.running()))
}

// running returns the candidates where the app is already.
func (s *schedule) running() []candidate {
	running := make([]candidate, 0, len(s.previous.Clusters))
	for _, c := range s.candidates {
		if c.was >= 0 {
			running = append(running, c)
		}
	}
	return running
}

// choose lets the spread constraints choose. Where replicas are not divided, a choice
// that leaves what runs somewhere for another place does not replace one that holds.
func (s *schedule) choose() {
	s.rank()
	holds := s.selects && s.holds() && (!s.divided || s.mostReplicas() == 0)
	if s.chosen, s.problem = s.spread().choose(s.candidates); s.problem != nil {
		return
	}
	if holds {
		staying := 0
		for i := range s.chosen {
			if s.chosen[i].was >= 0 {
				staying++
			}
		}
		if staying < len(s.previous.Clusters) {
			s.chosen = s.running()
		}
	}
	sortCandidates(s.chosen)
}

// room is how many more replicas of a workload fit. A cluster of which that is not
// known takes all.
func (s *site) room(w Workload, total int64) int64 {
	if !s.heard || s.observed.Nodes == nil {
		return total
	}
	return min(unlimited, Fits(s.observed.Nodes, w.Requests))
}

// fits is how many more replicas of a workload the app may have there.
func (c *candidate) fits(w Workload, total int64) int64 {
	if c.full {
		return 0
	}
	return c.site.room(w, total)
}

// total is how many replicas of a workload are to be divided.
func (s *schedule) total(w Workload) int64 {
	if r := s.app.Placement.ReplicaScheduling; r != nil && r.Replicas != nil && len(s.workloads) == 1 {
		return *r.Replicas
	}
	return w.Replicas
}

// mostReplicas is how many replicas the largest workload has. An app is selected for
// by its largest workload: what fits of the others counts in proportion.
func (s *schedule) mostReplicas() int64 {
	var most int64
	for _, w := range s.workloads {
		most = max(most, s.total(w))
	}
	return most
}

func (s *schedule) spread() spread {
	choice := spread{placement: s.app.Placement, replicas: anyCapacity, each: s.mostReplicas()}
	if s.divided && choice.each > 0 {
		choice.replicas = choice.each
	}
	return choice
}

// nowhere says how many clusters are not feasible for which reason.
func (s *schedule) nowhere() error {
	counts := map[string]int{}
	for i := range s.sites {
		counts[s.reasonAt(i).Rule]++
	}
	if len(counts) == 0 {
		return errors.New("there are no clusters")
	}
	words := make([]string, 0, len(counts))
	for _, rule := range slices.Sorted(maps.Keys(counts)) {
		words = append(words, fmt.Sprintf("%d by %s", counts[rule], rule))
	}
	return fmt.Errorf("none of %d clusters is feasible: %s", len(s.sites), strings.Join(words, ", "))
}
