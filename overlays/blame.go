package overlays

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/konfig"

	"github.com/navarch/navarch/fleet"
)

// blame finds what made a build fail: the base, or the first rule with which it
// does not build.
func (r rendering) blame(err error) fleet.Problems {
	for n := range len(r.rules) + 1 {
		fewer := r
		fewer.rules = r.rules[:n]
		_, buildErr := r.build(fewer.words(newClosure(r.repo)).files(".", nil), ".")
		switch {
		case buildErr != nil && n == 0:
			return fleet.Problems{r.baseProblem(buildErr)}
		case buildErr != nil:
			return fleet.Problems{r.ruleProblem(n-1, "kustomize", buildErr)}
		}
	}
	return fleet.Problems{r.baseProblem(err)}
}

// baseProblem reports an error in the app's source, with the kustomization in
// which it is.
func (r rendering) baseProblem(err error) fleet.Problem {
	p := sourceProblem(r.app)
	p.Message = fmt.Sprintf("app %q does not build: %v", r.app.Name, err)
	var failed buildError
	if !errors.As(err, &failed) || failed.folder == "" {
		return p
	}
	for _, base := range konfig.RecognizedKustomizationFileNames() {
		name := path.Join(failed.folder, base)
		if r.source.Files[name] != nil && name != r.source.Written {
			p.File, p.Line, p.Field = name, 0, ""
			p.Message = fmt.Sprintf("app %q does not build: %s", r.app.Name, failed.message)
			p.Hint = "see it with: kustomize build " + failed.folder
		}
	}
	return p
}

// sourceProblem returns a problem at the place that says what an app is made of.
func sourceProblem(app fleet.App) fleet.Problem {
	p := fleet.Problem{File: app.Source.Position.File, Line: app.Source.Position.Line, Field: "spec.source.path"}
	if len(app.Source.Objects) > 0 {
		p.Field = "" // a policy's selectors
	}
	return p
}

// check refuses a patch whose target matches no object, which kustomize would pass
// over without a word, and a decision about replicas that concerns two objects. It
// returns the objects that get no replica.
func (r rendering) check(w layer) (absent map[fleet.ObjectID]bool, err error) {
	targeted := slices.ContainsFunc(w.kustomization.Patches, func(p patchEntry) bool { return p.Target != nil })
	if !targeted && len(r.replicas) == 0 {
		return nil, nil
	}
	probed, err := r.probe(w, nil)
	if err != nil {
		return nil, err
	}
	if absent, err = r.absent(probed); err != nil {
		return nil, err
	}
	var problems fleet.Problems
	for i, patch := range w.kustomization.Patches {
		if !w.misses(i, probed) {
			continue
		}
		// Earlier patches may have made what this one looks for.
		again, err := r.probe(w, w.kustomization.Patches[:i])
		if err != nil {
			return nil, err
		}
		if w.misses(i, again) {
			p := r.ruleProblem(w.rules[i], "kustomize.patches", nil)
			p.Message = fmt.Sprintf("no object of app %q matches the target of a patch: %s", r.app.Name, patch.Target)
			p.Hint = "each part of a target is a regular expression for the whole of that part"
			problems = append(problems, p)
		}
	}
	return absent, problems.Sorted().Err()
}

// probe builds w with marks in place of its patches, after the given ones. It lets
// kustomize itself mark the objects that patches and decisions concern.
func (r rendering) probe(w layer, after []patchEntry) ([]*unstructured.Unstructured, error) {
	w.counts = r.replicaMarks()
	patches := slices.Clone(after)
	for i, patch := range w.kustomization.Patches {
		if patch.Target != nil {
			patches = append(patches, mark(patch.Target, patchMark(i)))
		}
	}
	w.kustomization.Patches = patches
	objects, err := r.build(w.files(".", nil), ".")
	if err != nil {
		return nil, r.blame(err)
	}
	return objects, nil
}

// misses tells whether a patch of l has a target that matches none of the objects.
func (l layer) misses(i int, probed []*unstructured.Unstructured) bool {
	return l.kustomization.Patches[i].Target != nil && !slices.ContainsFunc(probed, func(object *unstructured.Unstructured) bool {
		return object.Object[patchMark(i)] != nil
	})
}

// probe begins the names of the fields that mark objects.
const probe = "navarch-probe-"

func patchMark(i int) string { return fmt.Sprintf("%spatch-%d", probe, i) }

// mark returns a patch that marks what a target matches.
func mark(target *targetEntry, name string) patchEntry {
	return patchEntry{Target: target, Patch: patchText([]operation{operate("add", "/"+name, true)})}
}
