package fleet

import (
	"maps"
	"slices"
	"strconv"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// dividedApps makes apps that divide, spread, overflow and fail over, of every kind
// and the same every time, and what each is made of.
func dividedApps(n int) ([]App, map[AppName][]Workload) {
	apps, workloads := manyApps(n), map[AppName][]Workload{}
	for i := range apps {
		app := &apps[i]
		if i%5 == 4 { // of the two that these name one is tainted
			app.Placement.ClusterAffinity = nil
		}
		workloads[app.Name] = []Workload{{
			Object:   ObjectID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"},
			Replicas: int64(100 + i), Requests: Resources{"cpu": 500, "memory": 1 << 30},
		}}
		p := &app.Placement
		switch i % 8 {
		case 0:
			p.ReplicaScheduling = &ReplicaScheduling{ReplicaSchedulingType: scheduleDivided, ReplicaDivisionPreference: divideWeighted}
		case 1:
			p.ReplicaScheduling = &ReplicaScheduling{ReplicaSchedulingType: scheduleDivided, ReplicaDivisionPreference: divideAggregated}
		case 2:
			p.ReplicaScheduling = &ReplicaScheduling{
				ReplicaSchedulingType: scheduleDivided, ReplicaDivisionPreference: divideWeighted,
				WeightPreference: &WeightPreference{DynamicWeight: weightAvailableReplicas},
			}
		case 3:
			p.ReplicaScheduling = &ReplicaScheduling{
				ReplicaSchedulingType: scheduleDivided, ReplicaDivisionPreference: divideAggregated,
			}
			p.SpreadConstraints = []SpreadConstraint{{SpreadByField: "region", MinGroups: 1, MaxGroups: 2}, {SpreadByField: "cluster", MinGroups: 2, MaxGroups: 20}}
		case 4:
			p.ReplicaScheduling = &ReplicaScheduling{
				ReplicaSchedulingType: scheduleDivided, ReplicaDivisionPreference: divideWeighted,
				WeightPreference: &WeightPreference{StaticWeightList: []StaticWeight{
					{TargetCluster: *expression("tier", metav1.LabelSelectorOpIn, "1", "2"), Weight: 2},
					{TargetCluster: *expression("tier", metav1.LabelSelectorOpIn, "3", "4"), Weight: 1},
				}},
			}
		case 5:
			p.SpreadConstraints = []SpreadConstraint{{SpreadByField: "cluster", MinGroups: 1, MaxGroups: 3}}
		}
	}
	return apps, workloads
}

// manyObserved is what agents say of clusters.
func manyObserved(clusters []Cluster) map[ClusterName]Observed {
	observed := make(map[ClusterName]Observed, len(clusters))
	for i, c := range clusters {
		observed[c.Name] = Observed{Ready: ConditionTrue, Nodes: []NodeGroup{
			{Count: int64(1 + i%5), Free: Resources{"cpu": 4000, "memory": 16 << 30, "pods": 100}},
			{Count: int64(1 + i%3), Free: Resources{"cpu": 16000, "memory": 64 << 30, "pods": 250}},
		}}
	}
	return observed
}

func BenchmarkDecideDivided(b *testing.B) {
	for _, n := range []int{8, 1000} {
		b.Run("clusters=10000/apps="+strconv.Itoa(n), func(b *testing.B) {
			def := Definition{Clusters: manyClusters(10_000)}
			var workloads map[AppName][]Workload
			def.Apps, workloads = dividedApps(n)
			state := State{Observed: manyObserved(def.Clusters)}
			b.ReportAllocs()
			for b.Loop() {
				for _, o := range Decide(def, workloads, state) {
					if o.Problem != "" {
						b.Fatalf("%s: %s", o.App, o.Problem)
					}
				}
			}
		})
	}
}

// mixedFleet is 10,000 clusters and 1,000 apps, every second of which is divided, with
// what is observed.
func mixedFleet() (Definition, map[AppName][]Workload, State) {
	def := Definition{Clusters: manyClusters(10_000)}
	apps, workloads := dividedApps(1000)
	for i, app := range manyApps(1000) {
		if i%2 == 0 {
			apps[i].Placement = app.Placement
		}
	}
	def.Apps = apps
	return def, workloads, State{Now: noon, Observed: manyObserved(def.Clusters)}
}

// BenchmarkDecider decides again about 10,000 clusters and 1,000 apps of which little
// has changed since what was decided has settled.
func BenchmarkDecider(b *testing.B) {
	def, workloads, start := mixedFleet()
	b.Run("full", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			new(Decider).Decide(def, workloads, start)
		}
	})
	for name, change := range map[string]func(def *Definition, state *State, n int){
		"nothing changed": func(*Definition, *State, int) {},
		"one app changed": func(def *Definition, _ *State, n int) {
			def.Apps = slices.Clone(def.Apps)
			p := &def.Apps[n%len(def.Apps)].Placement
			p.ClusterTolerations = append(slices.Clip(p.ClusterTolerations), Toleration{Key: strconv.Itoa(n), Operator: operatorExists})
		},
		"one label changed": func(def *Definition, _ *State, n int) {
			def.Clusters = slices.Clone(def.Clusters)
			c := &def.Clusters[n*7919%len(def.Clusters)]
			c.Labels = maps.Clone(c.Labels)
			c.Labels["tier"] = strconv.Itoa((n + 3) % 7)
		},
		"one cluster lost": func(def *Definition, state *State, n int) {
			state.Observed = maps.Clone(state.Observed)
			cluster := def.Clusters[n*7919%len(def.Clusters)].Name
			o := state.Observed[cluster]
			o.Ready, o.Since = ConditionUnknown, noon
			state.Observed[cluster] = o
		},
	} {
		b.Run(name, func(b *testing.B) {
			def, state, n := def, start, 0
			var d Decider
			settle := func() {
				for range 3 {
					previous := make(map[AppName]Previous, len(def.Apps))
					for _, o := range d.Decide(def, workloads, state) {
						previous[o.App] = o.Next
					}
					state.Previous = previous
				}
			}
			settle()
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N { // not b.Loop, which does not let the timer rest
				b.StopTimer()
				settle()
				change(&def, &state, n)
				n++
				b.StartTimer()
				d.Decide(def, workloads, state)
			}
		})
	}
}
