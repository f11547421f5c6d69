package observe

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/navarch/navarch/fleet"
)

// roomGroups is how many groups of equal nodes a heartbeat has at most. Where there
// are more, room is rounded down until there are not.
const roomGroups = 128

// quantity is a resource in the unit of [fleet.Resources].
func quantity(name corev1.ResourceName, q resource.Quantity) int64 {
	if name == corev1.ResourceCPU {
		return q.MilliValue()
	}
	return q.Value()
}

func resources(list corev1.ResourceList) fleet.Resources {
	r := make(fleet.Resources, len(list))
	for name, q := range list {
		r[string(name)] = quantity(name, q)
	}
	return r
}

// requestsOf sums up what a pod asks its node for, as the scheduler does: its
// containers side by side with its sidecars, or the largest of its other init
// containers beside the sidecars that started before it, whichever is more.
func requestsOf(pod *corev1.PodSpec) corev1.ResourceList {
	sum, sidecars, most := corev1.ResourceList{}, corev1.ResourceList{}, corev1.ResourceList{}
	for i := range pod.InitContainers {
		c := &pod.InitContainers[i]
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			increase(sidecars, c.Resources.Requests)
			raise(most, sidecars)
			continue
		}
		alone := maps.Clone(sidecars)
		increase(alone, c.Resources.Requests)
		raise(most, alone)
	}
	increase(sum, sidecars)
	for i := range pod.Containers {
		increase(sum, pod.Containers[i].Resources.Requests)
	}
	raise(sum, most)
	increase(sum, pod.Overhead)
	return sum
}

func increase(sum, part corev1.ResourceList) {
	for name, q := range part {
		total := sum[name]
		total.Add(q)
		sum[name] = total
	}
}

func raise(most, other corev1.ResourceList) {
	for name, q := range other {
		if now, ok := most[name]; !ok || q.Cmp(now) > 0 {
			most[name] = q
		}
	}
}

// taken is what the pods of one node ask it for.
type taken struct {
	pods     int64
	requests fleet.Resources
}

func (t *taken) count(requests fleet.Resources, by int64) {
	t.pods += by
	for name, amount := range requests {
		t.requests[name] += by * amount
	}
}

// list gives what facts speak of in Kubernetes' form.
func (t *taken) list() corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewMilliQuantity(t.requests[string(corev1.ResourceCPU)], resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(t.requests[string(corev1.ResourceMemory)], resource.BinarySI),
		corev1.ResourcePods:   *resource.NewQuantity(t.pods, resource.DecimalSI),
	}
}

// room returns what is free on the nodes that take new pods, equal nodes counted
// together, the roomiest first. It is nil where no node is known.
func room(nodes map[string]node, pods map[string]*taken) []fleet.NodeGroup {
	if len(nodes) == 0 {
		return nil
	}
	free := make([]fleet.Resources, 0, len(nodes))
	for name, n := range nodes {
		if !n.ready || !n.open {
			continue
		}
		left := resources(n.allocatable)
		if t := pods[name]; t != nil {
			for resource, amount := range t.requests {
				if has, ok := left[resource]; ok {
					left[resource] = max(0, has-amount)
				}
			}
			left[string(corev1.ResourcePods)] = max(0, left[string(corev1.ResourcePods)]-t.pods)
		}
		free = append(free, left)
	}
	for shift := 0; ; shift++ {
		if groups := group(free, shift); len(groups) <= roomGroups {
			return groups
		}
	}
}

// group counts equal nodes together, with amounts rounded down to a step that
// doubles with every shift.
func group(free []fleet.Resources, shift int) []fleet.NodeGroup {
	byText := map[string]*fleet.NodeGroup{} // by what is free, as text
	for _, exact := range free {
		rounded := make(fleet.Resources, len(exact))
		for name, amount := range exact {
			step := int64(1)
			if shift > 0 {
				step = stepOf(name) << (shift - 1)
			}
			rounded[name] = amount - amount%step
		}
		text := fmt.Sprint(rounded) // maps are printed by key
		if byText[text] == nil {
			byText[text] = &fleet.NodeGroup{Free: rounded}
		}
		byText[text].Count++
	}
	groups := make([]fleet.NodeGroup, 0, len(byText))
	for _, text := range slices.SortedFunc(maps.Keys(byText), func(a, b string) int {
		x, y := byText[a].Free, byText[b].Free
		return cmp.Or(cmp.Compare(y["cpu"], x["cpu"]), cmp.Compare(y["memory"], x["memory"]), cmp.Compare(a, b))
	}) {
		groups = append(groups, *byText[text])
	}
	return groups
}

// stepOf is where rounding begins: a tenth of a core, 128 MiB, 4 pods.
func stepOf(name string) int64 {
	switch corev1.ResourceName(name) {
	case corev1.ResourceCPU:
		return 100
	case corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
		return 128 << 20
	case corev1.ResourcePods:
		return 4
	}
	return 1
}
