package fleet

import (
	"cmp"
	"hash/fnv"
	"slices"
)

// bounded is a cluster's share of replicas with bounds.
type bounded struct {
	cluster  ClusterName
	weight   int64
	min      int64
	max      *int64 // nil: no bound
	capacity *int64 // nil: not known
	existing int64  // replicas that it runs

	got       int64
	allocated int64 // of got, only because it ran them
}

// plan divides replicas by weight within bounds, and returns how many are left over.
// Each cluster gets its minimum first, then what it runs, as far as replicas and
// bounds go; the rest is divided by weight, rounded up, until nobody takes more.
// Clusters of the same weight take turns by the hash of their names. (kubefed
// pkg/schedulingtypes/planner, with rebalance off unless said)
func plan(clusters []*bounded, replicas int64, rebalance bool) (left int64) {
	slices.SortFunc(clusters, func(a, b *bounded) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(hashOf(a.cluster), hashOf(b.cluster)), cmp.Compare(a.cluster, b.cluster))
	})
	left = replicas
	for _, c := range clusters {
		c.got = min(c.min, left)
		if c.capacity != nil {
			c.got = min(c.got, *c.capacity)
		}
		left -= c.got
	}
	if !rebalance {
		for _, c := range clusters {
			extra := max(0, min(c.atMost(c.existing)-c.got, left))
			c.got, c.allocated = c.got+extra, extra
			left -= extra
		}
	}
	open := slices.Clone(clusters)
	for moved := true; moved && left > 0; {
		open, moved, left = distribute(open, left)
	}
	return left
}

// distribute makes one round, and returns the clusters that are not full.
func distribute(clusters []*bounded, replicas int64) (open []*bounded, moved bool, left int64) {
	left = replicas
	var sum int64
	for _, c := range clusters {
		sum += c.weight
	}
	if sum == 0 {
		return nil, false, left
	}
	for _, c := range clusters {
		extra := min((replicas*c.weight+sum-1)/sum, left)
		before := min(extra, c.allocated) // it has that already
		c.allocated -= before
		total := c.got + extra - before
		allowed := c.atMost(total)
		if allowed == total {
			open = append(open, c)
		}
		moved = moved || before > 0 || allowed > c.got
		left -= allowed - c.got
		c.got = allowed
	}
	return open, moved, left
}

// atMost returns n within the cluster's bounds.
func (c *bounded) atMost(n int64) int64 {
	if c.max != nil {
		n = min(n, *c.max)
	}
	if c.capacity != nil {
		n = min(n, *c.capacity)
	}
	return n
}

func hashOf(name ClusterName) uint32 {
	h := fnv.New32()
	_, _ = h.Write([]byte(name)) // a hash takes everything
	return h.Sum32()
}
