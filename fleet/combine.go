package fleet

// admits tells whether some clusters spread as the constraints want it.
func (p *Placement) admits(clusters []candidate) bool {
	for i := range p.SpreadConstraints {
		c := &p.SpreadConstraints[i]
		groups := c.count(clusters)
		if groups < c.atLeast() || c.atMost(groups) < groups {
			return false
		}
	}
	return true
}

// count counts the groups that clusters make.
func (c *SpreadConstraint) count(clusters []candidate) int {
	if c.byCluster() {
		return len(clusters)
	}
	names := map[string]bool{}
	for i := range clusters {
		for _, name := range c.groupsOf(clusters[i].Cluster) {
			names[name] = true
		}
	}
	return len(names)
}

// mostCombinations bounds the search for clusters that suit several constraints, in
// clusters looked at.
const mostCombinations = 200_000

// combine finds clusters that suit all constraints at once, those that come first
// before others; nil where it finds none. It is for where choosing by one constraint
// after the other does not.
func combine(constraints []SpreadConstraint, candidates []candidate) []candidate {
	c := combination{placement: Placement{SpreadConstraints: constraints}, candidates: candidates}
	if !c.search(0) {
		return nil
	}
	picked := map[*site]bool{}
	for i := range c.picked {
		picked[c.picked[i].site] = true
	}
	for i := range candidates {
		if !picked[candidates[i].site] && c.within(append(c.picked, candidates[i])) {
			c.picked = append(c.picked, candidates[i])
		}
	}
	return c.picked
}

// combination is a search for clusters.
type combination struct {
	placement  Placement
	candidates []candidate
	picked     []candidate
	effort     int
}

// search picks more clusters, from one on, until all constraints are met.
func (c *combination) search(begin int) bool {
	if len(c.picked) > 0 && c.placement.admits(c.picked) {
		return true
	}
	for i := begin; i < len(c.candidates) && c.effort < mostCombinations; i++ {
		c.picked = append(c.picked, c.candidates[i])
		c.effort += len(c.picked)
		if c.within(c.picked) && c.search(i+1) {
			return true
		}
		c.picked = c.picked[:len(c.picked)-1]
	}
	return false
}

// within tells whether clusters make no more groups than is admitted.
func (c *combination) within(clusters []candidate) bool {
	for i := range c.placement.SpreadConstraints {
		constraint := &c.placement.SpreadConstraints[i]
		if groups := constraint.count(clusters); constraint.atMost(groups) < groups {
			return false
		}
	}
	return true
}
