package overlays

import (
	"encoding/json"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/builtins" //nolint:staticcheck // its transformers are what the pinned version runs, and a test compares
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/resid"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// apart builds kustomizations that do nothing but list resources, patch targets, set
// a namespace and add labels, object by object: each is a resource map of its own
// that goes through kustomize's own transformers. kustomize compares every object
// with every other several times, which takes minutes for ten thousand.
//
// It gives up where objects could concern each other, and on whatever would be an
// error: then kustomize itself has the word. It does not see what kustomize refuses
// where a malformed object names another, such as a subject without a name; clusters
// refuse that as well.
type apart struct {
	tree    Files
	maps    *resmap.Factory
	edited  bool // some layer sets a namespace or patches
	visited []string
}

// buildApart returns the objects of a kustomization in the order in which kustomize
// prints them, and false where it gives up.
func buildApart(tree Files, root string) (built []*resource.Resource, ok bool) {
	kustomizing.Lock()
	defer kustomizing.Unlock()
	defer func() {
		if recover() != nil { // kustomize will say why
			built, ok = nil, false
		}
	}()
	a := &apart{tree: tree, maps: resmap.NewFactory(provider.NewDefaultDepProvider().GetResourceFactory())}
	objects, ok := a.folder(root)
	if !ok {
		return nil, false
	}
	for _, object := range objects {
		if a.edited && refers(object.Resources()[0]) {
			return nil, false
		}
		object.RemoveBuildAnnotations()
		if object.RemoveOriginAnnotations() != nil || object.RemoveTransformerAnnotations() != nil {
			return nil, false
		}
		built = append(built, object.Resources()[0])
	}
	sortAsPrinted(built)
	return built, true
}

// folder builds the kustomization in a folder.
func (a *apart) folder(dir string) (objects []resmap.ResMap, ok bool) {
	k, ok := a.kustomization(dir)
	if !ok || slices.Contains(a.visited, dir) { // twice would be an error
		return nil, false
	}
	a.visited = append(a.visited, dir)
	for _, entry := range k.Resources {
		name := path.Join(dir, entry)
		content, file := a.tree[name]
		var more []resmap.ResMap
		switch {
		case path.IsAbs(entry) || file && !within(dir, name):
			return nil, false
		case file:
			more, ok = a.file(content)
		default:
			more, ok = a.folder(name)
		}
		if !ok {
			return nil, false
		}
		objects = append(objects, more...)
	}
	if !distinct(objects) {
		return nil, false
	}
	if objects, ok = a.patch(objects, k.Patches); !ok {
		return nil, false
	}
	return objects, a.finish(objects, k) && distinct(objects)
}

// kustomization returns the kustomization of a folder, unless it says more than what
// concerns one object at a time.
func (a *apart) kustomization(dir string) (k types.Kustomization, ok bool) {
	found := 0
	for _, base := range konfig.RecognizedKustomizationFileNames() {
		content, there := a.tree[path.Join(dir, base)]
		if !there {
			continue
		}
		if found++; found > 1 || k.Unmarshal(content) != nil {
			return k, false
		}
	}
	rest := k
	rest.APIVersion, rest.Kind, rest.Resources, rest.Patches, rest.Namespace, rest.Labels = "", "", nil, nil, "", nil
	if found == 0 || k.Kind == types.ComponentKind || !reflect.ValueOf(rest).IsZero() {
		return k, false
	}
	for _, label := range k.Labels {
		if !reflect.DeepEqual(label, types.Label{Pairs: label.Pairs}) {
			return k, false
		}
	}
	for _, p := range k.Patches {
		if p.Target == nil || p.Path != "" || p.Options != nil {
			return k, false
		}
	}
	return k, true
}

// file reads a file of objects.
func (a *apart) file(content []byte) (objects []resmap.ResMap, ok bool) {
	read, err := a.maps.RF().SliceFromBytes(content)
	if err != nil {
		return nil, false
	}
	for _, object := range read {
		if object.GetName() == "" || object.GetKind() == "" || object.GetApiVersion() == "" || instructed(object) {
			return nil, false
		}
		objects = append(objects, a.maps.FromResource(object))
	}
	return objects, true
}

// instructed tells whether an object's annotations could tell kustomize something.
func instructed(object *resource.Resource) bool {
	for key := range object.GetAnnotations() {
		if strings.Contains(key, "config.kubernetes.io/") || strings.Contains(key, "config.k8s.io/") {
			return true
		}
	}
	return false
}

// refers tells whether an object could name another together with its namespace,
// which kustomize keeps right, or is a namespace. Names alone do not change here.
func refers(object *resource.Resource) bool {
	switch object.GetKind() {
	case "Namespace", "Node", "RoleBinding", "ClusterRoleBinding", "APIService", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration":
		return true
	case "CustomResourceDefinition":
		conversion, err := object.Pipe(yaml.Lookup("spec", "conversion"))
		return err != nil || conversion != nil
	}
	return false
}

// distinct tells whether no two objects are the same for kustomize.
func distinct(objects []resmap.ResMap) bool {
	seen := make(map[string]bool, len(objects))
	for _, object := range objects {
		id := object.Resources()[0].CurId()
		key := strings.Join([]string{id.Group, id.Version, id.Kind, id.EffectiveNamespace(), id.Name}, "\x00")
		if seen[key] {
			return false
		}
		seen[key] = true
	}
	return true
}

// patch applies patches in their order, each to the objects that it targets.
func (a *apart) patch(objects []resmap.ResMap, patches []types.Patch) ([]resmap.ResMap, bool) {
	if len(patches) == 0 {
		return objects, true
	}
	a.edited = true
	ids := make([]resid.ResId, len(objects))
	named := map[string][]int{}
	for i, object := range objects {
		ids[i] = object.Resources()[0].CurId()
		named[ids[i].Name] = append(named[ids[i].Name], i)
	}
	all := make([]int, len(objects))
	for i := range all {
		all[i] = i
	}
	for _, p := range patches {
		config, err := json.Marshal(p)
		if err != nil {
			return nil, false
		}
		transformer := builtins.NewPatchTransformerPlugin()
		if err := transformer.Config(resmap.NewPluginHelpers(nil, nil, a.maps, nil), config); err != nil {
			return nil, false
		}
		targets := all
		if name, exact := literal(p.Target.Name); exact {
			targets = named[name]
		}
		for _, i := range targets {
			if err := transformer.Transform(objects[i]); err != nil {
				return nil, false
			}
			objects[i].DropEmpties()
		}
	}
	var kept []resmap.ResMap
	for i, object := range objects {
		if object.Size() == 0 {
			continue
		}
		if id := object.Resources()[0].CurId(); id != ids[i] { // renamed: references would follow
			return nil, false
		}
		kept = append(kept, object)
	}
	return kept, true
}

// literal returns what an expression matches, if it is one text and no other.
func literal(expression string) (string, bool) {
	text := strings.ReplaceAll(expression, `\`, "")
	return text, text != "" && regexp.QuoteMeta(text) == expression
}

// finish sets the namespace and adds the labels of a kustomization.
func (a *apart) finish(objects []resmap.ResMap, k types.Kustomization) bool {
	var transformers []resmap.Transformer
	if k.Namespace != "" {
		a.edited = true
		transformers = append(transformers, &builtins.NamespaceTransformerPlugin{ObjectMeta: types.ObjectMeta{Namespace: k.Namespace}})
	}
	for _, label := range k.Labels {
		transformers = append(transformers, &builtins.LabelTransformerPlugin{
			Labels: label.Pairs, FieldSpecs: []types.FieldSpec{{Path: "metadata/labels", CreateIfNotPresent: true}},
		})
	}
	for _, transformer := range transformers {
		for _, object := range objects {
			if err := transformer.Transform(object); err != nil {
				return false
			}
		}
	}
	return true
}
