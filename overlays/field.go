package overlays

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	yamlnode "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"

	"github.com/navarch/navarch/fleet"
)

// overrideField edits the document in a string of an object.
func (e *edit) overrideField(rule int, o fleet.FieldOverrider) error {
	object, err := e.value()
	if err != nil {
		return err
	}
	text, err := stringAt(object, o.FieldPath)
	if err != nil {
		return err
	}
	edited, err := overrideDocument(text, o)
	if err != nil {
		return fmt.Errorf("document at %q: %w", o.FieldPath, err)
	}
	return e.apply(rule, operate("replace", o.FieldPath, edited))
}

// overrideDocument applies the patch of a field overrider to a document. JSON keeps
// the order of its keys; YAML loses it, and its comments: it goes through JSON.
// (karmada pkg/util/overridemanager/overridemanager.go)
//
// It departs from Karmada where Karmada loses something without a word: it refuses
// YAML of several documents, of which only the first would be kept, keys that are
// there twice, and an overrider without operations, which would empty the string.
func overrideDocument(text string, o fleet.FieldOverrider) (string, error) {
	switch {
	case len(o.JSON) > 0 && len(o.YAML) > 0:
		return "", errors.New("the overrider has json and yaml: keep the one that the document is written in")
	case len(o.JSON) > 0:
		edited, err := overrideJSON([]byte(text), o.JSON)
		return string(edited), err
	case len(o.YAML) == 0:
		return "", errors.New("the overrider has no operations: give it json or yaml")
	}
	if err := oneDocument(text); err != nil {
		return "", err
	}
	document, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		return "", fmt.Errorf("not YAML: %s", strings.TrimPrefix(oneLine(err.Error()), "yaml: "))
	}
	if document, err = overrideJSON(document, o.YAML); err != nil {
		return "", err
	}
	edited, err := yaml.JSONToYAML(document)
	return string(edited), err
}

// overrideJSON applies operations to a JSON document.
func overrideJSON(document []byte, operations []fleet.FieldPatchOperation) ([]byte, error) {
	if !json.Valid(document) {
		return nil, errors.New("not JSON")
	}
	options := jsonpatch.NewApplyOptions()
	options.EscapeHTML = false
	for _, o := range operations {
		if len(o.Value) == 0 && o.Operator != "remove" {
			return nil, fmt.Errorf("%s of %q needs a value", o.Operator, o.SubPath)
		}
		var encoded bytes.Buffer
		encoder := json.NewEncoder(&encoded)
		encoder.SetEscapeHTML(false) // the value's own text gets into the document
		if err := encoder.Encode([]operation{patchOperation(o.Operator, o.SubPath, o.Value)}); err != nil {
			return nil, fmt.Errorf("%s of %q: %w", o.Operator, o.SubPath, err)
		}
		patch, err := jsonpatch.DecodePatch(encoded.Bytes())
		if err != nil {
			return nil, fmt.Errorf("%s of %q: %s", o.Operator, o.SubPath, oneLine(err.Error()))
		}
		edited, err := patch.ApplyWithOptions(document, options)
		if err != nil {
			return nil, fmt.Errorf("%s of %q does not fit: %s", o.Operator, o.SubPath, misfit(o.Operator, err, jsonpatch.ErrMissing))
		}
		document = edited
	}
	return document, nil
}

// oneDocument refuses YAML of several documents.
func oneDocument(text string) error {
	decoder := yamlnode.NewDecoder(strings.NewReader(text))
	for found := 0; ; {
		var root yamlnode.Node
		err := decoder.Decode(&root)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("not YAML: %s", strings.TrimPrefix(oneLine(err.Error()), "yaml: "))
		case isNull(&root):
			continue
		}
		if found++; found > 1 {
			return errors.New("more than one document, and only one can be edited")
		}
	}
}
