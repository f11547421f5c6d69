package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/compile"
)

// A change comes upon what the base decides, not upon what was decided before that.
func TestAfter(t *testing.T) {
	base := &compile.Result{
		Definition: fleet.Definition{Apps: []fleet.App{{Name: "settings", Follows: []fleet.AppName{"web"}}, {Name: "web"}}},
		Outcomes:   []fleet.Outcome{{App: "settings"}, {App: "web", Next: fleet.Previous{Clusters: []fleet.ClusterName{"us"}}}},
	}
	state := fleet.State{Previous: map[fleet.AppName]fleet.Previous{"web": {Clusters: []fleet.ClusterName{"eu"}}}}
	want := map[fleet.AppName]fleet.Previous{"web": {Clusters: []fleet.ClusterName{"us"}}}
	if diff := cmp.Diff(want, after(state, base).Previous); diff != "" {
		t.Errorf("previous (-want +got):\n%s", diff)
	}
}
