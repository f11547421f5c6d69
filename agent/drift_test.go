package agent_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// drift waits until the last word on an object of app shop is one of some drift, and
// returns it without its time.
func (b *bed) drift(name string, holds func(wire.Drift) bool) wire.Drift {
	b.t.Helper()
	var found wire.Drift
	b.reported("shop", "drifted in "+name, func(r wire.Report) bool {
		for _, o := range r.Objects {
			if o.Name == name && o.Drift != nil && !o.Drift.Time.IsZero() && holds(*o.Drift) {
				found = *o.Drift
				return true
			}
		}
		return false
	})
	found.Time = found.Time.Truncate(0)
	return found
}

// told waits for an Event of the test's namespace.
func (b *bed) told(want string) {
	b.t.Helper()
	var said []string
	b.wait(func() bool {
		var list corev1.EventList
		check(b.t, b.Client.List(b.t.Context(), &list, client.InNamespace(b.namespace)))
		said = nil
		for _, e := range list.Items {
			said = append(said, e.Reason+" "+e.InvolvedObject.Kind+"/"+e.InvolvedObject.Name+" "+e.Message)
		}
		return slices.Contains(said, want)
	}, func() string { return fmt.Sprintf("an Event %q among %q", want, said) })
}

func ignoreTime(d wire.Drift) wire.Drift {
	return wire.Drift{Deleted: d.Deleted, Fields: d.Fields, By: d.By, Repaired: d.Repaired}
}

// TestDriftIsTold: a repair says what was changed, and by whom.
func TestDriftIsTold(t *testing.T) {
	b := newBed(t)
	b.agent()
	shop := b.app("shop", configMap("a", "one")+configMap("b", "one"))
	b.announce(shop)
	b.ready(shop)
	b.edit("a", `{"data":{"word":"theirs"}}`)
	got := b.drift("a", func(d wire.Drift) bool { return d.Repaired })
	if diff := cmp.Diff(wire.Drift{Fields: []string{".data.word"}, By: []string{"somebody"}, Repaired: true}, ignoreTime(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	check(t, b.Client.Delete(t.Context(), b.get("b")))
	got = b.drift("b", func(d wire.Drift) bool { return d.Repaired })
	if diff := cmp.Diff(wire.Drift{Deleted: true, Repaired: true}, ignoreTime(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	two := b.app("shop", configMap("a", "two")+configMap("b", "one"))
	two.Namespace = b.namespace
	b.announce(two)
	b.ready(two)
	b.told("Applied App/shop main@sha1:2: 1 objects applied")
	b.told("DriftRepaired ConfigMap/a .data.word changed by somebody, applied again as app shop has it")
	b.told("DriftRepaired ConfigMap/b deleted, applied again as app shop has it")
	b.reported("shop", "as applied", func(r wire.Report) bool { return r.Objects[0].Drift == nil && r.Objects[1].Drift == nil })
}

// TestDriftIsLeft: where an app wants drift to be reported it stays, is named, and is
// put right when the app changes its mind.
func TestDriftIsLeft(t *testing.T) {
	b := newBed(t)
	stop := b.agent()
	shop := b.app("shop", configMap("a", "one")+configMap("b", "one"))
	shop.Terms.Drift = fleet.DriftReport
	b.announce(shop)
	b.ready(shop)
	b.edit("a", `{"data":{"word":"theirs"}}`)
	want := wire.Drift{Fields: []string{".data.word"}, By: []string{"somebody"}}
	if diff := cmp.Diff(want, ignoreTime(b.drift("a", func(wire.Drift) bool { return true }))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.told("Drifted ConfigMap/a .data.word changed by somebody, and app shop leaves it so")
	check(t, b.Client.Delete(t.Context(), b.get("b")))
	b.drift("b", func(d wire.Drift) bool { return d.Deleted && !d.Repaired })
	if b.word("a") != "theirs" || b.get("b") != nil {
		t.Error("it was repaired")
	}

	// Another start of the agent finds the same.
	stop()
	b.mu.Lock()
	clear(b.reports)
	b.mu.Unlock()
	stop = b.agent()
	b.drift("a", func(d wire.Drift) bool { return cmp.Equal(ignoreTime(d), want) })

	// A commit that changes something else leaves it.
	more := b.app("shop", configMap("a", "one")+configMap("b", "one")+configMap("c", "one"))
	more.Terms.Drift = fleet.DriftReport
	b.announce(more)
	b.reported("shop", "applied", func(r wire.Report) bool { return r.Applied.Overlay == more.Overlay && r.Applied.Base == more.Base })
	if b.word("a") != "theirs" || b.get("b") != nil || b.word("c") != "one" {
		t.Error("a commit that concerns another object has repaired")
	}

	// Somebody puts it right.
	b.edit("a", `{"data":{"word":"one"}}`)
	b.edit("a", `{"data":{"word":"theirs"}}`)
	more.Terms.Drift = ""
	b.announce(more)
	b.until("everything to be put right", func() bool { return b.word("a") == "one" && b.word("b") == "one" })
	b.ready(more)
	stop()
}

// TestDriftOff: nobody looks.
func TestDriftOff(t *testing.T) {
	b := newBed(t)
	b.agent()
	shop := b.app("shop", configMap("a", "one")+configMap("b", "one"))
	shop.Terms.Drift = fleet.DriftOff
	b.announce(shop)
	b.ready(shop)
	b.edit("a", `{"data":{"word":"theirs"}}`)
	two := b.app("shop", configMap("a", "one")+configMap("b", "two"))
	two.Terms.Drift = fleet.DriftOff
	b.announce(two)
	b.ready(two)
	b.reported("shop", "without a word of drift", func(r wire.Report) bool { return r.Objects[0].Drift == nil })
	if b.word("a") != "theirs" || b.word("b") != "two" {
		t.Errorf("a is %q and b %q", b.word("a"), b.word("b"))
	}
}

const scaled = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NS}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {nodeSelector: {no: node}, containers: [{name: web, image: "example.com/web:1"}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: NS}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 9
---
`

// TestAutoscaled: the replicas of what an autoscaler scales are the autoscaler's,
// whatever is committed, and cost nothing.
func TestAutoscaled(t *testing.T) {
	b := newBed(t)
	b.agent()
	applied := func(app fleet.DesiredApp) {
		t.Helper()
		b.announce(app)
		b.reported("shop", "applied", func(r wire.Report) bool { return r.Applied.Overlay == app.Overlay && r.Applied.Base == app.Base })
	}
	get := func() (replicas int64, image string) {
		t.Helper()
		o, err := b.Object(t.Context(), "apps/v1", "Deployment", b.namespace, "web")
		check(t, err)
		replicas, _, _ = unstructured.NestedInt64(o.Object, "spec", "replicas")
		containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
		return replicas, containers[0].(map[string]any)["image"].(string)
	}
	scale := func(patch string) {
		t.Helper()
		o, err := b.Object(t.Context(), "apps/v1", "Deployment", b.namespace, "web")
		check(t, err)
		check(t, b.Client.Patch(t.Context(), o, client.RawPatch("application/merge-patch+json", []byte(patch)), client.FieldOwner("scaler")))
	}
	applied(b.app("shop", scaled))
	looked := b.writes.Load()
	scale(`{"spec":{"replicas":5}}`)
	b.until("the agent to give the replicas away", func() bool { return b.writes.Load() > looked })
	scale(`{"spec":{"template":{"spec":{"nodeSelector":{"no":"other"}}}}}`)
	b.drift("web", func(d wire.Drift) bool {
		return d.Repaired && cmp.Equal(d.Fields, []string{".spec.template.spec.nodeSelector"})
	})
	if replicas, _ := get(); replicas != 5 {
		t.Errorf("a repair has scaled to %d", replicas)
	}
	before := b.writes.Load()
	for _, n := range []string{"6", "7", "8"} {
		scale(`{"spec":{"replicas":` + n + `}}`)
	}
	applied(b.app("shop", strings.Replace(scaled, "web:1", "web:2", 1)))
	if replicas, image := get(); replicas != 8 || image != "example.com/web:2" {
		t.Errorf("%d replicas of %s", replicas, image)
	}
	if writes := b.writes.Load() - before; writes > 5 { // reserved, one object, what was applied and accepted, an Event
		t.Errorf("%d writes", writes)
	}
}
