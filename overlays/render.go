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

// Render writes the overlay of an app for clusters in which exactly these rules
// match, given in the order of the app, and builds it. The overlay does not depend
// on the cluster: where the same rules match, it is the same.
//
// kustomize's own words of the rules are concatenated. If there are overriders,
// they are compiled against the result into JSON 6902 patches with exact targets,
// in a second kustomization on top. Its error is a [fleet.Problems].
func Render(repo fs.FS, app fleet.App, source Source, rules []fleet.Override) (Overlay, []*unstructured.Unstructured, error) {
	r := rendering{repo: repo, app: app, source: source, rules: rules}
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
	repo   fs.FS
	app    fleet.App
	source Source
	rules  []fleet.Override
}

func (r rendering) render(w layer) (Files, []*unstructured.Unstructured, error) {
	folder, labels := ".", appLabels(r.app.Name)
	overriding := slices.ContainsFunc(r.rules, hasOverriders)
	if overriding {
		folder, labels = wordsFolder, nil
	}
	files := w.files(folder, labels)
	objects, err := r.build(files, folder)
	if err != nil {
		return nil, nil, r.blame(err)
	}
	if err := r.checkTargets(w); err != nil {
		return nil, nil, err
	}
	if overriding {
		return r.override(files, objects)
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

// override puts the rules' overriders on top of the words that made objects.
func (r rendering) override(files Files, objects []*unstructured.Unstructured) (Files, []*unstructured.Unstructured, error) {
	edits, problems := r.overridden(objects)
	if err := problems.Sorted().Err(); err != nil {
		return nil, nil, err
	}
	k := kustomizationFile{
		APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind,
		Resources: []string{wordsFolder}, Labels: appLabels(r.app.Name),
	}
	for _, e := range edits {
		k.Patches = append(k.Patches, e.patchEntry())
	}
	files = maps.Clone(files)
	files[konfig.DefaultKustomizationFileName()] = k.encode()
	built, err := r.build(files, ".")
	if err != nil {
		first := slices.IndexFunc(r.rules, hasOverriders)
		return nil, nil, fleet.Problems{r.ruleProblem(first, "overriders", err)}
	}
	if len(edits) > 0 {
		if err := r.verify(objects, built, edits).Err(); err != nil {
			return nil, nil, err
		}
	}
	return files, built, nil
}

// ruleProblem returns a problem at a field of one of the matching rules.
func (r rendering) ruleProblem(i int, field string, err error) fleet.Problem {
	at := r.rules[i].Position
	index := slices.IndexFunc(r.app.Overrides, func(o fleet.Override) bool { return o.Position == at })
	if index < 0 || at == (fleet.Position{}) {
		index = i
	}
	p := fleet.Problem{File: at.File, Line: at.Line, Field: fmt.Sprintf("spec.overrides[%d].%s", index, field)}
	if err != nil {
		p.Message = err.Error()
	}
	return p
}
