package overlays_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/overlays"
)

func TestWorkloads(t *testing.T) {
	app := appAt("base")
	app.Namespace = "shop"
	source, err := overlays.Gather(repository(map[string]string{
		"base/kustomization.yaml": "resources: [all.yaml]\nnamePrefix: p-\n",
		"base/all.yaml": `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: queue}
spec: {replicas: 3}
---
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec: {parallelism: 2, completions: 10, template: {spec: {containers: [{name: a, resources: {requests: {cpu: 1.5}}}]}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{name: a, resources: {requests: {cpu: 100m, memory: 64Mi}}}]}}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: zero}
spec: {replicas: 0}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: on-each-node}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
---
apiVersion: v1
kind: Pod
metadata: {name: single}
---
apiVersion: example.com/v1
kind: Deployment
metadata: {name: of-somebody-else}
spec: {replicas: 7}
`}), app)
	if err != nil {
		t.Fatal(err)
	}
	got, err := overlays.Workloads(app, source)
	if err != nil {
		t.Fatal(err)
	}
	ten := int64(10)
	id := func(group, kind, name string) fleet.ObjectID {
		return fleet.ObjectID{Group: group, Kind: kind, Namespace: "shop", Name: name}
	}
	want := []fleet.Workload{
		{Object: id("apps", "Deployment", "p-web"), Replicas: 1, Requests: fleet.Resources{"cpu": 100, "memory": 64 << 20}},
		{Object: id("apps", "ReplicaSet", "p-zero"), Replicas: 0, Requests: fleet.Resources{}},
		{Object: id("apps", "StatefulSet", "p-queue"), Replicas: 3, Requests: fleet.Resources{}},
		{Object: id("batch", "Job", "p-migrate"), Replicas: 2, Completions: &ten, Requests: fleet.Resources{"cpu": 1500}},
		{Object: id("batch", "Job", "p-once"), Replicas: 1, Requests: fleet.Resources{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// TestWorkloadsAreWhatRenderSets gives every workload another count and looks for it.
func TestWorkloadsAreWhatRenderSets(t *testing.T) {
	app, repo := benchApp()
	source, err := overlays.Gather(repo, app)
	if err != nil {
		t.Fatal(err)
	}
	workloads, err := overlays.Workloads(app, source)
	if err != nil {
		t.Fatal(err)
	}
	var difference overlays.Difference
	for i, w := range workloads {
		difference.Replicas = append(difference.Replicas, overlays.Replica{Workload: w.Object, Count: w.Replicas + int64(i) + 1})
	}
	overlay, objects, err := overlays.Render(repo, app, source, difference)
	if err != nil {
		t.Fatal(err)
	}
	stockAgrees(t, app.Name, source.Files, overlay.Files, objects)
	counts := map[fleet.ObjectID]any{}
	for _, object := range objects {
		id := overlays.ObjectIDs([]*unstructured.Unstructured{object})[0]
		counts[id], _, _ = unstructured.NestedFieldNoCopy(object.Object, "spec", "replicas")
	}
	for _, replica := range difference.Replicas {
		if counts[replica.Workload] != replica.Count {
			t.Errorf("%v has %v replicas, want %d", replica.Workload, counts[replica.Workload], replica.Count)
		}
	}
	if len(workloads) == 0 {
		t.Error("no workloads")
	}
}

func TestWorkloadsRefuses(t *testing.T) {
	tests := map[string]struct{ manifest, want string }{
		"no count": {
			"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: many}\n",
			`app.yaml:4: spec.source.path: Deployment.apps web of app "shop": spec.replicas is many, which is no count`,
		},
		"less than none": {
			"apiVersion: batch/v1\nkind: Job\nmetadata: {name: web}\nspec: {completions: -1}\n",
			`app.yaml:4: spec.source.path: Job.batch web of app "shop": spec.completions is -1, which is no count`,
		},
		"no quantity": {
			"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: a, resources: {limits: {cpu: lots}}}]}}}\n",
			`app.yaml:4: spec.source.path: Deployment.apps web of app "shop": "lots" is no quantity of cpu`,
		},
		"what does not build": {
			service + "---\n" + service,
			`app.yaml:4: spec.source.path: app "shop" does not build: folder "base": accumulating resources: accumulation err='accumulating resources ` +
				`from 'a.yaml': may not add resource with an already registered id: Service.v1.[noGrp]/web.[noNs]': must build at directory: 'base/a.yaml': file is not directory`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			app := appAt("base")
			source, err := overlays.Gather(repository(map[string]string{"base/a.yaml": test.manifest}), app)
			if err != nil {
				t.Fatal(err)
			}
			_, err = overlays.Workloads(app, source)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}
