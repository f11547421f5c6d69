package fleet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// explain says in lines what is said of the first app, after what was played.
func (w *world) explain(t *testing.T) []string {
	t.Helper()
	e, found := Explain(w.def, "web", w.workloads, State{Now: w.now, Observed: w.observed, Previous: PreviousOf(w.published)})
	if !found {
		t.Fatal("there is no such app")
	}
	var lines []string
	for _, v := range e.Verdicts {
		word := "out"
		if v.Placed {
			word = "in "
		}
		parts := []string{fmt.Sprintf("%s %s %s: %s", v.Cluster, word, v.Because.Rule, v.Because.Detail)}
		for _, share := range v.Shares {
			parts = append(parts, share.Workload.Name+" "+share.String())
		}
		if v.Score > 0 {
			parts = append(parts, fmt.Sprintf("score %d", v.Score))
		}
		if v.Room != nil {
			parts = append(parts, fmt.Sprintf("room %d", *v.Room))
		}
		if v.Kept {
			parts = append(parts, "kept")
		}
		lines = append(lines, strings.Join(parts, " | "))
	}
	if e.Problem != "" {
		lines = append(lines, e.Problem)
	}
	return lines
}

// TestExplainTexts shows what people read.
func TestExplainTexts(t *testing.T) {
	for name, test := range map[string]struct {
		world *world
		steps []func(*world)
		want  string
	}{
		"by weight": {newWorld(weights(map[ClusterName]int64{"a": 1, "b": 2}), 9), nil, `
a in  everywhere:  | web 3 of 9 (weight 1 of 3)
b in  everywhere:  | web 6 of 9 (weight 2 of 3)
c out noReplicas: 0 of 9 replicas of Deployment.apps web (no weight is for this cluster)
`},
		"by what fits": {newWorld(byRoom(), 7), nil, `
a in  everywhere:  | web 3 of 7 (room for 10 of 30) | room 10
b in  everywhere:  | web 2 of 7 (room for 10 of 30) | room 10
c in  everywhere:  | web 2 of 7 (room for 10 of 30) | room 10
`},
		"by what fits, more": {newWorld(byRoom(), 6), []func(*world){nothing, func(w *world) { w.scale(8); w.room("a", 0) }}, `
a in  everywhere:  | web 2 of 8 (2 ran there before, room for 0 of 20 more, 2 are to come) | score 100 | room 0
b in  everywhere:  | web 3 of 8 (2 ran there before, room for 10 of 20 more, 2 are to come) | score 100 | room 10
c in  everywhere:  | web 3 of 8 (2 ran there before, room for 10 of 20 more, 2 are to come) | score 100 | room 10
`},
		"by what fits, less": {newWorld(byRoom(), 6), []func(*world){nothing, func(w *world) { w.scale(2) }}, `
a in  everywhere:  | web 1 of 2 (2 of 6 ran there before, 4 are to go) | score 100 | room 10
b in  everywhere:  | web 1 of 2 (2 of 6 ran there before, 4 are to go) | score 100 | room 10
c out noReplicas: 0 of 2 replicas of Deployment.apps web (2 of 6 ran there before, 4 are to go) | score 100 | room 10
`},
		"by what fits, afresh": {newWorld(byRoom(), 6), []func(*world){nothing, func(w *world) {
			w.add("d", 40)
			w.app().Placement.ReplicaScheduling.RescheduleAt = "2026-11-23T08:00:00Z"
		}}, `
a in  everywhere:  | web 1 of 6 (room for 12 of 76) | room 10
b in  everywhere:  | web 1 of 6 (room for 12 of 76) | room 10
c in  everywhere:  | web 1 of 6 (room for 12 of 76) | room 10
d in  everywhere:  | web 3 of 6 (room for 40 of 76) | room 40
`},
		"together": {newWorld(gathered(), 6), nil, `
a in  everywhere:  | web 6 of 6 (into as few clusters as hold them, room for 10 of 30) | room 10
b out noReplicas: 0 of 6 replicas of Deployment.apps web (into as few clusters as hold them, room for 10 of 30) | room 10
c out noReplicas: 0 of 6 replicas of Deployment.apps web (into as few clusters as hold them, room for 10 of 30) | room 10
`},
		"fixed": {newWorld(Placement{ReplicaScheduling: &ReplicaScheduling{ClusterReplicas: []ClusterReplicas{{TargetCluster: named("a"), Replicas: 2}}}}, 6), nil, `
a in  everywhere:  | web 2 of 2 (fixed by clusterReplicas)
b out noReplicas: no rule of clusterReplicas is for this cluster
c out noReplicas: no rule of clusterReplicas is for this cluster
`},
		"lost": {newWorld(byRoom(), 6), []func(*world){nothing, func(w *world) { w.lose("c") }}, `
a in  everywhere:  | web 3 of 6 (2 ran there before, room for 10 of 20 more, 2 are to come) | score 100 | room 10
b in  everywhere:  | web 3 of 6 (2 ran there before, room for 10 of 20 more, 2 are to come) | score 100 | room 10
c out evicted: the cluster was lost at 2026-11-23T12:00:00Z | kept
`},
		"lost and back, by hand": {newWorld(byRoom(), 6), []func(*world){
			func(w *world) { w.app().Failover = &Failover{OnReturn: ReturnManual} },
			func(w *world) { w.lose("c") }, func(w *world) { w.pass("5m"); w.find("c") },
		}, `
a in  everywhere:  | web 3 of 6 (3 ran there before, which stay) | score 100 | room 10
b in  everywhere:  | web 3 of 6 (3 ran there before, which stay) | score 100 | room 10
c out evicted: the cluster was lost at 2026-11-23T12:00:00Z, and it is well again since 2026-11-23T12:05:00Z | kept
`},
		"does not fit": {newWorld(byRoom(), 31), nil, `
a out problem: Deployment.apps web: 31 replicas are asked for and 30 fit | room 10
b out problem: Deployment.apps web: 31 replicas are asked for and 30 fit | room 10
c out problem: Deployment.apps web: 31 replicas are asked for and 30 fit | room 10
Deployment.apps web: 31 replicas are asked for and 30 fit
`},
		"does not fit any more": {newWorld(byRoom(), 6), []func(*world){nothing, func(w *world) { w.scale(40) }}, `
a in  before: it runs there, and Deployment.apps web: 40 replicas are asked for and 36 fit | web 2 of 6 (as before) | score 100 | room 10
b in  before: it runs there, and Deployment.apps web: 40 replicas are asked for and 36 fit | web 2 of 6 (as before) | score 100 | room 10
c in  before: it runs there, and Deployment.apps web: 40 replicas are asked for and 36 fit | web 2 of 6 (as before) | score 100 | room 10
Deployment.apps web: 40 replicas are asked for and 36 fit
`},
		"spread": {newWorld(Placement{SpreadConstraints: []SpreadConstraint{
			{SpreadByField: fieldRegion, MinGroups: 2, MaxGroups: 2}, {SpreadByField: fieldCluster, MinGroups: 2, MaxGroups: 2},
		}}, 3), []func(*world){func(w *world) {
			w.cluster("a").Region, w.cluster("b").Region = "x", "x"
			w.add("d", 5)
			w.cluster("d").Region = "y"
		}}, `
a in  everywhere:  | room 10
b out spread: the spread over 2 regions and 2 clusters takes 2 of 3 feasible clusters, and others come first | room 10
c out spread: the cluster has no region to spread over
d in  everywhere:  | room 5
`},
		"spread in vain": {newWorld(Placement{SpreadConstraints: []SpreadConstraint{
			{SpreadByLabel: "rack", MinGroups: 2},
		}}, 3), []func(*world){func(w *world) {
			w.cluster("a").Labels = map[string]string{"rack": "1"}
			w.cluster("b").Labels = map[string]string{"rack": "1"}
		}}, `
a out problem: the spread wants 2 values of label "rack" or more, and feasible are 1 | room 10
b out problem: the spread wants 2 values of label "rack" or more, and feasible are 1 | room 10
c out spread: the cluster has no label "rack" to spread over
the spread wants 2 values of label "rack" or more, and feasible are 1
`},
		"nowhere": {newWorld(Placement{}, 3), []func(*world){func(w *world) {
			w.taint("a", effectNoSchedule)
			w.ready("b", ConditionFalse)
			w.app().Placement.ClusterAffinity = &ClusterAffinity{Exclude: []ClusterName{"c"}}
		}}, `
a out taint: care:NoSchedule is not tolerated
b out taint: cluster.karmada.io/not-ready:NoSchedule is not tolerated
c out exclude: the cluster is in exclude
none of 3 clusters is feasible: 1 by exclude, 2 by taint
`},
		"preferred": {newWorld(byRoom(), 3), []func(*world){func(w *world) {
			w.app().Placement.Preferences = []Preference{{TargetCluster: named("b"), Weight: 20}, {TargetCluster: named("b", "c"), Weight: 30}}
		}}, `
a in  everywhere:  | web 1 of 3 (room for 10 of 30) | room 10
b in  everywhere:  | web 1 of 3 (room for 10 of 30) | score 99 | room 10
c in  everywhere:  | web 1 of 3 (room for 10 of 30) | score 59 | room 10
`},
		"together and apart": {newWorld(Placement{}, 3), []func(*world){func(w *world) {
			w.app().Labels = map[string]string{"stack": "s", "apart": "p"}
			w.app().Placement.WorkloadAffinity = &WorkloadAffinity{Affinity: &WorkloadGroup{"stack"}, AntiAffinity: &WorkloadGroup{"apart"}}
			ab, b := named("a", "b"), named("b")
			w.def.Apps = []App{
				{Name: "cache", Labels: map[string]string{"stack": "s"}, Placement: Placement{ClusterAffinity: &ab, WorkloadAffinity: &WorkloadAffinity{Affinity: &WorkloadGroup{"stack"}}}},
				{Name: "other", Labels: map[string]string{"apart": "p"}, Placement: Placement{ClusterAffinity: &b, WorkloadAffinity: &WorkloadAffinity{AntiAffinity: &WorkloadGroup{"apart"}}}},
				w.def.Apps[0],
			}
		}}, `
a in  everywhere: 
b out company: app "other" with apart=p is here
c out company: the other apps with stack=s are elsewhere
`},
	} {
		t.Run(name, func(t *testing.T) {
			w := test.world
			steps := test.steps
			if steps == nil {
				steps = []func(*world){nothing}
			}
			for i, step := range steps {
				if step(w); i < len(steps)-1 {
					w.decide()
				}
			}
			got := strings.Join(w.explain(t), "\n")
			if diff := cmp.Diff(strings.Trim(test.want, "\n"), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
