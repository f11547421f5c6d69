package apply

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// injects are the beginnings of annotations by which a controller is asked to write
// the certificates that a webhook is trusted by: cert-manager's, and OpenShift's.
var injects = []string{"cert-manager.io/inject-", "service.beta.openshift.io/inject-cabundle"}

// dropInjected takes off an object the caBundle that a controller of the cluster
// writes: where an annotation asks for it, or where there is only a placeholder.
// Without it in what is sent, it is not the app's and stays as it is written.
func dropInjected(o *unstructured.Unstructured) {
	asked := slices.ContainsFunc(slices.Collect(maps.Keys(o.GetAnnotations())), func(key string) bool {
		return slices.ContainsFunc(injects, func(begin string) bool { return strings.HasPrefix(key, begin) })
	})
	drop := func(config map[string]any) {
		switch config["caBundle"] {
		case "", "Cg==", "Cgo=": // nothing, or empty lines
			delete(config, "caBundle")
		default:
			if asked {
				delete(config, "caBundle")
			}
		}
	}
	switch o.GroupVersionKind().Group {
	case "admissionregistration.k8s.io":
		webhooks, _ := o.Object["webhooks"].([]any)
		for _, each := range webhooks {
			if webhook, ok := each.(map[string]any); ok {
				drop(child(webhook, "clientConfig"))
			}
		}
	case "apiregistration.k8s.io":
		drop(child(o.Object, "spec"))
	case "apiextensions.k8s.io":
		drop(child(o.Object, "spec", "conversion", "webhook", "clientConfig"))
	}
}

// child returns a mapping within a mapping; an empty one where there is none.
func child(of map[string]any, path ...string) map[string]any {
	for _, key := range path {
		next, ok := of[key].(map[string]any)
		if !ok {
			return map[string]any{}
		}
		of = next
	}
	return of
}
