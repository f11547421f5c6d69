package observe

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

func parsed(t *testing.T, manifest string) *unstructured.Unstructured {
	t.Helper()
	content, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	o := &unstructured.Unstructured{}
	if err := json.Unmarshal(content, &o.Object); err != nil {
		t.Fatal(err)
	}
	return o
}

const rolling = "{apiVersion: apps/v1, kind: Deployment, metadata: {generation: 2, name: web}, spec: {replicas: 5, progressDeadlineSeconds: 600}, status: "

func TestHealth(t *testing.T) {
	phases := compile(fleet.HealthCheckExpr{
		APIVersion: "example.com/v1", Kind: "Queue",
		Failed: "has(status.phase) && status.phase == 'Failed'", Current: "has(status.phase) && status.phase == 'Running'",
	})
	blind := compile(fleet.HealthCheckExpr{Current: "status.phase == 'Running'"})
	bad := compile(fleet.HealthCheckExpr{Current: "status.phase =="})
	const queue = "{apiVersion: example.com/v1, kind: Queue, metadata: {generation: 2}, status: "
	for name, test := range map[string]struct {
		by       *check
		manifest string
		want     string
	}{
		"no status yet":             {&phases, "{apiVersion: example.com/v1, kind: Queue}", "InProgress: "},
		"well":                      {&phases, queue + "{phase: Running}}", "Current: "},
		"another generation's":      {&phases, queue + "{phase: Running, observedGeneration: 1}}", "InProgress: its controller has not seen the newest generation yet"},
		"failed, and says it":       {&phases, queue + "{phase: Failed, message: disk full}}", "Failed: disk full"},
		"failed by a condition":     {&phases, queue + "{phase: Failed, conditions: [{type: Ready, status: 'False', reason: Full, message: the disk is full}]}}", "Failed: the disk is full"},
		"failed, with a reason":     {&phases, queue + "{phase: Failed, conditions: [{type: Stalled, status: 'True', reason: Full}]}}", "Failed: Full"},
		"going":                     {&phases, "{apiVersion: example.com/v1, kind: Queue, metadata: {deletionTimestamp: '2026-03-01T12:00:00Z'}, status: {phase: Running}}", "Terminating: Resource scheduled for deletion"},
		"nobody can tell":           {&blind, queue + "{}}", `Unknown: the expression "current" cannot tell: no such key: phase`},
		"no expression":             {&bad, queue + "{phase: Running}}", `Unknown: the health expression "current" is no expression in CEL: line 1, column 16: Syntax error: mismatched input '<EOF>'`},
		"kstatus: no conditions":    {nil, queue + "{phase: Failed}}", "Current: "},
		"kstatus: rolling":          {nil, rolling + "{observedGeneration: 2, replicas: 5, updatedReplicas: 3, readyReplicas: 2, availableReplicas: 2}}", "InProgress: Updated: 3/5"},
		"kstatus: rolled":           {nil, rolling + "{observedGeneration: 2, replicas: 5, updatedReplicas: 5, readyReplicas: 5, availableReplicas: 5, conditions: [{type: Available, status: 'True'}, {type: Progressing, status: 'True', reason: NewReplicaSetAvailable}]}}", "Current: "},
		"kstatus: no pod is made":   {nil, rolling + "{observedGeneration: 2, conditions: [{type: ReplicaFailure, status: 'True', message: 'pods \"web\" is forbidden: exceeded quota'}]}}", `InProgress: Replicas: 0/5; pods "web" is forbidden: exceeded quota`},
		"kstatus: stuck":            {nil, rolling + "{observedGeneration: 2, replicas: 5, conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded, message: 'ReplicaSet \"web-1\" has timed out progressing.'}]}}", `Failed: Progress deadline exceeded; ReplicaSet "web-1" has timed out progressing.`},
		"a Job that runs":           {nil, "{apiVersion: batch/v1, kind: Job, spec: {completions: 1}, status: {startTime: '2026-03-01T12:00:00Z', active: 1}}", "InProgress: Job in progress. success:0, active: 1, failed: 0"},
		"a Job that is done":        {nil, "{apiVersion: batch/v1, kind: Job, spec: {completions: 1}, status: {startTime: '2026-03-01T12:00:00Z', succeeded: 1, conditions: [{type: Complete, status: 'True'}]}}", "Current: "},
		"a Job that has failed":     {nil, "{apiVersion: batch/v1, kind: Job, spec: {completions: 1}, status: {startTime: '2026-03-01T12:00:00Z', failed: 1, conditions: [{type: Failed, status: 'True', message: too often}]}}", "Failed: Job Failed. failed: 1/1; too often"},
		"a Job that is suspended":   {nil, "{apiVersion: batch/v1, kind: Job, spec: {suspend: true}, status: {conditions: [{type: Suspended, status: 'True'}]}}", "InProgress: Job not started"},
		"kstatus: was stuck before": {nil, rolling + "{observedGeneration: 1, replicas: 5, conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded, message: 'ReplicaSet \"web-1\" has timed out progressing.'}]}}", "InProgress: Deployment generation is 2, but latest observed generation is 1"},
	} {
		t.Run(name, func(t *testing.T) {
			h, message := health(parsed(t, test.manifest), test.by)
			if diff := cmp.Diff(test.want, fmt.Sprintf("%s: %s", h, message)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReplicas(t *testing.T) {
	for name, test := range map[string]struct {
		manifest string
		want     *wire.Replicas
	}{
		"a Deployment":                           {rolling + "{observedGeneration: 2, replicas: 6, updatedReplicas: 3, readyReplicas: 4, availableReplicas: 2}}", &wire.Replicas{Wanted: 5, Updated: 3, Ready: 4, Available: 2}},
		"a Deployment that was changed just now": {rolling + "{observedGeneration: 1, replicas: 5, updatedReplicas: 5, readyReplicas: 5, availableReplicas: 5}}", &wire.Replicas{Wanted: 5, Ready: 5, Available: 5}},
		"a Deployment of one":                    {"{apiVersion: apps/v1, kind: Deployment, spec: {}}", &wire.Replicas{Wanted: 1}},
		"a Deployment of none":                   {"{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 0}}", &wire.Replicas{}},
		"a StatefulSet":                          {"{apiVersion: apps/v1, kind: StatefulSet, spec: {replicas: 3}, status: {replicas: 3, readyReplicas: 2, updatedReplicas: 1}}", &wire.Replicas{Wanted: 3, Updated: 1, Ready: 2}},
		"a DaemonSet":                            {"{apiVersion: apps/v1, kind: DaemonSet, status: {desiredNumberScheduled: 4, updatedNumberScheduled: 3, numberReady: 2, numberAvailable: 1}}", &wire.Replicas{Wanted: 4, Updated: 3, Ready: 2, Available: 1}},
		"a ReplicaSet":                           {"{apiVersion: apps/v1, kind: ReplicaSet, spec: {replicas: 3}, status: {replicas: 2, readyReplicas: 1}}", &wire.Replicas{Wanted: 3, Updated: 2, Ready: 1, Available: 1}},
		"a Job":                                  {"{apiVersion: batch/v1, kind: Job, spec: {completions: 5, parallelism: 2}, status: {active: 2, succeeded: 1, failed: 1}}", &wire.Replicas{Wanted: 5, Updated: 3, Ready: 1, Available: 1}},
		"a custom kind":                          {"{apiVersion: example.com/v1, kind: Rollout, spec: {replicas: 3}, status: {replicas: 3, readyReplicas: 1, updatedReplicas: 2}}", &wire.Replicas{Wanted: 3, Updated: 2, Ready: 1, Available: 1}},
		"a custom kind that says nothing":        {"{apiVersion: example.com/v1, kind: Rollout, spec: {replicas: 3}, status: {}}", nil},
		"a custom kind with other replicas":      {"{apiVersion: example.com/v1, kind: Rollout, spec: {replicas: 3}, status: {replicas: [a, b], readyReplicas: many}}", nil},
		"a Service":                              {"{apiVersion: v1, kind: Service, spec: {}, status: {loadBalancer: {}}}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, replicas(parsed(t, test.manifest))); diff != "" {
				t.Error(diff)
			}
		})
	}
}
