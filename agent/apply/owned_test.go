package apply_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/fleet"
)

// TestOwned: what somebody does to an object shows in what the agent owns of it where
// it concerns what was applied, and nowhere else.
func TestOwned(t *testing.T) {
	b := newBed(t)
	web := strings.Replace(web, "metadata: {name: web", "metadata: {annotations: {note: ours}, name: web", 1)
	for name, test := range map[string]struct {
		patch string
		taken []string
		by    []string
	}{
		"a field":             {`{"spec":{"replicas":7}}`, []string{".spec.replicas"}, []string{"somebody"}},
		"a field to the same": {`{"spec":{"replicas":1}}`, nil, nil},
		"a field of nobody":   {`{"spec":{"revisionHistoryLimit":3}}`, nil, nil},
		"an annotation":       {`{"metadata":{"annotations":{"note":"theirs"}}}`, []string{".metadata.annotations.note"}, []string{"somebody"}},
		"an annotation gone":  {`{"metadata":{"annotations":{"note":null}}}`, []string{".metadata.annotations.note"}, nil},
		"another annotation":  {`{"metadata":{"annotations":{"more":"theirs"}}}`, nil, nil},
		"a container's image": {
			`{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"example.com/web:9"}]}}}}`,
			[]string{`.spec.template.spec.containers[name="web"].image`},
			[]string{"somebody"},
		},
		"a sidecar": {
			`{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"example.com/web:1"},{"name":"proxy","image":"example.com/proxy:1"}]}}}}`,
			nil, nil,
		},
		"its status": {`{"status":{"observedGeneration":7}}`, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			applied := b.must(web)[0]
			o := b.get("apps/v1", "Deployment", "web")
			if err := b.Client.Patch(t.Context(), o, client.RawPatch("application/merge-patch+json", []byte(test.patch)), client.FieldOwner("somebody")); err != nil {
				t.Fatal(err)
			}
			before := b.get("apps/v1", "Deployment", "web")
			kind, err := b.client.Kind("apps", "v1", "Deployment")
			check(t, err)
			was, err := b.client.Look(t.Context(), kind, applied.ID)
			check(t, err)
			if changed := apply.Owned(before) != apply.Owned(&applied.Meta); changed != (test.taken != nil) {
				t.Errorf("changed what is owned: %v", changed)
			}
			again := b.must(web)[0]
			if apply.Owned(&again.Meta) != apply.Owned(&applied.Meta) {
				t.Error("applied again, it owns something else")
			}
			got := apply.TakenFrom(applied.ID, was, again.Meta, nil)
			if diff := cmp.Diff(apply.Taken{Fields: test.taken, By: test.by}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			rule := fleet.IgnoredDifference{Group: "apps", Kind: "Deployment", JSONPointers: []string{"/spec/replicas", "/spec/template/spec/containers/0/image", "/metadata/annotations/note"}}
			if got := apply.TakenFrom(applied.ID, was, again.Meta, []fleet.IgnoredDifference{rule}); got.Fields != nil {
				t.Errorf("ignored, and still told: %v", got)
			}
		})
	}
}

// TestIgnoredIsGivenAway: a field that the cluster may change is no longer sent when
// somebody has it, and stays.
func TestIgnoredIsGivenAway(t *testing.T) {
	b := newBed(t)
	rule := fleet.IgnoredDifference{Group: "apps", Kind: "Deployment", JSONPointers: []string{"/spec/replicas"}}
	way := apply.Way{Terms: fleet.Terms{Ignore: []fleet.IgnoredDifference{rule}}, There: func(apply.Object) bool { return false }, New: func(fleet.ObjectID) bool { return false }}
	send := func() apply.Applied {
		t.Helper()
		applied, err := b.client.ApplyAll(t.Context(), b.objects(web), way)
		if err != nil {
			t.Fatal(err)
		}
		return applied[0]
	}
	scale := func(patch string) {
		t.Helper()
		if err := b.Client.Patch(t.Context(), b.get("apps/v1", "Deployment", "web"), client.RawPatch("application/merge-patch+json", []byte(patch)), client.FieldOwner("scaler")); err != nil {
			t.Fatal(err)
		}
	}
	send()
	scale(`{"spec":{"replicas":7}}`)
	applied := send()
	scale(`{"spec":{"replicas":9}}`)
	if owned := apply.Owned(b.get("apps/v1", "Deployment", "web")); owned != apply.Owned(&applied.Meta) {
		t.Error("the next change of the field looks like drift")
	}
	send()
	if replicas, _, _ := unstructured.NestedInt64(b.get("apps/v1", "Deployment", "web").Object, "spec", "replicas"); replicas != 9 {
		t.Errorf("it has %d replicas", replicas)
	}
}
