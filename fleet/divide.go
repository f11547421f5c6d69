package fleet

import (
	"cmp"
	"fmt"
	"slices"
)

// part is a cluster's part in the division of a workload.
type part struct {
	name   ClusterName
	tier   int   // replicas overflow from one to the next
	full   bool  // it takes no more than it runs
	room   int64 // how many more replicas fit
	before int64 // how many it runs
	count  int64 // how many it gets
}

// available is how many replicas fit, with those that run.
func (s part) available() int64 { return s.room + s.before }

// shortfall is that replicas do not fit.
type shortfall struct{ wanted, fit int64 }

func (s shortfall) Error() string {
	return fmt.Sprintf("%d replicas are asked for and %d fit", s.wanted, s.fit)
}

// capacityDivision divides by what clusters can take. What runs stays, and only the
// difference is divided. (karmada pkg/scheduler/core/assignment.go and
// division_algorithm.go)
type capacityDivision struct {
	aggregated bool // into as few clusters as hold the replicas
	fresh      bool // what runs does not count
}

// divide divides replicas over parts, which are in the order of their tiers: each
// tier takes what fits into it.
func (d capacityDivision) divide(parts []part, replicas int64) error {
	left := replicas
	for begin := 0; begin < len(parts); {
		end := begin
		var available int64
		for end < len(parts) && parts[end].tier == parts[begin].tier {
			available += parts[end].available()
			end++
		}
		tier, taken := parts[begin:end], left
		if len(tier) < len(parts) {
			taken = min(left, available)
		}
		begin = end
		if err := d.tier(tier, taken); err != nil {
			return err
		}
		left -= taken
	}
	if left > 0 {
		return shortfall{replicas, replicas - left}
	}
	return nil
}

// tier divides within one tier.
func (d capacityDivision) tier(parts []part, replicas int64) error {
	var running int64
	for i := range parts {
		running += parts[i].before
	}
	switch {
	case replicas == 0:
		give(parts, func(part) int64 { return 0 })
		return nil
	case d.fresh:
		return d.byWeight(parts, part.available, false, replicas, replicas)
	case running > replicas:
		return d.byWeight(parts, func(s part) int64 { return s.before }, false, replicas, replicas)
	}
	give(parts, func(s part) int64 { return s.before })
	if running == replicas {
		return nil
	}
	return d.byWeight(parts, func(s part) int64 { return s.room }, true, replicas-running, replicas)
}

func give(parts []part, count func(part) int64) {
	for i := range parts {
		parts[i].count = count(parts[i])
	}
}

// byWeight divides replicas by weights, which must hold them, and adds them to the
// counts of parts that keep what they run. Aggregated, it takes the parts of the
// largest weights until they hold all, those that run some first where they keep them.
func (d capacityDivision) byWeight(parts []part, weight func(part) int64, keep bool, replicas, asked int64) error {
	order := make([]int, len(parts))
	var fit int64
	for i := range parts {
		order[i] = i
		fit += weight(parts[i])
		if !keep {
			parts[i].count = 0
		}
	}
	if fit < replicas {
		return shortfall{asked, asked - replicas + fit}
	}
	if d.aggregated {
		order = aggregate(parts, order, weight, keep, replicas)
	}
	parties := make([]party, len(order))
	for n, i := range order {
		parties[n] = party{name: parts[i].name, votes: weight(parts[i])}
	}
	webster(parties, replicas)
	for n, i := range order {
		parts[i].count += parties[n].seats
	}
	return nil
}

// aggregate returns the parts that come first and hold the replicas.
func aggregate(parts []part, order []int, weight func(part) int64, running bool, replicas int64) []int {
	slices.SortStableFunc(order, func(a, b int) int {
		if running {
			if first, second := parts[a].before > 0, parts[b].before > 0; first != second {
				if first {
					return -1
				}
				return 1
			}
		}
		return cmp.Compare(weight(parts[b]), weight(parts[a]))
	})
	var sum int64
	for n, i := range order {
		if sum += weight(parts[i]); sum >= replicas {
			return order[:n+1]
		}
	}
	return order
}

// divideByWeights divides replicas by static weights, whatever runs and fits, and
// returns how many are left over because all clusters are full. Where nothing has a
// weight all weigh the same.
func divideByWeights(parts []part, weights []int64, replicas int64) (left int64) {
	alike := !slices.ContainsFunc(weights, func(w int64) bool { return w > 0 })
	var parties []party
	var of []int
	for i := range parts {
		parts[i].count = 0
		switch {
		case alike:
			parties, of = append(parties, party{name: parts[i].name, votes: 1}), append(of, i)
		case weights[i] > 0:
			parties, of = append(parties, party{name: parts[i].name, votes: weights[i]}), append(of, i)
		}
	}
	for len(parties) > 0 {
		for n := range parties {
			parties[n].seats = 0
		}
		webster(parties, replicas)
		rest := 0
		for n, i := range of {
			p := &parts[i]
			if p.full && parties[n].seats > p.before { // it keeps what it runs, and the others take the rest
				p.count = p.before
				replicas -= p.before
				continue
			}
			p.count = parties[n].seats
			parties[rest], of[rest] = parties[n], i
			rest++
		}
		if rest == len(parties) {
			return 0
		}
		parties, of = parties[:rest], of[:rest]
	}
	return replicas
}
