package fleet

import (
	"fmt"
	"slices"
)

// divide divides the replicas of every workload over the chosen clusters.
func (s *schedule) divide() {
	if !s.divided {
		return
	}
	s.counts = make([][]int64, len(s.workloads))
	parts := make([]part, len(s.chosen))
	for i, w := range s.workloads {
		total := s.total(w)
		if total == 0 && s.fixed == nil {
			continue // scaled to nothing: every cluster has it so
		}
		s.fill(parts, w, total)
		if err := s.divideOne(parts, w, total); err != nil {
			s.problem = fmt.Errorf("%s: %w", w.Object, err)
			return
		}
		counts := make([]int64, len(parts))
		for n := range parts {
			counts[n] = parts[n].count
		}
		s.counts[i] = counts
	}
}

// fill describes the chosen clusters to the division of a workload.
func (s *schedule) fill(parts []part, w Workload, total int64) {
	before := s.previous.counts(w.Object)
	for i := range s.chosen {
		c := &s.chosen[i]
		parts[i] = part{name: c.Name, tier: c.tier, full: c.full}
		if s.dynamic {
			parts[i].room = c.fits(w, total)
		}
		if c.was >= 0 && before != nil {
			parts[i].before = before[c.was]
		}
	}
}

// divideOne divides the replicas of one workload as the placement says.
func (s *schedule) divideOne(parts []part, w Workload, total int64) error {
	scheduling := s.app.Placement.ReplicaScheduling
	switch {
	case s.dynamic:
		d := capacityDivision{aggregated: scheduling.ReplicaDivisionPreference == divideAggregated, fresh: s.fresh}
		return d.divide(parts, total)
	case s.fixed != nil:
		for i := range s.chosen {
			if rule := s.fixedFor(s.chosen[i].Cluster); rule >= 0 {
				s.fix(&parts[i], w, scheduling.ClusterReplicas[rule].Replicas)
			}
		}
	case s.bounds():
		if left := s.divideWithin(parts, w, total); left > 0 {
			s.lacking = fmt.Errorf("%s: %w", w.Object, shortfall{total, total - left})
		}
	default:
		weights := make([]int64, len(parts))
		for i := range s.chosen {
			weights[i] = s.weightOf(s.chosen[i].Cluster)
		}
		if left := divideByWeights(parts, weights, total); left > 0 {
			s.lacking = fmt.Errorf("%s: %w", w.Object, shortfall{total, total - left})
		}
	}
	return nil
}

// fix gives a cluster the replicas that are fixed for it.
func (s *schedule) fix(p *part, w Workload, replicas int64) {
	if p.count = replicas; p.full && replicas > p.before {
		p.count = p.before
		s.lacking = fmt.Errorf("%s: %d replicas are asked for in cluster %q, where a taint that is not tolerated lets none come to the %d that run",
			w.Object, replicas, p.name, p.before)
	}
}

// divideWithin divides replicas by static weights within the bounds of their rules, and
// of what fits where that is known, and returns how many are left over. What runs
// stays where the bounds allow.
func (s *schedule) divideWithin(parts []part, w Workload, total int64) (left int64) {
	limited := make([]*bounded, 0, len(parts))
	of := make([]int, 0, len(parts))
	for i := range s.chosen {
		c := &s.chosen[i]
		rule := s.ruleFor(c.Cluster)
		if rule == nil {
			continue
		}
		b := &bounded{cluster: c.Name, weight: rule.Weight, min: rule.MinReplicas, max: rule.MaxReplicas, existing: parts[i].before}
		if c.full || c.heard && c.observed.Nodes != nil {
			capacity := c.fits(w, total) + parts[i].before
			b.capacity = &capacity
		}
		limited, of = append(limited, b), append(of, i)
	}
	byCluster := slices.Clone(limited)
	left = plan(limited, total, s.fresh) // which sorts them
	for n, b := range byCluster {
		parts[of[n]].count = b.got
	}
	return left
}
