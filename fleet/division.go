package fleet

// division is the replicas of one workload that are to be divided over clusters.
type division struct {
	scheduling *ReplicaScheduling
	candidates []candidate // sorted
	previous   map[ClusterName]int64
	total      int64
	fresh      bool
}

// counts divides as the scheduling says.
func (d division) counts() (map[ClusterName]int64, error) {
	s := d.scheduling
	switch {
	case s == nil || s.ReplicaSchedulingType == "Duplicated":
		return d.duplicated(), nil
	case len(s.ClusterReplicas) > 0:
		return d.fixed(), nil
	case s.ReplicaDivisionPreference == "Aggregated":
		return divider{aggregated: true, fresh: d.fresh}.divide(d.candidates, d.previous, d.total)
	case s.WeightPreference != nil && s.WeightPreference.DynamicWeight != "":
		return divider{fresh: d.fresh}.divide(d.candidates, d.previous, d.total)
	}
	var rules []weightRule
	if s.WeightPreference != nil {
		rules = weightRules(s.WeightPreference.StaticWeightList)
	}
	if !bounds(rules) {
		return divideByWeights(d.candidates, rules, d.total), nil
	}
	counts, left := divideWithin(d.candidates, rules, d.previous, d.total)
	if left > 0 {
		return counts, shortfall{d.total, d.total - left}
	}
	return counts, nil
}

func bounds(rules []weightRule) bool {
	for _, rule := range rules {
		if rule.MinReplicas > 0 || rule.MaxReplicas != nil {
			return true
		}
	}
	return false
}

func (d division) duplicated() map[ClusterName]int64 {
	counts := make(map[ClusterName]int64, len(d.candidates))
	for _, c := range d.candidates {
		counts[c.Name] = d.total
	}
	return counts
}

// fixed gives each cluster what the first rule for it says.
func (d division) fixed() map[ClusterName]int64 {
	rules := make([]affinity, len(d.scheduling.ClusterReplicas))
	for i := range rules {
		rules[i] = compileAffinity(&d.scheduling.ClusterReplicas[i].TargetCluster)
	}
	counts := make(map[ClusterName]int64, len(d.candidates))
	for _, c := range d.candidates {
		for i := range rules {
			if rules[i].match(c.Cluster).rule == "" {
				counts[c.Name] = d.scheduling.ClusterReplicas[i].Replicas
				break
			}
		}
	}
	return counts
}
