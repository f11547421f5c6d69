package overlays

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/kyaml/resid"
	"sigs.k8s.io/yaml"

	"github.com/navarch/navarch/fleet"
)

// Replica is what was decided for one workload of an app in some clusters.
type Replica struct {
	// Workload is the object's identity as [Workloads] returns it.
	Workload fleet.ObjectID
	// Count is spec.replicas, or spec.parallelism of a Job.
	Count int64
	// Completions is spec.completions of a Job; nil leaves it alone.
	Completions *int64
	// Absent leaves the workload out: it gets no replica. Count is then of no account.
	Absent bool
}

// replicasFolder is the folder in an overlay of the kustomization that sets what was
// decided, below everything that rules say.
const replicasFolder = "replicas"

// sortedReplicas returns replicas by workload.
func sortedReplicas(replicas []Replica) []Replica {
	return slices.SortedStableFunc(slices.Values(replicas), func(a, b Replica) int {
		return compareIDs(a.Workload, b.Workload)
	})
}

// target selects the workload in the base.
func (r Replica) target(app fleet.App) *targetEntry {
	t := &targetEntry{
		Group: regexp.QuoteMeta(r.Workload.Group), Kind: regexp.QuoteMeta(r.Workload.Kind), Name: regexp.QuoteMeta(r.Workload.Name),
	}
	if r.Workload.Group == "" {
		t.Group = "^$"
	}
	if app.Namespace == "" || app.Policy != "" {
		// With a namespace of the app, the base may name another.
		t.Namespace = regexp.QuoteMeta(cmp.Or(r.Workload.Namespace, resid.DefaultNamespace))
	}
	return t
}

// patch returns the patch that sets the count.
func (r Replica) patch(app fleet.App) patchEntry {
	field := "/spec/replicas"
	if r.Workload.Kind == "Job" {
		field = "/spec/parallelism"
	}
	operations := []operation{operate("add", field, r.Count)}
	if r.Completions != nil {
		operations = append(operations, operate("add", "/spec/completions", *r.Completions))
	}
	return patchEntry{Target: r.target(app), Patch: patchText(operations)}
}

// deletion returns the patch that leaves an object out.
func deletion(object *unstructured.Unstructured) patchEntry {
	text, err := yaml.Marshal(map[string]any{
		"$patch": "delete", "apiVersion": object.GetAPIVersion(), "kind": object.GetKind(), "metadata": map[string]any{"name": object.GetName()},
	})
	if err != nil {
		panic(fmt.Sprintf("encode a map of strings: %v", err))
	}
	return patchEntry{Target: exactTarget(object), Patch: block(strings.TrimSuffix(string(text), "\n"))}
}

// counts returns the patches that set what was decided.
func (r rendering) counts() []patchEntry {
	var patches []patchEntry
	for _, replica := range r.replicas {
		if !replica.Absent {
			patches = append(patches, replica.patch(r.app))
		}
	}
	return patches
}

// replicaMarks returns a mark for each decided workload, as patches of the base.
func (r rendering) replicaMarks() []patchEntry {
	marks := make([]patchEntry, len(r.replicas))
	for i, replica := range r.replicas {
		marks[i] = mark(replica.target(r.app), replicaMark(i))
	}
	return marks
}

func replicaMark(i int) string { return fmt.Sprintf("%sreplicas-%d", probe, i) }

// absent returns the objects, as the words make them, that get no replica, found by
// the marks in probed. Each decision has to concern one object: kustomize matches
// also the name that an object had before a prefix or suffix.
func (r rendering) absent(probed []*unstructured.Unstructured) (map[fleet.ObjectID]bool, error) {
	absent := map[fleet.ObjectID]bool{}
	for i, replica := range r.replicas {
		var hit []fleet.ObjectID
		for _, object := range probed {
			if object.Object[replicaMark(i)] != nil {
				hit = append(hit, objectID(object))
			}
		}
		if len(hit) > 1 {
			p := sourceProblem(r.app)
			p.Message = fmt.Sprintf("the replicas of %s of app %q would also be those of %s", hit[0], r.app.Name, hit[1])
			p.Hint = "kustomize matches also the name that an object had before a prefix or suffix: give the objects other names"
			return nil, fleet.Problems{p}
		}
		for _, id := range hit {
			absent[id] = replica.Absent
		}
	}
	return absent, nil
}
