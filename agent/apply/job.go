package apply

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/fleet"
)

// isJob tells whether an object runs once, by its nature.
func isJob(id fleet.ObjectID) bool { return id.Group == "batch" && id.Kind == "Job" }

// runs identifies what a Job runs that the cluster deletes by itself when it has
// finished. It is empty for any other object.
func runs(built *unstructured.Unstructured) (string, error) {
	if !isJob(IDOf(built)) {
		return "", nil
	}
	spec, _, _ := unstructured.NestedMap(built.Object, "spec")
	if spec["ttlSecondsAfterFinished"] == nil {
		return "", nil
	}
	encoded, err := json.Marshal([]any{spec["template"], spec["completions"], spec["completionMode"]})
	if err != nil {
		return "", err
	}
	return fleet.DigestOf(encoded).Hex()[:16], nil
}

// Spent tells whether the object is as it should be when it is not there: a Job that
// was applied, and that the cluster deletes when it has finished.
func (i Item) Spent() bool { return i.Runs != "" && i.Body != "" }
