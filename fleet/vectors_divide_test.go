package fleet

import (
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
			webster(parties, c.NewSeats)
			got, want := map[ClusterName]int64{}, map[ClusterName]int64{}
			for _, p := range parties {
				if len(c.Expected) > 0 {
					got[p.name] = p.seats
				}
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
			var weights []count
			for _, target := range c.Args.Clusters {
				weights = append(weights, count{target.Name, target.Replicas})
			}
			got := map[ClusterName]int64{}
			for _, each := range allot(weights, c.Args.Sum) {
				got[each.cluster] = each.replicas
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
			site: site{Cluster: c}, score: s.Score, tier: s.OverflowOrder,
			room: s.AllocatableReplicas, available: s.AvailableReplicas,
		}
	}
	return candidates
}

// karmadaSpec is what Karmada's scheduler is asked to divide.
type karmadaSpec struct {
	Replicas  int64
	Clusters  []karmadaTarget
	Placement Placement
}

func (s karmadaSpec) previous() map[ClusterName]int64 { return assigned(s.Clusters) }

// divide divides as the placement says.
func (s karmadaSpec) divide(candidates []candidate) (map[ClusterName]int64, error) {
	divided, err := division{scheduling: s.Placement.ReplicaScheduling, candidates: candidates, previous: s.previous(), total: s.Replicas}.counts()
	return divided, err
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
			var rules []weightRule
			if c.WeightPreference != nil {
				rules = weightRules(c.WeightPreference.StaticWeightList)
			}
			got := divideByWeights(candidatesOf(c.Clusters), rules, c.Replicas)
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
				previous := c.Object.previous()
				for i := range c.Candidates {
					c.Candidates[i].AvailableReplicas = c.Candidates[i].AllocatableReplicas + previous[c.Candidates[i].Name]
				}
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
			counts := func(targets []karmadaTarget) []count {
				var out []count
				for _, target := range targets {
					out = append(out, count{target.Name, target.Replicas})
				}
				return out
			}
			d := divider{aggregated: c.State.StrategyType == "Aggregated"}
			divided, err := d.byWeight(counts(c.State.AvailableClusters), counts(c.State.ScheduledClusters), c.State.TargetReplicas)
			if (err != nil) != c.WantErr {
				t.Fatalf("error %v, want one: %v", err, c.WantErr)
			}
			got := map[ClusterName]int64{}
			for _, each := range divided {
				got[each.cluster] += each.replicas
			}
			if diff := cmp.Diff(assigned(c.Want), nonZero(got)); diff != "" {
				t.Errorf("replicas (-want +got):\n%s", diff)
			}
		})
	}
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
			candidates := candidatesOf(c.Clusters)
			if groups := c.Spec.Placement.ClusterAffinities; len(groups) > 0 {
				for i := range candidates {
					candidates[i].tier = compileGroup(&groups[0]).tier(candidates[i].Cluster)
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
