package agent

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/agent/observe"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// TestReport: each state of an app as its hub is told of it. The words are Ready's
// status and reason, what holds of Reconciling and Stalled, and Ready's message.
func TestReport(t *testing.T) {
	temporary := &apply.ObjectError{ID: web, Err: errors.New("the API server is starting")}
	lasting := &apply.ObjectError{ID: web, Err: apierrors.NewForbidden(appsResource, "web", errors.New("no"))}
	for name, test := range map[string]struct {
		change   func(a *app, objects map[fleet.ObjectID]observe.State)
		waitsFor []fleet.AppName
		want     string
	}{
		"well":                         {func(*app, map[fleet.ObjectID]observe.State) {}, nil, "True Applied: "},
		"well, and waits for what was": {func(*app, map[fleet.ObjectID]observe.State) {}, []fleet.AppName{"db"}, "True Applied: "},
		"a new version":                {func(a *app, _ map[fleet.ObjectID]observe.State) { a.desired.Overlay = "new" }, nil, "False Applying reconciling: objects are being applied"},
		"a new version waits":          {func(a *app, _ map[fleet.ObjectID]observe.State) { a.desired.Overlay = "new" }, []fleet.AppName{"cache", "db"}, "False DependencyNotReady reconciling: waits for cache, db"},
		"an older one half gone":       {func(a *app, _ map[fleet.ObjectID]observe.State) { a.record.Partial = true }, nil, "False Applying reconciling: objects are being applied"},
		"being repaired":               {func(a *app, _ map[fleet.ObjectID]observe.State) { a.work = &work{kind: mends} }, nil, "True Applied: "},
		"failed for now":               {func(a *app, _ map[fleet.ObjectID]observe.State) { a.failure = temporary }, nil, "False ApplyFailed reconciling: Deployment.apps shop/web: the API server is starting"},
		"failed for good":              {func(a *app, _ map[fleet.ObjectID]observe.State) { a.failure = errors.Join(temporary, lasting) }, nil, "False ApplyFailed stalled: Deployment.apps shop/web: the API server is starting; " + lasting.Error()},
		"in progress": {func(_ *app, o map[fleet.ObjectID]observe.State) {
			o[web] = observe.State{Health: wire.InProgress, Message: "1 of 2"}
		}, nil, "False Progressing reconciling: Deployment.apps shop/web is InProgress: 1 of 2"},
		"an object is gone": {func(_ *app, o map[fleet.ObjectID]observe.State) { delete(o, settings) }, nil, "False Progressing reconciling: ConfigMap shop/settings is NotFound"},
		"broken, whatever else is slow": {func(_ *app, o map[fleet.ObjectID]observe.State) {
			o[settings], o[web] = observe.State{Health: wire.InProgress}, observe.State{Health: wire.Failed, Message: "no image"}
		}, nil, "False Unhealthy stalled: Deployment.apps shop/web is Failed: no image"},
		"applied, and not seen since": {func(a *app, o map[fleet.ObjectID]observe.State) {
			a.revisions, o[web] = map[fleet.ObjectID]uint64{web: 8}, observe.State{Health: wire.Current, Revision: 7}
		}, nil, "False Progressing reconciling: Deployment.apps shop/web is InProgress: it was applied, and not seen since"},
		"failed before it was applied": {func(a *app, o map[fleet.ObjectID]observe.State) {
			a.revisions, o[web] = map[fleet.ObjectID]uint64{web: 8}, observe.State{Health: wire.Failed, Message: "no image", Revision: 7}
		}, nil, "False Progressing reconciling: Deployment.apps shop/web is InProgress: it was applied, and not seen since"},
		"seen as it was applied": {func(a *app, o map[fleet.ObjectID]observe.State) {
			a.revisions, o[web] = map[fleet.ObjectID]uint64{web: 8}, observe.State{Health: wire.Current, Revision: 8}
		}, nil, "True Applied: "},
		"fought over": {func(a *app, _ map[fleet.ObjectID]observe.State) { a.repairs[web] = &repairCount{fight: true} }, nil,
			"True Applied: somebody else keeps changing Deployment.apps shop/web: after more than 5 repairs within a minute there is now one a minute"},
		"held":    {func(a *app, _ map[fleet.ObjectID]observe.State) { a.wanted = false }, nil, "False Held: the index names neither the app nor its removal: it is kept as it is"},
		"leaving": {func(a *app, _ map[fleet.ObjectID]observe.State) { a.wanted, a.leaving = false, true }, nil, "False Removing reconciling: 2 objects are still there"},
		"left": {func(a *app, _ map[fleet.ObjectID]observe.State) {
			a.wanted, a.leaving, a.record = false, true, apply.Record{}
		}, nil, "False Removed: every object is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			a, objects := whole(), well()
			test.change(a, objects)
			r := a.report("eu-1", test.waitsFor, seen(objects))
			if diff := cmp.Diff(test.want, words(t, r)); diff != "" {
				t.Error(diff)
			}
			if r.Held != strings.Contains(test.want, "Held") || r.Removed != strings.Contains(test.want, "Removed") {
				t.Errorf("held %v, removed %v", r.Held, r.Removed)
			}
			if again := a.report("eu-1", test.waitsFor, seen(objects)); !cmp.Equal(r, again) {
				t.Errorf("said differently the second time:\n%s", cmp.Diff(r, again))
			}
			if ready := a.ready(seen(objects)); ready && !strings.HasPrefix(test.want, "True") {
				t.Error("it is ready for those that depend on it")
			}
		})
	}
}

// words sums up conditions, whose form is checked.
func words(t *testing.T, r wire.Report) string {
	t.Helper()
	if len(r.Conditions) != 3 || r.Conditions[0].Type != wire.Ready || r.Conditions[1].Type != wire.Reconciling || r.Conditions[2].Type != wire.Stalled {
		t.Fatalf("conditions %v", r.Conditions)
	}
	ready, reconciling, stalled := r.Conditions[0], r.Conditions[1], r.Conditions[2]
	said := ready.Status + " " + ready.Reason
	if reconciling.Status == "True" {
		said += " reconciling"
	}
	if stalled.Status == "True" {
		said += " stalled"
		if stalled.Message != ready.Message {
			t.Errorf("stalled says %q, ready %q", stalled.Message, ready.Message)
		}
	}
	for _, c := range r.Conditions {
		if c.Reason == "" || strings.Contains(c.Reason, " ") {
			t.Errorf("%s has reason %q", c.Type, c.Reason)
		}
	}
	return said + ": " + ready.Message
}

// TestReportOfObjects: the health of each object, and over it what applying said.
func TestReportOfObjects(t *testing.T) {
	a, objects := whole(), well()
	a.appliedAt = time.Unix(1000, 0)
	a.attempted = wire.Applied{Revision: "main@sha1:2", Overlay: "new", Base: "base"}
	a.failure = errors.Join(&apply.ObjectError{ID: web, Err: errors.New("too many")}, errors.New("and something else"))
	delete(objects, settings)
	got := a.report("eu-1", nil, seen(objects))
	got.Conditions = nil
	want := wire.Report{
		Version: wire.Version, Cluster: "eu-1", App: "shop", Attempted: a.attempted, AppliedAt: a.appliedAt,
		Applied: wire.Applied{Revision: "main@sha1:1", Overlay: "overlay", Base: "base"},
		Objects: []wire.ObjectReport{
			{ObjectID: settings, Health: wire.NotFound},
			{ObjectID: web, Health: wire.Failed, Message: "Deployment.apps shop/web: too many"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReady(t *testing.T) {
	for name, change := range map[string]func(a *app, objects map[fleet.ObjectID]observe.State){
		"another overlay": func(a *app, _ map[fleet.ObjectID]observe.State) { a.desired.Overlay = "new" },
		"another base":    func(a *app, _ map[fleet.ObjectID]observe.State) { a.desired.Base = "new" },
		"not wanted":      func(a *app, _ map[fleet.ObjectID]observe.State) { a.wanted = false },
		"half removed":    func(a *app, _ map[fleet.ObjectID]observe.State) { a.record.Partial = true },
		"failed":          func(a *app, _ map[fleet.ObjectID]observe.State) { a.failure = errors.New("no") },
		"slow":            func(_ *app, o map[fleet.ObjectID]observe.State) { o[web] = observe.State{Health: wire.InProgress} },
		"not seen":        func(_ *app, o map[fleet.ObjectID]observe.State) { delete(o, web) },
	} {
		a, objects := whole(), well()
		if !a.ready(seen(objects)) {
			t.Fatal("not ready at the start")
		}
		if change(a, objects); a.ready(seen(objects)) {
			t.Errorf("%s: ready", name)
		}
	}
}

func TestBounded(t *testing.T) {
	numbered := func(n int) error {
		var all []error
		for i := range n {
			all = append(all, fmt.Errorf("error\n%d", i))
		}
		return errors.Join(all...)
	}
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"one":            {errors.New("one"), "one"},
		"a few":          {numbered(3), "error 0; error 1; error 2"},
		"many":           {numbered(10), "error 0; error 1; error 2; and 7 more"},
		"joined by join": {errors.Join(numbered(2), errors.Join(numbered(1), errors.New("last"))), "error 0; error 1; error 0; and 1 more"},
		"wrapped":        {fmt.Errorf("build: %w", errors.New("no file")), "build: no file"},
	} {
		if diff := cmp.Diff(test.want, bounded(test.err)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if flatten(nil) != nil || len(flatten(errors.Join(nil, numbered(4)))) != 4 {
		t.Error("flatten loses or adds errors")
	}
}

func TestBackoff(t *testing.T) {
	var got []time.Duration
	for attempt := 1; attempt < 9; attempt++ {
		got = append(got, backoff(attempt)/time.Second)
	}
	if diff := cmp.Diff([]time.Duration{1, 2, 4, 8, 16, 32, 60, 60}, got); diff != "" {
		t.Error(diff)
	}
	if backoff(1000) != retryMost {
		t.Errorf("after a thousand attempts %s", backoff(1000))
	}
}
