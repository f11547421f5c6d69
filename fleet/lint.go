package fleet

import "strings"

// Lint warns of what a definition says in vain, or otherwise than it seems. Nothing
// of it stops a commit: a cluster may come later. Sorted, warnings all.
func Lint(def Definition) Problems {
	l := lint{clusters: def.Clusters}
	if len(def.Clusters) == 0 {
		return nil
	}
	for i := range def.Apps {
		l.app(&def.Apps[i])
	}
	for _, p := range def.TaintPolicies {
		l.target(p.TargetClusters, p.Position, "spec.targetClusters", "the policy taints nothing")
	}
	return l.problems.Sorted()
}

type lint struct {
	clusters []Cluster
	problems Problems
}

func (l *lint) warn(at Position, field, hint, message string) {
	l.problems = append(l.problems, Problem{
		File: at.File, Line: at.Line, Field: field, Message: message, Hint: hint, Warning: true,
	})
}

// matches tells whether an affinity takes any cluster that within takes.
func (l *lint) matches(a, within *ClusterAffinity) bool {
	one, other := compileAffinity(a), compileAffinity(within)
	for i := range l.clusters {
		if c := &l.clusters[i]; one.match(c).rule == "" && other.match(c).rule == "" {
			return true
		}
	}
	return false
}

// target warns of an affinity that takes no cluster.
func (l *lint) target(a *ClusterAffinity, at Position, field, so string) {
	if a == nil || l.matches(a, nil) {
		return
	}
	l.warn(at, field, "compare it with the names, labels and fields of the clusters in Git", "matches no cluster, so "+so)
}

func (l *lint) app(app *App) {
	l.placement(app)
	for i := range app.Constraints {
		l.target(&app.Constraints[i].Within, app.Position, index("spec.constraints", i)+".within", "the app may run nowhere")
	}
	for _, rule := range app.Overrides {
		l.target(rule.TargetCluster, rule.Position, "targetCluster", "the rule changes nothing")
		if field := setsReplicas(rule); field != "" && divides(app.Placement.ReplicaScheduling) {
			l.warn(rule.Position, field, "leave replicas to the placement, or use replicaSchedulingType Duplicated",
				"sets the replicas of each cluster after they were divided, so they no longer add up")
		}
	}
}

func (l *lint) placement(app *App) {
	const field, nowhere = "spec.placement", "the app runs nowhere"
	p := app.Placement
	l.target(p.ClusterAffinity, app.Position, field+".clusterAffinity", nowhere)
	for i := range p.ClusterAffinities {
		group, field := &p.ClusterAffinities[i], index(field+".clusterAffinities", i)
		l.target(&group.ClusterAffinity, app.Position, field, "the group is never used")
		for j := range group.OverflowAffinities {
			l.target(&group.OverflowAffinities[j].ClusterAffinity, app.Position, index(field+".overflowAffinities", j), "nothing overflows there")
		}
	}
	for i := range p.Preferences {
		l.target(&p.Preferences[i].TargetCluster, app.Position, index(field+".preferences", i)+".targetCluster", "it prefers nothing")
	}
	if p.ReplicaScheduling != nil {
		l.weights(app, field+".replicaScheduling")
	}
}

// weights warns of shares that nobody gets.
func (l *lint) weights(app *App, field string) {
	s := app.Placement.ReplicaScheduling
	for i := range s.ClusterReplicas {
		l.target(&s.ClusterReplicas[i].TargetCluster, app.Position, index(field+".clusterReplicas", i)+".targetCluster", "the rule gives nothing")
	}
	w := s.WeightPreference
	if w == nil || len(w.StaticWeightList) == 0 || overflows(s) || s.ReplicaSchedulingType != scheduleDivided {
		return
	}
	field += ".weightPreference.staticWeightList"
	shared := false
	for i := range w.StaticWeightList {
		target := &w.StaticWeightList[i].TargetCluster
		l.target(target, app.Position, index(field, i)+".targetCluster", "the weight counts for nothing")
		shared = shared || l.matches(target, app.Placement.ClusterAffinity)
	}
	if !shared && l.matches(app.Placement.ClusterAffinity, nil) {
		l.warn(app.Position, field, "give weights to clusters of the affinity",
			"gives a weight to no cluster of the affinity, so all of them get equal shares")
	}
}

// divides tells whether replicas differ from cluster to cluster.
func divides(s *ReplicaScheduling) bool {
	return s != nil && (s.ReplicaSchedulingType == scheduleDivided || len(s.ClusterReplicas) > 0)
}

// setsReplicas returns the field of a rule that sets the replicas of workloads, or "".
func setsReplicas(rule Override) string {
	for i, p := range rule.Overriders.Plaintext {
		if p.Path == "/spec/replicas" || p.Path == "/spec/parallelism" {
			return index("overriders.plaintext", i)
		}
	}
	if len(rule.Kustomize.Replicas) > 0 {
		return "kustomize.replicas"
	}
	for i, p := range rule.Kustomize.Patches {
		if strings.Contains(p.Patch, "/spec/replicas") {
			return index("kustomize.patches", i)
		}
	}
	return ""
}
