package overlays

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/fleet"
)

// named lists where a pod names objects of its namespace, by their kind.
// (karmada pkg/resourceinterpreter/default/native/dependencies.go)
var named = []struct {
	kind  string
	paths [][]string
}{
	{"ConfigMap", [][]string{
		{"containers", "envFrom", "configMapRef", "name"},
		{"containers", "env", "valueFrom", "configMapKeyRef", "name"},
		{"initContainers", "envFrom", "configMapRef", "name"},
		{"initContainers", "env", "valueFrom", "configMapKeyRef", "name"},
		{"volumes", "configMap", "name"},
		{"volumes", "projected", "sources", "configMap", "name"},
	}},
	{"PersistentVolumeClaim", [][]string{
		{"volumes", "persistentVolumeClaim", "claimName"},
	}},
	{"Secret", [][]string{
		{"imagePullSecrets", "name"},
		{"containers", "envFrom", "secretRef", "name"},
		{"containers", "env", "valueFrom", "secretKeyRef", "name"},
		{"initContainers", "envFrom", "secretRef", "name"},
		{"initContainers", "env", "valueFrom", "secretKeyRef", "name"},
		{"volumes", "azureFile", "secretName"},
		{"volumes", "cephfs", "secretRef", "name"},
		{"volumes", "cinder", "secretRef", "name"},
		{"volumes", "csi", "nodePublishSecretRef", "name"},
		{"volumes", "flexVolume", "secretRef", "name"},
		{"volumes", "iscsi", "secretRef", "name"},
		{"volumes", "projected", "sources", "secret", "name"},
		{"volumes", "rbd", "secretRef", "name"},
		{"volumes", "scaleIO", "secretRef", "name"},
		{"volumes", "secret", "secretName"},
		{"volumes", "storageos", "secretRef", "name"},
	}},
	{"ServiceAccount", [][]string{
		{"serviceAccountName"},
	}},
}

// Dependencies returns the objects that objects need to run and name: the
// ConfigMaps, Secrets, PersistentVolumeClaims and ServiceAccounts of pods, and the
// Secrets with the certificates of Ingresses. Each is there once, sorted, whether or
// not it is optional or among the objects. Claims that a StatefulSet makes itself
// and the ServiceAccount default, which every namespace has, are none.
func Dependencies(objects []*unstructured.Unstructured) []fleet.ObjectID {
	var found []fleet.ObjectID
	for _, object := range objects {
		id := objectID(object)
		given := map[fleet.ObjectID]bool{{Kind: "ServiceAccount", Name: "default"}: true}
		switch id.Kind + "." + id.Group {
		case "StatefulSet.apps":
			for _, name := range textsAt(object.Object, "spec", "volumeClaimTemplates", "metadata", "name") {
				given[fleet.ObjectID{Kind: "PersistentVolumeClaim", Name: name}] = true
			}
		case "Ingress.networking.k8s.io":
			for _, name := range textsAt(object.Object, "spec", "tls", "secretName") {
				found = append(found, fleet.ObjectID{Kind: "Secret", Namespace: id.Namespace, Name: name})
			}
		}
		for _, name := range namesIn(podOf(object)) {
			if !given[name] {
				name.Namespace = id.Namespace
				found = append(found, name)
			}
		}
	}
	slices.SortFunc(found, compareIDs)
	return slices.Compact(found)
}

// namesIn returns what a pod names, without the namespace.
func namesIn(pod map[string]any) []fleet.ObjectID {
	var ids []fleet.ObjectID
	for _, names := range named {
		for _, path := range names.paths {
			for _, name := range textsAt(pod, path...) {
				ids = append(ids, fleet.ObjectID{Kind: names.kind, Name: name})
			}
		}
	}
	return ids
}

// Needs returns what an app's base names in its namespaces and does not bring itself,
// with namespaces as in the cluster. Its error is a [fleet.Problems].
func Needs(app fleet.App, source Source) ([]fleet.ObjectID, error) {
	objects, err := buildBase(app, source)
	if err != nil {
		return nil, err
	}
	placed := func(id fleet.ObjectID) fleet.ObjectID {
		id.Namespace = cmp.Or(id.Namespace, metav1.NamespaceDefault)
		return id
	}
	brought := map[fleet.ObjectID]bool{}
	for _, id := range ObjectIDs(objects) {
		brought[placed(id)] = true
	}
	var needs []fleet.ObjectID
	for _, id := range Dependencies(objects) {
		if id = placed(id); !brought[id] {
			needs = append(needs, id)
		}
	}
	return needs, nil
}
