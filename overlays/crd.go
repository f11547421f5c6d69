package overlays

import (
	"encoding/json"
	"errors"

	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/yaml"
)

// maxDefinitions is how many definitions kustomize may have to visit for a file
// of crds, counted each time.
const maxDefinitions = 10_000

// checkCRD refuses a file of OpenAPI definitions that refer to themselves:
// kustomize would follow them until the whole program dies.
func checkCRD(content []byte) error {
	if len(content) == 0 {
		return errors.New("the file of OpenAPI definitions is empty")
	}
	definitions := map[string]struct{ Schema spec.Schema }{}
	decode := func(content []byte) error { return yaml.Unmarshal(content, &definitions) }
	if content[0] == '{' {
		decode = func(content []byte) error { return json.Unmarshal(content, &definitions) }
	}
	if err := decode(content); err != nil {
		return errors.New("not a file of OpenAPI definitions: " + oneLine(err.Error()))
	}
	visits := 0
	var visit func(name string) bool
	visit = func(name string) bool {
		if visits++; visits > maxDefinitions {
			return false
		}
		for _, property := range definitions[name].Schema.Properties {
			if property.Ref.GetURL() != nil && !visit(property.Ref.String()) {
				return false
			}
		}
		return true
	}
	for name := range definitions {
		if !visit(name) {
			return errors.New("the OpenAPI definitions refer to themselves")
		}
	}
	return nil
}
