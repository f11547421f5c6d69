package apply_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/fleet"
)

// TestPrune: only what carries the app's label is deleted.
func TestPrune(t *testing.T) {
	b := newBed(t)
	named := func(name, meta string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: NS" + meta + "}\n"
	}
	b.must(strings.Join([]string{
		named("ours", ", labels: {navarch.dev/app: shop}"),
		named("another", ", labels: {navarch.dev/app: blog}"),
		named("nobody", ""),
		named("slow", ", labels: {navarch.dev/app: shop}, finalizers: [example.com/slow]"),
	}, "---\n"))
	ids := []fleet.ObjectID{
		b.configMap("ours"), b.configMap("another"), b.configMap("nobody"), b.configMap("slow"), b.configMap("absent"),
		{Group: "example.com", Kind: "Gone", Namespace: b.namespace, Name: "x"},
	}
	for range 2 { // what is about to go is still there the second time
		pruned, err := b.client.Prune(t.Context(), "shop", ids, nil)
		check(t, err)
		if diff := cmp.Diff(apply.Pruned{Remaining: []fleet.ObjectID{b.configMap("slow")}}, pruned); diff != "" {
			t.Error(diff)
		}
	}
	got := map[string]bool{}
	for _, id := range ids[:4] {
		got[id.Name] = b.get("v1", "ConfigMap", id.Name) != nil
	}
	if diff := cmp.Diff(map[string]bool{"ours": false, "another": true, "nobody": true, "slow": true}, got); diff != "" {
		t.Error(diff)
	}
	b.edit(b.get("v1", "ConfigMap", "slow"), func(o *unstructured.Unstructured) { o.SetFinalizers(nil) })
	if pruned, err := b.client.Prune(t.Context(), "shop", ids, nil); err != nil || len(pruned.Remaining) != 0 {
		t.Errorf("remaining %v, %v", pruned.Remaining, err)
	}
}

// TestPruneIsCutOff: what could not be asked for is still there.
func TestPruneIsCutOff(t *testing.T) {
	b := newBed(t)
	b.must(settings)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	pruned, err := b.client.Prune(ctx, "shop", []fleet.ObjectID{b.configMap("settings")}, nil)
	if diff := cmp.Diff(apply.Pruned{Remaining: []fleet.ObjectID{b.configMap("settings")}}, pruned); diff != "" || err == nil {
		t.Errorf("%s%v", diff, err)
	}
	if b.get("v1", "ConfigMap", "settings") == nil {
		t.Error("it was deleted")
	}
}

// idsOf are the ids of what was applied.
func idsOf(applied []apply.Applied) []fleet.ObjectID {
	var ids []fleet.ObjectID
	for _, a := range applied {
		ids = append(ids, a.ID)
	}
	return ids
}

// TestPruneKeeps: what is precious, and what asks to stay, is left as nobody's. Only its
// app may have it again without being told to take it over.
func TestPruneKeeps(t *testing.T) {
	volume := strings.ReplaceAll(claim, "SIZE", "1Gi")
	space := "apiVersion: v1\nkind: Namespace\nmetadata: {name: NS-space, labels: {navarch.dev/app: shop}}\n"
	asking := strings.Replace(settings, "labels: {navarch.dev/app: shop}", "labels: {navarch.dev/app: shop}, annotations: {argocd.argoproj.io/sync-options: Prune=false}", 1)
	for name, test := range map[string]struct {
		manifest string
		also     []string
		kept     string // empty: it is deleted
	}{
		"a claim":                {volume, []string{"Namespace"}, "the app does not list PersistentVolumeClaim under pruneAlso"},
		"a claim that is listed": {volume, []string{"PersistentVolumeClaim"}, ""},
		"a namespace":            {space, nil, "the app does not list Namespace under pruneAlso"},
		"what asks to stay":      {asking, nil, "it says argocd.argoproj.io/sync-options: Prune=false"},
		"a claim that is listed and asks to stay": {
			strings.Replace(volume, "navarch.dev/app: shop", "navarch.dev/app: shop, navarch.dev/prune: disabled", 1),
			[]string{"PersistentVolumeClaim"}, "it says navarch.dev/prune: disabled",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			applied := b.must(test.manifest)
			pruned, err := b.client.Prune(t.Context(), "shop", idsOf(applied), test.also)
			check(t, err)
			id := applied[0].ID
			if test.kept == "" {
				if len(pruned.Kept) != 0 {
					t.Errorf("kept %v", pruned.Kept)
				}
				return
			}
			if diff := cmp.Diff(apply.Pruned{Kept: []apply.Kept{{ID: id, Why: test.kept}}}, pruned); diff != "" {
				t.Fatal(diff)
			}
			is := b.getIn(id.Namespace, "v1", id.Kind, id.Name)
			if is == nil || is.GetDeletionTimestamp() != nil || is.GetLabels()["navarch.dev/app"] != "" {
				t.Fatalf("it is now %v", is)
			}
			if pruned, err = b.client.Prune(t.Context(), "shop", idsOf(applied), test.also); err != nil || len(pruned.Kept)+len(pruned.Remaining) != 0 {
				t.Errorf("the second time %+v, %v", pruned, err)
			}

			objects := b.objects(strings.ReplaceAll(test.manifest, "navarch.dev/app: shop", "navarch.dev/app: blog"))
			if _, err := newBedClient(b).ApplyAll(t.Context(), objects, first); err == nil || !strings.Contains(err.Error(), "exists already") {
				t.Errorf("another app takes it: %v", err)
			}
			again, err := newBedClient(b).ApplyAll(t.Context(), b.objects(test.manifest), first)
			check(t, err)
			is = b.getIn(id.Namespace, "v1", id.Kind, id.Name)
			if _, left := is.GetLabels()["navarch.dev/left-by"]; left || is.GetLabels()["navarch.dev/app"] != "shop" || is.GetResourceVersion() != again[0].Meta.ResourceVersion {
				t.Errorf("had again, it is %v", is)
			}
		})
	}
}

// first is how an app is applied for the first time.
var first = apply.Way{There: func(apply.Object) bool { return false }, New: func(fleet.ObjectID) bool { return true }}

// newBedClient is a client that remembers nothing of what is in the cluster.
func newBedClient(b *bed) *apply.Client {
	b.t.Helper()
	c, err := apply.NewClient(b.Config)
	check(b.t, err)
	return c
}

// TestPruneDefinition: a definition goes when no object of its kind is left, or when the
// app says so; it waits for those that are about to go.
func TestPruneDefinition(t *testing.T) {
	b := newBed(t)
	both := strings.Replace(definition, "TYPE", "object", 1) + "---\n" + thing
	definitionThere := func() bool {
		d := b.getIn("", "apiextensions.k8s.io/v1", "CustomResourceDefinition", "things."+b.namespace+".example.com")
		return d != nil && d.GetDeletionTimestamp() == nil
	}
	applied := b.must(both + "---\n" + strings.Replace(thing, "name: one, labels: {navarch.dev/app: shop}", "name: theirs", 1))
	pruned, err := b.client.Prune(t.Context(), "shop", idsOf(applied[:1]), nil)
	check(t, err)
	if len(pruned.Kept) != 1 || !strings.HasPrefix(pruned.Kept[0].Why, "there are objects of its kind") || !definitionThere() {
		t.Fatalf("with somebody's object: %+v", pruned)
	}

	applied = b.must(both)
	slow := b.getIn("default", b.namespace+".example.com/v1", "Thing", "one")
	check(t, b.Client.Delete(t.Context(), b.getIn("default", b.namespace+".example.com/v1", "Thing", "theirs")))
	b.edit(slow, func(o *unstructured.Unstructured) { o.SetFinalizers([]string{"example.com/slow"}) })
	pruned, err = b.client.Prune(t.Context(), "shop", idsOf(applied), nil)
	check(t, err)
	if diff := cmp.Diff(apply.Pruned{Remaining: idsOf(applied)}, pruned); diff != "" || !definitionThere() {
		t.Fatalf("with an object that is about to go: %s", diff)
	}
	b.edit(slow, func(o *unstructured.Unstructured) { o.SetFinalizers(nil) })
	b.until("the definition to go", func() bool {
		pruned, err = b.client.Prune(t.Context(), "shop", idsOf(applied), nil)
		check(t, err)
		return !definitionThere()
	})

	b = newBed(t)
	applied = b.must(both)
	pruned, err = b.client.Prune(t.Context(), "shop", idsOf(applied[:1]), []string{"CustomResourceDefinition"})
	check(t, err)
	if len(pruned.Kept) != 0 || definitionThere() {
		t.Errorf("where the app says so: %+v", pruned)
	}
}
