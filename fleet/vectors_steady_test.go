package fleet

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestVectorsReschedule asks what Karmada finds by comparing two times: a decision
// that came after a request has honoured it, and remembers it.
func TestVectorsReschedule(t *testing.T) {
	const table = "TestRescheduleRequired"
	for _, c := range vectors[struct {
		Name                                     string
		RescheduleTriggeredAt, LastScheduledTime *time.Time
		Want                                     bool
	}](t, "selector.json", table) {
		t.Run(c.Name, func(t *testing.T) {
			deviation(t, table, c.Name)
			state := State{Now: time.Now().AddDate(1000, 0, 0)}
			app := App{Name: "web", Placement: Placement{ReplicaScheduling: &ReplicaScheduling{}}}
			request := ""
			if c.RescheduleTriggeredAt != nil {
				request = c.RescheduleTriggeredAt.Format(time.RFC3339)
			}
			app.Placement.ReplicaScheduling.RescheduleAt = request
			if c.LastScheduledTime != nil {
				var previous Previous
				if c.RescheduleTriggeredAt != nil && !c.RescheduleTriggeredAt.After(*c.LastScheduledTime) {
					previous.Rescheduled = request
				}
				state.Previous = map[AppName]Previous{"web": previous}
			}
			if got := newDeciding(Definition{}, state).schedule(&app, nil).fresh; got != c.Want {
				t.Errorf("fresh: %v, want %v", got, c.Want)
			}
		})
	}
}

// TestVectorsMerge adds what comes to what runs: each cluster has room for what is to
// come to it, and no more.
func TestVectorsMerge(t *testing.T) {
	const table = "TestMergeTargetClusters"
	for _, c := range vectors[struct {
		Name               string
		Old, New, Expected []karmadaTarget
	}](t, "selector.json", table) {
		t.Run(c.Name, func(t *testing.T) {
			deviation(t, table, c.Name)
			var parts []part
			at := func(name ClusterName) *part {
				i := slices.IndexFunc(parts, func(p part) bool { return p.name == name })
				if i < 0 {
					i, parts = len(parts), append(parts, part{name: name})
				}
				return &parts[i]
			}
			var total int64
			for _, target := range c.Old {
				at(target.Name).before += target.Replicas
				total += target.Replicas
			}
			for _, target := range c.New {
				at(target.Name).room += target.Replicas
				total += target.Replicas
			}
			if err := (capacityDivision{}).divide(parts, total); err != nil {
				t.Fatal(err)
			}
			got := map[ClusterName]int64{}
			for _, p := range parts {
				got[p.name] = p.count
			}
			if diff := cmp.Diff(assigned(c.Expected), nonZero(got)); diff != "" {
				t.Errorf("replicas (-want +got):\n%s", diff)
			}
		})
	}
}

// TestVectorsReplicasChanged asks what Karmada finds before it divides again: whether
// what runs is what is asked for. Decisions that are the same are not remembered anew.
func TestVectorsReplicasChanged(t *testing.T) {
	const table = "TestIsBindingReplicasChanged"
	for _, c := range vectors[struct {
		Name     string
		Spec     karmadaSpec `json:"bindingSpec"`
		Strategy *ReplicaScheduling
		Expected bool
	}](t, "selector.json", table) {
		t.Run(c.Name, func(t *testing.T) {
			deviation(t, table, c.Name)
			if len(c.Spec.Components) > 0 || c.Strategy == nil || c.Strategy.ReplicaSchedulingType != scheduleDivided {
				deviation(t, table, "")
			}
			p := Placement{ReplicaScheduling: c.Strategy}
			def := Definition{Apps: []App{{Name: "web", Placement: p}}}
			previous := Previous{Divisions: []Division{{}}, Settled: digestOf(p)}
			slices.SortFunc(c.Spec.Clusters, func(a, b karmadaTarget) int { return compareNames(a.Name, b.Name) })
			for _, target := range c.Spec.Clusters {
				def.Clusters = append(def.Clusters, Cluster{Name: target.Name})
				previous.Clusters = append(previous.Clusters, target.Name)
				previous.Divisions[0].Counts = append(previous.Divisions[0].Counts, target.Replicas)
				previous.Divisions[0].Total += target.Replicas
			}
			state := State{Previous: map[AppName]Previous{"web": previous}}
			o := Decide(def, map[AppName][]Workload{"web": {{Replicas: c.Spec.Replicas}}}, state)[0]
			if got := !o.Next.equal(&previous); got != c.Expected {
				t.Errorf("changed: %v, want %v", got, c.Expected)
			}
		})
	}
}

func TestVectorsClusterFields(t *testing.T) {
	const table = "Test_extractClusterFields"
	for _, c := range vectors[struct {
		Name string
		Args struct{ Cluster karmadaCluster }
		Want map[string]string
	}](t, "selector.json", table) {
		t.Run(c.Name, func(t *testing.T) {
			deviation(t, table, c.Name)
			cluster := c.Args.Cluster.cluster()
			got := map[string]string{}
			for field, value := range map[string]string{fieldProvider: cluster.Provider, fieldRegion: cluster.Region} {
				if e := in(field, value); e.matches(cluster) {
					got[field] = value
				}
			}
			if diff := cmp.Diff(c.Want, got); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVectorsSpreadExists(t *testing.T) {
	const table = "TestIsSpreadConstraintExisted"
	for _, c := range vectors[struct {
		Name string
		Args struct {
			Field             string
			SpreadConstraints []SpreadConstraint
		}
		Want bool
	}](t, "spreadconstraint.json", table) {
		t.Run(c.Name, func(t *testing.T) {
			deviation(t, table, c.Name)
			found := slices.ContainsFunc(c.Args.SpreadConstraints, func(s SpreadConstraint) bool {
				return s.byCluster() && c.Args.Field == fieldCluster || !s.byCluster() && s.one() == c.Args.Field
			})
			if found != c.Want {
				t.Errorf("exists: %v, want %v", found, c.Want)
			}
		})
	}
}
