package overlays_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/overlays"
)

// manyObjects is a repository with an app of n ConfigMaps, in a file each.
func manyObjects(n int) map[string]string {
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("base/%05d.yaml", i)] = fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings-%05d}\ndata: {number: \"%d\"}\n", i, i)
	}
	return files
}

// TestRenderRefusesWhatTakesMinutes shows that an app of many objects builds as long
// as kustomize does not have to put them together.
func TestRenderRefusesWhatTakesMinutes(t *testing.T) {
	app := appAt("base")
	repo := repository(manyObjects(overlays.MaxTogether + 1))
	source, err := overlays.Gather(repo, app)
	if err != nil {
		t.Fatal(err)
	}
	if _, objects, err := overlays.Render(repo, app, source, overlays.Difference{}); err != nil || len(objects) != overlays.MaxTogether+1 {
		t.Fatalf("%d objects, error %v", len(objects), err)
	}
	rule := fleet.Override{Kustomize: fleet.Kustomize{Images: []fleet.Image{{Name: "nginx", NewTag: "1"}}}}
	_, _, err = overlays.Render(repo, app, source, overlays.Difference{Rules: []fleet.Override{rule}})
	if want := "2001 documents are more than the 2000 that kustomize can put together in good time: split the app"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v", err)
	}
}

// BenchmarkBuildOfMany builds apps of many objects: the time grows with their number,
// not with its square.
func BenchmarkBuildOfMany(b *testing.B) {
	everywhere := []fleet.Override{{Overriders: fleet.Overriders{LabelsOverrider: []fleet.LabelOverrider{{Operator: "add", Value: map[string]string{"region": "eu"}}}}}}
	for _, n := range []int{500, 1000, 2000, 5000} {
		for name, rules := range map[string][]fleet.Override{"plain": nil, "overriders": everywhere} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) { benchmarkBuildOf(b, n, rules) })
		}
	}
}

func benchmarkBuildOf(b *testing.B, n int, rules []fleet.Override) {
	app := appAt("base")
	app.Namespace = "shop"
	repo := repository(manyObjects(n))
	source, err := overlays.Gather(repo, app)
	if err != nil {
		b.Fatal(err)
	}
	overlay, _, err := overlays.Render(repo, app, source, overlays.Difference{Rules: rules})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := overlays.Build(app.Name, source.Files, overlay.Files); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTenThousandClusters groups ten thousand clusters of one app by what differs
// there, which has ten outcomes, and renders each, with overriders alone or also with
// kustomize's own words, for which kustomize has to run.
func BenchmarkTenThousandClusters(b *testing.B) {
	b.Run("overriders", func(b *testing.B) { benchmarkClusters(b, fleet.Kustomize{}) })
	b.Run("words", func(b *testing.B) {
		benchmarkClusters(b, fleet.Kustomize{Images: []fleet.Image{{Name: "nginx", NewTag: "1.26"}}})
	})
}

func benchmarkClusters(b *testing.B, words fleet.Kustomize) {
	app, repo := benchApp()
	app.Overrides = nil
	for region := range 10 {
		value := fmt.Sprintf("region-%d", region)
		app.Overrides = append(app.Overrides, fleet.Override{
			TargetCluster: &fleet.ClusterAffinity{FieldSelector: &fleet.FieldSelector{
				MatchExpressions: []fleet.FieldExpression{{Key: "region", Operator: "In", Values: []string{value}}},
			}},
			Kustomize: words,
			Overriders: fleet.Overriders{
				ImageOverrider:  []fleet.ImageOverrider{{Component: "Registry", Operator: "replace", Value: value + ".example.com"}},
				LabelsOverrider: []fleet.LabelOverrider{{Operator: "add", Value: map[string]string{"region": value}}},
			},
		})
	}
	def := fleet.Definition{Apps: []fleet.App{app}}
	for i := range 10_000 {
		def.Clusters = append(def.Clusters, fleet.Cluster{Name: fleet.ClusterName(fmt.Sprintf("cluster-%05d", i)), Region: fmt.Sprintf("region-%d", i%10)})
	}
	outcome := fleet.Decide(def, nil, fleet.State{})[0]
	source, err := overlays.Gather(repo, app)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		variants := fleet.Variants(app, def.Clusters, outcome)
		if len(variants) != 10 {
			b.Fatalf("%d variants", len(variants))
		}
		for _, variant := range variants {
			rules := []fleet.Override{app.Overrides[variant.Rules[0]]}
			replicas := []overlays.Replica{{Workload: fleet.ObjectID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}, Count: 3}}
			if _, _, err := overlays.Render(repo, app, source, overlays.Difference{Rules: rules, Replicas: replicas}); err != nil {
				b.Fatal(err)
			}
		}
	}
}
