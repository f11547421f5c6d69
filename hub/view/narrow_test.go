package view

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/access"
	"github.com/navarch/navarch/wire"
)

// TestNarrow: what somebody sees is summed up as if there were nothing else, who sees
// everything sees the snapshot itself, and who sees nothing sees nothing.
func TestNarrow(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	plan := Plan{Revision: "main@sha1:1", Definition: fleet.Definition{
		Clusters: []fleet.Cluster{{Name: "eu", Labels: map[string]string{"env": "prod"}}, {Name: "lab"}},
		Apps:     []fleet.App{{Name: "blog"}, {Name: "shop", Labels: map[string]string{"team": "shop"}, DependsOn: []fleet.AppName{"blog"}}},
	}}
	both := fleet.Desired{Apps: []fleet.DesiredApp{{Name: "blog", Overlay: "b"}, {Name: "shop", Overlay: "s"}}}
	b := NewBoard()
	b.Repository(Repository{URL: "https://git.example.com/fleet.git"})
	b.Commit(Commit{Revision: "main@sha1:1", Accepted: true, Problems: fleet.Problems{{File: "blog/app.yaml", Message: "odd", Warning: true}}})
	b.Plan(plan)
	b.Published(fleet.Published{"eu": both, "lab": both}, "main@sha1:1", now)
	for _, cluster := range []fleet.ClusterName{"eu", "lab", "stranger"} {
		b.Heartbeat(wire.Heartbeat{Cluster: cluster}, now)
	}
	b.Report(wire.Report{Cluster: "eu", App: "blog", Attempted: wire.Applied{Overlay: "b"}, Conditions: []wire.Condition{{Type: wire.Stalled, Status: "True"}}}, now)
	b.Report(wire.Report{Cluster: "eu", App: "shop", Applied: wire.Applied{Overlay: "s"}, Conditions: []wire.Condition{{Type: wire.Ready, Status: "True"}}}, now)
	b.Members([]Member{{Name: "eu"}, {Name: "lab"}})
	s := b.Snapshot(now)
	if s.Narrow(access.Grants(access.Viewer, access.Scope{})) != s {
		t.Error("who sees everything sees another snapshot")
	}
	before := s.Counts
	part := s.Narrow(access.Grants(access.Operator, access.Scope{
		Apps: labels.SelectorFromSet(labels.Set{"team": "shop"}), Clusters: labels.SelectorFromSet(labels.Set{"env": "prod"}),
	}))
	if len(part.Clusters) != 1 || part.Clusters[0].Health != Ready || len(part.Clusters[0].Cells) != 1 || len(part.Apps) != 1 || len(part.Unmanaged) != 0 || len(part.Members) != 0 {
		t.Errorf("seen: %+v", part)
	}
	want := FleetCounts{Clusters: Counts{Ready: 1}, Apps: Counts{Ready: 1}, Cells: Counts{Ready: 1}, Connected: 1}
	if diff := cmp.Diff(want, part.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if app := part.Apps[0]; len(app.DependsOn) > 0 || app.Counts != (Counts{Ready: 1}) {
		t.Errorf("the app: %+v", app)
	}
	if got := part.Accepted.Problems; len(got) != 1 || got[0].File != "" || got.Err() != nil {
		t.Errorf("problems: %v", got)
	}
	if diff := cmp.Diff(before, s.Counts); diff != "" || len(s.Clusters[0].Cells) != 2 || len(s.Apps[1].DependsOn) != 1 {
		t.Errorf("the snapshot itself has changed: %s", diff)
	}
	nothing := s.Narrow(access.Rights{})
	if len(nothing.Clusters)+len(nothing.Apps)+len(nothing.Unmanaged)+len(nothing.Members) > 0 || nothing.Repository.URL != "" || nothing.Hold != nil {
		t.Errorf("nobody sees %+v", nothing)
	}
	clusters := s.Narrow(access.Grants(access.Viewer, access.Scope{Clusters: labels.SelectorFromSet(labels.Set{"env": "prod"})}))
	if len(clusters.Members) != 1 || clusters.Clusters[0] != s.Clusters[0] {
		t.Errorf("a whole cluster: %+v", clusters)
	}
}
