package overlays

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/navarch/navarch/fleet"
)

// operation is one operation of an RFC 6902 patch.
type operation struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value,omitempty"`
}

func operate(op, path string, value any) operation {
	encoded, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("encode a string or a map of strings: %v", err))
	}
	return operation{Op: op, Path: path, Value: encoded}
}

// edit is what overriders make of one object.
type edit struct {
	object     *unstructured.Unstructured
	document   []byte // the object's JSON, as edited so far
	operations []operation
	rule       int // the first that changed something
}

// apply applies operations of a rule to e. Those that change nothing are not kept.
func (e *edit) apply(rule int, operations ...operation) error {
	for _, o := range operations {
		if len(o.Value) == 0 && o.Op != "remove" {
			return fmt.Errorf("%s of %q needs a value", o.Op, o.Path)
		}
		next, err := patch(e.document, o)
		if err != nil {
			return fmt.Errorf("%s of %q does not fit: %s", o.Op, o.Path, misfit(o.Op, err, jsonpatch.ErrMissing))
		}
		if bytes.Equal(next, e.document) {
			continue
		}
		if len(e.operations) == 0 {
			e.rule = rule
		}
		e.document, e.operations = next, append(e.operations, o)
	}
	return nil
}

// misfit says why an operation does not fit a document; missing is the error of the
// library for a path that is not there.
func misfit(operator string, err, missing error) string {
	switch {
	case !errors.Is(err, missing):
		return oneLine(err.Error())
	case operator == "add":
		return "what it should be added to is not there"
	}
	return "there is nothing at that path"
}

// patch applies one operation with the library that kustomize uses.
func patch(document []byte, o operation) ([]byte, error) {
	encoded, err := json.Marshal([]operation{o})
	if err != nil {
		return nil, err
	}
	decoded, err := jsonpatch.DecodePatch(encoded)
	if err != nil {
		return nil, err
	}
	return decoded.Apply(document)
}

// value returns the object as edited so far.
func (e *edit) value() (map[string]any, error) {
	var object map[string]any
	err := json.Unmarshal(e.document, &object)
	return object, err
}

// overridden returns what the overriders of the rules make of objects: one edit for
// each object that changes, in the order of objects. Every problem is reported.
func (r rendering) overridden(objects []*unstructured.Unstructured) ([]*edit, fleet.Problems) {
	var edits []*edit
	var problems fleet.Problems
	for _, object := range objects {
		document, err := json.Marshal(object.Object)
		if err != nil {
			problems = append(problems, fleet.Problem{Message: fmt.Sprintf("encode %s: %v", objectID(object), err)})
			continue
		}
		e := &edit{object: object, document: document}
		for i, rule := range r.rules {
			selected, err := selects(rule.ResourceSelectors, object)
			if err != nil {
				problems = append(problems, r.ruleProblem(i, "resourceSelectors", err))
				continue
			}
			if !selected {
				continue
			}
			if field, err := e.override(i, rule.Overriders); err != nil {
				err = fmt.Errorf("%s of app %q: %w", objectID(object), r.app.Name, err)
				p := r.ruleProblem(i, "overriders."+field, err)
				if len(rule.ResourceSelectors) == 0 {
					p.Hint = "name the objects that it is for under resourceSelectors"
				}
				problems = append(problems, p)
			}
		}
		if len(e.operations) > 0 {
			edits = append(edits, e)
		}
	}
	return edits, problems
}

// override applies the overriders of one rule, in Karmada's fixed order. With an
// error it returns the overrider that does not fit.
func (e *edit) override(rule int, o fleet.Overriders) (field string, err error) {
	var images []operation
	for i, o := range o.ImageOverrider {
		operations, err := e.overrideImages(rule, o)
		if err != nil {
			return fmt.Sprintf("imageOverrider[%d]", i), err
		}
		images = append(images, operations...)
	}
	if err := e.checkImages(images); err != nil {
		return "imageOverrider", err
	}
	for i, o := range o.CommandOverrider {
		if err := e.overrideWords(rule, o, "command"); err != nil {
			return fmt.Sprintf("commandOverrider[%d]", i), err
		}
	}
	for i, o := range o.ArgsOverrider {
		if err := e.overrideWords(rule, o, "args"); err != nil {
			return fmt.Sprintf("argsOverrider[%d]", i), err
		}
	}
	for i, o := range o.LabelsOverrider {
		if err := e.overrideMap(rule, o, "labels"); err != nil {
			return fmt.Sprintf("labelsOverrider[%d]", i), err
		}
	}
	for i, o := range o.AnnotationsOverrider {
		if err := e.overrideMap(rule, o, "annotations"); err != nil {
			return fmt.Sprintf("annotationsOverrider[%d]", i), err
		}
	}
	for i, o := range o.FieldOverrider {
		if err := e.overrideField(rule, o); err != nil {
			return fmt.Sprintf("fieldOverrider[%d]", i), err
		}
	}
	for i, o := range o.Plaintext {
		if err := e.apply(rule, patchOperation(o.Operator, o.Path, o.Value)); err != nil {
			return fmt.Sprintf("plaintext[%d]", i), err
		}
	}
	return "", nil
}

// patchOperation is an operation as an overrider has it: remove takes no value.
func patchOperation(operator, path string, value json.RawMessage) operation {
	if operator == "remove" {
		value = nil
	}
	return operation{Op: operator, Path: path, Value: value}
}

func (e *edit) overrideImages(rule int, o fleet.ImageOverrider) ([]operation, error) {
	object, err := e.value()
	if err != nil {
		return nil, err
	}
	operations, err := imageOperations(object, o)
	if err != nil {
		return nil, err
	}
	return operations, e.apply(rule, operations...)
}

// checkImages refuses what a rule has made of images when no registry could have
// them: each component can be overridden to anything.
func (e *edit) checkImages(changed []operation) error {
	object, err := e.value()
	if err != nil {
		return err
	}
	for _, o := range changed {
		name, err := stringAt(object, o.Path)
		if err != nil {
			return err
		}
		if _, err := parseImage(name); err != nil {
			return fmt.Errorf("at %q: %w", o.Path, err)
		}
	}
	return nil
}

// imageOperations compiles an image overrider for one object: for the containers
// of a workload, or for the string at the predicate's path.
func imageOperations(object map[string]any, o fleet.ImageOverrider) ([]operation, error) {
	var paths []string
	if o.Predicate != nil {
		paths = []string{o.Predicate.Path}
	} else {
		pod, containers := containersOf(object)
		for i := range containers {
			paths = append(paths, "/"+strings.Join(slices.Concat(pod, []string{"containers", strconv.Itoa(i), "image"}), "/"))
		}
	}
	operations := []operation{}
	for _, path := range paths {
		current, err := stringAt(object, path)
		if err != nil {
			return nil, err
		}
		name, err := overrideImage(current, o)
		if err != nil {
			return nil, fmt.Errorf("at %q: %w", path, err)
		}
		operations = append(operations, operate("replace", path, name))
	}
	return operations, nil
}

// stringAt returns the string at an RFC 6901 path.
func stringAt(object any, path string) (string, error) {
	if !strings.HasPrefix(path, "/") {
		return "", fmt.Errorf("path %q does not begin with /", path)
	}
	at := object
	for _, token := range strings.Split(path[1:], "/") {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		switch in := at.(type) {
		case map[string]any:
			at = in[token]
		case []any:
			at = nil
			if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(in) {
				at = in[i]
			}
		default:
			at = nil
		}
	}
	s, ok := at.(string)
	if !ok {
		return "", fmt.Errorf("there is no string at %q", path)
	}
	return s, nil
}

func (e *edit) overrideMap(rule int, o fleet.LabelOverrider, field string) error {
	object, err := e.value()
	if err != nil {
		return err
	}
	operations, err := mapOperations(object, o, field)
	if err != nil {
		return err
	}
	return e.apply(rule, operations...)
}

// mapOperations compiles a labels or annotations overrider for one object. Keys
// that are absent are neither replaced nor removed.
// (karmada pkg/util/overridemanager/labelannotationoverrider.go)
func mapOperations(object map[string]any, o fleet.LabelOverrider, field string) ([]operation, error) {
	current, _, err := unstructured.NestedStringMap(object, "metadata", field)
	if err != nil {
		return nil, fmt.Errorf("metadata.%s is no map of strings", field)
	}
	if o.Operator == "add" && current == nil && len(o.Value) > 0 {
		return []operation{operate("add", "/metadata/"+field, o.Value)}, nil
	}
	operations := []operation{}
	for _, key := range slices.Sorted(maps.Keys(o.Value)) {
		path := "/metadata/" + field + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
		_, present := current[key]
		switch {
		case o.Operator == "remove" && present:
			operations = append(operations, operation{Op: "remove", Path: path})
		case o.Operator == "add" || o.Operator == "replace" && present:
			operations = append(operations, operate(o.Operator, path, o.Value[key]))
		}
	}
	return operations, nil
}

// selects tells whether a rule with these selectors edits an object; without any
// it edits all. The name may be written with or without the hash that kustomize
// appends. (karmada pkg/util/selector.go)
func selects(selectors []fleet.ResourceSelector, object *unstructured.Unstructured) (bool, error) {
	if len(selectors) == 0 {
		return true, nil
	}
	for _, s := range selectors {
		if s.APIVersion != object.GetAPIVersion() || s.Kind != object.GetKind() ||
			s.Namespace != "" && s.Namespace != object.GetNamespace() {
			continue
		}
		if s.Name != "" {
			if s.Name == object.GetName() || s.Name == unhashedName(object) {
				return true, nil
			}
			continue
		}
		if s.LabelSelector == nil {
			return true, nil
		}
		selector, err := metav1.LabelSelectorAsSelector(s.LabelSelector)
		if err != nil {
			return false, fmt.Errorf("labelSelector: %w", err)
		}
		if selector.Matches(labels.Set(object.GetLabels())) {
			return true, nil
		}
	}
	return false, nil
}
