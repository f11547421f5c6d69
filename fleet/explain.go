package fleet

import (
	"cmp"
	"fmt"
	"slices"
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
	How      string   `json:"how,omitempty"` // the arithmetic, for people
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
	for i := range def.Apps[:at] {
		if app := &def.Apps[i]; app.Placement.WorkloadAffinity != nil {
			d.decide(app, workloads[app.Name])
		}
	}
	s := d.schedule(&def.Apps[at], workloads[name])
	o := s.outcome()
	e := Explanation{App: name, Affinity: o.Affinity, Problem: o.Problem, Again: o.Again, Verdicts: slices.Clone(s.rejected)}
	for _, c := range s.candidates {
		e.Verdicts = append(e.Verdicts, s.verdict(c, o))
	}
	slices.SortFunc(e.Verdicts, func(a, b Verdict) int { return cmp.Compare(a.Cluster, b.Cluster) })
	for i := range e.Verdicts {
		v := &e.Verdicts[i]
		_, v.Kept = slices.BinarySearch(o.Kept, v.Cluster)
		if at, placed := placedAt(o.Placed, v.Cluster); placed && !v.Placed { // as before
			v.Placed, v.Because = true, o.Placed[at].Because
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
	if s.matters() && c.known && c.observed.Nodes != nil {
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
		v.Because = Because{RuleSpread, s.problem.Error()}
	case slices.ContainsFunc(s.chosen, func(other candidate) bool { return other.Name == c.Name }):
		v.Because = Because{RuleNoReplicas, s.whyNone(c)}
	default:
		v.Because = Because{RuleSpread, s.whyNotChosen()}
	}
	return v
}

// matters tells whether what fits into clusters decides anything.
func (s *schedule) matters() bool {
	return s.leading() != nil && (s.app.Placement.dynamic() || s.app.Placement.selects())
}

// whyNotChosen says what the spread admits.
func (s *schedule) whyNotChosen() string {
	var words []string
	for _, c := range s.app.Placement.SpreadConstraints {
		bound := fmt.Sprintf("%d or more %s", c.atLeast(), c.noun())
		if c.MaxGroups > 0 {
			bound = fmt.Sprintf("%d to %d %s", c.atLeast(), c.MaxGroups, c.noun())
		}
		words = append(words, bound)
	}
	return fmt.Sprintf("the spread over %s takes %d of %d feasible clusters, and others come first", strings.Join(words, " and "), len(s.chosen), len(s.candidates))
}

// whyNone says why a chosen cluster has no replica.
func (s *schedule) whyNone(c candidate) string {
	if w := s.leading(); w != nil {
		if how := s.how(*w, c.Name); how != "" {
			return fmt.Sprintf("0 of %d replicas (%s)", s.total(*w), how)
		}
	}
	return "no replica is left for it"
}

func (s *schedule) sharesOf(o Outcome, at int) []Share {
	var shares []Share
	for _, d := range o.Divisions {
		share := Share{Workload: d.Workload, Count: d.Counts[at], Total: d.Total}
		for _, w := range s.workloads {
			if w.Object == d.Workload && s.problem == nil {
				share.How = s.how(w, o.Placed[at].Cluster)
			}
		}
		shares = append(shares, share)
	}
	return shares
}

// how is the arithmetic of one cluster's share.
func (s *schedule) how(w Workload, cluster ClusterName) string {
	scheduling := s.app.Placement.ReplicaScheduling
	switch {
	case len(scheduling.ClusterReplicas) > 0:
		return "fixed by clusterReplicas"
	case !s.app.Placement.dynamic():
		return s.howWeighted(cluster)
	}
	var words []string
	if scheduling.ReplicaDivisionPreference == "Aggregated" {
		words = append(words, "into as few clusters as hold them")
	}
	var room, all int64
	for _, c := range s.chosen {
		n := c.site.room(w, s.total(w))
		if s.fresh {
			n += s.previous.Clusters[c.Name][w.Object]
		}
		all += n
		if c.Name == cluster {
			room = n
		}
	}
	if had := s.previous.Clusters[cluster][w.Object]; had > 0 && !s.fresh {
		words = append(words, fmt.Sprintf("%d ran there before", had))
	}
	return strings.Join(append(words, fmt.Sprintf("room for %d of %d", room, all)), ", ")
}

func (s *schedule) howWeighted(cluster ClusterName) string {
	var rules []weightRule
	if p := s.app.Placement.ReplicaScheduling.WeightPreference; p != nil {
		rules = weightRules(p.StaticWeightList)
	}
	var mine, all int64
	for _, c := range s.chosen {
		weight := weightOf(c.Cluster, rules)
		all += weight
		if c.Name == cluster {
			mine = weight
		}
	}
	switch {
	case all == 0:
		return fmt.Sprintf("weight 1 of %d", len(s.chosen))
	case mine == 0:
		return "no weight is for this cluster"
	}
	text := fmt.Sprintf("weight %d of %d", mine, all)
	if bounds(rules) {
		text += ", within its bounds"
	}
	return text
}
