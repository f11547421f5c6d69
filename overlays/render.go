package overlays

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/navarch/navarch/fleet"
)

// Overlay is what differs in the clusters in which the same rules match.
type Overlay struct {
	// Files are the overlay's folder. It refers to the base beside it, as laid out
	// by [Tree], and to nothing else outside.
	Files Files
	// Digest is that of Files.
	Digest fleet.Digest
	// Paths are the paths of the repository that decided over Files beyond the rules
	// themselves, as in [Source].
	Paths []string
}

// Difference is what sets the clusters of one overlay apart from the base.
type Difference struct {
	// Rules are the overrides that match there, in the order of the app.
	Rules []fleet.Override
	// Replicas are the workloads whose replicas were decided, each once, in any order.
	// Workloads that are not listed keep what the base says, and those that the base
	// does not have are passed over.
	Replicas []Replica
}

// Render writes the overlay of an app for clusters with exactly this difference, and
// builds it. The overlay does not depend on the cluster: where the difference is the
// same, so is the overlay.
//
// What was decided comes first: it edits the base, so that an explicit word of a rule
// wins, as in Karmada. Then come kustomize's own words of the rules, concatenated.
// If there are overriders, they are compiled against the result into JSON 6902
// patches with exact targets, in a second kustomization on top, which also leaves
// out the workloads that get no replica: rules may still name them. Its error is a
// [fleet.Problems].
func Render(repo fs.FS, app fleet.App, source Source, difference Difference) (Overlay, []*unstructured.Unstructured, error) {
	r := rendering{repo: repo, app: app, source: source, rules: difference.Rules, replicas: sortedReplicas(difference.Replicas)}
	c := newClosure(repo)
	w := r.words(c)
	if err := c.problems.Sorted().Err(); err != nil {
		return Overlay{}, nil, err
	}
	files, objects, err := r.render(w)
	if err != nil {
		return Overlay{}, nil, err
	}
	if len(objects) == 0 {
		return Overlay{}, nil, fleet.Problems{{
			File: app.Position.File, Line: app.Position.Line, Message: fmt.Sprintf("app %q has no objects", app.Name),
			Hint: "use the placement to keep an app off a cluster",
		}}
	}
	return Overlay{Files: files, Digest: files.Digest(), Paths: c.listed()}, objects, nil
}

// rendering is one call of [Render].
type rendering struct {
	repo     fs.FS
	app      fleet.App
	source   Source
	rules    []fleet.Override
	replicas []Replica // by workload
}

func (r rendering) render(w layer) (Files, []*unstructured.Unstructured, error) {
	folder, labels := ".", appLabels(r.app.Name)
	onTop := slices.ContainsFunc(r.rules, hasOverriders) || slices.ContainsFunc(r.replicas, func(r Replica) bool { return r.Absent })
	if onTop {
		folder, labels = wordsFolder, nil
	}
	files := w.files(folder, labels)
	objects, err := r.build(files, folder)
	if err != nil {
		return nil, nil, r.blame(err)
	}
	absent, err := r.check(w)
	if err != nil {
		return nil, nil, err
	}
	if onTop {
		return r.override(files, objects, absent)
	}
	return files, objects, nil
}

// build builds a folder of an overlay on the app's base.
func (r rendering) build(overlay Files, folder string) ([]*unstructured.Unstructured, error) {
	return buildAt(r.app.Name, r.source.Files, overlay, folder)
}

func hasOverriders(rule fleet.Override) bool {
	o := rule.Overriders
	return len(o.ImageOverrider)+len(o.CommandOverrider)+len(o.ArgsOverrider)+len(o.LabelsOverrider)+
		len(o.AnnotationsOverrider)+len(o.FieldOverrider)+len(o.Plaintext) > 0
}

// override puts the rules' overriders on top of the words that made objects, and
// leaves out those that are absent.
func (r rendering) override(files Files, objects []*unstructured.Unstructured, absent map[fleet.ObjectID]bool) (Files, []*unstructured.Unstructured, error) {
	k := kustomizationFile{
		APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind,
		Resources: []string{wordsFolder}, Labels: appLabels(r.app.Name),
	}
	var present []*unstructured.Unstructured
	for _, object := range objects {
		if absent[objectID(object)] {
			k.Patches = append(k.Patches, deletion(object))
			continue
		}
		present = append(present, object)
	}
	edits, problems := r.overridden(present)
	if err := problems.Sorted().Err(); err != nil {
		return nil, nil, err
	}
	for _, e := range edits {
		k.Patches = append(k.Patches, e.patchEntry())
	}
	files = maps.Clone(files)
	files[konfig.DefaultKustomizationFileName()] = k.encode()
	built, err := r.build(files, ".")
	if err != nil {
		return nil, nil, fleet.Problems{r.topProblem(err)}
	}
	if len(k.Patches) > 0 {
		if err := r.verify(present, built, edits).Err(); err != nil {
			return nil, nil, err
		}
	}
	return files, built, nil
}

// topProblem returns a problem of the kustomization on top.
func (r rendering) topProblem(err error) fleet.Problem {
	if first := slices.IndexFunc(r.rules, hasOverriders); first >= 0 {
		return r.ruleProblem(first, "overriders", err)
	}
	return r.baseProblem(err)
}

// ruleProblem returns a problem at a field of one of the matching rules.
func (r rendering) ruleProblem(i int, field string, err error) fleet.Problem {
	at := r.rules[i].Position
	if len(r.app.Source.Objects) == 0 { // else the rule is that of a policy, at its place
		index := slices.IndexFunc(r.app.Overrides, func(o fleet.Override) bool { return o.Position == at })
		if index < 0 || at == (fleet.Position{}) {
			index = i
		}
		field = fmt.Sprintf("spec.overrides[%d].%s", index, field)
	}
	p := fleet.Problem{File: at.File, Line: at.Line, Field: field}
	if err != nil {
		p.Message = err.Error()
	}
	return p
}
