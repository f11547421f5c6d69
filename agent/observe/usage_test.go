package observe

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/fleet"
)

func TestSumUsage(t *testing.T) {
	for name, test := range map[string]struct {
		list string
		want map[string]string
		bad  bool
	}{
		"two nodes": {
			list: `{"items":[{"usage":{"cpu":"250123456n","memory":"1048576Ki"}},{"usage":{"cpu":"1","memory":"1Gi","other":"3"}}]}`,
			want: map[string]string{"cpu": "1251m", "memory": "2Gi"},
		},
		"one that says half of it": {list: `{"items":[{"usage":{"memory":"1Gi"}}]}`, want: map[string]string{"memory": "1Gi"}},
		"nothing measured yet":     {list: `{"items":[]}`},
		"not a list":               {list: `<html>`, bad: true},
		"not a quantity":           {list: `{"items":[{"usage":{"cpu":"many"}}]}`, bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := sumUsage([]byte(test.list))
			if (err != nil) != test.bad {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, quantities(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAvailable(t *testing.T) {
	service := func(kind, status string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{
			"conditions": []any{map[string]any{"type": kind, "status": status}},
		}}}
	}
	for name, test := range map[string]struct {
		object any
		want   bool
	}{
		"available":      {service("Available", "True"), true},
		"not available":  {service("Available", "False"), false},
		"something else": {service("Local", "True"), false},
		"just made":      {&unstructured.Unstructured{Object: map[string]any{}}, false},
		"unknown":        {nil, false},
	} {
		if got := available(test.object); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestRequested: what pods ask for counts from their beginning to their end, with a
// node or without, once.
func TestRequested(t *testing.T) {
	c := &Cluster{pods: map[string]pod{}, taken: map[string]*taken{}, requested: taken{requests: fleet.Resources{}}, phases: map[corev1.PodPhase]int{}, dirty: make(chan struct{}, 1)}
	web := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{asks("1500m", "1Gi")}}, Status: corev1.PodStatus{Phase: corev1.PodPending}}
	web.Name = "web"
	other := web.DeepCopy()
	other.Name, other.Spec.NodeName, other.Status.Phase = "other", "a", corev1.PodRunning
	expect := func(when string, want map[string]string) {
		t.Helper()
		if diff := cmp.Diff(want, c.Facts().Requested); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	expect("at first", map[string]string{"cpu": "0", "memory": "0", "pods": "0"})
	c.see(web)
	c.see(other)
	expect("one waits", map[string]string{"cpu": "3", "memory": "2Gi", "pods": "2"})
	scheduled := web.DeepCopy()
	scheduled.Spec.NodeName = "a"
	c.see(scheduled)
	c.see(scheduled)
	expect("both have a node", map[string]string{"cpu": "3", "memory": "2Gi", "pods": "2"})
	done := scheduled.DeepCopy()
	done.Status.Phase = corev1.PodSucceeded
	c.see(done)
	expect("one is done", map[string]string{"cpu": "1500m", "memory": "1Gi", "pods": "1"})
	c.lose(done)
	c.lose(other)
	expect("both are gone", map[string]string{"cpu": "0", "memory": "0", "pods": "0"})
}
