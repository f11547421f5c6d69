package fleet

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestFollowers(t *testing.T) {
	def, problems := Load(fstest.MapFS{"fleet.yaml": {Data: []byte("apiVersion: fleet.navarch.dev/v1alpha1\nkind: Fleet\nspec: {}\n")}, "all.yaml": {Data: []byte(`
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
---
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: other}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: claimed}
---
apiVersion: v1
kind: Service
metadata: {name: never-loose}
---
apiVersion: policy.karmada.io/v1alpha1
kind: PropagationPolicy
metadata: {name: web, namespace: default}
spec:
  propagateDeps: true
  resourceSelectors: [{apiVersion: v1, kind: ConfigMap, name: claimed}]
---
apiVersion: policy.karmada.io/v1alpha1
kind: OverridePolicy
metadata: {name: colour, namespace: default}
spec:
  overrideRules: [{overriders: {labelsOverrider: [{operator: add, value: {colour: blue}}]}}]
`)}})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	needs := map[AppName][]ObjectID{"web": {
		{Kind: "ConfigMap", Namespace: "default", Name: "settings"},
		{Kind: "ConfigMap", Namespace: "default", Name: "claimed"},
		{Kind: "ConfigMap", Namespace: "default", Name: "nowhere"},
	}}
	followers := Followers(def, needs)
	var got []string
	for _, f := range followers {
		got = append(got, string(f.Name))
		if len(f.Overrides) != 1 {
			t.Errorf("app %q has %d rules of the override policy, want 1", f.Name, len(f.Overrides))
		}
	}
	if diff := cmp.Diff([]string{"settings-configmap"}, got); diff != "" {
		t.Fatalf("followers (-want +got):\n%s", diff)
	}
	outcomes := []Outcome{
		{App: "web", Placed: []Decision{{Cluster: "eu"}, {Cluster: "us"}}, Kept: []ClusterName{"ap"}},
		{App: "zoo", Placed: []Decision{{Cluster: "af"}}, Kept: []ClusterName{"eu"}},
	}
	followers[0].Follows = []AppName{"web", "zoo"}
	def.Apps = append(def.Apps, App{Name: "zoo"})
	def, outcomes = Follow(def, outcomes, followers)
	want := Outcome{App: "settings-configmap", Kept: []ClusterName{"ap"}, Placed: []Decision{
		{"af", Because{RuleFollows, "app zoo needs it"}}, {"eu", Because{RuleFollows, "app web needs it"}}, {"us", Because{RuleFollows, "app web needs it"}},
	}}
	if diff := cmp.Diff(want, outcomes[0]); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	for i, app := range def.Apps {
		if app.Name != outcomes[i].App {
			t.Errorf("app %d is %q, its outcome is of %q", i, app.Name, outcomes[i].App)
		}
	}
}
