package overlays

import (
	"cmp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/resid"
)

// kindOrder is the order in which kustomize prints kinds that others may need. It is
// fixed for all time: other kinds come after them, and the lastKinds at the end.
var (
	kindOrder = []string{
		"Namespace", "ResourceQuota", "StorageClass", "CustomResourceDefinition", "ServiceAccount", "PodSecurityPolicy",
		"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "ConfigMap", "Secret", "Endpoints", "Service",
		"LimitRange", "PriorityClass", "PersistentVolume", "PersistentVolumeClaim", "Deployment", "StatefulSet", "CronJob",
		"PodDisruptionBudget",
	}
	lastKinds = []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"}
)

// place is where an object is printed.
type place struct {
	rank         int
	kind, object string
}

// sortAsPrinted sorts objects in the order in which kustomize prints them.
func sortAsPrinted(objects []*resource.Resource) {
	places := make(map[*resource.Resource]place, len(objects))
	for _, object := range objects {
		places[object] = placeOf(object.CurId())
	}
	slices.SortFunc(objects, func(a, b *resource.Resource) int {
		x, y := places[a], places[b]
		return cmp.Or(cmp.Compare(x.rank, y.rank), cmp.Compare(x.kind, y.kind), cmp.Compare(x.object, y.object))
	})
}

func placeOf(id resid.ResId) place {
	rank := slices.Index(kindOrder, id.Kind) - len(kindOrder)
	if rank < -len(kindOrder) {
		rank = 1 + slices.Index(lastKinds, id.Kind) // 0 for the kinds in between
	}
	group := cmp.Or(id.Group, "~G")
	if id.Kind == "Namespace" && id.Group == "" {
		group = "" // before those of other groups
	}
	return place{
		rank:   rank,
		kind:   strings.Join([]string{group, cmp.Or(id.Version, "~V"), cmp.Or(id.Kind, "~K")}, "_"),
		object: strings.Join([]string{cmp.Or(id.Namespace, "~X"), cmp.Or(id.Name, "~N")}, "|"),
	}
}
