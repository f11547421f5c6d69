package fleet

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A hub that starts anew has heard nothing yet. That is no sign that a cluster which
// was lost is well again.
func TestEvictedClusterIsAwaited(t *testing.T) {
	web := ObjectID{Group: "apps", Kind: "Deployment", Name: "web"}
	def := Definition{Clusters: []Cluster{{Name: "eu"}, {Name: "us"}}, Apps: []App{{
		Name: "web", Failover: &Failover{Cluster: &ClusterFailover{}},
		Placement: Placement{ReplicaScheduling: &ReplicaScheduling{ReplicaSchedulingType: "Divided", ReplicaDivisionPreference: "Weighted"}},
	}}}
	workloads := map[AppName][]Workload{"web": {{Object: web, Replicas: 6}}}
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	lost := State{Now: start, Observed: map[ClusterName]Observed{
		"eu": {Ready: ConditionUnknown, Since: start}, "us": {Ready: ConditionTrue, Since: start},
	}}
	first := Decide(def, workloads, State{Now: start})[0]
	lost.Previous = map[AppName]Previous{"web": first.Next}
	evicted := Decide(def, workloads, lost)[0]
	if diff := cmp.Diff([]ClusterName{"eu"}, evicted.Kept); diff != "" {
		t.Fatalf("kept while lost (-want +got):\n%s", diff)
	}
	after := Decide(def, workloads, State{Now: start.Add(time.Minute), Previous: map[AppName]Previous{"web": evicted.Next}})[0]
	if diff := cmp.Diff(evicted.Kept, after.Kept); diff != "" {
		t.Errorf("kept before anything is heard (-want +got):\n%s", diff)
	}
	if len(after.Placed) != 1 || after.Placed[0].Cluster != "us" {
		t.Errorf("placed on %v before anything is heard, want us only", after.Placed)
	}
}
