package fleet

import (
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// manifest is what a repository says of an object that may run in clusters: enough
// to select it.
type manifest struct {
	file       string
	document   int // see [SourceObject]
	line       int
	apiVersion string
	kind       string
	namespace  string // where it goes; empty for kinds without namespaces
	written    string // the namespace as written, which may be none
	name       string
	labels     map[string]string
	// items are the objects of a list.
	items []manifest
	// defines is the kind that a CustomResourceDefinition defines.
	defines *definedKind
}

type definedKind struct {
	groupKind
	clusterScoped bool
}

type groupKind struct{ group, kind string }

func (m *manifest) groupKind() groupKind {
	found, _, versioned := strings.Cut(m.apiVersion, "/")
	if !versioned {
		found = ""
	}
	return groupKind{found, m.kind}
}

func (m *manifest) id() ObjectID {
	gk := m.groupKind()
	return ObjectID{Group: gk.group, Kind: gk.kind, Namespace: m.namespace, Name: m.name}
}

// String names m for people, on one line.
func (m *manifest) String() string { return printable(m.id().String()) }

// manifestOf reads what a document says of its object, or of the objects of its
// list, and false when it is none.
func manifestOf(root *yaml.Node) (manifest, bool) {
	items := nodeAt(root, "items")
	if items == nil || items.Kind != yaml.SequenceNode || !strings.HasSuffix(textAt(root, "kind"), "List") {
		return objectOf(root)
	}
	list := manifest{line: root.Line, apiVersion: textAt(root, "apiVersion"), kind: textAt(root, "kind")}
	for _, item := range items.Content {
		if one, ok := objectOf(resolved(item)); ok {
			list.items = append(list.items, one)
		}
	}
	return list, list.items != nil
}

func objectOf(root *yaml.Node) (manifest, bool) {
	m := manifest{line: root.Line, apiVersion: textAt(root, "apiVersion"), kind: textAt(root, "kind")}
	if m.apiVersion == "" || m.kind == "" {
		return manifest{}, false
	}
	found := nodeAt(root, "metadata")
	if found == nil {
		return manifest{}, false
	}
	var e expansion
	meta, err := e.expand(found, 0)
	if err != nil {
		return manifest{}, false // what reads the whole document says so
	}
	m.name, m.written = textAt(meta, "name"), textAt(meta, "namespace")
	if written := nodeAt(meta, "labels"); written != nil && written.Kind == yaml.MappingNode {
		m.labels = make(map[string]string, len(written.Content)/2)
		for i := 0; i+1 < len(written.Content); i += 2 {
			m.labels[written.Content[i].Value] = written.Content[i+1].Value
		}
	}
	if gk := (groupKind{"apiextensions.k8s.io", "CustomResourceDefinition"}); m.groupKind() == gk {
		m.defines = &definedKind{
			groupKind:     groupKind{textAt(root, "spec", "group"), textAt(root, "spec", "names", "kind")},
			clusterScoped: textAt(root, "spec", "scope") == "Cluster",
		}
	}
	return m, m.name != ""
}

// clusterScoped are the kinds of Kubernetes that have no namespace.
var clusterScoped = map[groupKind]bool{
	{"", "Namespace"}:        true,
	{"", "Node"}:             true,
	{"", "PersistentVolume"}: true,
	{"admissionregistration.k8s.io", "MutatingAdmissionPolicy"}:          true,
	{"admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"}:   true,
	{"admissionregistration.k8s.io", "MutatingWebhookConfiguration"}:     true,
	{"admissionregistration.k8s.io", "ValidatingAdmissionPolicy"}:        true,
	{"admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"}: true,
	{"admissionregistration.k8s.io", "ValidatingWebhookConfiguration"}:   true,
	{"apiextensions.k8s.io", "CustomResourceDefinition"}:                 true,
	{"apiregistration.k8s.io", "APIService"}:                             true,
	{"certificates.k8s.io", "CertificateSigningRequest"}:                 true,
	{"certificates.k8s.io", "ClusterTrustBundle"}:                        true,
	{"flowcontrol.apiserver.k8s.io", "FlowSchema"}:                       true,
	{"flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"}:       true,
	{"networking.k8s.io", "IPAddress"}:                                   true,
	{"networking.k8s.io", "IngressClass"}:                                true,
	{"networking.k8s.io", "ServiceCIDR"}:                                 true,
	{"node.k8s.io", "RuntimeClass"}:                                      true,
	{"rbac.authorization.k8s.io", "ClusterRole"}:                         true,
	{"rbac.authorization.k8s.io", "ClusterRoleBinding"}:                  true,
	{"resource.k8s.io", "DeviceClass"}:                                   true,
	{"resource.k8s.io", "ResourceSlice"}:                                 true,
	{"scheduling.k8s.io", "PriorityClass"}:                               true,
	{"storage.k8s.io", "CSIDriver"}:                                      true,
	{"storage.k8s.io", "CSINode"}:                                        true,
	{"storage.k8s.io", "StorageClass"}:                                   true,
	{"storage.k8s.io", "VolumeAttachment"}:                               true,
	{"storage.k8s.io", "VolumeAttributesClass"}:                          true,
}

// workloads are the kinds that run pods.
var workloads = map[groupKind]bool{
	{"", "Pod"}: true, {"", "ReplicationController"}: true,
	{"apps", "DaemonSet"}: true, {"apps", "Deployment"}: true, {"apps", "ReplicaSet"}: true, {"apps", "StatefulSet"}: true,
	{"batch", "CronJob"}: true, {"batch", "Job"}: true,
}

// kustomization is what a kustomization takes in.
type kustomization struct {
	dir string
	// lists tells that it only lists what it takes in and changes nothing of it.
	lists bool
	paths []string // that it names, as it names them
}

func isKustomization(name string) bool {
	switch path.Base(name) {
	case "kustomization.yaml", "kustomization.yml", "Kustomization":
		return true
	}
	return false
}

// listing are the fields of a kustomization that change nothing of what it lists.
var listing = []string{"apiVersion", "kind", "metadata", "resources", "bases", "buildMetadata", "sortOptions"}

// naming are the fields, at any depth, in which a kustomization names files and
// folders.
var naming = []string{
	"additionalValuesFiles", "bases", "components", "configurations", "crds", "env", "envs", "files", "generators", "path",
	"patchesStrategicMerge", "resources", "transformers", "validators", "valuesFile",
}

func kustomizationOf(name string, root *yaml.Node) (kustomization, error) {
	var e expansion
	root, err := e.expand(root, 0) // aliases could stand for gigabytes
	if err != nil {
		return kustomization{}, err
	}
	k := kustomization{dir: path.Dir(name), lists: textAt(root, "kind") != "Component"}
	for i := 0; root.Kind == yaml.MappingNode && i+1 < len(root.Content); i += 2 {
		k.lists = k.lists && slices.Contains(listing, root.Content[i].Value)
	}
	k.collect(root, false)
	return k, nil
}

// collect gathers the text below a node that is in a field which names files.
func (k *kustomization) collect(n *yaml.Node, names bool) {
	switch n.Kind {
	case yaml.ScalarNode:
		if _, file, pair := strings.Cut(n.Value, "="); names && pair { // a file under a key
			k.paths = append(k.paths, file)
		} else if names {
			k.paths = append(k.paths, n.Value)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			k.collect(n.Content[i+1], slices.Contains(naming, n.Content[i].Value))
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			k.collect(item, names)
		}
	}
}
