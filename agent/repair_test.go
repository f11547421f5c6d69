package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/agent/observe"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

var (
	settings = fleet.ObjectID{Kind: "ConfigMap", Namespace: "shop", Name: "settings"}
	web      = fleet.ObjectID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}
)

// whole is an app that was applied whole: a ConfigMap and a Deployment.
func whole() *app {
	r := newReconcilerOf("shop")
	a := r.app("shop")
	a.wanted = true
	a.desired = fleet.DesiredApp{Name: "shop", Overlay: "overlay", Base: "base"}
	a.record = apply.Record{Overlay: "overlay", Base: "base", Revision: "main@sha1:1", Objects: []apply.Item{
		{ObjectID: settings, Owned: "77", Body: "x"}, {ObjectID: web, Owned: "22", Body: "y"},
	}}
	return a
}

// seen looks objects up in a map.
func seen(objects map[fleet.ObjectID]observe.State) states {
	return func(id fleet.ObjectID) (observe.State, bool) {
		s, ok := objects[id]
		return s, ok
	}
}

// well is how the objects of whole look when nobody has touched them.
func well() map[fleet.ObjectID]observe.State {
	return map[fleet.ObjectID]observe.State{
		settings: {Health: wire.Current, Owned: "77"},
		web:      {Health: wire.Current, Owned: "22"},
	}
}

func everySynced(_, _ string) bool { return true }

func TestDiffers(t *testing.T) {
	for name, test := range map[string]struct {
		owned string // as it was applied
		state observe.State
		there bool
		want  bool
	}{
		"as it was applied": {"aa", observe.State{Owned: "aa"}, true, false},
		"gone":              {"aa", observe.State{}, false, true},
		"about to go":       {"aa", observe.State{Owned: "bb", Deleting: true}, true, false},
		"edited":            {"aa", observe.State{Owned: "bb"}, true, true},
		"made by another":   {"aa", observe.State{}, true, true},
		"never applied":     {"", observe.State{Owned: "bb"}, true, false},
	} {
		if got := differs(apply.Item{ObjectID: web, Owned: test.owned}, test.state, test.there); got != test.want {
			t.Errorf("%s: differs is %v", name, got)
		}
	}
}

func TestBroken(t *testing.T) {
	now := time.Unix(1000, 0)
	for name, test := range map[string]struct {
		drifted []fleet.ObjectID
		change  func(map[fleet.ObjectID]observe.State)
		synced  bool
		want    []fleet.ObjectID
	}{
		"nothing was seen to change": {nil, func(s map[fleet.ObjectID]observe.State) { delete(s, web) }, true, nil},
		"our own change came back":   {[]fleet.ObjectID{settings, web}, func(map[fleet.ObjectID]observe.State) {}, true, nil},
		"deleted":                    {[]fleet.ObjectID{web}, func(s map[fleet.ObjectID]observe.State) { delete(s, web) }, true, []fleet.ObjectID{web}},
		"not seen yet":               {[]fleet.ObjectID{web}, func(s map[fleet.ObjectID]observe.State) { delete(s, web) }, false, nil},
		"edited before all was seen": {[]fleet.ObjectID{web}, func(s map[fleet.ObjectID]observe.State) { s[web] = observe.State{Owned: "99"} }, false, []fleet.ObjectID{web}},
		"an object of nobody":        {[]fleet.ObjectID{{Kind: "Secret", Name: "x"}}, func(map[fleet.ObjectID]observe.State) {}, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			a, objects := whole(), well()
			test.change(objects)
			for _, id := range test.drifted {
				a.drifted[id] = true
			}
			got := a.broken(seen(objects), func(_, _ string) bool { return test.synced }, now)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if len(a.drifted) != 0 {
				t.Errorf("still to look at: %v", a.drifted)
			}
		})
	}
}

// TestFight: somebody changes an object back whenever it was repaired. That is
// done a few times and then once a minute, for as long as it goes on, and what
// happens to other objects of the app is repaired at once.
func TestFight(t *testing.T) {
	a, objects := whole(), well()
	now := time.Unix(1000, 0)
	repairs := func(id fleet.ObjectID) bool {
		a.drifted[id] = true
		objects[id] = observe.State{Owned: "theirs"}
		broken := a.broken(seen(objects), everySynced, now)
		if len(broken) == 0 {
			return false
		}
		objects[id] = well()[id]
		return true
	}
	for i := range maxRepairs {
		if !repairs(settings) {
			t.Fatalf("repair %d was not made", i+1)
		}
		now = now.Add(time.Second)
	}
	if said := a.fighting(); said != "" {
		t.Errorf("a fight before there is one: %q", said)
	}
	if repairs(settings) {
		t.Error("a fight is fought")
	}
	if said := a.fighting(); !strings.Contains(said, settings.String()) {
		t.Errorf("the fight is told as %q", said)
	}
	if !repairs(web) {
		t.Error("another object has to wait for the fight")
	}

	// The last word was theirs. It is looked at again when the minute is over, without
	// anybody telling.
	for range 3 {
		at := a.wakesAt(now)
		if wait := at.Sub(now); wait <= 0 || wait > repairWindow {
			t.Fatalf("the next look is in %s", wait)
		}
		now = at
		if got := a.broken(seen(objects), everySynced, now); !cmp.Equal(got, []fleet.ObjectID{settings}) {
			t.Fatalf("after a minute %v is repaired", got)
		}
		objects[settings] = well()[settings]
		if repairs(settings) {
			t.Error("more than one repair in a minute")
		}
	}

	// They give up: after one more minute the fight is forgotten.
	objects[settings] = well()[settings]
	a.drifted[settings] = true
	if got := a.broken(seen(objects), everySynced, now); got != nil || a.fighting() == "" {
		t.Errorf("repaired %v, told %q", got, a.fighting())
	}
	now = a.wakesAt(now)
	if got := a.broken(seen(objects), everySynced, now); got != nil || a.fighting() != "" {
		t.Errorf("repaired %v, still told %q", got, a.fighting())
	}
	if at := a.wakesAt(now); !at.IsZero() {
		t.Errorf("looks again at %s", at)
	}
	if !repairs(settings) {
		t.Error("what was fought over once is not repaired any more")
	}
}

// TestSpared: a repair that changed nothing does not count.
func TestSpared(t *testing.T) {
	a, now := whole(), time.Unix(1000, 0)
	for i := range 2 * maxRepairs {
		if !a.mayRepair(web, now) {
			t.Fatalf("repair %d may not be made", i+1)
		}
		a.spare(web)
	}
	for range maxRepairs {
		a.mayRepair(web, now)
	}
	if a.mayRepair(web, now) {
		t.Error("real repairs are not counted any more")
	}
}

// TestRepairsOverTime: an object that is changed now and then is repaired each time.
func TestRepairsOverTime(t *testing.T) {
	a := whole()
	now := time.Unix(1000, 0)
	for i := range 100 {
		if !a.mayRepair(web, now) {
			t.Fatalf("repair %d was not made", i+1)
		}
		now = now.Add(repairWindow/maxRepairs + time.Millisecond)
	}
}

func TestFightingIsStable(t *testing.T) {
	a := whole()
	for _, id := range []fleet.ObjectID{web, settings} {
		a.repairs[id] = &repairCount{fight: true}
	}
	for range 20 {
		if said := a.fighting(); !strings.Contains(said, settings.String()+", "+web.String()) {
			t.Fatal(said)
		}
	}
}
