package fleet

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// karmadaGroups is what Karmada's scheduler knows of the clusters to select from.
type karmadaGroups struct {
	Clusters []karmadaScored
	Regions  map[string]struct {
		Name     string
		Score    int64
		Clusters []karmadaScored
	}
}

func namesOf(candidates []candidate) []ClusterName {
	var names []ClusterName
	for _, c := range candidates {
		names = append(names, c.Name)
	}
	return names
}

// inOrder compares selections in order.
func inOrder(t *testing.T, want, got []ClusterName) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("clusters (-want +got):\n%s", diff)
	}
}

func TestVectorsSelectGroups(t *testing.T) {
	for _, c := range vectors[struct {
		Name   string
		Groups []struct {
			Name          string
			Value, Weight int64
		}
		MinConstraints, MaxConstraints, Target int
		Expected                               []string
	}](t, "spreadconstraint.json", "TestSelectGroups") {
		t.Run(c.Name, func(t *testing.T) {
			deviation(t, "TestSelectGroups", c.Name)
			var groups []spreadGroup
			for _, g := range c.Groups {
				groups = append(groups, spreadGroup{name: g.Name, score: g.Weight, clusters: make([]candidate, g.Value)})
			}
			var got []string
			for _, g := range chooseGroups(groups, c.MinConstraints, c.MaxConstraints, c.Target) {
				got = append(got, g.name)
			}
			if diff := cmp.Diff(c.Expected, got); diff != "" {
				t.Errorf("groups (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVectorsSelectByRegion(t *testing.T) {
	for _, c := range vectors[struct {
		Name string
		Args struct {
			GroupClustersInfo   karmadaGroups
			SpreadConstraintMap map[string]SpreadConstraint
		}
		Want    []karmadaCluster
		WantErr bool
	}](t, "spreadconstraint.json", "Test_selectBestClustersByRegion") {
		t.Run(c.Name, func(t *testing.T) {
			deviation(t, "Test_selectBestClustersByRegion", c.Name)
			var groups []spreadGroup
			for _, r := range c.Args.GroupClustersInfo.Regions {
				groups = append(groups, spreadGroup{name: r.Name, score: r.Score, clusters: candidatesOf(r.Clusters)})
			}
			var want, got []ClusterName
			for _, cluster := range c.Want {
				want = append(want, cluster.cluster().Name)
			}
			chosen, err := fromGroups(groups, c.Args.SpreadConstraintMap[fieldRegion], c.Args.SpreadConstraintMap[fieldCluster], true)
			if (err != nil) != c.WantErr {
				t.Fatalf("error %v, want one: %v", err, c.WantErr)
			}
			got = namesOf(chosen)
			inOrder(t, want, got)
		})
	}
}

func TestVectorsSelectBestClusters(t *testing.T) {
	for _, c := range vectors[struct {
		Name string
		Args struct {
			GroupClustersInfo karmadaGroups
			Placement         Placement
			NeedReplicas      int64
		}
		Want    []karmadaScored
		WantErr any
	}](t, "spreadconstraint.json", "TestSelectBestClusters") {
		t.Run(c.Name, func(t *testing.T) {
			deviation(t, "TestSelectBestClusters", c.Name)
			p := c.Args.Placement
			choice := spread{placement: p, replicas: anyCapacity, each: c.Args.NeedReplicas}
			if p.divided() {
				choice.replicas = c.Args.NeedReplicas
			}
			chosen, err := choice.choose(candidatesOf(c.Args.GroupClustersInfo.Clusters))
			if (err != nil) != (c.WantErr != nil) {
				t.Fatalf("error %v, want %v", err, c.WantErr)
			}
			inOrder(t, namesOf(candidatesOf(c.Want)), namesOf(chosen))
		})
	}
}

func TestVectorsSelectClusters(t *testing.T) {
	for _, c := range vectors[struct {
		Name           string
		ClustersScore  []karmadaScored
		ExpectedError  bool
		ExpectedResult []karmadaCluster
		Placement      Placement
	}](t, "scheduler_core.json", "TestSelectClusters") {
		t.Run(c.Name, func(t *testing.T) {
			deviation(t, "TestSelectClusters", c.Name)
			var want []ClusterName
			for _, cluster := range c.ExpectedResult {
				want = append(want, cluster.cluster().Name)
			}
			chosen, err := spread{placement: c.Placement, replicas: anyCapacity}.choose(candidatesOf(c.ClustersScore))
			if (err != nil) != c.ExpectedError {
				t.Fatalf("error %v, want one: %v", err, c.ExpectedError)
			}
			got := namesOf(chosen)
			slices.Sort(got)
			inOrder(t, want, got)
		})
	}
}

func TestVectorsGroupScore(t *testing.T) {
	for _, c := range vectors[struct {
		Name                 string
		Clusters1, Clusters2 []karmadaScored
		Group1Wins           bool
		MinGroups            int64
		RbSpec               karmadaSpec
	}](t, "spreadconstraint.json", "Test_CalcGroupScore") {
		t.Run(c.Name, func(t *testing.T) {
			deviation(t, "Test_CalcGroupScore", c.Name)
			score := func(clusters []karmadaScored) int64 {
				candidates := candidatesOf(clusters)
				sortCandidates(candidates)
				if !c.RbSpec.Placement.divided() {
					return scoreForAll(candidates, c.RbSpec.Replicas)
				}
				return scoreForShare(candidates, c.RbSpec.Replicas, SpreadConstraint{MinGroups: c.MinGroups}, SpreadConstraint{})
			}
			if first, second := score(c.Clusters1), score(c.Clusters2); (first > second) != c.Group1Wins {
				t.Errorf("scores %d and %d, want that the first wins: %v", first, second, c.Group1Wins)
			}
		})
	}
	for _, c := range vectors[struct {
		Name     string
		Clusters []karmadaScored
		RbSpec   karmadaSpec
		WatScore int64
	}](t, "spreadconstraint.json", "Test_CalcGroupScoreForDuplicate") {
		t.Run(c.Name, func(t *testing.T) {
			if got := scoreForAll(candidatesOf(c.Clusters), c.RbSpec.Replicas); got != c.WatScore {
				t.Errorf("score %d, want %d", got, c.WatScore)
			}
		})
	}
}

func TestVectorsSortClusters(t *testing.T) {
	for _, c := range vectors[struct {
		Name        string
		Infos, Want []karmadaScored
	}](t, "spreadconstraint.json", "Test_sortClusters") {
		t.Run(c.Name, func(t *testing.T) {
			got := candidatesOf(c.Infos)
			sortCandidates(got)
			inOrder(t, namesOf(candidatesOf(c.Want)), namesOf(got))
		})
	}
}

func TestVectorsGroupClusters(t *testing.T) {
	for _, c := range vectors[struct {
		Name string
		Args struct {
			ClustersScore []karmadaScored
			Placement     Placement
		}
		Want struct {
			Clusters                        []ClusterName
			ProviderCnt, RegionCnt, ZoneCnt int
		}
	}](t, "spreadconstraint.json", "Test_GroupClustersWithScore") {
		t.Run(c.Name, func(t *testing.T) {
			candidates := candidatesOf(c.Args.ClustersScore)
			sortCandidates(candidates)
			inOrder(t, c.Want.Clusters, namesOf(candidates))
			got := map[string]int{}
			for _, constraint := range c.Args.Placement.SpreadConstraints {
				got[constraint.SpreadByField] = len(spread{replicas: anyCapacity}.groups(candidates, constraint, SpreadConstraint{}))
			}
			want := map[string]int{}
			for field, n := range map[string]int{fieldProvider: c.Want.ProviderCnt, fieldRegion: c.Want.RegionCnt, fieldZone: c.Want.ZoneCnt} {
				if n > 0 {
					want[field] = n
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("groups (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVectorsSpreadFilter(t *testing.T) {
	for _, c := range vectors[struct {
		Name         string
		BindingSpec  karmadaSpec
		Cluster      karmadaCluster
		ExpectedCode int
	}](t, "plugin_spreadconstraint.json", "TestSpreadConstraint_Filter") {
		t.Run(c.Name, func(t *testing.T) {
			app := App{Placement: c.BindingSpec.Placement}
			s := schedule{deciding: &deciding{}, app: &app}
			if got := s.rejects(&site{Cluster: c.Cluster.cluster()}, -1).rule; (got != "") != (c.ExpectedCode != 0) {
				t.Errorf("refused by %q, want that it is: %v", got, c.ExpectedCode != 0)
			}
		})
	}
}
