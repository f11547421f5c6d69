package compile

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
)

// TestDesiredRemembersDecisions publishes what is decided, and decides again knowing no
// more than what is published: it has to know all that it decided.
func TestDesiredRemembersDecisions(t *testing.T) {
	files := fstest.MapFS{
		"clusters.yaml": {Data: []byte(`{apiVersion: fleet.navarch.dev/v1alpha1, kind: Cluster, metadata: {name: a}, spec: {taints: [{key: care, effect: NoExecute}]}}
---
{apiVersion: fleet.navarch.dev/v1alpha1, kind: Cluster, metadata: {name: b}}
`)},
		"app.yaml": {Data: []byte(`apiVersion: fleet.navarch.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  source: {path: web.yaml}
  placement:
    clusterAffinities: [{affinityName: near, clusterNames: [a, b]}]
    clusterTolerations: [{key: care, operator: Exists, effect: NoExecute, tolerationSeconds: 60}]
    replicaScheduling: {replicaSchedulingType: Divided, rescheduleAt: 2026-11-23T08:00:00Z}
`)},
		"web.yaml": {Data: []byte(`apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
`)},
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	result, problems := new(Compiler).Compile(files, fleet.State{Now: now})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	want := map[fleet.AppName]fleet.Previous{"web": result.Outcomes[0].Next}
	if diff := cmp.Diff(want, fleet.PreviousOf(result.Desired)); diff != "" {
		t.Errorf("forgotten when published (-decided +known):\n%s", diff)
	}
	if next := want["web"]; next.Settled == "" || len(next.Tolerating) == 0 || next.Affinity == "" || next.Rescheduled == "" || len(next.Divisions) == 0 {
		t.Errorf("the test does not try everything: %+v", next)
	}
}
