package overlays

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/fleet"
)

// Workloads returns the objects with replicas of an app, by identity, as the app's
// base has them before any override: Deployments, StatefulSets, ReplicaSets and Jobs.
// Other objects run whole wherever the app is placed, as in Karmada. It builds the
// app once. Its error is a [fleet.Problems].
func Workloads(app fleet.App, source Source) ([]fleet.Workload, error) {
	objects, err := buildBase(app, source)
	if err != nil {
		return nil, err
	}
	var workloads []fleet.Workload
	var problems fleet.Problems
	for _, object := range objects {
		workload, ok, err := workloadOf(object)
		switch {
		case err != nil:
			p := sourceProblem(app)
			p.Message = fmt.Sprintf("%s of app %q: %v", objectID(object), app.Name, err)
			problems = append(problems, p)
		case ok:
			workloads = append(workloads, workload)
		}
	}
	if err := problems.Sorted().Err(); err != nil {
		return nil, err
	}
	slices.SortFunc(workloads, func(a, b fleet.Workload) int { return compareIDs(a.Object, b.Object) })
	return workloads, nil
}

// buildBase builds an app without any override.
func buildBase(app fleet.App, source Source) ([]*unstructured.Unstructured, error) {
	r := rendering{app: app, source: source}
	objects, err := r.build(r.words(newClosure(nil)).files(".", nil), ".")
	if err != nil {
		return nil, fleet.Problems{r.baseProblem(err)}
	}
	return objects, nil
}

// workloadOf reads an object that has replicas, and reports false for others. What
// the API server sets when it is not said counts as said.
func workloadOf(object *unstructured.Unstructured) (fleet.Workload, bool, error) {
	id := objectID(object)
	w := fleet.Workload{Object: id, Replicas: 1}
	field := "replicas"
	switch id.Kind + "." + id.Group {
	case "Deployment.apps", "StatefulSet.apps", "ReplicaSet.apps":
	case "Job.batch":
		field = "parallelism"
		completions, err := countAt(object, "completions")
		if err != nil {
			return w, false, err
		}
		w.Completions = completions
	default:
		return w, false, nil
	}
	replicas, err := countAt(object, field)
	if err != nil {
		return w, false, err
	}
	if replicas != nil {
		w.Replicas = *replicas
	}
	w.Requests, err = requestsOf(podOf(object))
	return w, true, err
}

// countAt returns a number in an object's spec, or nil where there is none.
func countAt(object *unstructured.Unstructured, field string) (*int64, error) {
	found, _, err := unstructured.NestedFieldNoCopy(object.Object, "spec", field)
	if err != nil || found == nil {
		return nil, nil //nolint:nilerr // a spec of another form says nothing
	}
	if count, ok := found.(int64); ok && count >= 0 {
		return &count, nil
	}
	return nil, fmt.Errorf("spec.%s is %v, which is no count", field, found)
}

// requestsOf returns what a pod asks for, as the scheduler reckons: the sum of its
// containers and sidecars, or what the init containers need at once where that is
// more, or what the pod itself says, and the overhead. A limit without a request is
// a request.
func requestsOf(pod map[string]any) (fleet.Resources, error) {
	sum, sidecars, starting := fleet.Resources{}, fleet.Resources{}, fleet.Resources{}
	for _, container := range listAt(pod, "containers") {
		requests, err := containerRequests(container)
		if err != nil {
			return nil, err
		}
		sum = plus(sum, requests)
	}
	for _, container := range listAt(pod, "initContainers") {
		requests, err := containerRequests(container)
		if err != nil {
			return nil, err
		}
		if container["restartPolicy"] == "Always" {
			sum, sidecars = plus(sum, requests), plus(sidecars, requests)
			requests = fleet.Resources{}
		}
		starting = most(starting, plus(requests, sidecars))
	}
	sum = most(sum, starting)
	whole, err := quantities(pod, "resources", "requests")
	if err != nil {
		return nil, err
	}
	maps.Copy(sum, whole)
	overhead, err := quantities(pod, "overhead")
	if err != nil {
		return nil, err
	}
	sum = plus(sum, overhead)
	maps.DeleteFunc(sum, func(_ string, quantity int64) bool { return quantity == 0 })
	return sum, nil
}

func containerRequests(container map[string]any) (fleet.Resources, error) {
	requests, err := quantities(container, "resources", "limits")
	if err != nil {
		return nil, err
	}
	said, err := quantities(container, "resources", "requests")
	if err != nil {
		return nil, err
	}
	maps.Copy(requests, said)
	return requests, nil
}

// quantities reads a map of quantities: cpu in millicores, everything else in its
// own unit, rounded up.
func quantities(object map[string]any, keys ...string) (fleet.Resources, error) {
	found, _, _ := unstructured.NestedFieldNoCopy(object, keys...)
	written, _ := found.(map[string]any)
	resources := fleet.Resources{}
	for _, name := range slices.Sorted(maps.Keys(written)) {
		quantity, err := resource.ParseQuantity(fmt.Sprint(written[name]))
		switch {
		case err != nil || quantity.Sign() < 0:
			return nil, fmt.Errorf("%q is no quantity of %s", fmt.Sprint(written[name]), name)
		case name == "cpu":
			resources[name] = quantity.MilliValue()
		default:
			resources[name] = quantity.Value()
		}
	}
	return resources, nil
}

// plus adds quantities.
func plus(a, b fleet.Resources) fleet.Resources {
	return combine(a, b, func(a, b int64) int64 { return a + b })
}

// most keeps the larger of the quantities.
func most(a, b fleet.Resources) fleet.Resources {
	return combine(a, b, func(a, b int64) int64 { return max(a, b) })
}

func combine(a, b fleet.Resources, of func(a, b int64) int64) fleet.Resources {
	c := make(fleet.Resources, len(a)+len(b))
	for name, quantity := range a {
		c[name] = of(quantity, b[name])
	}
	for name, quantity := range b {
		c[name] = of(a[name], quantity)
	}
	return c
}
