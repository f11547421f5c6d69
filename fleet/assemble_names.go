package fleet

import (
	"fmt"
	"maps"
	"slices"
)

// checkApp warns of names in an app that no cluster has. They are no errors: a
// cluster may come later, and it must be possible to remove one.
func (a *assembly) checkApp(p parsedApp) {
	a.checkPlacement(p.document, p.Placement)
	if p.Policy == "" { // the rules of policies are written elsewhere
		for i, rule := range p.Overrides {
			a.checkAffinity(p.document, rule.TargetCluster, index("spec.overrides", i)+".targetCluster")
		}
	}
	for i, c := range p.Constraints {
		a.checkAffinity(p.document, &c.Within, index("spec.constraints", i)+".within")
	}
	if s := p.Rollout.Suspension; s != nil && s.DispatchingOnClusters != nil {
		a.checkNames(p.document, s.DispatchingOnClusters.ClusterNames, "spec.suspension.dispatchingOnClusters.clusterNames")
	}
}

// checkPlacement warns of names in a placement that no cluster has.
func (a *assembly) checkPlacement(d *document, p Placement) {
	const field = "spec.placement"
	a.checkAffinity(d, p.ClusterAffinity, field+".clusterAffinity")
	for i, group := range p.ClusterAffinities {
		field := index(field+".clusterAffinities", i)
		a.checkAffinity(d, &group.ClusterAffinity, field)
		for j, overflow := range group.OverflowAffinities {
			a.checkAffinity(d, &overflow.ClusterAffinity, index(field+".overflowAffinities", j))
		}
	}
	for i, preference := range p.Preferences {
		a.checkAffinity(d, &preference.TargetCluster, index(field+".preferences", i)+".targetCluster")
	}
	s := p.ReplicaScheduling
	if s == nil {
		return
	}
	for i, rule := range s.ClusterReplicas {
		a.checkAffinity(d, &rule.TargetCluster, index(field+".replicaScheduling.clusterReplicas", i)+".targetCluster")
	}
	if s.WeightPreference == nil {
		return
	}
	for i, rule := range s.WeightPreference.StaticWeightList {
		a.checkAffinity(d, &rule.TargetCluster, index(field+".replicaScheduling.weightPreference.staticWeightList", i)+".targetCluster")
	}
}

func (a *assembly) checkAffinity(d *document, affinity *ClusterAffinity, field string) {
	if affinity == nil {
		return
	}
	a.checkNames(d, affinity.ClusterNames, field+".clusterNames")
	a.checkNames(d, affinity.Exclude, field+".exclude")
}

func (a *assembly) checkNames(d *document, names []ClusterName, field string) {
	for i, name := range names {
		if _, ok := a.clusters[name]; ok || checkName("cluster", string(name)) != nil {
			continue // is there, or has been refused
		}
		hint, known := a.hints[name]
		if !known { // many apps may name one cluster that is gone
			hint = didYouMean(name, slices.Sorted(maps.Keys(a.clusters)))
			a.hints[name] = hint
		}
		warning := d.problem(index(field, i), fmt.Sprintf("no cluster has the name %q", name), hint)
		warning.Warning = true
		a.problems = append(a.problems, warning)
	}
}
