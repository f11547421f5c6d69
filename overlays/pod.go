package overlays

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// podOf returns the spec of the pods that a built-in workload makes, or nil for
// other objects.
func podOf(object *unstructured.Unstructured) map[string]any {
	var path []string
	switch id := objectID(object); id.Kind + "." + id.Group {
	case "Pod.":
		path = []string{"spec"}
	case "Deployment.apps", "ReplicaSet.apps", "StatefulSet.apps", "DaemonSet.apps", "Job.batch":
		path = []string{"spec", "template", "spec"}
	case "CronJob.batch":
		path = []string{"spec", "jobTemplate", "spec", "template", "spec"}
	default:
		return nil
	}
	found, _, _ := unstructured.NestedFieldNoCopy(object.Object, path...)
	pod, _ := found.(map[string]any)
	return pod
}

// listAt returns the mappings in a list of an object.
func listAt(object map[string]any, key string) []map[string]any {
	list, _ := object[key].([]any)
	items := make([]map[string]any, 0, len(list))
	for _, item := range list {
		if mapping, ok := item.(map[string]any); ok {
			items = append(items, mapping)
		}
	}
	return items
}

// textsAt returns the strings at a path of keys that are not empty. A list on the
// way stands for each of its items.
func textsAt(v any, keys ...string) []string {
	switch v := v.(type) {
	case []any:
		var texts []string
		for _, item := range v {
			texts = append(texts, textsAt(item, keys...)...)
		}
		return texts
	case map[string]any:
		if len(keys) > 0 {
			return textsAt(v[keys[0]], keys[1:]...)
		}
	case string:
		if len(keys) == 0 && v != "" {
			return []string{v}
		}
	}
	return nil
}
