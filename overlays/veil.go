package overlays

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// veil stands for a hidden value: equal for equal values. It is never shown, nor is
// anything that is made of it: what a short value could be is soon tried out.
type veil [sha256.Size]byte

// repeats are the annotations in which tools repeat a whole object.
var repeats = []string{"kubectl.kubernetes.io/last-applied-configuration", "objectset.rio.cattle.io/applied", "kapp.k14s.io/original"}

// veiled returns an object with the values in veils that are not to be shown.
func veiled(object *unstructured.Unstructured) map[string]any {
	copied := maps.Clone(object.Object)
	for key, value := range copied {
		if key == sopsField && sealedBy(value) {
			copied[key] = veilOf(value)
			continue
		}
		copied[key] = veilSealed(value)
	}
	var secrets []string
	if isSecret(object) {
		for _, field := range []string{"data", "stringData"} {
			values, _ := copied[field].(map[string]any)
			hidden := make(map[string]any, len(values))
			for key, value := range values {
				hidden[key] = veilOf(value)
				secrets = append(secrets, formsOf(value)...)
			}
			if copied[field] = hidden; len(hidden) == 0 {
				delete(copied, field)
			}
		}
	}
	metadata, _ := copied["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	if len(annotations) == 0 {
		return copied
	}
	metadata, annotations = maps.Clone(metadata), maps.Clone(annotations)
	for key, value := range annotations {
		text, _ := value.(string)
		if slices.Contains(repeats, key) || slices.ContainsFunc(secrets, func(secret string) bool { return strings.Contains(text, secret) }) {
			annotations[key] = veilOf(value)
		}
	}
	metadata["annotations"], copied["metadata"] = annotations, metadata
	return copied
}

func isSecret(object *unstructured.Unstructured) bool {
	return object.GetKind() == "Secret" && object.GroupVersionKind().Group == ""
}

// shortest is the length from which on a value is looked for in annotations: shorter ones
// are in everything.
const shortest = 4

// formsOf returns how a value of a Secret may stand elsewhere.
func formsOf(value any) []string {
	text, _ := value.(string)
	forms := []string{text, base64.StdEncoding.EncodeToString([]byte(text))}
	if decoded, err := base64.StdEncoding.DecodeString(text); err == nil {
		forms = append(forms, string(decoded))
	}
	return slices.DeleteFunc(forms, func(form string) bool { return len(form) < shortest })
}

// veilSealed puts what SOPS has encrypted into veils: it says nothing to people.
func veilSealed(value any) any {
	switch value := value.(type) {
	case string:
		if strings.HasPrefix(value, sealedMark) {
			return veilOf(value)
		}
	case map[string]any:
		copied := make(map[string]any, len(value))
		for key, child := range value {
			copied[key] = veilSealed(child)
		}
		return copied
	case []any:
		copied := make([]any, len(value))
		for i, child := range value {
			copied[i] = veilSealed(child)
		}
		return copied
	}
	return value
}

func veilOf(value any) veil {
	encoded, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("encode a decoded value: %v", err))
	}
	return sha256.Sum256(encoded)
}
