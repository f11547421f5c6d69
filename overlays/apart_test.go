package overlays

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestApartAndTogetherAreTheSame builds generated kustomizations object by object and
// with kustomize. Where the first does not give up, both make the same, in the same
// order; and it does not give up on most.
func TestApartAndTogetherAreTheSame(t *testing.T) {
	const rounds = 200
	done := 0
	for seed := range uint64(rounds) {
		g := generator{rand.New(rand.NewPCG(seed, 1))}
		tree, root := g.tree()
		built, ok := buildApart(tree, root)
		if !ok {
			continue
		}
		done++
		apart, apartErr := objectsOf(built)
		built, err := buildTogether(tree, root)
		if err != nil {
			t.Fatalf("seed %d: kustomize refuses what was built apart: %v\n%s", seed, err, tree)
		}
		together, togetherErr := objectsOf(built)
		if diff := cmp.Diff(together, apart) + cmp.Diff(fmt.Sprint(togetherErr), fmt.Sprint(apartErr)); diff != "" {
			t.Fatalf("seed %d: together -, apart +:\n%s\n%s", seed, diff, tree)
		}
	}
	if done < rounds/2 {
		t.Errorf("only %d of %d were built apart", done, rounds)
	}
}

// String prints files for people.
func (f Files) String() string {
	var b strings.Builder
	for _, name := range f.Paths() {
		fmt.Fprintf(&b, "-- %s --\n%s\n", name, f[name])
	}
	return b.String()
}

// generator makes kustomizations.
type generator struct{ *rand.Rand }

func (g generator) one(of ...string) string { return of[g.IntN(len(of))] }

func (g generator) often(percent int) bool { return g.IntN(100) < percent }

// tree makes a base in two folders and two layers on top of it.
func (g generator) tree() (Files, string) {
	tree := Files{}
	names := map[string]bool{}
	for _, dir := range []string{"/bases/a", "/bases/a/sub"} {
		k := kustomizationFile{Resources: []string{}}
		for i := range 1 + g.IntN(3) {
			file := fmt.Sprintf("%d.yaml", i)
			tree[path.Join(dir, file)] = []byte(g.file(names))
			k.Resources = append(k.Resources, file)
		}
		if dir == "/bases/a" {
			k.Resources = append(k.Resources, "sub")
		}
		tree[path.Join(dir, "kustomization.yaml")] = k.encode()
	}
	words := kustomizationFile{Resources: []string{"../../bases/a"}}
	if g.often(50) {
		words.Namespace = "shop"
	}
	tree["/top/words/kustomization.yaml"] = words.encode()
	top := kustomizationFile{Resources: []string{"words"}, Labels: appLabels("shop")}
	for name := range names {
		kind, name, _ := strings.Cut(name, "/")
		target := &targetEntry{Kind: kind, Name: name}
		switch g.IntN(12) {
		case 0:
			top.Patches = append(top.Patches, patchEntry{Target: target, Patch: `[{"op":"add","path":"/metadata/labels","value":{"region":"eu"}}]`})
		case 1:
			top.Patches = append(top.Patches, patchEntry{Target: target, Patch: `[{"op":"add","path":"/spec","value":{"replicas":3,"text":"a\nb: ü"}}]`})
		case 2:
			text := fmt.Sprintf("$patch: delete\napiVersion: v1\nkind: %s\nmetadata: {name: %s}", kind, name)
			top.Patches = append(top.Patches, patchEntry{Target: target, Patch: block(text)})
		}
	}
	slices.SortFunc(top.Patches, func(a, b patchEntry) int { return strings.Compare(a.Target.String(), b.Target.String()) })
	if g.often(10) {
		top.Patches = append(top.Patches, patchEntry{
			Target: &targetEntry{LabelSelector: "tier=front"}, Patch: `[{"op":"add","path":"/metadata/labels/more","value":"1"}]`,
		})
	}
	tree["/top/kustomization.yaml"] = top.encode()
	return tree, "/top"
}

// file makes a file of objects, and records them as kind/name.
func (g generator) file(names map[string]bool) string {
	var documents []string
	for range 1 + g.IntN(4) {
		document := g.object(names)
		if g.often(10) {
			document = "apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(strings.TrimSpace(document), "\n", "\n  ") + "\n"
		}
		documents = append(documents, document)
	}
	return strings.Join(documents, "---\n")
}

func (g generator) object(names map[string]bool) string {
	kinds := []string{
		"v1 ConfigMap", "v1 Secret", "v1 Service", "v1 ServiceAccount", "v1 PersistentVolume", "v1 PersistentVolumeClaim", "v1 ResourceQuota",
		"v1 LimitRange", "v1 Pod", "apps/v1 Deployment", "apps/v1 StatefulSet", "apps/v1 DaemonSet", "batch/v1 Job", "batch/v1 CronJob",
		"policy/v1 PodDisruptionBudget", "storage.k8s.io/v1 StorageClass", "scheduling.k8s.io/v1 PriorityClass", "networking.k8s.io/v1 Ingress",
		"rbac.authorization.k8s.io/v1 Role", "rbac.authorization.k8s.io/v1 ClusterRole", "example.com/v1 Widget", "example.com/v1alpha1 Widget", "serving.knative.dev/v1 Service",
		"apiextensions.k8s.io/v1 CustomResourceDefinition", "autoscaling/v2 HorizontalPodAutoscaler",
	}
	if g.often(4) {
		kinds = []string{
			"v1 Namespace", "example.com/v1 Namespace", "rbac.authorization.k8s.io/v1 RoleBinding", "rbac.authorization.k8s.io/v1 ClusterRoleBinding",
			"admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration", "admissionregistration.k8s.io/v1 MutatingWebhookConfiguration",
			"apiregistration.k8s.io/v1 APIService",
		}
	}
	version, kind, _ := strings.Cut(g.one(kinds...), " ")
	name := g.one("web", "api", "db", "cache", "a.b", "web-2", `"123"`, fmt.Sprintf("api-%d", g.IntN(50)))
	for names[kind+"/"+name] && !g.often(2) {
		name = fmt.Sprintf("web-%d", g.IntN(1000))
	}
	names[kind+"/"+name] = true
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: %s\nkind: %s\nmetadata:\n  name: %s\n", version, kind, name)
	if g.often(30) {
		fmt.Fprintf(&b, "  namespace: %s\n", g.one("default", "shop", "other", `""`))
	}
	b.WriteString(g.one("", "", "  annotations: {}\n", "  annotations:\n", "  annotations: {a: \"1\", b.example.com/c: 'yes'} # why\n"))
	b.WriteString(g.one("", "", "  labels: {}\n", "  labels: {tier: front}\n", "  labels: {navarch.dev/app: other}\n"))
	b.WriteString(g.one("", "", "  creationTimestamp: null\n", "  labels2: {\"a\": &anchor [1, 2], b: *anchor}\n"))
	b.WriteString(g.one("", "spec: {}\n", "data: {text: |-\n", "spec:\n  odd: [yes, 010, 1e3, 1.0, ~, 2001-01-01, 0x1F, 12345678901234567890, .5, '']\n"))
	text := b.String()
	text = strings.Replace(text, "data: {text: |-\n", "data:\n  text: |-\n    line\n      # not a comment\n\n    ---x\n  folded: >\n    a\n    b\n", 1)
	switch kind {
	case "RoleBinding", "ClusterRoleBinding":
		text += "subjects: [{kind: ServiceAccount, name: web}, {kind: ServiceAccount, name: default, namespace: other}]\n" +
			"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: api}\n"
	case "Deployment", "StatefulSet", "DaemonSet":
		if !strings.Contains(text, "spec:") {
			text += "spec: {template: {spec: {serviceAccountName: web, containers: [{name: a, envFrom: [{configMapRef: {name: web}}, {secretRef: {name: api}}]}]}}}\n"
		}
	case "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration":
		text += "webhooks: [{clientConfig: {service: {name: web, namespace: shop}}}, {clientConfig: {service: {name: api}}}]\n"
	case "Role", "ClusterRole":
		text += "rules: [{resourceNames: [web, api], verbs: [get]}]\n"
	}
	return text
}

// FuzzApart gives any kustomization and file to both ways of building.
func FuzzApart(f *testing.F) {
	f.Add("resources: [a.yaml]\n", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n")
	f.Add("resources: [a.yaml]\nnamespace: b\nlabels: [{pairs: {a: b}}]\n", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a, annotations: {}}\n")
	f.Add("resources: [a.yaml]\npatches: [{target: {kind: Pod}, patch: '[{\"op\":\"remove\",\"path\":\"/x\"}]'}]\n", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nx: &a [~, *a]\n---\n# none\n")
	f.Fuzz(func(t *testing.T, kustomization, file string) {
		tree := Files{"/top/kustomization.yaml": []byte(kustomization), "/top/a.yaml": []byte(file)}
		if _, problems := parseKustomization("kustomization.yaml", tree["/top/kustomization.yaml"]); len(problems) > 0 {
			return
		}
		c := newClosure(nil)
		if c.checkResources("a.yaml", tree["/top/a.yaml"]); len(c.problems) > 0 { // as in every app
			return
		}
		built, ok := buildApart(tree, "/top")
		if !ok {
			return
		}
		apart, apartErr := objectsOf(built)
		built, err := buildTogether(tree, "/top")
		if err != nil {
			t.Fatalf("kustomize refuses what was built apart: %v", err)
		}
		together, togetherErr := objectsOf(built)
		if diff := cmp.Diff(together, apart) + cmp.Diff(fmt.Sprint(togetherErr), fmt.Sprint(apartErr)); diff != "" {
			t.Errorf("together -, apart +:\n%s", diff)
		}
	})
}
