package overlays

import (
	"errors"
	"fmt"
	"io/fs"
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
	at := r.app.Source.Position
	p := fleet.Problem{
		File: at.File, Line: at.Line, Field: "spec.source.path",
		Message: fmt.Sprintf("app %q does not build: %v", r.app.Name, err),
	}
	var failed buildError
	if !errors.As(err, &failed) || failed.folder == "" {
		return p
	}
	for _, base := range konfig.RecognizedKustomizationFileNames() {
		name := path.Join(failed.folder, base)
		// What Gather wrote for plain YAML is in the closure but not in the repository.
		if _, statErr := fs.Stat(r.repo, name); statErr == nil && r.source.Files[name] != nil {
			p.File, p.Line, p.Field = name, 0, ""
			p.Message = fmt.Sprintf("app %q does not build: %s", r.app.Name, failed.message)
			p.Hint = "see it with: kustomize build " + failed.folder
		}
	}
	return p
}

// checkTargets refuses a patch whose target matches no object: kustomize would
// pass over it without a word.
func (r rendering) checkTargets(w layer) error {
	unmatched, err := r.unmatched(w, nil)
	if err != nil {
		return err
	}
	var problems fleet.Problems
	for _, i := range unmatched {
		// Earlier patches may have made what this one looks for.
		still, err := r.unmatched(w, w.kustomization.Patches[:i])
		if err != nil {
			return err
		}
		if slices.Contains(still, i) {
			p := r.ruleProblem(w.rules[i], "kustomize.patches", nil)
			p.Message = fmt.Sprintf("no object of app %q matches the target of a patch: %s", r.app.Name, w.kustomization.Patches[i].Target)
			p.Hint = "each part of a target is a regular expression for the whole of that part"
			problems = append(problems, p)
		}
	}
	return problems.Sorted().Err()
}

// probe begins the names of the fields with which unmatched marks objects.
const probe = "navarch-probe-"

// unmatched returns the indexes of w's patches whose target matches no object
// after the given patches. It lets kustomize itself mark what they match.
func (r rendering) unmatched(w layer, after []patchEntry) ([]int, error) {
	marking := w
	marking.kustomization.Patches = slices.Clone(after)
	var missing []int
	for i, patch := range w.kustomization.Patches {
		if patch.Target == nil {
			continue
		}
		missing = append(missing, i)
		mark := fmt.Sprintf(`[{"op":"add","path":"/%s%d","value":true}]`, probe, i)
		marking.kustomization.Patches = append(marking.kustomization.Patches, patchEntry{Target: patch.Target, Patch: block(mark)})
	}
	if len(missing) == 0 {
		return nil, nil
	}
	objects, err := r.build(marking.files(".", nil), ".")
	if err != nil {
		return nil, r.blame(err)
	}
	return slices.DeleteFunc(missing, func(i int) bool {
		return slices.ContainsFunc(objects, func(object *unstructured.Unstructured) bool {
			return object.Object[fmt.Sprintf("%s%d", probe, i)] != nil
		})
	}), nil
}
