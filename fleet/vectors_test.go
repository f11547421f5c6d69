package fleet

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	if tables.Tables[table] == nil {
		return nil
	}
	if err := json.Unmarshal(tables.Tables[table], &cases); err != nil {
		t.Fatalf("%s: table %s: %v", file, table, err)
	}
	return cases
}

// karmadaCluster is a cluster in Karmada's form.
type karmadaCluster struct {
	Metadata metadata    `json:"metadata"`
	Spec     clusterSpec `json:"spec"`
	Status   struct {
		APIs []struct {
			GroupVersion string                  `json:"groupVersion"`
			Resources    []struct{ Kind string } `json:"resources"`
		} `json:"apiEnablements"`
	} `json:"status"`
}

func (c karmadaCluster) cluster() *Cluster {
	return &Cluster{
		Name: ClusterName(c.Metadata.Name), Labels: c.Metadata.Labels, Provider: c.Spec.Provider,
		Region: c.Spec.Region, Zones: c.Spec.Zones, Taints: c.Spec.Taints,
	}
}

// karmadaBinding is what Karmada's scheduler is asked about.
type karmadaBinding struct {
	Resource struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	} `json:"resource"`
	Clusters  []struct{ Name ClusterName }        `json:"clusters"`
	Placement Placement                           `json:"placement"`
	Evictions []struct{ FromCluster ClusterName } `json:"gracefulEvictionTasks"`
}

// karmadaPlugin is a case of one of the plugins of Karmada's scheduler.
type karmadaPlugin struct {
	Name          string
	BindingSpec   karmadaBinding
	BindingStatus *struct {
		Affinity string `json:"schedulerObservingAffinityName"`
	}
	Cluster       karmadaCluster
	ExpectError   bool
	ExpectedCode  int
	ExpectedScore int64
}

// schedule is the question of the case, and was whether the app ran there before.
func (c karmadaPlugin) schedule() (s *schedule, at *site, was int) {
	app := &App{Placement: c.BindingSpec.Placement}
	s = &schedule{deciding: &deciding{}, app: app, compiledPlacement: compilePlacement(&app.Placement), evicted: map[ClusterName]Eviction{}}
	for _, e := range c.BindingSpec.Evictions {
		s.evicted[e.FromCluster] = Eviction{}
	}
	if r := c.BindingSpec.Resource; r.Kind != "" {
		group, _, found := strings.Cut(r.APIVersion, "/")
		if !found {
			group = ""
		}
		s.workloads = []Workload{{Object: ObjectID{Group: group, Kind: r.Kind}}}
	}
	at = &site{Cluster: c.Cluster.cluster(), kinds: map[kind]bool{}}
	at.taints = at.Taints
	at.tainted = toleratedText(at.taints) != ""
	for _, a := range c.Cluster.Status.APIs {
		group, _, found := strings.Cut(a.GroupVersion, "/")
		if !found {
			group = ""
		}
		for _, r := range a.Resources {
			at.kinds[kind{group, r.Kind}] = true
		}
	}
	was = -1
	for i, before := range c.BindingSpec.Clusters {
		if before.Name == at.Name {
			was = i
		}
	}
	return s, at, was
}

// TestVectorsPlugins drives the filters. Each table fills in only what its own filter
// looks at, so that the others let pass.
func TestVectorsPlugins(t *testing.T) {
	for file, table := range map[string]string{
		"plugin_apienablement.json": "TestAPIEnablement_Filter", "plugin_clusteraffinity.json": "TestClusterAffinity_Filter",
		"plugin_clustereviction.json": "TestClusterEviction_Filter", "plugin_tainttoleration.json": "TestTaintToleration_Filter",
	} {
		for _, c := range vectors[karmadaPlugin](t, file, table) {
			t.Run(table+"/"+c.Name, func(t *testing.T) {
				deviation(t, table, c.Name)
				s, at, was := c.schedule()
				group := &s.groups[0]
				if status := c.BindingStatus; status != nil {
					group = &s.groups[max(0, slices.IndexFunc(s.groups, func(g affinityGroup) bool { return g.name == status.Affinity }))]
				}
				refused := group.tier(at.Cluster) < 0 || s.rejects(at, was).rule != ""
				if want := c.ExpectError || c.ExpectedCode != 0; refused != want {
					t.Errorf("refused: %v, want %v", refused, want)
				}
			})
		}
	}
}

func TestVectorsLocality(t *testing.T) {
	for _, c := range vectors[karmadaPlugin](t, "plugin_clusterlocality.json", "TestClusterLocality_Score") {
		t.Run(c.Name, func(t *testing.T) {
			s, at, was := c.schedule()
			s.candidates = []candidate{{site: at, was: was}}
			if s.rank(); s.candidates[0].score != c.ExpectedScore {
				t.Errorf("score %d, want %d", s.candidates[0].score, c.ExpectedScore)
			}
		})
	}
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
