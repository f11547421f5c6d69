package observe

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/navarch/navarch/fleet"
)

// list is resources briefly: cpu and memory.
func list(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
}

func asks(cpu, memory string) corev1.Container {
	return corev1.Container{Resources: corev1.ResourceRequirements{Requests: list(cpu, memory)}}
}

func sidecar(cpu, memory string) corev1.Container {
	c, always := asks(cpu, memory), corev1.ContainerRestartPolicyAlways
	c.RestartPolicy = &always
	return c
}

func TestRequestsOf(t *testing.T) {
	for name, test := range map[string]struct {
		pod  corev1.PodSpec
		want fleet.Resources
	}{
		"nothing": {want: fleet.Resources{}},
		"containers side by side": {
			pod:  corev1.PodSpec{Containers: []corev1.Container{asks("100m", "1Gi"), asks("2", "1Gi"), {}}},
			want: fleet.Resources{"cpu": 2100, "memory": 2 << 30},
		},
		"an init container that needs more of one thing": {
			pod: corev1.PodSpec{
				InitContainers: []corev1.Container{asks("1", "4Gi"), asks("500m", "1Gi")},
				Containers:     []corev1.Container{asks("2", "1Gi")},
			},
			want: fleet.Resources{"cpu": 2000, "memory": 4 << 30},
		},
		"sidecars run beside what comes after them": {
			pod: corev1.PodSpec{
				InitContainers: []corev1.Container{asks("3", "1Gi"), sidecar("1", "1Gi"), asks("3", "1Gi")},
				Containers:     []corev1.Container{asks("1", "1Gi")},
			},
			want: fleet.Resources{"cpu": 4000, "memory": 2 << 30},
		},
		"overhead comes on top": {
			pod:  corev1.PodSpec{Containers: []corev1.Container{asks("1", "1Gi")}, Overhead: list("250m", "0")},
			want: fleet.Resources{"cpu": 1250, "memory": 1 << 30},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, resources(requestsOf(&test.pod))); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRoom(t *testing.T) {
	open := func(cpu string) node {
		allocatable := list(cpu, "8Gi")
		allocatable[corev1.ResourcePods] = resource.MustParse("10")
		return node{ready: true, open: true, allocatable: allocatable}
	}
	cordoned, sick := open("4"), open("4")
	cordoned.open, sick.ready = false, false
	nodes := map[string]node{"a": open("4"), "b": open("4"), "c": open("4"), "d": open("2"), "cordoned": cordoned, "sick": sick}
	pods := map[string]*taken{}
	for _, name := range []string{"a", "a", "d", "d", "d", "cordoned", "gone"} {
		if pods[name] == nil {
			pods[name] = &taken{requests: fleet.Resources{}}
		}
		pods[name].count(fleet.Resources{"cpu": 1000, "memory": 1 << 30, "example.com/unheard-of": 1}, 1)
	}
	free := func(cpu, memory, pods int64) fleet.Resources {
		return fleet.Resources{"cpu": cpu, "memory": memory << 30, "pods": pods}
	}
	want := []fleet.NodeGroup{
		{Count: 2, Free: free(4000, 8, 10)},
		{Count: 1, Free: free(2000, 6, 8)},
		{Count: 1, Free: free(0, 5, 7)}, // overcommitted
	}
	if diff := cmp.Diff(want, room(nodes, pods)); diff != "" {
		t.Errorf("room (-want +got):\n%s", diff)
	}
	if none := room(map[string]node{"cordoned": cordoned}, nil); none == nil || len(none) > 0 {
		t.Errorf("with every node cordoned there is room %#v, want none", none)
	}
	if unknown := room(nil, nil); unknown != nil {
		t.Errorf("with no node known there is room %#v, want nil", unknown)
	}
}

// Many different nodes are told in few groups, and never as more than is free.
func TestRoomOfManyNodes(t *testing.T) {
	nodes := map[string]node{}
	var most int64
	for i := range 5000 {
		cpu := int64(1000 + 7*i)
		nodes[fmt.Sprint("node-", i)] = node{ready: true, open: true, allocatable: corev1.ResourceList{
			corev1.ResourceCPU: *resource.NewMilliQuantity(cpu, resource.DecimalSI),
		}}
		most += cpu
	}
	groups := room(nodes, nil)
	var count, sum int64
	for _, g := range groups {
		count += g.Count
		sum += g.Count * g.Free["cpu"]
	}
	if len(groups) > roomGroups || count != 5000 || sum > most || sum < most*9/10 {
		t.Errorf("%d groups of %d nodes with %d millicores of %d", len(groups), count, sum, most)
	}
}
