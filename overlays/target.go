package overlays

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/kustomize/api/hasher"
	"sigs.k8s.io/kustomize/kyaml/resid"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/navarch/navarch/fleet"
)

// patchEntry returns e as a patch of a kustomization that hits e's object only.
func (e *edit) patchEntry() patchEntry {
	return patchEntry{Target: exactTarget(e.object), Patch: patchText(e.operations)}
}

// patchText writes operations, one a line.
func patchText(operations []operation) block {
	var text bytes.Buffer
	text.WriteString("[")
	for i, o := range operations {
		line, err := json.Marshal(o)
		if err != nil {
			panic(fmt.Sprintf("encode an operation that was applied: %v", err))
		}
		if i > 0 {
			text.WriteString(",")
		}
		text.WriteString("\n  ")
		text.Write(line)
	}
	text.WriteString("\n]")
	return block(text.String())
}

// exactTarget selects one object. The parts of a target are regular expressions,
// an empty part matches everything, and an object's namespace is what kustomize
// holds it for.
func exactTarget(object *unstructured.Unstructured) *targetEntry {
	kind := object.GroupVersionKind()
	kustomizing.Lock()
	id := resid.NewResIdWithNamespace(resid.NewGvk(kind.Group, kind.Version, kind.Kind), object.GetName(), object.GetNamespace())
	namespace := id.EffectiveNamespace()
	kustomizing.Unlock()
	name := regexp.QuoteMeta(object.GetName())
	if unhashed := unhashedName(object); unhashed != "" {
		// The hash is appended after all patches. An object that was written with a
		// name that looks hashed keeps it.
		name += "|" + regexp.QuoteMeta(unhashed)
	}
	target := &targetEntry{
		Group: regexp.QuoteMeta(kind.Group), Version: regexp.QuoteMeta(kind.Version), Kind: regexp.QuoteMeta(kind.Kind),
		Name: name, Namespace: regexp.QuoteMeta(namespace),
	}
	if kind.Group == "" {
		target.Group = "^$"
	}
	return target
}

// hashLength is how much kustomize appends to the name of a generated object
// after a dash.
const hashLength = 10

// unhashedName returns the name of a generated object without the hash of its
// content, or "" when the name does not end in that hash.
func unhashedName(object *unstructured.Unstructured) string {
	name := object.GetName()
	cut := len(name) - hashLength - 1
	if kind := object.GetKind(); kind != "ConfigMap" && kind != "Secret" || cut < 1 || name[cut] != '-' {
		return ""
	}
	unhashed := object.DeepCopy()
	unhashed.SetName(name[:cut])
	if hashOf(unhashed) != name[cut+1:] {
		return ""
	}
	return name[:cut]
}

// hashOf returns the hash that kustomize would append to an object's name.
func hashOf(object *unstructured.Unstructured) string {
	node, err := yaml.FromMap(object.Object)
	if err != nil {
		return ""
	}
	hash, err := (&hasher.Hasher{}).Hash(node)
	if err != nil {
		return ""
	}
	return hash
}

// verify compares what kustomize made of the edits with what the edits say. They
// differ when a patch also hits an object that once had its target's name, or when
// kustomize rewrites an edited value. Neither happens in silence. Before holds all
// objects that should be there after.
func (r rendering) verify(before, after []*unstructured.Unstructured, edits []*edit) fleet.Problems {
	wanted, renamed, err := expected(before, edits)
	if err != nil {
		return fleet.Problems{r.topProblem(err)}
	}
	if len(after) > len(before) {
		return fleet.Problems{r.topProblem(errors.New("kustomize keeps a workload that gets no replica"))}
	}
	built := map[fleet.ObjectID]*unstructured.Unstructured{}
	for _, object := range after {
		built[objectID(object)] = object
	}
	for i, object := range wanted {
		object.Object = rename(object.Object, renamed).(map[string]any)
		label(object, r.app.Name)
		where, same := "", false
		got := built[objectID(object)]
		if got != nil {
			where, same = difference("", tidy(object), tidy(got))
		}
		if same {
			continue
		}
		return fleet.Problems{r.difference(edits, before[i], where)}
	}
	return nil
}

// difference reports that an object was not made what the edits say.
func (r rendering) difference(edits []*edit, object *unstructured.Unstructured, where string) fleet.Problem {
	for _, e := range edits {
		if e.object == object {
			p := r.ruleProblem(e.rule, "overriders", fmt.Errorf("%s of app %q: kustomize does not keep the value at %q", objectID(object), r.app.Name, where))
			p.Hint = "say it with kustomize's own words, or in the app's source"
			return p
		}
	}
	p := r.topProblem(fmt.Errorf("%s of app %q would also change at %q, by an override of another object", objectID(object), r.app.Name, where))
	if len(edits) > 0 {
		p = r.ruleProblem(edits[0].rule, "overriders", errors.New(p.Message))
	}
	p.Hint = "kustomize matches also the name that an object had before a prefix or suffix: give the objects other names"
	return p
}

// expected returns objects with the edits applied, and the new names of those
// whose hash changes.
func expected(objects []*unstructured.Unstructured, edits []*edit) ([]*unstructured.Unstructured, map[string]string, error) {
	edited := map[*unstructured.Unstructured]*edit{}
	for _, e := range edits {
		edited[e.object] = e
	}
	renamed := map[string]string{}
	wanted := make([]*unstructured.Unstructured, len(objects))
	for i, object := range objects {
		wanted[i] = object.DeepCopy()
		e := edited[object]
		if e == nil {
			continue
		}
		wanted[i].Object = nil
		if err := kjson.Unmarshal(e.document, &wanted[i].Object); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", objectID(object), err)
		}
		if unhashed := unhashedName(object); unhashed != "" && wanted[i].GetName() == object.GetName() {
			again := wanted[i].DeepCopy()
			again.SetName(unhashed)
			renamed[object.GetName()] = unhashed + "-" + hashOf(again)
		}
	}
	return wanted, renamed, nil
}

// rename replaces every string that is one of the old names.
func rename(v any, renamed map[string]string) any {
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			v[key] = rename(child, renamed)
		}
	case []any:
		for i, child := range v {
			v[i] = rename(child, renamed)
		}
	case string:
		if name, found := renamed[v]; found {
			return name
		}
	}
	return v
}

func label(object *unstructured.Unstructured, app fleet.AppName) {
	labels := object.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[LabelApp] = string(app)
	object.SetLabels(labels)
}

// tidy returns an object without the empty annotations that kustomize drops.
func tidy(object *unstructured.Unstructured) map[string]any {
	object = object.DeepCopy()
	if len(object.GetAnnotations()) == 0 {
		object.SetAnnotations(nil)
	}
	return object.Object
}

func both(a, b map[string]any) map[string]any {
	union := maps.Clone(a)
	maps.Copy(union, b)
	return union
}

// difference returns the path of the first difference between two decoded
// documents, and whether there is none. A number is its value, however written.
func difference(path string, want, got any) (string, bool) {
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			return path, false
		}
		for _, key := range slices.Sorted(maps.Keys(both(want, got))) {
			if where, same := difference(path+"/"+strings.ReplaceAll(key, "/", "~1"), want[key], got[key]); !same {
				return where, false
			}
		}
		return "", true
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			return path, false
		}
		for i := range want {
			if where, same := difference(fmt.Sprintf("%s/%d", path, i), want[i], got[i]); !same {
				return where, false
			}
		}
		return "", true
	case float64:
		if whole, ok := got.(int64); ok {
			return path, want == float64(whole)
		}
	}
	return path, reflect.DeepEqual(want, got)
}
