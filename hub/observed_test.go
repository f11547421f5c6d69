package hub

import (
	"testing"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// TestJudge: who is heard from is ready; who falls silent, or was never heard from for
// as long, is not known to be; and whom a hub has only just begun to wait for is
// neither.
func TestJudge(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	beat := func(o *observed, second int) { o.heartbeat(wire.Heartbeat{Cluster: "eu"}, at(second)) }
	for name, test := range map[string]struct {
		before func(o *observed)
		second int
		want   fleet.ConditionStatus
	}{
		"heard a moment ago":                  {func(o *observed) { beat(o, 5) }, 10, fleet.ConditionTrue},
		"silent for the patience":             {func(o *observed) { beat(o, 5) }, 35, fleet.ConditionUnknown},
		"heard again":                         {func(o *observed) { beat(o, 5); o.judge(at(40), 30*time.Second); beat(o, 41) }, 42, fleet.ConditionTrue},
		"waited for since a moment":           {func(o *observed) { o.expect(fleet.Published{"eu": {}}, at(0)) }, 10, ""},
		"waited for in vain":                  {func(o *observed) { o.expect(fleet.Published{"eu": {}}, at(0)) }, 30, fleet.ConditionUnknown},
		"an old message, read by a new hub":   {func(o *observed) { o.expect(fleet.Published{"eu": {}}, at(0)); beat(o, -100) }, 5, fleet.ConditionUnknown},
		"an older message makes nobody older": {func(o *observed) { beat(o, 5); beat(o, -100) }, 10, fleet.ConditionTrue},
	} {
		o := newObserved()
		test.before(o)
		o.judge(at(test.second), 30*time.Second)
		if got := o.state()["eu"].Ready; got != test.want {
			t.Errorf("%s: ready is %q, want %q", name, got, test.want)
		}
	}
}

// TestHealthOfWhatIsAnnounced: an app is healthy when it is Ready as it was announced
// last.
func TestHealthOfWhatIsAnnounced(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	announced := fleet.Desired{Apps: []fleet.DesiredApp{{Name: "web", Overlay: "new", Base: "base"}}}
	ready := func(overlay fleet.Digest) wire.Report {
		return wire.Report{
			Cluster: "eu", App: "web", Applied: wire.Applied{Overlay: overlay, Base: "base"},
			Conditions: []wire.Condition{{Type: wire.Ready, Status: "True"}},
		}
	}
	waits := func(objects ...wire.ObjectReport) wire.Report {
		r := ready("new")
		r.Conditions[0].Status, r.Objects = "False", objects
		return r
	}
	job := wire.ObjectReport{ObjectID: fleet.ObjectID{Group: "batch", Kind: "Job", Name: "migrate"}, Health: wire.InProgress}
	failed, web := job, wire.ObjectReport{ObjectID: fleet.ObjectID{Group: "apps", Kind: "Deployment", Name: "web"}, Health: wire.Current}
	failed.Health = wire.Failed
	slow := web
	slow.Health = wire.InProgress
	o := newObserved()
	o.heartbeat(wire.Heartbeat{Cluster: "eu"}, start)
	for name, test := range map[string]struct {
		report wire.Report
		want   bool
	}{
		"a Job runs":        {waits(web, job), true},
		"a Job has failed":  {waits(web, failed), false},
		"something is slow": {waits(slow, job), false},
		"nothing is said":   {waits(), false},
	} {
		o.report("eu", wordOf(test.report), announced, start)
		o.judge(start, time.Minute)
		if got := o.state()["eu"].Apps["web"].Healthy; got != test.want {
			t.Errorf("%s: healthy is %v, want %v", name, got, test.want)
		}
	}
	for overlay, want := range map[fleet.Digest]bool{"old": false, "new": true} {
		o.report("eu", wordOf(ready(overlay)), announced, start)
		o.judge(start, time.Minute)
		if got := o.state()["eu"].Apps["web"].Healthy; got != want {
			t.Errorf("Ready as %q: healthy is %v, want %v", overlay, got, want)
		}
	}
}
