package overlays

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/navarch/navarch/fleet"
)

// kustomizing guards the schema that kustomize keeps in a package variable.
var kustomizing sync.Mutex

// Build makes the objects of an app from its base and one overlay, in the order in
// which the stock kustomize prints them. It sees nothing but these files: it refuses kustomizations that name
// anything remote or would run anything, and reads no disk. The files come from
// [Gather] and [Render], which have checked them further.
func Build(app fleet.AppName, base, overlay Files) ([]*unstructured.Unstructured, error) {
	objects, err := buildAt(app, base, overlay, ".")
	if err != nil {
		return nil, fmt.Errorf("build app %q: %w", app, err)
	}
	return objects, nil
}

// cluster is where the overlay lies in memory: it never names its cluster.
const cluster = "/clusters/cluster"

// buildAt builds the kustomization in a folder of the overlay.
func buildAt(app fleet.AppName, base, overlay Files, folder string) ([]*unstructured.Unstructured, error) {
	for _, files := range []Files{base, overlay} {
		if err := files.checkKustomizations(); err != nil {
			return nil, err
		}
	}
	tree := Files{}
	tree.place(path.Join("/bases", string(app)), base)
	tree.place(path.Join(cluster, string(app)), overlay)
	root := path.Join(cluster, string(app), folder)
	if err := tree.checkCost(); err != nil {
		return nil, buildErrorOf(app, err)
	}
	if built, ok := buildApart(tree, root); ok {
		return objectsOf(built)
	}
	built, err := buildTogether(tree, root)
	if err != nil {
		return nil, buildErrorOf(app, err)
	}
	return objectsOf(built)
}

// buildTogether builds a kustomization with kustomize.
func buildTogether(tree Files, root string) ([]*resource.Resource, error) {
	if n := tree.documents(); n > MaxTogether {
		return nil, fmt.Errorf("%d documents are more than the %d that kustomize can put together in good time: "+
			"split the app, or keep to resources, namespace and overriders, for which there is no such limit", n, MaxTogether)
	}
	disk := filesys.MakeFsInMemory()
	for name, content := range tree {
		if err := disk.WriteFile(name, content); err != nil {
			return nil, fmt.Errorf("lay out %q: %w", name, err)
		}
	}
	built, err := kustomize(disk, root)
	if err != nil {
		return nil, err
	}
	return built.Resources(), nil
}

// documents counts the YAML documents of f, but for kustomizations.
func (f Files) documents() int {
	n := 0
	for name, content := range f {
		if isYAML(name) && !isKustomization(name) {
			n += 1 + bytes.Count(content, []byte("\n---"))
		}
	}
	return n
}

// checkKustomizations refuses what could make kustomize fetch or run something.
func (f Files) checkKustomizations() error {
	for name, content := range f {
		if !cleanPath(name) {
			return fmt.Errorf("%q is not a clean relative path", name)
		}
		if !isKustomization(name) {
			continue
		}
		if _, problems := parseKustomization(name, content); len(problems) > 0 {
			return problems.Sorted()
		}
	}
	return nil
}

// kustomize runs kustomize over a tree in memory. kustomize has panicked on input
// before: that is an error like any other.
func kustomize(disk filesys.FileSystem, root string) (built resmap.ResMap, err error) {
	kustomizing.Lock()
	defer kustomizing.Unlock()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("kustomize panicked: %v", r)
		}
	}()
	// The default options read nothing outside a kustomization's folder and run no
	// plugin. The order is the one in which the stock kustomize prints.
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionUnspecified
	return krusty.MakeKustomizer(options).Run(disk, root)
}

// objectsOf decodes what kustomize prints, so that objects are those of the stock
// kustomize, and whole numbers stay whole numbers.
func objectsOf(built []*resource.Resource) ([]*unstructured.Unstructured, error) {
	objects := make([]*unstructured.Unstructured, 0, len(built))
	seen := map[fleet.ObjectID]bool{}
	total := 0
	for _, resource := range built {
		printed, err := resource.MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("print %s: %s", resource.CurId(), oneLine(err.Error()))
		}
		object := &unstructured.Unstructured{}
		if err := json.Unmarshal(printed, &object.Object); err != nil {
			return nil, fmt.Errorf("decode %s: %w", resource.CurId(), err)
		}
		id := objectID(object)
		switch {
		case id.Kind == "" || id.Name == "":
			return nil, fmt.Errorf("%s has no kind or no name", resource.CurId())
		case unusable(id.Name) || unusable(id.Namespace):
			return nil, fmt.Errorf("%.100q is no name: it has no / and no %%, and at most %d bytes", id.Name, maxObjectName)
		case isFleetGroup(id.Group):
			return nil, fmt.Errorf("%s describes the fleet and cannot run in a cluster", id)
		case len(printed) > MaxObject:
			return nil, fmt.Errorf("%s is larger than %d bytes", id, MaxObject)
		case seen[id]:
			return nil, fmt.Errorf("%s is there in two versions", id)
		}
		if total += len(printed); total > 2*MaxTotal {
			return nil, fmt.Errorf("its objects are larger than %d bytes in all (split the app)", 2*MaxTotal)
		}
		seen[id] = true
		objects = append(objects, object)
	}
	return objects, nil
}

// unusable tells whether a name would lead elsewhere as a part of an address: an API
// server takes no such name, of whatever kind.
func unusable(name string) bool {
	return name == "." || name == ".." || len(name) > maxObjectName || strings.ContainsAny(name, "/%")
}

// maxObjectName is more than a name of any kind has.
const maxObjectName = 1000

// ObjectIDs returns the identities of objects, sorted.
func ObjectIDs(objects []*unstructured.Unstructured) []fleet.ObjectID {
	ids := make([]fleet.ObjectID, len(objects))
	for i, object := range objects {
		ids[i] = objectID(object)
	}
	slices.SortFunc(ids, compareIDs)
	return ids
}

func compareIDs(a, b fleet.ObjectID) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

func objectID(object *unstructured.Unstructured) fleet.ObjectID {
	kind := object.GroupVersionKind()
	return fleet.ObjectID{Group: kind.Group, Kind: kind.Kind, Namespace: object.GetNamespace(), Name: object.GetName()}
}

// buildError is an error of kustomize, in short.
type buildError struct {
	folder  string // of the base where it happened, in the repository; "" when it was in the overlay
	message string
}

func (e buildError) Error() string {
	if e.folder == "" {
		return e.message
	}
	return fmt.Sprintf("folder %q: %s", e.folder, e.message)
}

var (
	recursed   = regexp.MustCompile(`recursed (?:accumulation|merging) (?:of|from) path '([^']*)': `)
	configDump = regexp.MustCompile(" with config: `.*`")
	nodeDump   = regexp.MustCompile(`: node contents: .*?( in file "[^"]*")?$`)
	pairDump   = regexp.MustCompile(`literal sources \[.*\]: (invalid literal source) .*?(, expected key=value)`)
	lineDump   = regexp.MustCompile(`line \[[0-9 ]*\] (has invalid utf8 bytes) : .*?( in file "[^"]*")?$`)
	patchDump  = regexp.MustCompile(`\[patch: "(?:[^"\\]|\\.)*"\]`)
)

// buildErrorOf keeps the innermost part of kustomize's error, which repeats itself
// once for each folder on the way.
func buildErrorOf(app fleet.AppName, err error) buildError {
	message := oneLine(err.Error())
	where := cluster + "/" + string(app)
	if found := recursed.FindAllStringSubmatchIndex(message, -1); found != nil {
		last := found[len(found)-1]
		where, message = message[last[2]:last[3]], message[last[1]:]
	}
	bases := "/bases/" + string(app)
	e := buildError{}
	if within(bases, where) {
		e.folder = path.Clean("." + strings.TrimPrefix(where, bases))
	}
	// Patches and generators can hold what should not be on a dashboard.
	message = nodeDump.ReplaceAllString(message, "")
	message = pairDump.ReplaceAllString(message, "$1$2")
	message = lineDump.ReplaceAllString(message, "a line $1")
	message = configDump.ReplaceAllString(message, "")
	message = patchDump.ReplaceAllString(message, "(inline)")
	message = strings.ReplaceAll(message, bases+"/", "")
	e.message = strings.ReplaceAll(message, cluster+"/"+string(app)+"/", "")
	return e
}
