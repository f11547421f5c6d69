package agent_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// TestDeploys: an app comes, changes and is left alone; the next start of the agent
// writes nothing.
func TestDeploys(t *testing.T) {
	b := newBed(t)
	stop := b.agent()
	one := b.app("shop", configMap("a", "one")+configMap("b", "one"))
	b.announce(one)
	b.ready(one)
	two := b.app("shop", configMap("a", "two")+configMap("c", "two"))
	b.announce(two)
	b.ready(two)
	if got := fmt.Sprintf("%s %v %s", b.word("a"), b.get("b"), b.word("c")); got != "two <nil> two" {
		t.Errorf("it runs %s", got)
	}
	stop()

	before := b.writes.Load()
	stop = b.agent()
	b.wait(func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.beat.Sequence == b.sequence }, func() string { return "a heartbeat" })
	blog := b.app("blog", configMap("blog", "one"))
	b.announce(two, blog)
	b.ready(two, blog)
	stop()
	// blog: its inventory, its object, what was applied and what was accepted, an Event.
	if writes := b.writes.Load() - before; writes > 6 {
		t.Errorf("%d writes after a restart that changes one app", writes)
	}
	before = b.writes.Load()
	stop = b.agent()
	b.until("the agent to see everything", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.reports["shop"].AppliedAt.IsZero() && b.reports["shop"].Conditions[0].Status == "True" && b.reports["blog"].AppliedAt.IsZero()
	})
	stop()
	if writes := b.writes.Load() - before; writes != 0 {
		t.Errorf("%d writes of an agent that was only started", writes)
	}
}

// TestLeaves: an app goes when a tombstone says so, and only then.
func TestLeaves(t *testing.T) {
	b := newBed(t)
	b.agent()
	shop, blog := b.app("shop", configMap("shop", "one")), b.app("blog", configMap("blog", "one"))
	b.announce(shop, blog)
	b.ready(shop, blog)

	b.announce(blog)
	if r := b.reason("shop", "Held"); !r.Held {
		t.Errorf("not held: %+v", r)
	}
	if b.word("shop") != "one" {
		t.Error("an app that no index removes was deleted")
	}
	b.announce(shop, blog)
	b.ready(shop)

	b.tell(fleet.Desired{Apps: []fleet.DesiredApp{blog}, Tombstones: []fleet.Tombstone{{App: "shop"}, {App: "never-there"}}})
	for _, name := range []fleet.AppName{"shop", "never-there"} {
		b.reported(name, "removed", func(r wire.Report) bool { return r.Removed })
	}
	if b.get("shop") != nil || b.word("blog") != "one" {
		t.Error("the wrong one went")
	}
	b.announce(shop, blog)
	b.ready(shop)
}

// TestMoves: an object that moves to another app stays the same object, whatever
// the two apps are busy with.
func TestMoves(t *testing.T) {
	never := fleet.AppName("never-there") // who depends on it waits
	for name, test := range map[string]struct {
		busy   func(b *bed) []fleet.DesiredApp // what they do when it moves
		leaves bool                            // the app that had it leaves the cluster
		waits  []fleet.AppName                 // what the app that gets it waits for
	}{
		"both are idle":              {},
		"the first leaves":           {leaves: true},
		"the second waits":           {waits: []fleet.AppName{never}},
		"the first leaves, it waits": {leaves: true, waits: []fleet.AppName{never}},
		"the second has waited before": {busy: func(b *bed) []fleet.DesiredApp {
			return []fleet.DesiredApp{b.app("second", configMap("other", "two"), never)}
		}, waits: []fleet.AppName{never}},
		"the second has failed": {busy: func(b *bed) []fleet.DesiredApp {
			return []fleet.DesiredApp{b.app("second", configMap("other", "two")+configMap("BAD", "x"))}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.agent()
			first, second := b.app("first", configMap("mine", "one")+configMap("moves", "one")), b.app("second", configMap("other", "one"))
			b.announce(first, second)
			b.ready(first, second)
			uid := b.get("moves").GetUID()
			if test.busy != nil {
				busy := test.busy(b)
				b.announce(append([]fleet.DesiredApp{first}, busy...)...)
				b.reported("second", "busy", func(r wire.Report) bool {
					return r.Conditions[0].Reason == "DependencyNotReady" || r.Conditions[0].Reason == "ApplyFailed"
				})
			}
			second = b.app("second", configMap("other", "one")+configMap("moves", "two"), test.waits...)
			left := b.app("first", configMap("mine", "two"))
			if test.leaves {
				b.tell(fleet.Desired{Apps: []fleet.DesiredApp{second}, Tombstones: []fleet.Tombstone{{App: "first"}}})
				b.reported("first", "removed", func(r wire.Report) bool { return r.Removed })
			} else {
				b.announce(left, second)
				b.ready(left)
			}
			if test.waits == nil {
				b.ready(second)
			}
			is := b.get("moves")
			if is == nil || is.GetUID() != uid {
				t.Fatalf("it was deleted on its way: %v", is)
			}
			if test.waits == nil && (is.GetLabels()["navarch.dev/app"] != "second" || b.word("moves") != "two") {
				t.Errorf("it has not moved: %v", is)
			}
		})
	}
}

// TestFails: the objects of before stay while a new version cannot be applied, what
// can be applied of it is, and taking the commit back brings everything back.
func TestFails(t *testing.T) {
	b := newBed(t)
	b.agent()
	good := b.app("shop", configMap("a", "one")+configMap("b", "one"))
	b.announce(good)
	b.ready(good)
	bad := b.app("shop", configMap("a", "two")+configMap("c", "two")+configMap("BAD", "two"))
	b.announce(bad)
	r := b.reason("shop", "ApplyFailed")
	if r.Applied.Overlay != good.Overlay && r.Applied.Base != good.Base || r.Attempted.Revision != "main@sha1:2" || r.Conditions[2].Status != "True" {
		t.Errorf("reported %+v", r)
	}
	if got := fmt.Sprintf("%s %s %s", b.word("a"), b.word("b"), b.word("c")); got != "two one two" {
		t.Errorf("while it fails it runs %s", got)
	}
	b.announce(good)
	b.ready(good)
	if got := fmt.Sprintf("%s %s %v", b.word("a"), b.word("b"), b.get("c")); got != "one one <nil>" {
		t.Errorf("taken back it runs %s", got)
	}
}

// TestWantedAgain: an app that is wanted again while it is still on its way out is
// whole again.
func TestWantedAgain(t *testing.T) {
	b := newBed(t)
	b.agent()
	shop := b.app("shop", configMap("a", "one")+configMap("slow", "one"))
	b.announce(shop)
	b.ready(shop)
	b.edit("slow", `{"metadata":{"finalizers":["example.com/slow"]}}`)
	b.tell(fleet.Desired{Tombstones: []fleet.Tombstone{{App: "shop"}}})
	b.until("the first object to go", func() bool { return b.get("a") == nil })
	b.reported("shop", "going", func(r wire.Report) bool { return len(r.Objects) == 1 })
	b.announce(shop)
	b.until("the first object to come again", func() bool { return b.word("a") == "one" })
	b.edit("slow", `{"metadata":{"finalizers":null}}`)
	b.ready(shop)
	b.until("the other as well", func() bool { o := b.get("slow"); return o != nil && o.GetDeletionTimestamp() == nil })
}

// TestDependsOn: an app waits until what it depends on is ready, and goes on then.
func TestDependsOn(t *testing.T) {
	b := newBed(t)
	b.agent()
	db := b.app("db", configMap("db", "one")+configMap("BAD", "one"))
	shop := b.app("shop", configMap("shop", "one"), "db")
	b.announce(db, shop)
	if r := b.reason("shop", "DependencyNotReady"); r.Conditions[0].Message != "waits for db" {
		t.Errorf("it says %q", r.Conditions[0].Message)
	}
	b.reason("db", "ApplyFailed")
	if b.get("shop") != nil {
		t.Error("it has not waited")
	}
	db = b.app("db", configMap("db", "one"))
	b.announce(db, shop)
	b.ready(db, shop)
}

// TestRepairs: what somebody changes or deletes comes back, and a fight is not fought.
func TestRepairs(t *testing.T) {
	b := newBed(t)
	b.agent()
	shop := b.app("shop", configMap("a", "one")+configMap("b", "one"))
	b.announce(shop)
	b.ready(shop)
	for name, meddle := range map[string]func(){
		"edited":         func() { b.edit("a", `{"data":{"word":"theirs"}}`) },
		"deleted":        func() { check(t, b.Client.Delete(t.Context(), b.get("a"))) },
		"without label":  func() { b.edit("a", `{"metadata":{"labels":null}}`) },
		"another label":  func() { b.edit("a", `{"metadata":{"labels":{"navarch.dev/app":"blog"}}}`) },
		"labels emptied": func() { b.edit("a", `{"metadata":{"labels":{"navarch.dev/app":""}}}`) },
	} {
		meddle()
		b.until(name+" to be repaired", func() bool {
			o := b.get("a")
			return o != nil && b.word("a") == "one" && o.GetLabels()["navarch.dev/app"] == "shop"
		})
	}
	b.until("a fight to be told", func() bool {
		b.edit("a", `{"data":{"word":"theirs"}}`)
		b.mu.Lock()
		defer b.mu.Unlock()
		return strings.Contains(b.reports["shop"].Conditions[0].Message, "somebody else keeps changing ConfigMap")
	})
	b.edit("b", `{"data":{"word":"theirs"}}`)
	b.until("a sibling to be repaired meanwhile", func() bool { return b.word("b") == "one" })
	if b.word("a") != "theirs" {
		t.Error("the fight goes on")
	}
}

// TestShares: somebody else may go on changing what the app does not say. It stays,
// is no fight, and costs the agent nothing.
func TestShares(t *testing.T) {
	b := newBed(t)
	b.agent()
	shop := b.app("shop", configMap("a", "one"))
	b.announce(shop)
	b.ready(shop)
	before := b.writes.Load()
	for i := range 15 {
		b.edit("a", fmt.Sprintf(`{"metadata":{"annotations":{"leader":"%d"}}}`, i))
	}
	b.edit("a", `{"data":{"word":"theirs"}}`)
	b.until("a real change to be repaired", func() bool { return b.word("a") == "one" })
	if leader := b.get("a").GetAnnotations()["leader"]; leader != "14" {
		t.Errorf("what the app does not say is now %q", leader)
	}
	if writes := b.writes.Load() - before; writes > 3 { // the object, what was applied, an Event
		t.Errorf("%d writes for one repair", writes)
	}
}

// TestHubGone: without a hub, the cluster is kept as it is, also by an agent that
// starts anew.
func TestHubGone(t *testing.T) {
	b := newBed(t)
	stop := b.agent()
	shop := b.app("shop", configMap("a", "one")+configMap("b", "one"))
	b.announce(shop)
	b.ready(shop)
	b.broker.Shutdown()
	b.edit("a", `{"data":{"word":"theirs"}}`)
	b.until("a repair without the hub", func() bool { return b.word("a") == "one" })
	stop()
	check(t, b.Client.Delete(t.Context(), b.get("a")))
	b.edit("b", `{"data":{"word":"theirs"}}`)
	b.agent()
	b.until("repairs after a start without the hub", func() bool { return b.word("a") == "one" && b.word("b") == "one" })
	b.startBroker()
	b.until("the hub to be there again", b.hub.Connected)
	two := b.app("shop", configMap("a", "two"))
	b.announce(two)
	b.ready(two)
}

// TestNamespaceDeleted: a namespace that somebody deletes is made again, with
// everything in it.
func TestNamespaceDeleted(t *testing.T) {
	b := newBed(t)
	b.agent()
	extra := b.namespace + "-extra"
	shop := b.app("shop", strings.ReplaceAll(configMap("a", "one"), "NS", extra))
	shop.Namespace = b.namespace + "-empty"
	b.announce(shop)
	b.ready(shop)
	if _, err := b.Object(t.Context(), "v1", "Namespace", "", shop.Namespace); err != nil {
		t.Errorf("the app's namespace: %v", err)
	}
	was, err := b.Object(t.Context(), "v1", "Namespace", "", extra)
	check(t, err)
	check(t, b.Client.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: extra}}))
	b.until("the object to be there again", func() bool {
		is, err := b.Object(t.Context(), "v1", "Namespace", "", extra)
		if err != nil || is.GetUID() == was.GetUID() {
			return false
		}
		_, err = b.Object(t.Context(), "v1", "ConfigMap", extra, "a")
		return err == nil
	})
	b.ready(shop)
}

// TestSuperseded: announcements come faster than they can be applied. Only the last
// counts in the end, and nothing that was superseded is told as a failure.
func TestSuperseded(t *testing.T) {
	b := newBed(t)
	b.agent()
	const apps, rounds = 6, 12
	var last []fleet.DesiredApp
	for round := range rounds {
		last = nil
		for n := range apps {
			name := fleet.AppName(fmt.Sprintf("app-%d", n))
			last = append(last, b.app(name, configMap(string(name), fmt.Sprintf("r%d", round))+configMap(fmt.Sprintf("moves-%d", (n+round)%apps), "x")))
		}
		b.announce(last...)
	}
	b.ready(last...)
	for n := range apps {
		name := fmt.Sprintf("app-%d", n)
		if word := b.word(name); word != fmt.Sprintf("r%d", rounds-1) {
			t.Errorf("%s runs %s", name, word)
		}
		if owner := b.get(fmt.Sprintf("moves-%d", (n+rounds-1)%apps)).GetLabels()["navarch.dev/app"]; owner != name {
			t.Errorf("moves-%d is of %s", (n+rounds-1)%apps, owner)
		}
		if b.reasons[fleet.AppName(name)]["ApplyFailed"] {
			t.Errorf("a failure of %s was told", name)
		}
	}
}

// TestBringsKind: an app that brings a kind and an object of it becomes ready.
func TestBringsKind(t *testing.T) {
	b := newBed(t)
	b.agent()
	shop := b.app("shop", `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.NS.example.com}
spec:
  group: NS.example.com
  scope: Namespaced
  names: {plural: things, singular: thing, kind: Thing, listKind: ThingList}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
---
apiVersion: NS.example.com/v1
kind: Thing
metadata: {name: one}
`)
	b.announce(shop)
	b.ready(shop)
	b.tell(fleet.Desired{Tombstones: []fleet.Tombstone{{App: "shop"}}})
	b.reported("shop", "removed", func(r wire.Report) bool { return r.Removed })
}
