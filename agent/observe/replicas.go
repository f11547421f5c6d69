package observe

import (
	"cmp"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/wire"
)

// replicas tells how far an object with replicas has come; nil for any other. What a
// controller says of an older generation counts for nothing as updated.
func replicas(o *unstructured.Unstructured) *wire.Replicas {
	var r *wire.Replicas
	switch gk := o.GroupVersionKind().GroupKind().String(); gk {
	case "DaemonSet.apps":
		r = &wire.Replicas{
			Wanted: count(o, "status", "desiredNumberScheduled"), Updated: count(o, "status", "updatedNumberScheduled"),
			Ready: count(o, "status", "numberReady"), Available: count(o, "status", "numberAvailable"),
		}
	case "Job.batch":
		succeeded := count(o, "status", "succeeded")
		return &wire.Replicas{
			Wanted: countOr(o, 1, "spec", "completions"), Updated: succeeded + count(o, "status", "active"),
			Ready: succeeded, Available: succeeded,
		}
	case "Deployment.apps", "StatefulSet.apps":
		r = &wire.Replicas{
			Wanted: countOr(o, 1, "spec", "replicas"), Updated: count(o, "status", "updatedReplicas"),
			Ready: count(o, "status", "readyReplicas"), Available: count(o, "status", "availableReplicas"),
		}
	default:
		r = scaled(o)
	}
	if r != nil && stale(o) {
		r.Updated = 0
	}
	return r
}

// scaled is of any kind whose spec and status have replicas by the names that
// Kubernetes' own kinds use.
func scaled(o *unstructured.Unstructured) *wire.Replicas {
	wanted, scales := number(o, "spec", "replicas")
	total, counts := number(o, "status", "replicas")
	ready, tells := number(o, "status", "readyReplicas")
	if !scales || !counts && !tells {
		return nil
	}
	total = cmp.Or(total, ready)
	return &wire.Replicas{
		Wanted: int(wanted), Updated: countOr(o, int(total), "status", "updatedReplicas"),
		Ready: int(ready), Available: countOr(o, int(ready), "status", "availableReplicas"),
	}
}

func count(o *unstructured.Unstructured, path ...string) int { return countOr(o, 0, path...) }

func countOr(o *unstructured.Unstructured, absent int, path ...string) int {
	if n, ok := number(o, path...); ok {
		return int(n)
	}
	return absent
}

// number returns a field that is a whole number of things.
func number(o *unstructured.Unstructured, path ...string) (int64, bool) {
	n, found, err := unstructured.NestedInt64(o.Object, path...)
	return n, found && err == nil && n >= 0
}
