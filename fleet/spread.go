package fleet

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
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
	all := candidates
	for i, constraint := range groups {
		last := i == len(groups)-1
		if candidates, err = s.byGroup(candidates, constraint, clusters, last); err != nil {
			return nil, err
		}
	}
	if len(groups) == 1 || s.placement.admits(candidates) {
		return candidates, nil
	}
	if candidates = combine(s.placement.SpreadConstraints, all); candidates == nil {
		return nil, fmt.Errorf("no clusters were found that spread over %s at once", nouns(groups))
	}
	return candidates, nil
}

// nouns names what constraints spread over.
func nouns(constraints []SpreadConstraint) string {
	names := make([]string, len(constraints))
	for i, c := range constraints {
		names[i] = c.noun()
	}
	return strings.Join(names, " and ")
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
