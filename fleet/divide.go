package fleet

import (
	"cmp"
	"fmt"
	"slices"
)

// candidate is a cluster that an app may run in.
type candidate struct {
	site
	tier  int   // 0, or the place in the list of overflow affinities from 1
	score int64 // higher is preferred
	// room is how many more replicas fit; available is that and those that run there.
	room, available int64
	placed          bool // by the previous decision
}

// sortCandidates puts those first that are preferred.
// (karmada pkg/scheduler/core/spreadconstraint/util.go, sortClusters)
func sortCandidates(candidates []candidate) {
	slices.SortFunc(candidates, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.tier, b.tier), cmp.Compare(b.score, a.score), cmp.Compare(b.available, a.available), cmp.Compare(a.Name, b.Name))
	})
}

// count is how many replicas a cluster runs.
type count struct {
	cluster  ClusterName
	replicas int64
}

func sumOf(counts []count) int64 {
	var sum int64
	for _, c := range counts {
		sum += c.replicas
	}
	return sum
}

// byReplicas puts the largest counts first.
func byReplicas(counts []count) {
	slices.SortFunc(counts, func(a, b count) int {
		return cmp.Or(cmp.Compare(b.replicas, a.replicas), cmp.Compare(a.cluster, b.cluster))
	})
}

// shortfall is that replicas do not fit.
type shortfall struct{ wanted, fit int64 }

func (s shortfall) Error() string {
	return fmt.Sprintf("%d replicas are asked for and %d fit", s.wanted, s.fit)
}

// allot divides replicas over clusters by weight.
func allot(weights []count, replicas int64) []count {
	parties := make([]party, len(weights))
	for i, w := range weights {
		parties[i] = party{name: w.cluster, votes: w.replicas}
	}
	webster(parties, replicas)
	allotted := make([]count, len(parties))
	for i, p := range parties {
		allotted[i] = count{p.name, p.seats}
	}
	return allotted
}

// divider divides by what clusters can take.
// (karmada pkg/scheduler/core/assignment.go and division_algorithm.go)
type divider struct {
	aggregated bool
	fresh      bool // what runs now does not count
}

// divide divides replicas over candidates, of which some run replicas by the previous
// decision. Tiers take what fits into them, one after the other.
func (d divider) divide(candidates []candidate, previous map[ClusterName]int64, replicas int64) (map[ClusterName]int64, error) {
	divided := map[ClusterName]int64{}
	left := replicas
	for begin := 0; begin < len(candidates) && left > 0; {
		end := begin
		for end < len(candidates) && candidates[end].tier == candidates[begin].tier {
			end++
		}
		tier := candidates[begin:end]
		begin = end
		var available int64
		for _, c := range tier {
			available += c.available
		}
		share := left
		if len(tier) < len(candidates) {
			share = min(left, available)
		}
		if share == 0 {
			continue
		}
		counts, err := d.tier(tier, previous, share)
		if err != nil {
			return nil, shortfall{replicas, replicas - left + available}
		}
		for _, c := range counts {
			divided[c.cluster] += c.replicas
		}
		left -= share
	}
	if left > 0 {
		return nil, shortfall{replicas, replicas - left}
	}
	return divided, nil
}

// tier divides within one tier.
func (d divider) tier(candidates []candidate, previous map[ClusterName]int64, replicas int64) ([]count, error) {
	var running, room []count
	for _, c := range candidates {
		if n := previous[c.Name]; n > 0 && !d.fresh {
			running = append(running, count{c.Name, n})
		}
		if d.fresh {
			room = append(room, count{c.Name, c.available})
		} else {
			room = append(room, count{c.Name, c.room})
		}
	}
	byReplicas(running)
	byReplicas(room)
	switch has := sumOf(running); {
	case has > replicas:
		return d.byWeight(running, nil, replicas)
	case has < replicas:
		more, err := d.byWeight(room, running, replicas-has)
		return append(more, running...), err
	default:
		return running, nil
	}
}

// byWeight divides replicas by what is available. Aggregated, it uses as few clusters
// as hold them, first those that run some.
func (d divider) byWeight(available, running []count, replicas int64) ([]count, error) {
	if fit := sumOf(available); fit < replicas {
		return nil, shortfall{replicas, fit}
	}
	if d.aggregated {
		runs := map[ClusterName]bool{}
		for _, r := range running {
			runs[r.cluster] = true
		}
		slices.SortStableFunc(available, func(a, b count) int {
			switch {
			case runs[a.cluster] == runs[b.cluster]:
				return 0
			case runs[a.cluster]:
				return -1
			}
			return 1
		})
		var sum int64
		for i := range available {
			if sum += available[i].replicas; sum >= replicas {
				available = available[:i+1]
				break
			}
		}
	}
	return allot(available, replicas), nil
}

// divideByWeights divides replicas by static weights, whatever runs and fits. Clusters
// without a rule get none, unless no cluster has one: then all weigh the same.
func divideByWeights(candidates []candidate, rules []weightRule, replicas int64) map[ClusterName]int64 {
	weights := make([]count, 0, len(candidates))
	for _, c := range candidates {
		if w := weightOf(c.Cluster, rules); w > 0 {
			weights = append(weights, count{c.Name, w})
		}
	}
	if len(weights) == 0 {
		for _, c := range candidates {
			weights = append(weights, count{c.Name, 1})
		}
	}
	divided := map[ClusterName]int64{}
	for _, c := range allot(weights, replicas) {
		divided[c.cluster] = c.replicas
	}
	return divided
}

// weightRule is a rule of a static weight list, made ready to be matched.
type weightRule struct {
	StaticWeight
	targets affinity
}

func weightRules(list []StaticWeight) []weightRule {
	rules := make([]weightRule, len(list))
	for i, rule := range list {
		rules[i] = weightRule{rule, compileAffinity(&list[i].TargetCluster)}
	}
	return rules
}

func weightOf(c *Cluster, rules []weightRule) int64 {
	var weight int64
	for i := range rules {
		if rules[i].Weight > weight && rules[i].targets.match(c).rule == "" {
			weight = rules[i].Weight
		}
	}
	return weight
}

// divideWithin divides replicas by static weights within the bounds of their rules, and
// returns how many are left over. What runs stays where bounds allow.
func divideWithin(candidates []candidate, rules []weightRule, previous map[ClusterName]int64, replicas int64) (divided map[ClusterName]int64, left int64) {
	var shares []*bounded
	for _, c := range candidates {
		var share *bounded
		for i := range rules {
			if rules[i].targets.match(c.Cluster).rule == "" && (share == nil || rules[i].Weight > share.weight) {
				share = &bounded{cluster: c.Name, weight: rules[i].Weight, min: rules[i].MinReplicas, max: rules[i].MaxReplicas, existing: previous[c.Name]}
			}
		}
		if share != nil {
			shares = append(shares, share)
		}
	}
	left = plan(shares, replicas, false)
	divided = map[ClusterName]int64{}
	for _, share := range shares {
		divided[share.cluster] = share.got
	}
	return divided, left
}
