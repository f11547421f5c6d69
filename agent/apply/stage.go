package apply

import (
	"cmp"

	"github.com/navarch/navarch/fleet"
)

// Stages returns objects in the order in which they have to be there: definitions
// and namespaces, then what others name when they start, then everything else, and
// webhooks last, which would call what is not running yet. Objects of one stage may
// be applied side by side.
func Stages(objects []Object) [][]Object {
	var stages [4][]Object
	for _, o := range objects {
		n := stageOf(o.ID)
		stages[n] = append(stages[n], o)
	}
	var filled [][]Object
	for _, stage := range stages {
		if len(stage) > 0 {
			filled = append(filled, stage)
		}
	}
	return filled
}

func stageOf(id fleet.ObjectID) int {
	switch id.Group {
	case "apiextensions.k8s.io", "scheduling.k8s.io", "storage.k8s.io":
		return 0
	case "admissionregistration.k8s.io", "apiregistration.k8s.io":
		return 3
	case "rbac.authorization.k8s.io":
		return 1
	case "":
	default:
		return 2
	}
	switch id.Kind {
	case "Namespace":
		return 0
	case "ServiceAccount", "ConfigMap", "Secret", "LimitRange", "ResourceQuota", "PersistentVolume", "PersistentVolumeClaim":
		return 1
	}
	return 2
}

func compareIDs(a, b fleet.ObjectID) int {
	return cmp.Or(
		cmp.Compare(a.Group, b.Group),
		cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Name, b.Name),
	)
}
