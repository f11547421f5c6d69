package overlays

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/fleet"
)

// overrideWords edits the command or the args of a workload's containers.
func (e *edit) overrideWords(rule int, o fleet.CommandArgsOverrider, field string) error {
	object, err := e.value()
	if err != nil {
		return err
	}
	operations, err := commandOperations(object, o, field)
	if err != nil {
		return err
	}
	return e.apply(rule, operations...)
}

// commandOperations compiles an overrider of commands or args, whichever field
// says, for one object: for the containers with its name, of a workload. Other
// objects, and workloads without such a container, stay as they are.
// (karmada pkg/util/overridemanager/commandargsoverride.go)
func commandOperations(object map[string]any, o fleet.CommandArgsOverrider, field string) ([]operation, error) {
	operations := []operation{}
	pod, containers := containersOf(object)
	for i, c := range containers {
		container, _ := c.(map[string]any)
		if name, ok := container["name"].(string); !ok || name != o.ContainerName {
			continue
		}
		current, found, err := unstructured.NestedStringSlice(container, field)
		if err != nil {
			return nil, fmt.Errorf("%s of container %q is no list of strings", field, o.ContainerName)
		}
		words, err := overrideList(current, o)
		if err != nil {
			return nil, err
		}
		path := "/" + strings.Join(slices.Concat(pod, []string{"containers", strconv.Itoa(i), field}), "/")
		if found && container[field] != nil {
			operations = append(operations, operate("replace", path, words))
			continue
		}
		operations = append(operations, operate("add", path, words))
	}
	return operations, nil
}

// overrideList appends items to a list, or removes those that are equal to one.
func overrideList(current []string, o fleet.CommandArgsOverrider) ([]string, error) {
	list := make([]string, 0, len(current)+len(o.Value))
	switch o.Operator {
	case "add":
		return append(append(list, current...), o.Value...), nil
	case "remove":
		return slices.DeleteFunc(append(list, current...), func(item string) bool { return slices.Contains(o.Value, item) }), nil
	}
	return nil, fmt.Errorf("operator %q is not known here: use add or remove", o.Operator)
}

// podPath returns where the pod of a workload is, for the kinds whose containers
// can be overridden without naming the path.
func podPath(kind string) []string {
	switch kind {
	case "Pod":
		return []string{"spec"}
	case "ReplicaSet", "Deployment", "DaemonSet", "StatefulSet", "Job":
		return []string{"spec", "template", "spec"}
	}
	return nil
}

// containersOf returns the containers of a workload, without its init containers,
// and where its pod is; nothing of other objects.
func containersOf(object map[string]any) (pod []string, containers []any) {
	kind, _ := object["kind"].(string)
	if pod = podPath(kind); pod == nil {
		return nil, nil
	}
	found, _, _ := unstructured.NestedFieldNoCopy(object, append(slices.Clone(pod), "containers")...)
	containers, _ = found.([]any)
	return pod, containers
}
