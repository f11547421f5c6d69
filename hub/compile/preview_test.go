package compile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/overlays"
)

// TestKeep: of what leaves an app, a plan says that it stays where agents leave it.
func TestKeep(t *testing.T) {
	object := func(kind, name string, annotations map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": name, "annotations": annotations},
		}}
	}
	was := []*unstructured.Unstructured{
		object("ConfigMap", "goes", nil),
		object("ConfigMap", "asks", map[string]any{"navarch.dev/prune": "disabled"}),
		object("Namespace", "listed", nil),
		object("PersistentVolumeClaim", "precious", nil),
		object("PersistentVolumeClaim", "still-there", nil),
	}
	got := map[string]string{}
	for _, change := range keep(overlays.Compare(was, was[4:]), was, []string{"Namespace"}) {
		got[change.Object.Name] = change.Action
	}
	want := map[string]string{
		"goes": overlays.ObjectRemoved, "asks": overlays.ObjectKept, "listed": overlays.ObjectRemoved, "precious": overlays.ObjectKept,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var tally Tally
	tally.count(Effect{Clusters: []fleet.ClusterName{"eu-1", "us-1"}, Objects: keep(overlays.Compare(was, nil), was, nil)})
	if diff := cmp.Diff(Tally{Deleted: 2, Kept: 8}, tally); diff != "" {
		t.Error(diff)
	}
}
