package apply_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/fleet"
)

const settings = `apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: NS, labels: {navarch.dev/app: shop}}
data: {word: one}
`

const web = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NS, labels: {navarch.dev/app: shop}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "example.com/web:1"}]}
`

func names(applied []apply.Applied) []string {
	var names []string
	for _, a := range applied {
		names = append(names, a.ID.Kind+"/"+a.ID.Name)
	}
	return names
}

// TestApply: what is new is made, what has changed is changed, and what has not
// changed is not written, however often it is applied.
func TestApply(t *testing.T) {
	b := newBed(t)
	both := settings + "---\n" + web
	if diff := cmp.Diff([]string{"ConfigMap/settings", "Deployment/web"}, names(b.must(both))); diff != "" {
		t.Error(diff)
	}
	was := b.get("v1", "ConfigMap", "settings")
	if owner := was.GetManagedFields()[0].Manager; owner != apply.FieldManager {
		t.Errorf("it belongs to %q", owner)
	}
	b.must(both)
	if is := b.get("v1", "ConfigMap", "settings"); is.GetResourceVersion() != was.GetResourceVersion() {
		t.Error("what was there already was written")
	}
	applied := b.must(strings.Replace(settings, "one", "two", 1))
	is := b.get("v1", "ConfigMap", "settings")
	if word, _, _ := unstructured.NestedString(is.Object, "data", "word"); word != "two" {
		t.Errorf("the word is %q", word)
	}
	if owned := apply.Owned(&applied[0].Meta); owned == "" || owned != apply.Owned(is) {
		t.Errorf("owned is %q in the answer and %q in the cluster", owned, apply.Owned(is))
	}
	b.must(strings.Replace(settings, "data: {word: one}", "data: {other: one}", 1))
	if got := b.get("v1", "ConfigMap", "settings").Object["data"]; !cmp.Equal(got, map[string]any{"other": "one"}) {
		t.Errorf("a field that is no longer wanted stays: %v", got)
	}
}

// TestApplyAsksWhatIsThere: what the caller knows to be there is not even sent.
func TestApplyAsksWhatIsThere(t *testing.T) {
	b := newBed(t)
	var asked []string
	applied, err := b.client.ApplyAll(t.Context(), b.objects(settings+"---\n"+web), apply.Way{New: never, There: func(o apply.Object) bool {
		asked = append(asked, o.ID.Kind)
		return o.ID.Kind == "ConfigMap"
	}})
	check(t, err)
	if diff := cmp.Diff([]string{"Deployment/web"}, names(applied)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"ConfigMap", "Deployment"}, asked); diff != "" {
		t.Error(diff)
	}
	if b.get("v1", "ConfigMap", "settings") != nil {
		t.Error("it was applied all the same")
	}
}

// TestApplyFails: each of these is told with its object and a hint, whether trying
// again is of any use is known, and the objects beside it are applied.
func TestApplyFails(t *testing.T) {
	b := newBed(t)
	dying := b.namespace + "-dying"
	check(t, b.client.CreateNamespace(t.Context(), dying))
	b.holdNamespace(dying)
	b.must(web)
	b.must(strings.ReplaceAll(claim, "SIZE", "1Gi"))
	for name, test := range map[string]struct {
		manifest  string
		says      []string
		permanent bool
	}{
		"no such kind":          {"apiVersion: example.com/v1\nkind: Nothing\nmetadata: {name: x, namespace: NS}\n", []string{"Nothing.example.com", "CustomResourceDefinition", "dependsOn"}, true},
		"no such version":       {"apiVersion: apps/v7\nkind: Deployment\nmetadata: {name: x, namespace: NS}\n", []string{"Deployment.apps"}, true},
		"an illegal name":       {strings.Replace(settings, "name: settings", "name: SETTINGS", 1), []string{"SETTINGS", "Invalid"}, true},
		"a name that is a path": {strings.Replace(settings, "name: settings", "name: ../../x", 1), []string{"../../x", "may not contain"}, true},
		"an illegal value":      {strings.Replace(web, "replicas: 1", "replicas: -1", 1), []string{"Deployment.apps", "must be greater than or equal to 0"}, true},
		"a field of other type": {strings.Replace(web, "replicas: 1", "replicas: many", 1), []string{"Deployment.apps"}, true},
		"no such namespace":     {strings.Replace(settings, "NS", "nowhere", 1), []string{`namespaces "nowhere" not found`}, false},
		"a namespace that goes": {strings.Replace(settings, "NS", dying, 1), []string{"being terminated", "made again when it is gone"}, false},
		"an immutable selector": {strings.ReplaceAll(web, "app: web", "app: other"), []string{"field is immutable", "navarch.dev/force"}, true},
		"an immutable claim":    {strings.ReplaceAll(claim, "SIZE", "1Mi"), []string{"navarch.dev/force"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			sibling := strings.Replace(settings, "name: settings", "name: sibling", 1)
			applied, err := b.apply(test.manifest + "---\n" + sibling)
			if diff := cmp.Diff([]string{"ConfigMap/sibling"}, names(applied)); diff != "" {
				t.Error(diff)
			}
			if err == nil {
				t.Fatal("no error")
			}
			for _, word := range test.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q is not in: %v", word, err)
				}
			}
			if strings.Contains(err.Error(), "ServiceAccount") {
				t.Errorf("a wrong hint: %v", err)
			}
			joined, ok := err.(interface{ Unwrap() []error })
			if !ok || len(joined.Unwrap()) != 1 || apply.Permanent(joined.Unwrap()[0]) != test.permanent {
				t.Errorf("permanent is not %v: %v", test.permanent, err)
			}
		})
	}
}

const claim = `apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: NS, labels: {navarch.dev/app: shop}}
spec: {accessModes: [ReadWriteOnce], storageClassName: none, resources: {requests: {storage: SIZE}}}
`

// holdNamespace deletes a namespace that does not go before the test ends.
func (b *bed) holdNamespace(name string) {
	b.t.Helper()
	keep := b.objects("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: keep, namespace: " + name + ", finalizers: [example.com/keep]}\n")[0]
	check(b.t, b.Client.Create(b.t.Context(), keep))
	check(b.t, b.Client.Delete(b.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	b.until("the namespace to go", func() bool {
		return b.getIn("", "v1", "Namespace", name).GetDeletionTimestamp() != nil
	})
	b.t.Cleanup(func() {
		keep, err := b.Object(context.Background(), "v1", "ConfigMap", name, "keep")
		if err != nil {
			b.t.Fatal(err)
		}
		keep.SetFinalizers(nil)
		if err := b.Client.Update(context.Background(), keep); err != nil {
			b.t.Error(err)
		}
	})
}

const definition = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.NS.example.com, labels: {navarch.dev/app: shop}}
spec:
  group: NS.example.com
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing, listKind: ThingList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: TYPE, x-kubernetes-preserve-unknown-fields: true}}
`

const thing = `apiVersion: NS.example.com/v1
kind: Thing
metadata: {name: one, labels: {navarch.dev/app: shop}}
`

// TestDefinitionAndObject: an app may bring a kind and objects of it.
func TestDefinitionAndObject(t *testing.T) {
	b := newBed(t)
	applied := b.must(thing + "---\n" + strings.Replace(definition, "TYPE", "object", 1))
	if diff := cmp.Diff([]string{"CustomResourceDefinition/things." + b.namespace + ".example.com", "Thing/one"}, names(applied)); diff != "" {
		t.Error(diff)
	}
	if b.getIn("default", b.namespace+".example.com/v1", "Thing", "one") == nil {
		t.Error("the object is not there")
	}
}

// TestRefusedDefinition: a definition that the API server refuses is told at once,
// and nothing waits for it.
func TestRefusedDefinition(t *testing.T) {
	b := newBed(t)
	begin := time.Now()
	applied, err := b.apply(settings + "---\n" + strings.Replace(definition, "TYPE", "nonsense", 1))
	if err == nil || !strings.Contains(err.Error(), "CustomResourceDefinition") || time.Since(begin) > 20*time.Second {
		t.Errorf("after %s: %v", time.Since(begin), err)
	}
	if diff := cmp.Diff([]string{"ConfigMap/settings"}, names(applied)); diff != "" {
		t.Error(diff)
	}
}

// TestClusterScoped: a namespace on an object that has none is taken off, and one
// that is missing is the default.
func TestClusterScoped(t *testing.T) {
	b := newBed(t)
	applied := b.must(`apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NS, namespace: NS, labels: {navarch.dev/app: shop}}
rules: []
---
apiVersion: v1
kind: ConfigMap
metadata: {name: NS, labels: {navarch.dev/app: shop}}
`)
	got := map[string]string{}
	for _, a := range applied {
		got[a.ID.Kind] = a.ID.Namespace
	}
	if diff := cmp.Diff(map[string]string{"ClusterRole": "", "ConfigMap": "default"}, got); diff != "" {
		t.Error(diff)
	}
	pruned, err := b.client.Prune(t.Context(), "shop", []fleet.ObjectID{applied[0].ID, applied[1].ID}, nil)
	if err != nil || len(pruned.Remaining) != 0 {
		t.Errorf("remaining %v, %v", pruned.Remaining, err)
	}
	if b.getIn("", "rbac.authorization.k8s.io/v1", "ClusterRole", b.namespace) != nil || b.getIn("default", "v1", "ConfigMap", b.namespace) != nil {
		t.Error("still there")
	}
}

// TestDeleteExactly: an object that somebody has made anew since it was looked at
// is not deleted.
func TestDeleteExactly(t *testing.T) {
	b := newBed(t)
	b.must(settings)
	kind, err := b.client.Kind("", "", "ConfigMap")
	check(t, err)
	if err := b.client.Delete(t.Context(), kind, b.configMap("settings"), types.UID("of the one before")); err == nil {
		t.Error("no error")
	}
	if b.get("v1", "ConfigMap", "settings") == nil {
		t.Error("it was deleted")
	}
}
