package fleet

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// vectors reads a table of Karmada's own test cases. Whoever has no copy of them
// skips these tests.
func vectors[Case any](t *testing.T, file, table string) []Case {
	t.Helper()
	folder := os.Getenv("KARMADA_VECTORS")
	if folder == "" {
		folder = filepath.Join("..", "..", "shared", "vectors", "karmada")
	}
	content, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		t.Skipf("no vectors: set KARMADA_VECTORS to their folder: %v", err)
	}
	var tables struct {
		Tables map[string]json.RawMessage `json:"tables"`
	}
	if err := json.Unmarshal(content, &tables); err != nil {
		t.Fatal(err)
	}
	var cases []Case
	if err := json.Unmarshal(tables.Tables[table], &cases); err != nil {
		t.Fatalf("%s: table %s: %v", file, table, err)
	}
	return cases
}

// karmadaCluster is a cluster in Karmada's form.
type karmadaCluster struct {
	Metadata metadata    `json:"metadata"`
	Spec     clusterSpec `json:"spec"`
}

func (c karmadaCluster) cluster() *Cluster {
	return &Cluster{
		Name: ClusterName(c.Metadata.Name), Labels: c.Metadata.Labels, Provider: c.Spec.Provider,
		Region: c.Spec.Region, Zones: c.Spec.Zones, Taints: c.Spec.Taints,
	}
}

// karmadaBinding is what Karmada's scheduler is asked about.
type karmadaBinding struct {
	Clusters  []struct{ Name ClusterName } `json:"clusters"`
	Placement struct {
		Placement
		ClusterAffinities []json.RawMessage `json:"clusterAffinities"`
	} `json:"placement"`
}

func TestVectorsClusterMatches(t *testing.T) {
	cluster := (&karmadaCluster{
		Metadata: metadata{Name: "cluster1", Labels: map[string]string{"foo": "bar"}},
	}).cluster()
	cluster.Zones, cluster.Region, cluster.Provider = []string{"zone1", "zone2", "zone3"}, "region1", "provider1"
	for _, c := range vectors[struct {
		Name     string
		Affinity ClusterAffinity
		Want     bool
	}](t, "selector.json", "TestClusterMatches") {
		t.Run(c.Name, func(t *testing.T) {
			if supported(t, c.Affinity.FieldSelector) {
				affinity := compileAffinity(&c.Affinity)
				if got := affinity.match(cluster).rule == ""; got != c.Want {
					t.Errorf("matches: %v, want %v", got, c.Want)
				}
			}
		})
	}
}

// supported skips the operators that neither our loader nor Karmada's webhook lets
// through; only Karmada's own matching knows them.
func supported(t *testing.T, s *FieldSelector) bool {
	t.Helper()
	if s == nil {
		return true
	}
	for _, e := range s.MatchExpressions {
		if e.Operator != operatorIn && e.Operator != operatorNotIn {
			t.Skipf("deviation: operator %s is refused when the definition is loaded", e.Operator)
		}
	}
	return true
}

func TestVectorsMatchZones(t *testing.T) {
	for _, c := range vectors[struct {
		Name                string
		Matched             bool
		ZoneMatchExpression FieldExpression
		Zones               []string
	}](t, "selector.json", "Test_matchZones") {
		t.Run(c.Name, func(t *testing.T) {
			supported(t, &FieldSelector{MatchExpressions: []FieldExpression{c.ZoneMatchExpression}})
			if got := c.ZoneMatchExpression.matches(&Cluster{Zones: c.Zones}); got != c.Matched {
				t.Errorf("matches: %v, want %v", got, c.Matched)
			}
		})
	}
}

func TestVectorsClusterAffinity(t *testing.T) {
	for _, c := range vectors[struct {
		Name         string
		BindingSpec  karmadaBinding
		Cluster      karmadaCluster
		ExpectError  bool
		ExpectedCode int
	}](t, "plugin_clusteraffinity.json", "TestClusterAffinity_Filter") {
		t.Run(c.Name, func(t *testing.T) {
			if len(c.BindingSpec.Placement.ClusterAffinities) > 0 {
				t.Skip("deviation: clusterAffinities is not supported yet")
			}
			affinity := compileAffinity(c.BindingSpec.Placement.ClusterAffinity)
			want := !c.ExpectError && c.ExpectedCode == 0
			if got := affinity.match(c.Cluster.cluster()).rule == ""; got != want {
				t.Errorf("matches: %v, want %v", got, want)
			}
		})
	}
}

func TestVectorsTaintToleration(t *testing.T) {
	for _, c := range vectors[struct {
		Name         string
		BindingSpec  karmadaBinding
		Cluster      karmadaCluster
		ExpectedCode int
	}](t, "plugin_tainttoleration.json", "TestTaintToleration_Filter") {
		t.Run(c.Name, func(t *testing.T) {
			cluster := c.Cluster.cluster()
			for _, before := range c.BindingSpec.Clusters {
				if before.Name == cluster.Name && len(cluster.Taints) > 0 {
					t.Skip("deviation: a taint in Git also moves what runs already; leaving it needs what was decided before")
				}
			}
			_, found := untolerated(cluster.Taints, c.BindingSpec.Placement.ClusterTolerations)
			if want := c.ExpectedCode != 0; found != want {
				t.Errorf("kept off: %v, want %v", found, want)
			}
		})
	}
}

func TestVectorsTolerations(t *testing.T) {
	for _, c := range vectors[struct {
		Name        string
		ExpectedErr string
		Tolerations []Toleration
	}](t, "validation.json", "TestValidateClusterTolerations") {
		t.Run(c.Name, func(t *testing.T) {
			d := &document{lines: map[string]int{}}
			d.checkPlacement(&Placement{ClusterTolerations: c.Tolerations}, "")
			if err := d.problems.Err(); (err != nil) != (c.ExpectedErr != "") {
				t.Errorf("got %v, want %q", err, c.ExpectedErr)
			}
		})
	}
}
