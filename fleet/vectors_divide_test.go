package fleet

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// karmadaTarget is an assignment in Karmada's form.
type karmadaTarget struct {
	Name     ClusterName `json:"name"`
	Replicas int64       `json:"replicas"`
}

// assigned compares assignments by cluster. Clusters without replicas are the same as
// none.
func assigned(targets []karmadaTarget) map[ClusterName]int64 {
	m := map[ClusterName]int64{}
	for _, t := range targets {
		if t.Replicas > 0 {
			m[t.Name] += t.Replicas
		}
	}
	return m
}

func nonZero(m map[ClusterName]int64) map[ClusterName]int64 {
	out := map[ClusterName]int64{}
	for name, n := range m {
		if n > 0 {
			out[name] = n
		}
	}
	return out
}

func TestVectorsWebster(t *testing.T) {
	for _, c := range vectors[struct {
		Name               string
		PartyVotes         map[ClusterName]int64
		InitialAssignments map[ClusterName]int64
		NewSeats           int64
		Expected           []struct {
			Name  ClusterName
			Seats int64
		}
	}](t, "dispenser.json", "TestAllocateWebsterSeats") {
		t.Run(c.Name, func(t *testing.T) {
			deviation(t, "TestAllocateWebsterSeats", c.Name)
			var parties []party
			for name, votes := range c.PartyVotes {
				parties = append(parties, party{name, votes, c.InitialAssignments[name]})
			}
			for name, seats := range c.InitialAssignments {
				if _, votes := c.PartyVotes[name]; !votes {
					parties = append(parties, party{name: name, seats: seats})
				}
			}
			webster(parties, c.NewSeats)
			got, want := map[ClusterName]int64{}, map[ClusterName]int64{}
			for _, p := range parties {
				got[p.name] = p.seats
			}
			for _, p := range c.Expected {
				want[p.Name] = p.Seats
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("seats (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVectorsDispenser(t *testing.T) {
	for _, c := range vectors[struct {
		Name              string
		InitialAssignment []karmadaTarget
		NewReplicas       int64
		UUID              string
		WeightList        []struct {
			ClusterName ClusterName
			Weight      int64
		}
		Desired []karmadaTarget
	}](t, "dispenser.json", "Test_dispenser_AllocateByWeight") {
		t.Run(c.Name, func(t *testing.T) {
			deviation(t, "Test_dispenser_AllocateByWeight", c.Name)
			got := assigned(c.InitialAssignment)
			parties := make([]party, len(c.WeightList))
			for i, w := range c.WeightList {
				parties[i] = party{w.ClusterName, w.Weight, got[w.ClusterName]}
			}
			webster(parties, c.NewReplicas)
			for _, p := range parties {
				got[p.name] = p.seats
			}
			if diff := cmp.Diff(assigned(c.Desired), got); diff != "" {
				t.Errorf("replicas (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVectorsDispenseByTarget(t *testing.T) {
	for _, c := range vectors[struct {
		Name string
		Args struct {
			Clusters []karmadaTarget
			Sum      int64
		}
		Wants [][]karmadaTarget
	}](t, "dispenser.json", "TestDispenseReplicasByTargetClusters") {
		t.Run(c.Name, func(t *testing.T) {
			parties := make([]party, len(c.Args.Clusters))
			for i, target := range c.Args.Clusters {
				parties[i] = party{name: target.Name, votes: target.Replicas}
			}
			webster(parties, c.Args.Sum)
			got := map[ClusterName]int64{}
			for _, p := range parties {
				got[p.name] = p.seats
			}
			oneOf(t, c.Wants, got)
		})
	}
}

// oneOf fails unless got is one of the assignments that Karmada's test admits.
func oneOf(t *testing.T, wants [][]karmadaTarget, got map[ClusterName]int64) {
	t.Helper()
	for _, want := range wants {
		if cmp.Equal(assigned(want), nonZero(got)) {
			return
		}
	}
	t.Errorf("got %v, want one of %v", nonZero(got), wants)
}

// karmadaScored is a cluster as Karmada's scheduler sees it.
type karmadaScored struct {
	Name                                   ClusterName
	Score                                  int64
	AllocatableReplicas, AvailableReplicas int64
	OverflowOrder                          int
	Cluster                                *karmadaCluster
}

func candidatesOf(scored []karmadaScored) []candidate {
	candidates := make([]candidate, len(scored))
	for i, s := range scored {
		c := &Cluster{Name: s.Name}
		if s.Cluster != nil {
			c = s.Cluster.cluster()
		}
		if c.Name == "" {
			c.Name = s.Name
		}
		candidates[i] = candidate{
			site: &site{Cluster: c, heard: true, observed: Observed{Nodes: nodesFor(s.AllocatableReplicas)}},
			at:   i, was: -1, score: s.Score, tier: s.OverflowOrder, room: s.AllocatableReplicas, available: s.AvailableReplicas,
		}
	}
	return candidates
}

// karmadaSpec is what Karmada's scheduler is asked to divide.
type karmadaSpec struct {
	Replicas   int64
	Components []any
	Clusters   []karmadaTarget
	Placement  Placement
}

// nodesFor has room for so many replicas that ask for nothing.
func nodesFor(replicas int64) []NodeGroup {
	return []NodeGroup{{Count: 1, Free: Resources{pods: replicas}}}
}

// divide divides as the placement says.
func (s karmadaSpec) divide(candidates []candidate) (map[ClusterName]int64, error) {
	app := App{Placement: s.Placement}
	if s.Placement.ReplicaScheduling == nil {
		app.Placement.ReplicaScheduling = &ReplicaScheduling{ReplicaSchedulingType: scheduleDuplicated}
	}
	w := Workload{Replicas: s.Replicas}
	deciding := schedule{
		deciding: &deciding{}, compiledPlacement: compilePlacement(&app.Placement), app: &app,
		workloads: []Workload{w}, chosen: candidates,
	}
	var counts []int64
	for _, target := range s.Clusters {
		if at := slices.IndexFunc(candidates, func(c candidate) bool { return c.Name == target.Name }); at >= 0 {
			candidates[at].was = len(counts)
			counts = append(counts, target.Replicas)
		}
	}
	deciding.previous.Divisions = []Division{{Workload: w.Object, Counts: counts}}
	if len(candidates) == 0 {
		return nil, deciding.nowhere()
	}
	deciding.divide()
	divided := map[ClusterName]int64{}
	for i, c := range deciding.chosen {
		if deciding.counts != nil && deciding.counts[0] != nil {
			divided[c.Name] = deciding.counts[0][i]
		} else if deciding.problem == nil {
			divided[c.Name] = s.Replicas
		}
	}
	return divided, deciding.problem
}

func TestVectorsDuplicated(t *testing.T) {
	for _, c := range vectors[struct {
		Name  string
		State struct {
			Candidates []karmadaScored
			Spec       karmadaSpec
		}
		Want []karmadaTarget
	}](t, "scheduler_core.json", "Test_assignByDuplicatedStrategy") {
		t.Run(c.Name, func(t *testing.T) {
			got, err := c.State.Spec.divide(candidatesOf(c.State.Candidates))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(assigned(c.Want), nonZero(got)); diff != "" {
				t.Errorf("replicas (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVectorsStaticWeight(t *testing.T) {
	for _, c := range vectors[struct {
		Name             string
		Clusters         []karmadaScored
		Replicas         int64
		WeightPreference *WeightPreference
		Want             []karmadaTarget
		WantErr          bool
	}](t, "scheduler_core.json", "Test_assignByStaticWeightStrategy") {
		t.Run(c.Name, func(t *testing.T) {
			spec := karmadaSpec{Replicas: c.Replicas, Placement: Placement{ReplicaScheduling: &ReplicaScheduling{WeightPreference: c.WeightPreference}}}
			got, err := spec.divide(candidatesOf(c.Clusters))
			if (err != nil) != c.WantErr {
				t.Fatalf("error %v, want one: %v", err, c.WantErr)
			}
			if diff := cmp.Diff(assigned(c.Want), nonZero(got)); diff != "" {
				t.Errorf("replicas (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVectorsDynamicScale(t *testing.T) {
	for _, table := range []string{"Test_dynamicScale", "Test_dynamicScaleUp"} {
		for _, c := range vectors[struct {
			Name       string
			Candidates []karmadaScored
			Object     karmadaSpec
			Want       []karmadaTarget
			Wants      [][]karmadaTarget
			WantErr    bool
		}](t, "scheduler_core.json", table) {
			t.Run(table+"/"+c.Name, func(t *testing.T) {
				got, err := c.Object.divide(candidatesOf(c.Candidates))
				if (err != nil) != c.WantErr {
					t.Fatalf("error %v, want one: %v", err, c.WantErr)
				}
				if err == nil {
					oneOf(t, append(c.Wants, c.Want), got)
				}
			})
		}
	}
}

func TestVectorsDivideByAvailable(t *testing.T) {
	for _, c := range vectors[struct {
		Name  string
		State struct {
			AvailableClusters, ScheduledClusters []karmadaTarget
			StrategyType                         string
			TargetReplicas                       int64
		}
		Want    []karmadaTarget
		WantErr bool
	}](t, "scheduler_core.json", "Test_dynamicDivideReplicas") {
		t.Run(c.Name, func(t *testing.T) {
			before := assigned(c.State.ScheduledClusters)
			var running int64
			parts := make([]part, len(c.State.AvailableClusters))
			for i, target := range c.State.AvailableClusters {
				parts[i] = part{name: target.Name, room: target.Replicas, before: before[target.Name]}
				running += before[target.Name]
			}
			d := capacityDivision{aggregated: c.State.StrategyType == divideAggregated}
			err := d.divide(parts, c.State.TargetReplicas+running)
			if (err != nil) != c.WantErr {
				t.Fatalf("error %v, want one: %v", err, c.WantErr)
			}
			got := map[ClusterName]int64{}
			for _, p := range parts {
				got[p.name] = p.count
			}
			if diff := cmp.Diff(assigned(c.Want), nonZero(got)); diff != "" {
				t.Errorf("replicas (-want +got):\n%s", diff)
			}
		})
	}
}

// known tells whether a definition that was loaded may say so.
func known(s ReplicaScheduling) bool {
	return s.ReplicaSchedulingType == scheduleDuplicated ||
		s.ReplicaSchedulingType == scheduleDivided && (s.ReplicaDivisionPreference == divideAggregated || s.ReplicaDivisionPreference == divideWeighted)
}

func TestVectorsAssignReplicas(t *testing.T) {
	for _, c := range vectors[struct {
		Name           string
		Clusters       []karmadaScored
		Spec           karmadaSpec
		ExpectedError  bool
		ExpectedResult []karmadaTarget
	}](t, "scheduler_core.json", "TestAssignReplicas") {
		t.Run(c.Name, func(t *testing.T) {
			if s := c.Spec.Placement.ReplicaScheduling; s != nil && !known(*s) {
				deviation(t, "strategy", "")
			}
			candidates := candidatesOf(c.Clusters)
			if groups := c.Spec.Placement.ClusterAffinities; len(groups) > 0 {
				group := compileGroup(&groups[0])
				for i := range candidates {
					candidates[i].tier = group.tier(candidates[i].Cluster)
				}
				sortCandidates(candidates)
			}
			got, err := c.Spec.divide(candidates)
			if (err != nil) != c.ExpectedError {
				t.Fatalf("error %v, want one: %v", err, c.ExpectedError)
			}
			if diff := cmp.Diff(assigned(c.ExpectedResult), nonZero(got)); diff != "" {
				t.Errorf("replicas (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVectorsDistribution(t *testing.T) {
	for _, c := range vectors[struct {
		Name     string
		Clusters []karmadaScored
		Object   karmadaSpec
		Result   []karmadaTarget
	}](t, "scheduler_core.json", "Test_DistributionOfReplicas") {
		t.Run(c.Name, func(t *testing.T) {
			got, err := c.Object.divide(candidatesOf(c.Clusters))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(assigned(c.Result), nonZero(got)); diff != "" {
				t.Errorf("replicas (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVectorsPlanner(t *testing.T) {
	for _, table := range []string{"TestEqual", "TestEqualWithExisting", "TestWithExistingAndCapacity", "TestMin", "TestMax", "TestWeight"} {
		for _, c := range vectors[struct {
			Name          string
			Clusters      []ClusterName
			Existing      map[ClusterName]int64
			Capacity      map[ClusterName]int64
			Preferences   map[ClusterName]StaticWeight
			Rebalance     bool
			TotalReplicas int64
			Expected      map[ClusterName]int64
		}](t, "kubefed_planner.json", table) {
			t.Run(c.Name, func(t *testing.T) {
				var shares []*bounded
				got := map[ClusterName]int64{}
				for _, name := range c.Clusters {
					got[name] = 0
					preference, ok := c.Preferences[name]
					if !ok {
						preference, ok = c.Preferences["*"]
					}
					if !ok {
						continue
					}
					share := &bounded{cluster: name, weight: preference.Weight, min: preference.MinReplicas, max: preference.MaxReplicas, existing: c.Existing[name]}
					if capacity, known := c.Capacity[name]; known {
						share.capacity = &capacity
					}
					shares = append(shares, share)
				}
				plan(shares, c.TotalReplicas, c.Rebalance)
				for _, share := range shares {
					got[share.cluster] = share.got
				}
				if diff := cmp.Diff(c.Expected, got); diff != "" {
					t.Errorf("replicas (-want +got):\n%s", diff)
				}
			})
		}
	}
}
