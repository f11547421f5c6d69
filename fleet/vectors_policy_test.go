package fleet

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// deviations lists the cases in which we differ from Karmada, each with the reason.
var deviations = map[string]string{
	"TestAllocateWebsterSeats/custom tie-breaker returns false, expect custom tie-breaker controls seat": "the tie-breaker is not a parameter: it is the ascending name",
	"Test_dispenser_AllocateByWeight/brand new assign 5 replicas with odd uuid":                          "nothing in Git has a UID: ties are broken as for an empty one",
	"strategy/":                     "strategies of other names are refused when the definition is loaded, and absent ones have the defaults of Karmada's webhook",
	"TestIsBindingReplicasChanged/": "only divisions are remembered: everything else is decided again each time, and costs nothing where it is the same",
	"TestValidateApplicationFailover/the gracePeriodSeconds is empty when purgeMode is gracefully": "Karmada checks after its webhook has set the default; here the default of 600 is set in the same step",
}

// deviation skips a case of the list.
func deviation(t *testing.T, table, name string) {
	t.Helper()
	if reason := deviations[table+"/"+name]; reason != "" {
		t.Skip("deviation: " + reason)
	}
}

// karmadaDocument writes a document of Karmada's as JSON, which is YAML too.
func karmadaDocument(t *testing.T, kind string, spec any) []byte {
	t.Helper()
	content, err := json.Marshal(map[string]any{
		"apiVersion": "policy.karmada.io/v1alpha1", "kind": kind, "metadata": map[string]any{"name": "test"}, "spec": spec,
	})
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// accepts compares whether a policy is refused, and where the expected message
// names a field, in which one.
func accepts(t *testing.T, spec map[string]any, want string) {
	t.Helper()
	if spec["resourceSelectors"] == nil { // which the API server would refuse before
		spec["resourceSelectors"] = []any{map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}
	}
	problems := Parse("policy.yaml", karmadaDocument(t, kindPropagation, spec)).problems
	if err := problems.Err(); (err != nil) != (want != "") {
		t.Errorf("got %v, want %q", err, want)
	}
	field, _, named := strings.Cut(strings.TrimPrefix(want, "["), ":")
	if named && strings.HasPrefix(field, "spec.") && !slices.ContainsFunc(problems, func(p Problem) bool { return strings.HasPrefix(field, p.Field) }) {
		t.Errorf("no problem with %s: %v", field, problems)
	}
}

func TestVectorsPropagationSpec(t *testing.T) {
	const table = "TestValidatePropagationSpec"
	for _, c := range vectors[struct {
		Name        string
		ExpectedErr string
		Spec        map[string]any
	}](t, "validation.json", table) {
		t.Run(c.Name, func(t *testing.T) {
			deviation(t, table, c.Name)
			accepts(t, c.Spec, c.ExpectedErr)
		})
	}
}

func TestVectorsFailover(t *testing.T) {
	for table, part := range map[string]string{"TestValidateApplicationFailover": "application", "TestValidateClusterFailover": "cluster"} {
		for _, c := range vectors[struct {
			Name        string
			ExpectedErr string
			Application any `json:"applicationFailoverBehavior"`
			Cluster     any `json:"clusterFailoverBehavior"`
		}](t, "validation.json", table) {
			t.Run(table+"/"+c.Name, func(t *testing.T) {
				deviation(t, table, c.Name)
				behaviour := c.Application
				if part == "cluster" {
					behaviour = c.Cluster
				}
				accepts(t, map[string]any{"propagateDeps": true, "failover": map[string]any{part: behaviour}}, c.ExpectedErr)
			})
		}
	}
}

func TestVectorsWorkloadAffinity(t *testing.T) {
	for _, c := range vectors[struct {
		Name             string
		ExpectedErr      string
		WorkloadAffinity any
	}](t, "validation.json", "TestValidateWorkloadAffinity") {
		t.Run(c.Name, func(t *testing.T) {
			accepts(t, map[string]any{"placement": map[string]any{"workloadAffinity": c.WorkloadAffinity}}, c.ExpectedErr)
		})
	}
}

func TestVectorsPlacement(t *testing.T) {
	for _, c := range vectors[struct {
		Name      string
		Expected  []string `json:"expectedErrStrings"`
		Placement any
	}](t, "validation.json", "TestValidatePlacement") {
		t.Run(c.Name, func(t *testing.T) {
			accepts(t, map[string]any{"placement": c.Placement}, strings.Join(c.Expected, "; "))
		})
	}
}

func TestVectorsOverflowAffinities(t *testing.T) {
	for _, c := range vectors[struct {
		Name     string
		Expected []string `json:"expectedErrStrings"`
		Affinity any
	}](t, "validation.json", "TestValidateOverflowAffinities") {
		t.Run(c.Name, func(t *testing.T) {
			accepts(t, map[string]any{"placement": map[string]any{
				"clusterAffinities": []any{c.Affinity},
				"replicaScheduling": map[string]any{"replicaDivisionPreference": "Aggregated"},
			}}, strings.Join(c.Expected, "; "))
		})
	}
}

func TestVectorsEmptyOverrides(t *testing.T) {
	for _, c := range vectors[struct {
		Name       string
		Overriders Overriders
		Want       bool
	}](t, "validation.json", "TestEmptyOverrides") {
		t.Run(c.Name, func(t *testing.T) {
			if got := c.Overriders.empty(); got != c.Want {
				t.Errorf("empty: %v, want %v", got, c.Want)
			}
		})
	}
}

// karmadaObject is an object of which tests select.
type karmadaObject struct {
	APIVersion string
	Kind       string
	Metadata   metadata
}

func (o karmadaObject) manifest() *manifest {
	return &manifest{
		apiVersion: o.APIVersion, kind: o.Kind, namespace: o.Metadata.Namespace, name: o.Metadata.Name, labels: o.Metadata.Labels,
	}
}

// selected is the object of the tables about selectors.
var selected = karmadaObject{APIVersion: "v1", Kind: "Pod", Metadata: metadata{Name: "test", Namespace: "default", Labels: map[string]string{"foo": "bar"}}}

func TestVectorsResourceSelectors(t *testing.T) {
	type args struct {
		One  *ResourceSelector  `json:"rs"`
		Many []ResourceSelector `json:"selectors"`
	}
	for _, table := range []string{"TestResourceMatches", "TestResourceSelectorPriority", "TestResourceMatchSelectors", "TestResourceMatchSelectorsPriority"} {
		for _, c := range vectors[struct {
			Name string
			Args args
			Want any
		}](t, "selector.json", table) {
			t.Run(table+"/"+c.Name, func(t *testing.T) {
				if c.Args.One != nil {
					c.Args.Many = []ResourceSelector{*c.Args.One}
				}
				fit := bestFit(compileSelectors(c.Args.Many), selected.manifest())
				var got any = float64(fit)
				if _, yes := c.Want.(bool); yes {
					got = fit != fitNone
				}
				if got != c.Want {
					t.Errorf("got %v, want %v", got, c.Want)
				}
			})
		}
	}
}

// karmadaPolicy is a policy in Karmada's form.
type karmadaPolicy struct {
	Metadata metadata
	Spec     struct {
		ResourceSelectors []ResourceSelector
		Priority          int64
		OverrideRules     []overrideRule
	}
}

func (p karmadaPolicy) propagation(kind string) *propagationPolicy {
	namespace := p.Metadata.Namespace
	if kind == kindClusterPropagation {
		namespace = ""
	}
	return &propagationPolicy{
		kind: kind, namespace: namespace, name: p.Metadata.Name, selectors: compileSelectors(p.Spec.ResourceSelectors), priority: p.Spec.Priority,
	}
}

func TestVectorsHigherPriority(t *testing.T) {
	for table, kind := range map[string]string{
		"Test_GetHigherPriorityPropagationPolicy": kindPropagation, "Test_GetHigherPriorityClusterPropagationPolicy": kindClusterPropagation,
	} {
		for _, c := range vectors[struct {
			Name string
			Args struct{ A, B karmadaPolicy }
			Want karmadaPolicy
		}](t, "policy_match.json", table) {
			t.Run(table+"/"+c.Name, func(t *testing.T) {
				claims := []claim{{policy: c.Args.B.propagation(kind)}, {policy: c.Args.A.propagation(kind)}}
				slices.SortFunc(claims, claim.before)
				if got := claims[0].policy.name; got != c.Want.Metadata.Name {
					t.Errorf("got %q, want %q", got, c.Want.Metadata.Name)
				}
			})
		}
	}
}

func TestVectorsBestPolicy(t *testing.T) {
	for table, kind := range map[string]string{
		"Test_getHighestPriorityPropagationPolicies": kindPropagation, "Test_getHighestPriorityClusterPropagationPolicies": kindClusterPropagation,
	} {
		for _, c := range vectors[struct {
			Name string
			Args struct {
				Policies []karmadaPolicy
				Resource karmadaObject
			}
			Want *karmadaPolicy
		}](t, "policy_match.json", table) {
			t.Run(table+"/"+c.Name, func(t *testing.T) {
				var all claims
				for _, p := range c.Args.Policies {
					all.policies = append(all.policies, p.propagation(kind))
				}
				got, want := "", ""
				all.wanted = all.byReach()
				if best := all.best(c.Args.Resource.manifest()); len(best) > 0 {
					got = best[0].policy.name
				}
				if c.Want != nil {
					want = c.Want.Metadata.Name
				}
				if got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		}
	}
}

func TestVectorsOverridePolicies(t *testing.T) {
	for _, c := range vectors[struct {
		Name     string
		Cluster  karmadaCluster
		Policies []karmadaPolicy
		Resource karmadaObject
		Want     []struct{ Overriders json.RawMessage } `json:"wantedOverriders"`
	}](t, "override.json", "TestGetMatchingOverridePolicies") {
		t.Run(c.Name, func(t *testing.T) {
			all := claims{edited: map[*overridePolicy]bool{}}
			for _, p := range c.Policies {
				policy := &overridePolicy{kind: kindOverride, namespace: p.Metadata.Namespace, name: p.Metadata.Name, selectors: compileSelectors(p.Spec.ResourceSelectors)}
				for _, rule := range p.Spec.OverrideRules {
					policy.rules = append(policy.rules, Override{TargetCluster: rule.TargetCluster, Overriders: rule.Overriders})
				}
				all.overrides = append(all.overrides, policy)
			}
			slices.SortFunc(all.overrides, compareOverridePolicies)
			all.editors = all.byNamespace()
			var got, want []Overriders
			for _, rule := range all.rules([]*manifest{c.Resource.manifest()}) {
				target := compileAffinity(rule.TargetCluster)
				if target.match(c.Cluster.cluster()).rule == "" {
					got = append(got, rule.Overriders)
				}
			}
			for _, w := range c.Want {
				var o Overriders
				if err := json.Unmarshal(w.Overriders, &o); err != nil {
					t.Fatal(err)
				}
				want = append(want, o)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("overriders (-want +got):\n%s", diff)
			}
		})
	}
}
