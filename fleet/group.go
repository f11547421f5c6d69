package fleet

import "slices"

// affinityGroup is an [AffinityGroup] made ready to be matched. A placement without
// groups has one without a name.
type affinityGroup struct {
	name  string
	tiers []affinity // its own, and those of its overflow affinities
	in    []Because  // why a cluster is in a tier
}

// groupsOf returns the groups of a placement, in the order in which they are tried.
func groupsOf(p *Placement) []affinityGroup {
	if len(p.ClusterAffinities) == 0 {
		return []affinityGroup{newGroup("", compileAffinity(p.ClusterAffinity))}
	}
	groups := make([]affinityGroup, len(p.ClusterAffinities))
	for i := range p.ClusterAffinities {
		groups[i] = compileGroup(&p.ClusterAffinities[i])
	}
	return groups
}

func compileGroup(g *AffinityGroup) affinityGroup {
	tiers := []affinity{compileAffinity(&g.ClusterAffinity)}
	for i := range g.OverflowAffinities {
		tiers = append(tiers, compileAffinity(&g.OverflowAffinities[i].ClusterAffinity))
	}
	return newGroup(g.AffinityName, tiers...)
}

func newGroup(name string, tiers ...affinity) affinityGroup {
	g := affinityGroup{name: name, tiers: tiers}
	for i := range tiers {
		g.in = append(g.in, g.named(Because{Rule: tiers[i].rule, Detail: tiers[i].text}))
	}
	return g
}

// named adds the name of the group to a reason.
func (g *affinityGroup) named(b Because) Because {
	if g.name != "" {
		b.Detail = "group " + g.name + ": " + b.Detail
	}
	return b
}

// tier returns the first of the group's affinities that takes a cluster, and -1
// where none does.
func (g *affinityGroup) tier(c *Cluster) int {
	for i := range g.tiers {
		if g.tiers[i].match(c).rule == "" {
			return i
		}
	}
	return -1
}

// compiledPlacement is a [Placement] made ready to be decided about.
type compiledPlacement struct {
	groups      []affinityGroup
	preferences []preference
	weights     []weightRule // nil: all weigh the same
	fixed       []affinity   // of clusterReplicas
	divided     bool         // clusters share replicas
	dynamic     bool         // what fits decides how
	selects     bool         // spread constraints choose among clusters
}

// preference is a [Preference] made ready to be matched.
type preference struct {
	targets affinity
	weight  int64
}

// weightRule is a rule of a static weight list, made ready to be matched.
type weightRule struct {
	StaticWeight
	targets affinity
}

func compilePlacement(p *Placement) compiledPlacement {
	c := compiledPlacement{groups: groupsOf(p), divided: p.divided(), dynamic: p.dynamic(), selects: p.selects()}
	for i := range p.Preferences {
		c.preferences = append(c.preferences, preference{compileAffinity(&p.Preferences[i].TargetCluster), p.Preferences[i].Weight})
	}
	s := p.ReplicaScheduling
	if !c.divided || c.dynamic {
		return c
	}
	for i := range s.ClusterReplicas {
		c.fixed = append(c.fixed, compileAffinity(&s.ClusterReplicas[i].TargetCluster))
	}
	if s.WeightPreference != nil {
		c.weights = weightRules(s.WeightPreference.StaticWeightList)
	}
	return c
}

func weightRules(list []StaticWeight) []weightRule {
	rules := make([]weightRule, len(list))
	for i, rule := range list {
		rules[i] = weightRule{rule, compileAffinity(&list[i].TargetCluster)}
	}
	return rules
}

// matches tells whether any group takes a cluster.
func (c *compiledPlacement) matches(cluster *Cluster) bool {
	return slices.ContainsFunc(c.groups, func(g affinityGroup) bool { return g.tier(cluster) >= 0 })
}

// weighs tells whether replicas are divided by static weights.
func (c *compiledPlacement) weighs() bool { return c.divided && !c.dynamic && c.fixed == nil }

// bounds tells whether weights have bounds.
func (c *compiledPlacement) bounds() bool {
	for i := range c.weights {
		if c.weights[i].MinReplicas > 0 || c.weights[i].MaxReplicas != nil {
			return true
		}
	}
	return false
}

// ruleFor returns the rule of the largest weight for a cluster, or nil.
func (c *compiledPlacement) ruleFor(cluster *Cluster) *weightRule {
	var largest *weightRule
	for i := range c.weights {
		if rule := &c.weights[i]; (largest == nil || rule.Weight > largest.Weight) && rule.targets.match(cluster).rule == "" {
			largest = rule
		}
	}
	return largest
}

// weightOf is the weight of a cluster, 0 where it has none.
func (c *compiledPlacement) weightOf(cluster *Cluster) int64 {
	if rule := c.ruleFor(cluster); rule != nil {
		return rule.Weight
	}
	return 0
}

// fixedFor returns the rule of clusterReplicas for a cluster, or -1.
func (c *compiledPlacement) fixedFor(cluster *Cluster) int {
	for i := range c.fixed {
		if c.fixed[i].match(cluster).rule == "" {
			return i
		}
	}
	return -1
}

// divided tells whether clusters share replicas.
func (p *Placement) divided() bool {
	s := p.ReplicaScheduling
	return s != nil && s.ReplicaSchedulingType != scheduleDuplicated
}

// dynamic tells whether what clusters can take decides how replicas are divided.
func (p *Placement) dynamic() bool {
	s := p.ReplicaScheduling
	if !p.divided() || len(s.ClusterReplicas) > 0 {
		return false
	}
	return s.ReplicaDivisionPreference == divideAggregated || s.WeightPreference != nil && s.WeightPreference.DynamicWeight != ""
}

// selects tells whether spread constraints choose among clusters. They do not where
// static weights, or fixed replicas, say what each cluster gets. Weights that are
// written and empty leave the choice to them, as in Karmada.
func (p *Placement) selects() bool {
	s := p.ReplicaScheduling
	switch {
	case len(p.SpreadConstraints) == 0:
		return false
	case !p.divided() || p.dynamic():
		return true
	case len(s.ClusterReplicas) > 0:
		return false
	}
	return s.ReplicaDivisionPreference != divideWeighted || s.WeightPreference != nil && len(s.WeightPreference.StaticWeightList) == 0
}
