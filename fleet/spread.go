package fleet

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// anyCapacity is the number of replicas of an app whose clusters each run all of
// them: what fits does not decide between clusters.
const anyCapacity = -1

// spread selects clusters by spread constraints.
// (karmada pkg/scheduler/core/spreadconstraint)
type spread struct {
	placement Placement
	replicas  int64 // to be divided, or anyCapacity
	each      int64 // replicas of an app that is not divided
}

// choose returns the clusters that the constraints choose, of candidates that are
// sorted.
func (s spread) choose(candidates []candidate) ([]candidate, error) {
	if !s.placement.selects() {
		return candidates, nil
	}
	var groups []SpreadConstraint
	clusters := SpreadConstraint{SpreadByField: fieldCluster}
	for _, constraint := range s.placement.SpreadConstraints {
		if constraint.byCluster() {
			clusters = constraint
			continue
		}
		groups = append(groups, constraint)
	}
	if len(groups) == 0 {
		return s.byCluster(candidates, clusters)
	}
	slices.SortStableFunc(groups, func(a, b SpreadConstraint) int { return cmp.Compare(rank(a), rank(b)) })
	var err error
	for i, constraint := range groups {
		last := i == len(groups)-1
		if candidates, err = s.byGroup(candidates, constraint, clusters, last); err != nil {
			return nil, err
		}
	}
	return candidates, nil
}

// admits tells whether some clusters spread as the constraints want it.
func (p *Placement) admits(clusters []candidate) bool {
	for i := range p.SpreadConstraints {
		c := &p.SpreadConstraints[i]
		groups := len(clusters)
		if !c.byCluster() {
			names := map[string]bool{}
			for j := range clusters {
				for _, name := range c.groupsOf(clusters[j].Cluster) {
					names[name] = true
				}
			}
			groups = len(names)
		}
		if groups < c.atLeast() || c.atMost(groups) < groups {
			return false
		}
	}
	return true
}

// rank is the order in which constraints choose, the widest first.
func rank(c SpreadConstraint) int {
	if i := slices.Index([]string{fieldProvider, fieldRegion, fieldZone}, c.SpreadByField); i >= 0 {
		return i
	}
	return 3
}

// byCluster tells whether the constraint counts clusters.
func (c *SpreadConstraint) byCluster() bool {
	return c.SpreadByLabel == "" && (c.SpreadByField == "" || c.SpreadByField == fieldCluster)
}

// has tells whether a cluster has what is spread over.
func (c *SpreadConstraint) has(cluster *Cluster) bool {
	switch {
	case c.SpreadByLabel != "":
		_, ok := cluster.Labels[c.SpreadByLabel]
		return ok
	case c.SpreadByField == fieldProvider:
		return cluster.Provider != ""
	case c.SpreadByField == fieldRegion:
		return cluster.Region != ""
	case c.SpreadByField == fieldZone:
		return len(cluster.Zones) > 0
	}
	return false
}

// one names one of what the constraint spreads over.
func (c *SpreadConstraint) one() string {
	if c.SpreadByLabel != "" {
		return fmt.Sprintf("label %q", c.SpreadByLabel)
	}
	return c.SpreadByField
}

// atMost returns n, or the constraint's bound where that is less.
func (c SpreadConstraint) atMost(n int) int {
	if c.MaxGroups > 0 && c.MaxGroups < int64(n) {
		return int(c.MaxGroups)
	}
	return n
}

// atLeast is the fewest groups, 1 by default.
func (c SpreadConstraint) atLeast() int { return int(max(1, c.MinGroups)) }

// noun names what the constraint spreads over.
func (c SpreadConstraint) noun() string {
	if c.SpreadByLabel != "" {
		return fmt.Sprintf("values of label %q", c.SpreadByLabel)
	}
	return c.SpreadByField + "s"
}

// byCluster takes the first clusters, and swaps in roomier ones, from the last
// upwards, while replicas do not fit.
func (s spread) byCluster(candidates []candidate, constraint SpreadConstraint) ([]candidate, error) {
	if len(candidates) < constraint.atLeast() {
		return nil, fmt.Errorf("the spread wants %d clusters or more, and feasible are %d", constraint.atLeast(), len(candidates))
	}
	n := constraint.atMost(len(candidates))
	if s.replicas == anyCapacity {
		return candidates[:n], nil
	}
	chosen := slices.Clone(candidates)
	chosen, rest := chosen[:n:n], chosen[n:]
	for at := n - 1; at >= 0 && roomIn(chosen) < s.replicas; at-- {
		roomiest := -1
		for i := range rest {
			if rest[i].available > chosen[at].available && (roomiest < 0 || rest[i].available > rest[roomiest].available) {
				roomiest = i
			}
		}
		if roomiest >= 0 {
			chosen[at], rest[roomiest] = rest[roomiest], chosen[at]
		}
	}
	if fit := roomIn(chosen); fit < s.replicas {
		return nil, fmt.Errorf("the spread admits %d clusters, and %d of %d replicas fit into any as many", n, fit, s.replicas)
	}
	return chosen, nil
}

func roomIn(candidates []candidate) int64 {
	var room int64
	for _, c := range candidates {
		room += c.available
	}
	return room
}

// spreadGroup is the clusters with one region, or zone, or whatever is spread over.
type spreadGroup struct {
	name     string
	clusters []candidate // sorted
	score    int64
}

// byGroup chooses groups, and clusters in them: the best of each, and then others up
// to the bound on clusters. Unless it is the last constraint it only leaves out the
// clusters of other groups.
func (s spread) byGroup(candidates []candidate, constraint, clusters SpreadConstraint, last bool) ([]candidate, error) {
	return fromGroups(s.groups(candidates, constraint, clusters), constraint, clusters, last)
}

func fromGroups(groups []spreadGroup, constraint, clusters SpreadConstraint, last bool) ([]candidate, error) {
	if len(groups) < constraint.atLeast() {
		return nil, fmt.Errorf("the spread wants %d %s or more, and feasible are %d", constraint.atLeast(), constraint.noun(), len(groups))
	}
	chosen := chooseGroups(groups, constraint.atLeast(), constraint.atMost(len(groups)), clusters.atLeast())
	if chosen == nil {
		return nil, fmt.Errorf("no choice of %s has the %d clusters that the spread wants", constraint.noun(), clusters.atLeast())
	}
	var picked, rest []candidate
	seen := map[ClusterName]bool{} // a cluster may be in several zones
	for _, group := range chosen {
		for i, c := range group.clusters {
			switch {
			case seen[c.Name]:
				continue
			case i == 0 && last:
				picked = append(picked, c)
			default:
				rest = append(rest, c)
			}
			seen[c.Name] = true
		}
	}
	sortCandidates(rest)
	if !last {
		return rest, nil
	}
	more := min(len(rest), clusters.atMost(len(picked)+len(rest))-len(picked))
	return append(picked, rest[:max(0, more)]...), nil
}

// groups returns the groups that candidates make, by name, each with its score.
func (s spread) groups(candidates []candidate, constraint, clusters SpreadConstraint) []spreadGroup {
	members := map[string][]candidate{}
	for _, c := range candidates {
		for _, name := range constraint.groupsOf(c.Cluster) {
			members[name] = append(members[name], c)
		}
	}
	groups := make([]spreadGroup, 0, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		g := spreadGroup{name: name, clusters: members[name]}
		if s.replicas == anyCapacity {
			g.score = scoreForAll(g.clusters, s.each)
		} else {
			g.score = scoreForShare(g.clusters, s.replicas, constraint, clusters)
		}
		groups = append(groups, g)
	}
	return groups
}

// groupsOf returns the groups of a cluster; none where it does not have what is
// spread over.
func (c SpreadConstraint) groupsOf(cluster *Cluster) []string {
	switch {
	case c.SpreadByLabel != "":
		if value, ok := cluster.Labels[c.SpreadByLabel]; ok {
			return []string{value}
		}
	case c.SpreadByField == fieldProvider && cluster.Provider != "":
		return []string{cluster.Provider}
	case c.SpreadByField == fieldRegion && cluster.Region != "":
		return []string{cluster.Region}
	case c.SpreadByField == fieldZone:
		return cluster.Zones
	}
	return nil
}

// groupUnit weighs what fits into a group against the scores of its clusters.
const groupUnit = 1000

// scoreForAll scores a group for an app that every cluster runs whole.
func scoreForAll(clusters []candidate, replicas int64) int64 {
	var valid, sum int64
	for _, c := range clusters {
		if c.available >= replicas {
			valid++
			sum += c.score
		}
	}
	if valid == 0 {
		return 0
	}
	return valid*groupUnit + sum/valid
}

// scoreForShare scores a group for its share of replicas.
func scoreForShare(clusters []candidate, replicas int64, constraint, byCluster SpreadConstraint) int64 {
	groups := int64(constraint.atLeast())
	target := (replicas + groups - 1) / groups
	fewest := int64(max(byCluster.atLeast(), constraint.atLeast()))
	var walked, room, sum int64
	for _, c := range clusters {
		room += c.available
		sum += c.score
		walked++
		if walked >= fewest && room >= target {
			break
		}
	}
	if room < target {
		return room*groupUnit + sum/int64(len(clusters))
	}
	return target*groupUnit + sum/walked
}

// maxChoices bounds how many choices of groups are compared. With more the best groups
// are taken one after the other.
const maxChoices = 100_000

// chooseGroups chooses between fewest and most groups that hold enough clusters. Of
// the choices that need no group more, it is the one of the highest score.
// (karmada pkg/scheduler/core/spreadconstraint/select_groups.go)
func chooseGroups(groups []spreadGroup, fewest, most, clusters int) []spreadGroup {
	slices.SortFunc(groups, func(a, b spreadGroup) int {
		return cmp.Or(cmp.Compare(len(a.clusters), len(b.clusters)), cmp.Compare(b.score, a.score), cmp.Compare(a.name, b.name))
	})
	s := choices{groups: groups, fewest: fewest, most: most, clusters: clusters}
	if !s.search(0, 0) {
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

// choices searches for choices of groups that suffice.
type choices struct {
	groups                 []spreadGroup
	fewest, most, clusters int
	path                   []spreadGroup
	found                  []choice
}

// choice is some groups, the best first.
type choice struct {
	groups   []spreadGroup
	score    int64
	clusters int
}

func newChoice(groups []spreadGroup) choice {
	c := choice{groups: slices.Clone(groups)}
	slices.SortFunc(c.groups, byScore)
	for _, g := range groups {
		c.score += g.score
		c.clusters += len(g.clusters)
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

// search extends the path by groups from begin on, and reports false when there are
// too many choices.
func (s *choices) search(begin, clusters int) bool {
	if clusters >= s.clusters && len(s.path) >= s.fewest {
		s.found = append(s.found, newChoice(s.path))
		return len(s.found) < maxChoices
	}
	if len(s.path) == s.most {
		return true
	}
	for i := begin; i < len(s.groups); i++ {
		s.path = append(s.path, s.groups[i])
		more := s.search(i+1, clusters+len(s.groups[i].clusters))
		s.path = s.path[:len(s.path)-1]
		if !more {
			return false
		}
		if len(s.groups) == s.fewest {
			break
		}
	}
	return true
}

// greedy takes the groups of the highest score until they suffice.
func (s *choices) greedy() []spreadGroup {
	sorted := slices.Clone(s.groups)
	slices.SortFunc(sorted, byScore)
	clusters := 0
	for i, g := range sorted[:s.most] {
		if clusters += len(g.clusters); clusters >= s.clusters && i+1 >= s.fewest {
			return sorted[:i+1]
		}
	}
	return nil
}
