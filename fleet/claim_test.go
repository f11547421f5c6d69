package fleet

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// policyFleet is a generated repository of manifests and Karmada policies.
type policyFleet struct {
	random    *rand.Rand
	documents []string
}

func (f *policyFleet) pick(from ...string) string { return from[f.random.IntN(len(from))] }

func (f *policyFleet) selector() string {
	s := "{apiVersion: " + f.pick("v1, kind: ConfigMap", "v1, kind: Secret", "v1, kind: Namespace")
	switch f.random.IntN(3) {
	case 0:
		s += ", name: " + f.pick("a", "b", "c")
	case 1:
		s += ", labelSelector: {matchLabels: {app: " + f.pick("a", "b") + "}}"
	}
	return s + "}"
}

func (f *policyFleet) selectors() string {
	var list []string
	for range 1 + f.random.IntN(3) {
		list = append(list, f.selector())
	}
	return "[" + strings.Join(list, ", ") + "]"
}

func (f *policyFleet) add(document string) { f.documents = append(f.documents, document) }

func generatePolicies(seed uint64) *policyFleet {
	f := &policyFleet{random: rand.New(rand.NewPCG(seed, 1))}
	for _, kind := range []string{"ConfigMap", "Secret"} {
		for _, namespace := range []string{"default", "other"} {
			for _, name := range []string{"a", "b", "c"} {
				f.add(fmt.Sprintf("apiVersion: v1\nkind: %s\nmetadata: {name: %s, namespace: %s, labels: {app: %s}}\n", kind, name, namespace, f.pick("a", "b")))
			}
		}
	}
	f.add("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n")
	for i := range 6 {
		kind, namespace := kindPropagation, ", namespace: "+f.pick("default", "other")
		if f.random.IntN(3) == 0 {
			kind, namespace = kindClusterPropagation, ""
		}
		f.add(fmt.Sprintf("apiVersion: policy.karmada.io/v1alpha1\nkind: %s\nmetadata: {name: p%d%s}\nspec: {priority: %d, resourceSelectors: %s}\n",
			kind, i, namespace, f.random.IntN(2), f.selectors()))
	}
	for i := range 6 {
		kind, namespace, chosen := kindOverride, ", namespace: "+f.pick("default", "other"), "[]"
		if f.random.IntN(3) == 0 {
			kind, namespace = kindClusterOverride, ""
		}
		if f.random.IntN(3) > 0 {
			chosen = f.selectors()
		}
		f.add(fmt.Sprintf("apiVersion: policy.karmada.io/v1alpha1\nkind: %s\nmetadata: {name: o%d%s}\nspec:\n  resourceSelectors: %s\n"+
			"  overrideRules: [{overriders: {labelsOverrider: [{operator: add, value: {by: o%d}}]}}]\n", kind, i, namespace, chosen, i))
	}
	return f
}

// load loads the documents, each in a file of its own whose name does not say what
// is in it.
func (f *policyFleet) load(t *testing.T, order []int) Definition {
	t.Helper()
	repo := fstest.MapFS{}
	for i, at := range order {
		repo[fmt.Sprintf("d%02d/%02d.yaml", i%3, at)] = &fstest.MapFile{Data: []byte(f.documents[at])}
	}
	def, problems := Load(repo)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return def
}

// sources gives for each app the documents that it has.
func (f *policyFleet) sources(def Definition) map[string][]string {
	found := map[string][]string{}
	for _, app := range def.Apps {
		for _, o := range app.Source.Objects {
			found[app.Policy] = append(found[app.Policy], strings.SplitAfter(o.File, "/")[1])
		}
		slices.Sort(found[app.Policy])
	}
	return found
}

// TestClaimsWhateverTheLayout checks that it does not matter where documents are.
func TestClaimsWhateverTheLayout(t *testing.T) {
	for seed := range uint64(100) {
		f := generatePolicies(seed)
		order := f.random.Perm(len(f.documents))
		want := f.sources(f.load(t, order))
		f.random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		if diff := cmp.Diff(want, f.sources(f.load(t, order))); diff != "" {
			t.Fatalf("seed %d: apps in another layout (-before +after):\n%s", seed, diff)
		}
	}
}

// TestClaimsAgainstSlowOnes compares claims and the order of overrides, for each
// manifest, with the rules as one would write them down.
func TestClaimsAgainstSlowOnes(t *testing.T) {
	for seed := range uint64(200) {
		f := generatePolicies(seed)
		order := make([]int, len(f.documents))
		for i := range order {
			order[i] = i
		}
		def := f.load(t, order)
		all := slowClaims{}
		for _, document := range f.documents {
			p := Parse("one.yaml", []byte(document))
			all.manifests = append(all.manifests, placed(p.manifests, clusterScoped)...)
			all.policies = append(all.policies, p.policies...)
			all.overrides = append(all.overrides, p.overrides...)
		}
		for i := range all.manifests {
			m := &all.manifests[i]
			owner, got := "", []string(nil)
			for _, app := range def.Apps {
				if slices.ContainsFunc(app.Source.Objects, func(o SourceObject) bool { return strings.HasSuffix(o.File, fmt.Sprintf("/%02d.yaml", i)) }) {
					owner, got = app.Policy, editors(app, m)
				}
			}
			if want := all.owner(m); owner != want {
				t.Fatalf("seed %d: %s belongs to %q, want %q", seed, m.id(), owner, want)
			}
			if owner == "" {
				continue
			}
			if diff := cmp.Diff(all.editors(m), got); diff != "" {
				t.Fatalf("seed %d: what edits %s (-want +got):\n%s", seed, m.id(), diff)
			}
		}
	}
}

// editors tells which policies edit a manifest in an app, first to last.
func editors(app App, m *manifest) []string {
	var names []string
	for _, rule := range app.Overrides {
		if len(rule.ResourceSelectors) == 0 || bestFit(compileSelectors(rule.ResourceSelectors), m) != fitNone {
			names = append(names, rule.Overriders.LabelsOverrider[0].Value["by"])
		}
	}
	return names
}

// slowClaims decides as one would write the rules down.
type slowClaims struct {
	manifests []manifest
	policies  []propagationPolicy
	overrides []overridePolicy
}

func (o slowClaims) owner(m *manifest) string {
	for _, near := range []bool{true, false} {
		var best *propagationPolicy
		var closest fit
		for i := range o.policies {
			p := &o.policies[i]
			fit := bestFit(p.selectors, m)
			if fit == fitNone || near && (p.namespace == "" || p.namespace != m.namespace) || !near && p.namespace != "" {
				continue
			}
			better := best == nil || p.priority > best.priority ||
				p.priority == best.priority && (fit > closest || fit == closest && p.name < best.name)
			if better {
				best, closest = p, fit
			}
		}
		if best != nil {
			return best.app.Policy
		}
	}
	return ""
}

func (o slowClaims) editors(m *manifest) []string {
	type editor struct{ key, name string }
	var found []editor
	for _, p := range o.overrides {
		fit := fitAll
		if len(p.selectors) > 0 {
			fit = bestFit(p.selectors, m)
		}
		if fit != fitNone && (p.namespace == "" || p.namespace == m.namespace) {
			class := 0
			if p.namespace != "" {
				class = 1
			}
			found = append(found, editor{fmt.Sprint(class, fit, p.name), p.name})
		}
	}
	slices.SortFunc(found, func(a, b editor) int { return strings.Compare(a.key, b.key) })
	var names []string
	for _, e := range found {
		names = append(names, e.name)
	}
	return names
}

// BenchmarkPolicies loads 10,000 manifests with 1,000 propagation policies and 1,000
// override policies in 100 namespaces: every file anew, and none of them.
func BenchmarkPolicies(b *testing.B) {
	repo := fstest.MapFS{}
	add := func(format string, args ...any) {
		repo[fmt.Sprintf("d%d/%05d.yaml", len(repo)%100, len(repo))] = &fstest.MapFile{Data: fmt.Appendf(nil, format, args...)}
	}
	for i := range 10_000 {
		add("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web-%d\n  namespace: n%d\n  labels: {app: a%d}\nspec:\n  replicas: 2\n"+
			"  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      containers:\n"+
			"      - name: web\n        image: nginx\n        resources: {requests: {cpu: 100m, memory: 100Mi}}\n", i, i%100, i%1000)
	}
	for i := range 1000 {
		add("apiVersion: policy.karmada.io/v1alpha1\nkind: PropagationPolicy\nmetadata: {name: p%d, namespace: n%d}\n"+
			"spec: {resourceSelectors: [{apiVersion: apps/v1, kind: Deployment, labelSelector: {matchLabels: {app: a%d}}}]}\n", i, i%100, i)
		add("apiVersion: policy.karmada.io/v1alpha1\nkind: OverridePolicy\nmetadata: {name: o%d, namespace: n%d}\n"+
			"spec:\n  resourceSelectors: [{apiVersion: apps/v1, kind: Deployment, labelSelector: {matchLabels: {app: a%d}}}]\n"+
			"  overrideRules: [{overriders: {labelsOverrider: [{operator: add, value: {a: b}}]}}]\n", i, i%100, i)
	}
	files, _ := Find(repo)
	parse := func() []Parsed {
		parsed := make([]Parsed, len(files))
		for i, file := range files {
			parsed[i] = Parse(file, repo[file].Data)
		}
		return parsed
	}
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			parse()
		}
	})
	b.Run("assemble", func(b *testing.B) {
		b.ReportAllocs()
		parsed := parse()
		for b.Loop() {
			def, problems := Assemble(parsed, repo)
			if len(problems) > 0 || len(def.Apps) != 1000 {
				b.Fatal(len(def.Apps), problems)
			}
		}
	})
}
