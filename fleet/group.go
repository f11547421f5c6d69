package fleet

// affinityGroup is an [AffinityGroup] made ready to be matched. A placement without
// groups has one without a name.
type affinityGroup struct {
	name  string
	tiers []affinity // its own, and those of its overflow affinities
}

func compileGroup(g *AffinityGroup) affinityGroup {
	compiled := affinityGroup{name: g.AffinityName, tiers: []affinity{compileAffinity(&g.ClusterAffinity)}}
	for i := range g.OverflowAffinities {
		compiled.tiers = append(compiled.tiers, compileAffinity(&g.OverflowAffinities[i].ClusterAffinity))
	}
	return compiled
}

// groupsOf returns the groups of a placement, in the order in which they are tried.
func groupsOf(p *Placement) []affinityGroup {
	if len(p.ClusterAffinities) == 0 {
		return []affinityGroup{{tiers: []affinity{compileAffinity(p.ClusterAffinity)}}}
	}
	groups := make([]affinityGroup, len(p.ClusterAffinities))
	for i := range p.ClusterAffinities {
		groups[i] = compileGroup(&p.ClusterAffinities[i])
	}
	return groups
}

// tier returns the first of the group's affinities that takes a cluster, and -1
// where none does.
func (g affinityGroup) tier(c *Cluster) int {
	for i := range g.tiers {
		if g.tiers[i].match(c).rule == "" {
			return i
		}
	}
	return -1
}

// because says why a cluster is in a tier, or, of tier -1, why the first does not
// take it.
func (g affinityGroup) because(c *Cluster, tier int) Because {
	at := &g.tiers[max(0, tier)]
	b := at.because(c, at.match(c))
	if g.name != "" {
		b.Detail = "group " + g.name + ": " + b.Detail
	}
	return b
}
