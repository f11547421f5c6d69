package view

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

// definition is a fleet of named clusters that all run the named apps.
func definition(clusters []string, apps ...string) Plan {
	var p Plan
	for _, name := range clusters {
		p.Definition.Clusters = append(p.Definition.Clusters, fleet.Cluster{Name: fleet.ClusterName(name)})
	}
	for _, app := range apps {
		p.Definition.Apps = append(p.Definition.Apps, fleet.App{Name: fleet.AppName(app)})
		outcome := fleet.Outcome{App: fleet.AppName(app)}
		for _, name := range clusters {
			outcome.Placed = append(outcome.Placed, fleet.Decision{Cluster: fleet.ClusterName(name), Because: fleet.Because{Rule: "all"}})
		}
		p.Outcomes = append(p.Outcomes, outcome)
	}
	return p
}

// published gives every cluster of p every app of p, with content named after it.
func published(p Plan, content string) fleet.Published {
	all := fleet.Published{}
	for _, cluster := range p.Definition.Clusters {
		var desired fleet.Desired
		for _, app := range p.Definition.Apps {
			desired.Apps = append(desired.Apps, desiredApp(app.Name, content))
		}
		all[cluster.Name] = desired
	}
	return all
}

func desiredApp(app fleet.AppName, content string) fleet.DesiredApp {
	return fleet.DesiredApp{Name: app, Overlay: fleet.Digest("sha256:" + content), Base: fleet.Digest("sha256:base-" + string(app))}
}

func readyReport(cluster fleet.ClusterName, app fleet.AppName, content string) wire.Report {
	desired := desiredApp(app, content)
	applied := wire.Applied{Revision: "main@sha1:" + content, Overlay: desired.Overlay, Base: desired.Base}
	return wire.Report{
		Version: wire.Version, Cluster: cluster, App: app, Attempted: applied, Applied: applied,
		Conditions: []wire.Condition{{Type: wire.Ready, Status: "True"}},
	}
}

// lines gives the cells of a snapshot, and what counts of its clusters, as text.
func lines(s *Snapshot) []string {
	var out []string
	for _, c := range slices.Concat(s.Clusters, s.Unmanaged) {
		out = append(out, fmt.Sprintf("%s %s %s", c.Name, c.Health, c.Message))
		for _, cell := range c.Cells {
			line := fmt.Sprintf("%s/%s %s", c.Name, cell.App, cell.Health)
			if cell.Health == NotHeard {
				line += " was " + cell.Said.String()
			}
			if cell.Behind {
				line += fmt.Sprintf(" behind %s for %s", cell.Desired.Revision, s.At.Sub(cell.Announced))
			}
			out = append(out, line)
		}
	}
	return out
}

func TestBoard(t *testing.T) {
	one := definition([]string{"eu-1"}, "shop")
	begun := func(b *Board) {
		b.Plan(one)
		b.Published(published(one, "v1"), "main@sha1:v1", at(0))
		b.Heartbeat(wire.Heartbeat{Cluster: "eu-1"}, at(1))
		b.Report(readyReport("eu-1", "shop", "v1"), at(2))
	}
	tests := map[string]struct {
		facts func(b *Board)
		now   int
		want  []string
	}{
		"nothing": {func(*Board) {}, 0, nil},
		"a cluster that never connected": {func(b *Board) {
			b.Plan(one)
			b.Published(published(one, "v1"), "main@sha1:v1", at(0))
		}, 5, []string{"eu-1 NotHeard no agent has connected yet", "eu-1/shop NotHeard was Pending behind main@sha1:v1 for 5s"}},
		"ready": {begun, 3, []string{"eu-1 Ready ", "eu-1/shop Ready"}},
		"a newer commit is announced": {func(b *Board) {
			begun(b)
			b.Published(published(one, "v2"), "main@sha1:v2", at(10))
		}, 12, []string{"eu-1 Pending ", "eu-1/shop Pending behind main@sha1:v2 for 2s"}},
		"lag counts from the commit that changed the app": {func(b *Board) {
			begun(b)
			b.Published(published(one, "v2"), "main@sha1:v2", at(10))
			b.Published(published(one, "v2"), "main@sha1:v3", at(11))
		}, 13, []string{"eu-1 Pending ", "eu-1/shop Pending behind main@sha1:v2 for 3s"}},
		"silent is never green": {begun, 40, []string{"eu-1 NotHeard its agent is silent", "eu-1/shop NotHeard was Ready"}},
		"just within patience":  {begun, 31, []string{"eu-1 Ready ", "eu-1/shop Ready"}},
		"a kept heartbeat of long ago is not a sign of life": {func(b *Board) {
			begun(b)
			b.Heartbeat(wire.Heartbeat{Cluster: "eu-1"}, at(-500))
		}, 40, []string{"eu-1 NotHeard its agent is silent", "eu-1/shop NotHeard was Ready"}},
		"back again": {func(b *Board) {
			begun(b)
			b.Snapshot(at(40))
			b.Heartbeat(wire.Heartbeat{Cluster: "eu-1"}, at(41))
		}, 42, []string{"eu-1 Ready ", "eu-1/shop Ready"}},
		"an announcement that the agent refuses": {func(b *Board) {
			begun(b)
			b.Published(published(one, "v2"), "main@sha1:v2", at(3))
			b.Heartbeat(wire.Heartbeat{Cluster: "eu-1", Refused: "not signed"}, at(4))
		}, 5, []string{"eu-1 Failed the agent refused the announcement: not signed", "eu-1/shop Failed behind main@sha1:v2 for 2s"}},
		"an app that leaves": {func(b *Board) {
			begun(b)
			b.Published(fleet.Published{"eu-1": {Tombstones: []fleet.Tombstone{{App: "shop", Revision: "main@sha1:v2"}}}}, "main@sha1:v2", at(3))
		}, 5, []string{"eu-1 Progressing ", "eu-1/shop Progressing behind  for 2s"}},
		"an app that has left": {func(b *Board) {
			begun(b)
			b.Published(fleet.Published{"eu-1": {Tombstones: []fleet.Tombstone{{App: "shop", Revision: "main@sha1:v2"}}}}, "main@sha1:v2", at(3))
			b.Report(wire.Report{Cluster: "eu-1", App: "shop", Removed: true}, at(4))
		}, 5, []string{"eu-1 Ready "}},
		"an app that nobody names": {func(b *Board) {
			begun(b)
			b.Report(readyReport("eu-1", "stray", "v1"), at(3))
		}, 5, []string{"eu-1 Held ", "eu-1/shop Ready", "eu-1/stray Held"}},
		"before the repository is read nothing is held": {func(b *Board) {
			b.Report(readyReport("eu-1", "shop", "v1"), at(3))
		}, 5, []string{"eu-1 Unknown ", "eu-1/shop Unknown"}},
		"a cluster that Git does not name": {func(b *Board) {
			begun(b)
			b.Heartbeat(wire.Heartbeat{Cluster: "wild"}, at(3))
		}, 5, []string{"eu-1 Ready ", "eu-1/shop Ready", "wild Ready "}},
		"a cluster that Git and everybody forgot": {func(b *Board) {
			b.Plan(one)
			b.Published(published(one, "v1"), "main@sha1:v1", at(0))
			b.Snapshot(at(1))
			b.Plan(Plan{})
			b.Published(fleet.Published{}, "main@sha1:v2", at(2))
		}, 5, nil},
		"what was announced before the hub started": {func(b *Board) {
			b.Announced("eu-1", published(one, "v1")["eu-1"], "main@sha1:v1", time.Time{})
			b.Report(readyReport("eu-1", "shop", "v1"), at(3))
			b.Plan(one)
			b.Published(published(one, "v1"), "main@sha1:v9", at(4))
		}, 5, []string{"eu-1 Ready ", "eu-1/shop Ready"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := NewBoard()
			test.facts(b)
			if diff := cmp.Diff(test.want, lines(b.Snapshot(at(test.now)))); diff != "" {
				t.Errorf("cells (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHold(t *testing.T) {
	b := NewBoard()
	before, after := definition([]string{"eu-1", "us-1"}, "shop"), definition([]string{"eu-1"}, "shop")
	b.Plan(before)
	b.Published(published(before, "v1"), "main@sha1:v1", at(0))
	after.Revision, after.Held = "main@sha1:v2", true
	after.Holds = []fleet.Hold{{Cluster: "us-1", Message: "deletes 3 of 3 objects"}}
	after.Changes = []fleet.Change{{Cluster: "us-1", Removed: []fleet.AppName{"shop"}, Deleted: make([]fleet.ObjectID, 3)}}
	b.Plan(after)
	held := b.Snapshot(at(1))
	want := &Hold{Revision: "main@sha1:v2", Reasons: after.Holds, Changes: after.Changes, Deleted: 3}
	if diff := cmp.Diff(want, held.Hold); diff != "" {
		t.Errorf("hold (-want +got):\n%s", diff)
	}
	if c, ok := held.Cluster("us-1"); !ok || !c.InGit {
		t.Error("while the commit is held, the cluster that it takes away is gone")
	}
	after.Announced = true
	b.Plan(after)
	kept := b.Snapshot(at(2))
	if c, ok := kept.Cluster("us-1"); kept.Hold == nil || kept.Hold.Deleted > 0 || ok && c.InGit {
		t.Errorf("the commit is announced, and what agents keep waits: %+v", kept.Hold)
	}
	after.Held = false
	b.Plan(after)
	if released := b.Snapshot(at(2)); released.Hold != nil || held.Hold == nil {
		t.Error("the hold is not released, or an earlier snapshot changed")
	}
}

func TestSnapshotIsTheSameWhileNothingChanges(t *testing.T) {
	b := NewBoard()
	p := definition([]string{"eu-1"}, "shop")
	b.Plan(p)
	b.Published(published(p, "v1"), "main@sha1:v1", at(0))
	b.Heartbeat(wire.Heartbeat{Cluster: "eu-1"}, at(0))
	b.Report(readyReport("eu-1", "shop", "v1"), at(0))
	first := b.Snapshot(at(1))
	restless := wire.Facts{Used: map[string]string{"cpu": "3"}}
	b.Heartbeat(wire.Heartbeat{Cluster: "eu-1", Time: at(2), Facts: restless, Cost: wire.Cost{Requests: 7}}, at(2))
	if b.Snapshot(at(3)) != first {
		t.Error("a heartbeat that says nothing new makes a new snapshot at once")
	}
	later := b.Snapshot(at(12))
	if later == first || !later.Clusters[0].Heard.Equal(at(2)) || later.Clusters[0].Heartbeat.Facts.Used["cpu"] != "3" {
		t.Error("when the agent was last heard is never brought up to date")
	}
	if b.Snapshot(at(31)) != later {
		t.Error("the snapshot changes although nothing happened")
	}
	silent := b.Snapshot(at(33))
	if silent.Version <= later.Version || silent.Clusters[0].Connected {
		t.Error("a silent cluster does not make a new version")
	}
}

func TestWatch(t *testing.T) {
	b := NewBoard()
	dirty, cancel := b.Watch()
	b.Commit(Commit{Revision: "main@sha1:v1", Accepted: true})
	b.Heartbeat(wire.Heartbeat{Cluster: "eu-1"}, at(0))
	<-dirty
	b.Snapshot(at(0))
	b.Heartbeat(wire.Heartbeat{Cluster: "eu-1"}, at(1))
	select {
	case <-dirty:
		t.Error("a heartbeat that says nothing new is a signal")
	default:
	}
	cancel()
	b.Commit(Commit{Revision: "main@sha1:v2"})
	select {
	case <-dirty:
		t.Error("a signal after cancel")
	default:
	}
	if s := b.Snapshot(at(2)); s.Accepted.Revision != "main@sha1:v1" || s.Latest.Revision != "main@sha1:v2" {
		t.Errorf("accepted %s and latest %s", s.Accepted.Revision, s.Latest.Revision)
	}
}

func TestRepositoryShowsNoCredentials(t *testing.T) {
	b := NewBoard()
	b.Repository(Repository{URL: "https://robot:hunter2@git.example.com/fleet.git"})
	if got := b.Snapshot(at(0)).Repository.URL; got != "https://git.example.com/fleet.git" {
		t.Errorf("the snapshot shows %q", got)
	}
}

// TestFoldingStepByStepIsFoldingAtOnce folds the same facts with a reader after
// each and with one at the end.
func TestFoldingStepByStepIsFoldingAtOnce(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		often, once := NewBoard(), NewBoard()
		for second := range 60 {
			fact := randomFact(random, second)
			fact(often)
			fact(once)
			often.Snapshot(at(second))
		}
		got, want := often.Snapshot(at(75)), once.Snapshot(at(75))
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Snapshot{}, "Version", "At"), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("seed %d (-at once +step by step):\n%s", seed, diff)
		}
	}
}

func randomFact(random *rand.Rand, second int) func(*Board) {
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	cluster, app, content := pick("eu-1", "us-1", "wild"), pick("shop", "bank"), pick("v1", "v2")
	switch random.IntN(5) {
	case 0:
		p := definition([]string{"eu-1", "us-1"}[:random.IntN(3)], []string{"bank", "shop"}[:random.IntN(3)]...)
		return func(b *Board) {
			b.Plan(p)
			b.Published(published(p, content), "main@sha1:"+content, at(second))
		}
	case 1:
		leaving := fleet.Published{fleet.ClusterName(cluster): {Tombstones: []fleet.Tombstone{{App: fleet.AppName(app)}}}}
		return func(b *Board) { b.Published(leaving, "main@sha1:"+content, at(second)) }
	case 2:
		h := wire.Heartbeat{Cluster: fleet.ClusterName(cluster), Refused: pick("", "not signed")}
		return func(b *Board) { b.Heartbeat(h, at(second)) }
	case 3:
		return func(b *Board) {
			b.Report(wire.Report{Cluster: fleet.ClusterName(cluster), App: fleet.AppName(app), Removed: true}, at(second))
		}
	}
	return func(b *Board) {
		b.Report(readyReport(fleet.ClusterName(cluster), fleet.AppName(app), content), at(second))
	}
}

func TestSelect(t *testing.T) {
	b := NewBoard()
	p := definition([]string{"edge-1", "eu-1", "eu-2"}, "shop")
	p.Definition.Clusters[1].Labels = map[string]string{"env": "prod"}
	p.Definition.Clusters[2].Region = "Frankfurt"
	b.Plan(p)
	b.Published(published(p, "v1"), "main@sha1:v1", at(0))
	b.Report(readyReport("eu-2", "shop", "v1"), at(0))
	s := b.Snapshot(at(1))
	tests := map[string]struct {
		filter Filter
		want   []fleet.ClusterName
	}{
		"all":                  {Filter{}, []fleet.ClusterName{"edge-1", "eu-1", "eu-2"}},
		"part of the name":     {Filter{Text: "EU"}, []fleet.ClusterName{"eu-1", "eu-2"}},
		"every word":           {Filter{Text: "eu env=prod"}, []fleet.ClusterName{"eu-1"}},
		"region":               {Filter{Text: "frank"}, []fleet.ClusterName{"eu-2"}},
		"health":               {Filter{Healths: []Health{NotHeard}}, []fleet.ClusterName{"edge-1", "eu-1"}},
		"health of an app":     {Filter{App: "shop", Healths: []Health{Ready}}, []fleet.ClusterName{"eu-2"}},
		"an app that is not":   {Filter{App: "bank"}, nil},
		"a word found nowhere": {Filter{Text: "eu mars"}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []fleet.ClusterName
			for _, c := range s.Select(test.filter) {
				got = append(got, c.Name)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("selected (-want +got):\n%s", diff)
			}
		})
	}
}

// BenchmarkSnapshot is one changed report among 10,000 clusters with ten apps each.
func BenchmarkSnapshot(b *testing.B) {
	var clusters, apps []string
	for i := range 10_000 {
		clusters = append(clusters, fmt.Sprintf("member-%05d", i))
	}
	for i := range 10 {
		apps = append(apps, fmt.Sprintf("app-%d", i))
	}
	board, p := NewBoard(), definition(clusters, apps...)
	board.Plan(p)
	board.Published(published(p, "v1"), "main@sha1:v1", at(0))
	for _, cluster := range clusters {
		for _, app := range apps {
			board.Report(readyReport(fleet.ClusterName(cluster), fleet.AppName(app), "v1"), at(0))
		}
	}
	board.Snapshot(at(0))
	contents := []string{"v1", "v2"}
	for i := 0; b.Loop(); i++ {
		board.Report(readyReport("member-05000", "app-5", contents[i%2]), at(0))
		board.Snapshot(at(0))
	}
}
