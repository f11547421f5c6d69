package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Explanation says for every cluster why an app is there, or is not.
type Explanation struct {
	App      AppName   `json:"app"`
	Affinity string    `json:"affinity,omitempty"` // the group that won
	Problem  string    `json:"problem,omitempty"`  // what could not be had
	Verdicts []Verdict `json:"verdicts"`           // by cluster; every one
	// Again is when time alone may decide otherwise; zero: never.
	Again time.Time `json:"again,omitzero"`
}

// Verdict is what was decided for one app and one cluster, in or out.
type Verdict struct {
	Cluster ClusterName `json:"cluster"`
	Placed  bool        `json:"placed"`
	Because Because     `json:"because"`
	// Score orders clusters where a choice is left: more for those that run the app,
	// and for those that are preferred.
	Score int64 `json:"score,omitempty"`
	// Room is how many more replicas of the app's largest workload fit; nil where that
	// is not known, or does not matter.
	Room *int64 `json:"room,omitempty"`
	// Kept: what is published stays in the cluster for now, though the app is not placed.
	Kept   bool    `json:"kept,omitempty"`
	Shares []Share `json:"shares,omitempty"` // by workload
}

// Share is a cluster's part of the replicas of a workload.
type Share struct {
	Workload ObjectID `json:"workload"`
	Count    int64    `json:"count"`
	Total    int64    `json:"total"`
	// Completions of a Job; nil where the Job does not have any.
	Completions *int64 `json:"completions,omitempty"`
	How         string `json:"how,omitempty"` // the arithmetic, for people
}

// String gives the share for people, as in "3 of 9 (weight 1 of 3)".
func (s Share) String() string {
	text := fmt.Sprintf("%d of %d", s.Count, s.Total)
	if s.How != "" {
		text += " (" + s.How + ")"
	}
	return text
}

// Explain says why an app of a definition is where [Decide] places it, and is not
// where it does not. It reports false when there is no such app.
func Explain(def Definition, name AppName, workloads map[AppName][]Workload, state State) (Explanation, bool) {
	at, found := slices.BinarySearchFunc(def.Apps, name, func(a App, name AppName) int { return cmp.Compare(a.Name, name) })
	if !found {
		return Explanation{}, false
	}
	d := newDeciding(def, state)
	if def.Apps[at].Placement.WorkloadAffinity != nil {
		for i := range def.Apps[:at] {
			if app := &def.Apps[i]; app.Placement.WorkloadAffinity != nil {
				d.decide(app, workloads[app.Name])
			}
		}
	}
	s := d.schedule(&def.Apps[at], workloads[name])
	o := s.outcome()
	e := Explanation{App: name, Affinity: o.Affinity, Problem: o.Problem, Again: o.Again, Verdicts: make([]Verdict, len(s.sites))}
	if len(s.chosen) > 0 && !s.selects && !s.dynamic {
		s.candidates = slices.Clone(s.candidates) // chosen may be the same list
		s.rank()
	}
	for i := range s.sites {
		e.Verdicts[i] = Verdict{Cluster: s.sites[i].Name}
	}
	for i := range s.candidates {
		e.Verdicts[s.candidates[i].at] = s.verdict(s.candidates[i], o)
	}
	for i := range e.Verdicts {
		v := &e.Verdicts[i]
		if v.Because.Rule == "" {
			v.Because = s.reasonAt(i)
		}
		_, v.Kept = slices.BinarySearch(o.Kept, v.Cluster)
		if at, placed := placedAt(o.Placed, v.Cluster); placed && !v.Placed { // as before
			v.Placed, v.Because, v.Shares = true, o.Placed[at].Because, s.sharesOf(o, at)
		}
	}
	return e, true
}

func placedAt(placed []Decision, cluster ClusterName) (int, bool) {
	return slices.BinarySearchFunc(placed, cluster, func(p Decision, name ClusterName) int { return cmp.Compare(p.Cluster, name) })
}

// verdict says what became of a cluster that is feasible.
func (s *schedule) verdict(c candidate, o Outcome) Verdict {
	v := Verdict{Cluster: c.Name, Score: c.score}
	if s.matters() && c.heard && c.observed.Nodes != nil {
		v.Room = &c.room
	}
	at, placed := placedAt(o.Placed, c.Name)
	if v.Placed = placed; placed {
		v.Because = o.Placed[at].Because
		v.Shares = s.sharesOf(o, at)
		return v
	}
	switch {
	case s.problem != nil:
		v.Because = Because{RuleProblem, s.problem.Error()}
	case s.isChosen(c.Name):
		v.Because = Because{RuleNoReplicas, s.whyNone(c.Name)}
	case s.selects:
		v.Because = Because{RuleSpread, s.whyNotChosen()}
	default:
		v.Because = Because{RuleNoReplicas, "what runs elsewhere stays as it was divided"}
	}
	return v
}

func (s *schedule) isChosen(cluster ClusterName) bool {
	_, chosen := s.chosenAt(cluster)
	return chosen
}

func (s *schedule) chosenAt(cluster ClusterName) (int, bool) {
	return slices.BinarySearchFunc(s.chosen, cluster, func(c candidate, name ClusterName) int { return cmp.Compare(c.Name, name) })
}

// matters tells whether what fits into clusters decides anything.
func (s *schedule) matters() bool {
	return s.mostReplicas() > 0 && (s.dynamic || s.selects || s.bounds())
}

// whyNotChosen says what the spread admits.
func (s *schedule) whyNotChosen() string {
	var words []string
	for _, c := range s.app.Placement.SpreadConstraints {
		bound := fmt.Sprintf("%d or more", c.atLeast())
		switch {
		case c.MaxGroups == int64(c.atLeast()):
			bound = strconv.Itoa(c.atLeast())
		case c.MaxGroups > 0:
			bound = fmt.Sprintf("%d to %d", c.atLeast(), c.MaxGroups)
		}
		words = append(words, bound+" "+c.noun())
	}
	return fmt.Sprintf("the spread over %s takes %d of %d feasible clusters, and others come first", strings.Join(words, " and "), len(s.chosen), len(s.candidates))
}

// whyNone says why a chosen cluster has no replica.
func (s *schedule) whyNone(cluster ClusterName) string {
	if at, _ := s.chosenAt(cluster); s.fixed != nil && s.fixedFor(s.chosen[at].Cluster) < 0 {
		return "no rule of clusterReplicas is for this cluster"
	}
	words := make([]string, 0, len(s.workloads))
	for _, w := range s.workloads {
		words = append(words, fmt.Sprintf("0 of %d replicas of %s (%s)", s.total(w), w.Object, s.how(w, cluster)))
	}
	return strings.Join(words, "; ")
}

// sharesOf gives the shares of the cluster at a place of what is placed.
func (s *schedule) sharesOf(o Outcome, at int) []Share {
	var shares []Share
	for _, d := range o.Divisions {
		share := Share{Workload: d.Workload, Count: d.Counts[at], Total: d.Total}
		for _, w := range s.workloads {
			if w.Object == d.Workload {
				share.How = s.how(w, o.Placed[at].Cluster)
			}
		}
		if d.Completions != nil {
			share.Completions = &d.Completions[at]
		}
		shares = append(shares, share)
	}
	return shares
}

// how is the arithmetic of one cluster's share.
func (s *schedule) how(w Workload, cluster ClusterName) string {
	switch {
	case s.problem != nil:
		return "as before"
	case s.fixed != nil:
		return "fixed by clusterReplicas"
	case s.dynamic:
		return s.howMuchRoom(w, cluster)
	}
	return s.howWeighted(cluster)
}

// howMuchRoom is the arithmetic of a division by what fits.
func (s *schedule) howMuchRoom(w Workload, cluster ClusterName) string {
	total, before := s.total(w), s.previous.counts(w.Object)
	var room, all, ran, running int64
	for i := range s.chosen {
		c := &s.chosen[i]
		n, had := c.fits(w, total), int64(0)
		if c.was >= 0 && before != nil {
			had = before[c.was]
		}
		if s.fresh {
			n, had = n+had, 0
		}
		all, running = all+n, running+had
		if c.Name == cluster {
			room, ran = n, had
		}
	}
	var words []string
	if s.app.Placement.ReplicaScheduling.ReplicaDivisionPreference == divideAggregated {
		words = append(words, "into as few clusters as hold them")
	}
	switch {
	case running == 0:
		words = append(words, fmt.Sprintf("room for %d of %d", room, all))
	case running == total:
		words = append(words, fmt.Sprintf("%d ran there before, which stay", ran))
	case running > total:
		words = append(words, fmt.Sprintf("%d of %d ran there before, %d are to go", ran, running, running-total))
	default:
		words = append(words, fmt.Sprintf("%d ran there before", ran), fmt.Sprintf("room for %d of %d more, %d are to come", room, all, total-running))
	}
	return strings.Join(words, ", ")
}

// howWeighted is the arithmetic of a division by static weights.
func (s *schedule) howWeighted(cluster ClusterName) string {
	var all int64
	var mine *weightRule
	for i := range s.chosen {
		rule := s.ruleFor(s.chosen[i].Cluster)
		if rule == nil {
			continue
		}
		all += rule.Weight
		if s.chosen[i].Name == cluster {
			mine = rule
		}
	}
	switch {
	case all == 0:
		return fmt.Sprintf("weight 1 of %d", len(s.chosen))
	case mine == nil:
		return "no weight is for this cluster"
	}
	text := fmt.Sprintf("weight %d of %d", mine.Weight, all)
	if mine.MinReplicas > 0 {
		text += fmt.Sprintf(", at least %d", mine.MinReplicas)
	}
	if mine.MaxReplicas != nil {
		text += fmt.Sprintf(", at most %d", *mine.MaxReplicas)
	}
	return text
}
