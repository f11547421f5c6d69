package fleet

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// rounds is how many fleets each property is tried with.
const rounds = 200

// fleets yields small fleets whose rules are likely to meet.
func fleets(t *testing.T, try func(t *testing.T, r *rand.Rand, def Definition)) {
	t.Helper()
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 0))
		def := Definition{Clusters: someClusters(r), Apps: someApps(r)}
		before := encode(t, def)
		try(t, r, def)
		if diff := cmp.Diff(before, encode(t, def)); diff != "" {
			t.Errorf("seed %d: the definition has changed:\n%s", seed, diff)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	content, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func someClusters(r *rand.Rand) []Cluster {
	clusters := make([]Cluster, r.IntN(8))
	for i := range clusters {
		clusters[i] = someCluster(r, ClusterName(fmt.Sprintf("c%d", i)))
	}
	return clusters
}

func someCluster(r *rand.Rand, name ClusterName) Cluster {
	c := Cluster{Name: name, Provider: pick(r, "", "aws"), Region: pick(r, "", "eu", "us")}
	c.Labels = map[string]string{"env": pick(r, "prod", "test")}
	if r.IntN(2) == 0 {
		c.Labels["gpu"] = ""
	}
	c.Zones = pick(r, nil, []string{"a"}, []string{"a", "b"})
	if r.IntN(3) == 0 {
		c.Taints = []Taint{{Key: pick(r, "edge", "slow"), Value: pick(r, "", "x"), Effect: pick(r, effects...)}}
	}
	return c
}

func someAffinity(r *rand.Rand) *ClusterAffinity {
	a := &ClusterAffinity{}
	switch r.IntN(5) {
	case 0:
		return nil
	case 1:
		a.LabelSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"env": pick(r, "prod", "test")}}
	case 2:
		a.LabelSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "gpu", Operator: pick(r, metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist)},
			{Key: "env", Operator: pick(r, metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn), Values: []string{"prod"}},
		}}
	case 3:
		a.FieldSelector = &FieldSelector{MatchExpressions: []FieldExpression{{
			Key: pick(r, "region", "zone", "provider"), Operator: pick(r, operatorIn, operatorNotIn), Values: []string{pick(r, "eu", "a", "aws"), "b"},
		}}}
	}
	if r.IntN(3) == 0 {
		a.ClusterNames = []ClusterName{"c1", "c2", "c5"}
	}
	if r.IntN(3) == 0 {
		a.Exclude = []ClusterName{"c2", "c3"}
	}
	return a
}

func someApps(r *rand.Rand) []App {
	apps := make([]App, 1+r.IntN(4))
	for i := range apps {
		apps[i] = App{Name: AppName(fmt.Sprintf("a%d", i)), Placement: Placement{ClusterAffinity: someAffinity(r)}}
		if r.IntN(2) == 0 {
			apps[i].Placement.ClusterTolerations = []Toleration{{
				Key: pick(r, "edge", "slow"), Operator: pick(r, operatorExists, operatorEqual, ""), Effect: pick(r, "", effectNoSchedule),
			}}
		}
		for range r.IntN(4) {
			apps[i].Overrides = append(apps[i].Overrides, Override{TargetCluster: someAffinity(r)})
		}
	}
	return apps
}

// oracle decides slowly and without any thought, as policies are written.
func oracle(a *ClusterAffinity, c Cluster) bool {
	if a == nil {
		return true
	}
	if slices.Contains(a.Exclude, c.Name) {
		return false
	}
	if a.LabelSelector != nil {
		selector, err := metav1.LabelSelectorAsSelector(a.LabelSelector)
		if err != nil || !selector.Matches(labels.Set(c.Labels)) {
			return false
		}
	}
	if a.FieldSelector != nil {
		for _, e := range a.FieldSelector.MatchExpressions {
			has := map[string][]string{"provider": {c.Provider}, "region": {c.Region}, "zone": c.Zones}[e.Key]
			common := slices.ContainsFunc(has, func(v string) bool { return v != "" && slices.Contains(e.Values, v) })
			if common != (e.Operator == "In") {
				return false
			}
		}
	}
	return len(a.ClusterNames) == 0 || slices.Contains(a.ClusterNames, c.Name)
}

func TestDecideEqualsOracle(t *testing.T) {
	fleets(t, func(t *testing.T, _ *rand.Rand, def Definition) {
		for i, outcome := range Decide(def, nil, State{}) {
			app := def.Apps[i]
			var want []ClusterName
			for _, c := range def.Clusters {
				if _, kept := untolerated(c.Taints, app.Placement.ClusterTolerations); !kept && oracle(app.Placement.ClusterAffinity, c) {
					want = append(want, c.Name)
				}
			}
			var got []ClusterName
			for _, d := range outcome.Placed {
				got = append(got, d.Cluster)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("app %s (-oracle +decided):\n%s", app.Name, diff)
			}
		}
	})
}

func TestDecideIsIndependentOfOrder(t *testing.T) {
	fleets(t, func(t *testing.T, r *rand.Rand, def Definition) {
		shuffled := Definition{Clusters: slices.Clone(def.Clusters), Apps: def.Apps}
		r.Shuffle(len(shuffled.Clusters), func(i, j int) {
			shuffled.Clusters[i], shuffled.Clusters[j] = shuffled.Clusters[j], shuffled.Clusters[i]
		})
		if diff := cmp.Diff(Decide(def, nil, State{}), Decide(shuffled, nil, State{})); diff != "" {
			t.Errorf("other order, other outcome:\n%s", diff)
		}
	})
}

func TestNewClusterMovesNothing(t *testing.T) {
	fleets(t, func(t *testing.T, r *rand.Rand, def Definition) {
		larger := Definition{Clusters: append(slices.Clone(def.Clusters), someCluster(r, "c9")), Apps: def.Apps}
		before, after := Decide(def, nil, State{}), Decide(larger, nil, State{})
		for i := range after {
			before[i].Problem, after[i].Problem = "", "" // which counts clusters
			after[i].Placed = slices.DeleteFunc(after[i].Placed, func(d Decision) bool { return d.Cluster == "c9" })
		}
		if diff := cmp.Diff(encode(t, before), encode(t, after)); diff != "" {
			t.Errorf("a new cluster has moved something:\n%s", diff)
		}
	})
}

func TestVariantsArePartition(t *testing.T) {
	fleets(t, func(t *testing.T, _ *rand.Rand, def Definition) {
		for i, outcome := range Decide(def, nil, State{}) {
			app := def.Apps[i]
			got := map[ClusterName][]int{}
			keys := map[string]bool{}
			for _, v := range Variants(app, def.Clusters, outcome) {
				if keys[v.Key] {
					t.Errorf("key %q twice", v.Key)
				}
				keys[v.Key] = true
				for _, c := range v.Clusters {
					if _, twice := got[c]; twice {
						t.Errorf("cluster %s in two variants", c)
					}
					got[c] = v.Rules
				}
			}
			want := map[ClusterName][]int{}
			for _, d := range outcome.Placed {
				cluster := def.Clusters[slices.IndexFunc(def.Clusters, func(c Cluster) bool { return c.Name == d.Cluster })]
				want[d.Cluster] = nil
				for n, rule := range app.Overrides {
					if oracle(rule.TargetCluster, cluster) {
						want[d.Cluster] = append(want[d.Cluster], n)
					}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("rules by cluster (-oracle +got):\n%s", diff)
			}
		}
	})
}

// somePublished is what some hub might have announced.
func somePublished(r *rand.Rand, clusters []Cluster) Published {
	published := Published{}
	for _, c := range clusters {
		var words []string
		for _, name := range []string{"a", "b", "c", "d"} {
			switch r.IntN(4) {
			case 0:
				words = append(words, name+"="+pick(r, "a", "b", "t", "u", "e"))
			case 1:
				words = append(words, "-"+name+"@r0")
			}
		}
		published[c.Name] = desired(words...)
	}
	return published
}

func TestDiffProperties(t *testing.T) {
	fleets(t, func(t *testing.T, r *rand.Rand, def Definition) {
		published := somePublished(r, append(slices.Clone(def.Clusters), Cluster{Name: "gone"}))
		wanted := Wanted{Revision: "r1", Definition: def, Desired: somePublished(r, def.Clusters), Contents: contents}
		for name, d := range wanted.Desired {
			d.Tombstones = nil
			wanted.Desired[name] = d
		}
		before := encode(t, []any{published, wanted.Desired})
		plan := Diff(published, wanted)
		if diff := cmp.Diff(before, encode(t, []any{published, wanted.Desired})); diff != "" {
			t.Errorf("what was given has changed:\n%s", diff)
		}
		if diff := cmp.Diff(plan, Diff(published, wanted)); diff != "" {
			t.Errorf("another plan the second time:\n%s", diff)
		}
		after := Published{"gone": published["gone"]}
		for _, c := range def.Clusters {
			after[c.Name] = published[c.Name]
		}
		for _, change := range plan.Changes {
			after[change.Cluster] = change.Desired
		}
		for _, c := range def.Clusters {
			checkTransition(t, published[c.Name], wanted.Desired[c.Name], after[c.Name])
		}
		if again := Diff(after, wanted); len(again.Changes) > 0 {
			t.Errorf("what is announced changes again: %v", again.Changes)
		}
	})
}

// checkTransition checks that a cluster runs what is wanted, and that nothing that
// it ran is gone without a tombstone.
func checkTransition(t *testing.T, before, wanted, after Desired) {
	t.Helper()
	if diff := cmp.Diff(encode(t, wanted.Apps), encode(t, after.Apps)); diff != "" {
		t.Errorf("announced is not what is wanted:\n%s", diff)
	}
	runs, buried := map[AppName]bool{}, map[AppName]bool{}
	for _, app := range after.Apps {
		runs[app.Name] = true
	}
	for _, stone := range after.Tombstones {
		buried[stone.App] = true
		if runs[stone.App] {
			t.Errorf("app %s runs and has a tombstone", stone.App)
		}
	}
	for _, app := range before.Apps {
		if !runs[app.Name] && !buried[app.Name] {
			t.Errorf("app %s is gone without a tombstone", app.Name)
		}
	}
	for _, stone := range before.Tombstones {
		if !runs[stone.App] && !buried[stone.App] {
			t.Errorf("the tombstone of app %s is gone", stone.App)
		}
	}
}

func TestAssembleIsIndependentOfOrder(t *testing.T) {
	archives, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		repo := repository(archive)
		var parsed []Parsed
		for file := range repo {
			if IsDocument(file) && repo[file].Mode&fs.ModeSymlink == 0 {
				parsed = append(parsed, Parse(file, repo[file].Data))
			}
		}
		want, wantProblems := Assemble(parsed, repo)
		for seed := range uint64(20) {
			r := rand.New(rand.NewPCG(seed, 1))
			r.Shuffle(len(parsed), func(i, j int) { parsed[i], parsed[j] = parsed[j], parsed[i] })
			got, problems := Assemble(parsed, repo)
			if diff := cmp.Diff(wantProblems, problems); diff != "" {
				t.Fatalf("%s: other order, other problems:\n%s", name, diff)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s: other order, other definition:\n%s", name, diff)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	archives, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if IsDocument(file.Name) {
				f.Add(file.Data)
			}
		}
	}
	for _, example := range examples(f) {
		f.Add([]byte(example))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		const file = "apps/shop/app.yaml"
		first, second := Parse(file, content), Parse(file, content)
		def, problems := Assemble([]Parsed{first}, repository(&txtar.Archive{Files: []txtar.File{{Name: file, Data: content}}}))
		_, again := Assemble([]Parsed{second}, repository(&txtar.Archive{Files: []txtar.File{{Name: file, Data: content}}}))
		if diff := cmp.Diff(problems, again); diff != "" {
			t.Errorf("other problems the second time:\n%s", diff)
		}
		lines := 1 + strings.Count(string(content), "\n") + strings.Count(string(content), "\r") + strings.Count(string(content), "\u2028") +
			strings.Count(string(content), "\u2029") + strings.Count(string(content), "\u0085")
		for _, p := range problems {
			if p.File != file || p.Line < 0 || p.Line > lines || p.Message == "" || strings.Contains(p.Error(), "\n") {
				t.Errorf("not a problem to show anybody: %#v", p)
			}
		}
		checkLoaded(t, def)
	})
}

// checkLoaded checks what holds of every definition.
func checkLoaded(t *testing.T, def Definition) {
	t.Helper()
	for _, app := range def.Apps {
		_, err := ParseAppName(string(app.Name))
		if err != nil || fs.ValidPath(app.Source.Path) == (len(app.Source.Objects) > 0) || (app.Policy == "") != (app.Source.Objects == nil) {
			t.Errorf("loaded without a problem: %#v", app)
		}
	}
	for _, p := range Lint(def) {
		if !p.Warning || p.Message == "" || strings.Contains(p.Error(), "\n") {
			t.Errorf("not a warning to show anybody: %#v", p)
		}
	}
	Decide(def, nil, State{})
}

// FuzzLoad loads whole repositories, written as archives.
func FuzzLoad(f *testing.F) {
	for _, folder := range []string{"load", "lint"} {
		archives, err := filepath.Glob("testdata/" + folder + "/*.txtar")
		if err != nil || len(archives) == 0 {
			f.Fatalf("no archives: %v", err)
		}
		for _, name := range archives {
			content, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(content)
		}
	}
	for _, example := range examples(f) {
		var archive txtar.Archive
		for name, file := range around(example) {
			archive.Files = append(archive.Files, txtar.File{Name: name, Data: file.Data})
		}
		slices.SortFunc(archive.Files, func(a, b txtar.File) int { return strings.Compare(a.Name, b.Name) })
		f.Add(txtar.Format(&archive))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		repo := repository(txtar.Parse(content))
		for name := range repo {
			if !fs.ValidPath(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Skip("no path of a repository")
			}
		}
		def, problems := Load(repo)
		again, problemsAgain := Load(repo)
		if diff := cmp.Diff(def, again) + cmp.Diff(problems, problemsAgain); diff != "" {
			t.Errorf("other results the second time:\n%s", diff)
		}
		for _, p := range problems {
			if p.Line < 0 || p.Message == "" || strings.Contains(p.Error(), "\n") {
				t.Errorf("not a problem to show anybody: %#v", p)
			}
		}
		checkLoaded(t, def)
	})
}
