package fleet

import "k8s.io/apimachinery/pkg/util/validation"

// The words of placements.
const (
	scheduleDuplicated      = "Duplicated"
	scheduleDivided         = "Divided"
	divideAggregated        = "Aggregated"
	divideWeighted          = "Weighted"
	weightAvailableReplicas = "AvailableReplicas"
	fieldCluster            = "cluster"
)

// checkPlacement checks a placement and gives it the defaults of Karmada's webhook.
func (d *document) checkPlacement(p *Placement, field string) {
	d.checkAffinity(p.ClusterAffinity, field+".clusterAffinity")
	if p.ClusterAffinity != nil && len(p.ClusterAffinities) > 0 {
		d.refuse(field+".clusterAffinities", "remove one of them: clusterAffinity is a list with one group",
			"cannot stand beside clusterAffinity")
	}
	d.checkGroups(p, field+".clusterAffinities")
	for i, t := range p.ClusterTolerations {
		d.checkToleration(t, index(field+".clusterTolerations", i))
	}
	d.checkSpread(p.SpreadConstraints, field+".spreadConstraints")
	if p.ReplicaScheduling != nil {
		d.checkReplicaScheduling(p.ReplicaScheduling, field+".replicaScheduling")
	}
	d.checkWorkloadAffinity(p.WorkloadAffinity, field+".workloadAffinity")
	for i, preference := range p.Preferences {
		field := index(field+".preferences", i)
		d.checkRequired(preference.TargetCluster, field+".targetCluster")
		if preference.Weight < 1 || preference.Weight > 100 {
			d.number(field+".weight", "", preference.Weight, "want 1 to 100")
		}
	}
	d.warnOfSpread(p, field+".spreadConstraints")
}

// checkRequired checks an affinity that has to be written.
func (d *document) checkRequired(a ClusterAffinity, field string) {
	if !d.has(field) {
		d.missing(field, "name clusters, by labelSelector, fieldSelector or clusterNames; {} for all")
		return
	}
	d.checkAffinity(&a, field)
}

// number refuses a number, or the absence of one.
func (d *document) number(field, hint string, n int64, want string) {
	if !d.has(field) {
		d.missing(field, want)
		return
	}
	d.refuse(field, hint, "is %d, %s", n, want)
}

func (d *document) checkGroups(p *Placement, field string) {
	first := map[string]string{}
	for i := range p.ClusterAffinities {
		group, field := &p.ClusterAffinities[i], index(field, i)
		d.checkGroupName(group.AffinityName, field+".affinityName")
		d.checkAffinity(&group.ClusterAffinity, field)
		if before, twice := first[group.AffinityName]; twice && group.AffinityName != "" {
			d.refuse(field+".affinityName", "give each group a name of its own", "%q is the name of %s", group.AffinityName, before)
		} else {
			first[group.AffinityName] = field
		}
		d.checkOverflow(group, p.ReplicaScheduling, field)
	}
}

func (d *document) checkGroupName(name, field string) {
	switch {
	case name == "":
		d.missing(field, "")
	case len(name) > 32 || len(validation.IsQualifiedName(name)) > 0:
		d.refuse(field, "letters and digits, with '-', '_' and '.' between them, at most 32", "%q is not the name of a group", name)
	}
}

func (d *document) checkOverflow(g *AffinityGroup, s *ReplicaScheduling, field string) {
	if len(g.OverflowAffinities) == 0 {
		return
	}
	list := field + ".overflowAffinities"
	if !overflows(s) {
		d.refuse(list, "divide replicas by dynamicWeight: AvailableReplicas, or Aggregated",
			"needs a division by what fits: nothing overflows otherwise")
	}
	if g.empty() {
		d.refuse(list, "name the clusters that come first, in "+field, "needs an affinity to overflow from: every cluster is in this one")
	}
	first := map[string]string{g.AffinityName: field}
	for i := range g.OverflowAffinities {
		overflow, field := &g.OverflowAffinities[i], index(list, i)
		d.checkGroupName(overflow.AffinityName, field+".affinityName")
		d.checkAffinity(&overflow.ClusterAffinity, field)
		if before, twice := first[overflow.AffinityName]; twice && overflow.AffinityName != "" {
			d.refuse(field+".affinityName", "give each affinity of the group a name of its own", "%q is the name of %s", overflow.AffinityName, before)
			continue
		}
		first[overflow.AffinityName] = field
	}
}

// overflows tells whether replicas are divided by what fits.
func overflows(s *ReplicaScheduling) bool {
	switch {
	case s == nil || s.ReplicaSchedulingType == scheduleDuplicated:
		return false
	case s.ReplicaDivisionPreference == divideAggregated:
		return true
	}
	return s.WeightPreference != nil && s.WeightPreference.DynamicWeight != ""
}

// empty tells whether an affinity names no cluster in any way.
func (a ClusterAffinity) empty() bool {
	return a.LabelSelector == nil && a.FieldSelector == nil && len(a.ClusterNames) == 0 && len(a.Exclude) == 0
}

func (d *document) checkSpread(constraints []SpreadConstraint, field string) {
	first := map[string]string{}
	byField, byCluster := "", false
	for i := range constraints {
		c, field := &constraints[i], index(field, i)
		if c.SpreadByField == "" && c.SpreadByLabel == "" && !d.misshapen {
			c.SpreadByField = fieldCluster
		}
		if c.MinGroups == 0 {
			c.MinGroups = 1
		}
		if c.SpreadByField != "" {
			d.oneOf(c.SpreadByField, field+".spreadByField", fieldCluster, fieldRegion, fieldZone, fieldProvider)
			byField, byCluster = field, byCluster || c.SpreadByField == fieldCluster
		}
		if c.SpreadByLabel != "" {
			d.checkLabel(c.SpreadByLabel, "", field+".spreadByLabel", "")
		}
		if c.SpreadByField != "" && c.SpreadByLabel != "" {
			d.refuse(field+".spreadByLabel", "write two constraints", "cannot stand beside spreadByField")
		}
		d.checkGroupBounds(*c, field)
		id := c.SpreadByField + " " + c.SpreadByLabel
		if before, twice := first[id]; twice {
			d.refuse(field, "remove one of them", "spreads by the same as %s", before)
			continue
		}
		first[id] = field
	}
	if byField != "" && !byCluster {
		d.lacks(field, "add {spreadByField: cluster, minGroups: 1}", "spreads by a field and has no constraint for spreadByField cluster")
	}
}

func (d *document) checkGroupBounds(c SpreadConstraint, field string) {
	switch {
	case c.MinGroups < 0:
		d.refuse(field+".minGroups", "", "is %d, want 1 or more", c.MinGroups)
	case c.MaxGroups < 0:
		d.refuse(field+".maxGroups", "leave it out for no bound", "is %d, want 1 or more", c.MaxGroups)
	case c.MaxGroups > 0 && c.MaxGroups < c.MinGroups:
		d.refuse(field+".maxGroups", "", "is %d, less than minGroups, which is %d", c.MaxGroups, c.MinGroups)
	}
}

// warnOfSpread warns of constraints that decide nothing.
func (d *document) warnOfSpread(p *Placement, field string) {
	if len(p.SpreadConstraints) == 0 || p.selects() {
		return
	}
	if len(p.ReplicaScheduling.ClusterReplicas) > 0 {
		d.warn(field, "remove them, or clusterReplicas", "are ignored beside clusterReplicas: every cluster with a rule runs what it says")
		return
	}
	d.warn(field, "divide by dynamicWeight: AvailableReplicas or Aggregated, or remove them",
		"are ignored where replicas are divided by static weights: every cluster with a weight gets its share")
}

func (d *document) checkWorkloadAffinity(w *WorkloadAffinity, field string) {
	if w == nil {
		return
	}
	for name, group := range map[string]*WorkloadGroup{"affinity": w.Affinity, "antiAffinity": w.AntiAffinity} {
		if group == nil {
			continue
		}
		key := field + "." + name + ".groupByLabelKey"
		if group.GroupByLabelKey == "" {
			d.missing(key, "")
			continue
		}
		d.checkLabel(group.GroupByLabelKey, "", key, "")
	}
	if w.Affinity != nil && w.AntiAffinity != nil && *w.Affinity == *w.AntiAffinity {
		d.refuse(field+".antiAffinity.groupByLabelKey", "group by another label",
			"is %q, as for affinity: apps cannot be together and apart", w.AntiAffinity.GroupByLabelKey)
	}
}
