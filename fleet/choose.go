package fleet

import (
	"cmp"
	"slices"
	"sort"
)

// mostEffort bounds the search for groups, in groups looked at. With more the best
// groups are taken one after the other.
const mostEffort = 1_000_000

// chooseGroups chooses between fewest and most groups that hold enough clusters. Of
// the choices that need no group more, it is the one of the highest score.
// (karmada pkg/scheduler/core/spreadconstraint/select_groups.go)
func chooseGroups(groups []spreadGroup, fewest, most, clusters int) []spreadGroup {
	most = min(most, len(groups))
	slices.SortFunc(groups, func(a, b spreadGroup) int {
		return cmp.Or(cmp.Compare(len(a.clusters), len(b.clusters)), cmp.Compare(b.score, a.score), cmp.Compare(a.name, b.name))
	})
	s := choices{groups: groups, fewest: fewest, most: most, clusters: clusters, upTo: make([]int, len(groups)+1), overlap: overlap(groups)}
	for i := range groups {
		s.upTo[i+1] = s.upTo[i] + len(groups[i].clusters)
	}
	if !s.search(0) {
		return s.greedy()
	}
	if len(s.found) == 0 {
		return nil
	}
	slices.SortStableFunc(s.found, func(a, b choice) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.clusters, a.clusters))
	})
	best := s.found[0]
	for _, other := range s.found[1:] {
		if len(other.groups) < len(best.groups) && best.begins(other) {
			best = other
		}
	}
	return best.groups
}

// overlap tells whether a cluster is in several groups, as it may be in several zones.
func overlap(groups []spreadGroup) bool {
	seen := map[*site]bool{}
	for i := range groups {
		for j := range groups[i].clusters {
			at := groups[i].clusters[j].site
			if seen[at] {
				return true
			}
			seen[at] = at != nil
		}
	}
	return false
}

// choices searches for choices of groups that suffice.
type choices struct {
	groups                 []spreadGroup // those with the fewest clusters first
	fewest, most, clusters int
	upTo                   []int // how many clusters the groups before one have
	overlap                bool  // clusters may be in several groups
	path                   []spreadGroup
	found                  []choice
	effort                 int
}

// choice is some groups, the best first.
type choice struct {
	groups   []spreadGroup
	score    int64
	clusters int
}

func newChoice(groups []spreadGroup, clusters int) choice {
	c := choice{groups: slices.Clone(groups), clusters: clusters}
	slices.SortFunc(c.groups, byScore)
	for _, g := range groups {
		c.score += g.score
	}
	return c
}

func byScore(a, b spreadGroup) int {
	return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.name, b.name))
}

// begins tells whether other is how c begins.
func (c choice) begins(other choice) bool {
	for i, g := range other.groups {
		if c.groups[i].name != g.name {
			return false
		}
	}
	return true
}

// held counts the clusters of some groups, each once.
func (s *choices) held(groups []spreadGroup) int {
	held := 0
	for i := range groups {
		held += len(groups[i].clusters)
	}
	if !s.overlap {
		return held
	}
	seen := make(map[*site]bool, held)
	for i := range groups {
		for j := range groups[i].clusters {
			seen[groups[i].clusters[j].site] = true
		}
	}
	s.effort += held
	return len(seen)
}

// search extends the path by groups from begin on, and reports false when that takes
// too long.
func (s *choices) search(begin int) bool {
	held := s.held(s.path)
	if s.effort += len(s.path) + 1; s.effort > mostEffort {
		return false
	}
	if held >= s.clusters && len(s.path) >= s.fewest {
		s.found = append(s.found, newChoice(s.path, held))
		return true
	}
	more := min(s.most-len(s.path), len(s.groups)-begin)
	largest := s.upTo[len(s.groups)] - s.upTo[len(s.groups)-more]
	if more == 0 || len(s.path)+more < s.fewest || held+largest < s.clusters {
		return true // whatever comes will not do
	}
	for i := begin; i < len(s.groups); i++ {
		s.path = append(s.path, s.groups[i])
		done := s.search(i + 1)
		s.path = s.path[:len(s.path)-1]
		if !done {
			return false
		}
	}
	return true
}

// greedy takes the groups of the highest score until they suffice, and where these have
// too few clusters the largest.
func (s *choices) greedy() []spreadGroup {
	sorted := slices.Clone(s.groups)
	slices.SortFunc(sorted, byScore)
	for range 2 {
		at := s.fewest + sort.Search(s.most-s.fewest+1, func(n int) bool { return s.held(sorted[:s.fewest+n]) >= s.clusters })
		if at <= s.most {
			return sorted[:at]
		}
		slices.SortStableFunc(sorted, func(a, b spreadGroup) int { return cmp.Compare(len(b.clusters), len(a.clusters)) })
	}
	return nil
}
