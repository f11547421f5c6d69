package overlays

import (
	"fmt"
	"path"
	"slices"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/navarch/navarch/fleet"
)

// wordsFolder is the folder in an overlay of the kustomization with kustomize's own
// words, where overriders come on top of them.
const wordsFolder = "words"

// layer is a kustomization on top of an app's base, with the files that it uses.
type layer struct {
	base          string       // the base's folder, from the overlay's
	counts        []patchEntry // of the base, before all else
	kustomization kustomizationFile
	repo          Files // what comes from the repository, by its path there
	rules         []int // for each patch, the rule that it is from
}

// namespace is what kustomize puts objects into. The manifests that a policy claims
// say it themselves, and keep what they say of others' namespaces.
func (r rendering) namespace() string {
	if r.app.Policy != "" {
		return ""
	}
	return r.app.Namespace
}

// words concatenates kustomize's own words of the rules. Components and patch
// files are copied into the overlay, below repo/: kustomize reads no file outside
// a kustomization's folder, and a change to one then concerns only the clusters
// that use it.
func (r rendering) words(c *closure) layer {
	l := layer{
		base: path.Join("../../../bases", string(r.app.Name), r.source.Root), counts: r.counts(),
		kustomization: kustomizationFile{
			APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind, Namespace: r.namespace(),
		},
	}
	k := &l.kustomization
	for i, rule := range r.rules {
		for j, name := range rule.Kustomize.Components {
			at := r.ruleProblem(i, fmt.Sprintf("kustomize.components[%d]", j), nil)
			c.take(".", reference{use: asComponent, path: name, at: at}, nil)
			if entry := path.Join("repo", name); !slices.Contains(k.Components, entry) {
				k.Components = append(k.Components, entry)
			}
		}
		for j, patch := range rule.Kustomize.Patches {
			at := r.ruleProblem(i, fmt.Sprintf("kustomize.patches[%d]", j), nil)
			k.Patches = append(k.Patches, c.takePatch(patch, at))
			l.rules = append(l.rules, i)
		}
		for _, image := range rule.Kustomize.Images {
			k.Images = append(k.Images, imageEntry(image))
		}
		for _, count := range rule.Kustomize.Replicas {
			k.Replicas = append(k.Replicas, countEntry(count))
		}
	}
	l.repo = c.files
	return l
}

// takePatch takes what a rule's patch names into the closure.
func (c *closure) takePatch(patch fleet.Patch, at fleet.Problem) patchEntry {
	entry := patchEntry{Options: patch.Options, Patch: block(patch.Patch)}
	if patch.Target != nil {
		target := targetEntry(*patch.Target)
		entry.Target = &target
	}
	switch {
	case patch.Path != "" && patch.Patch != "":
		c.refuse(at, "keep one", "the patch has both a path and a text")
	case patch.Path != "":
		c.take(".", reference{use: asPatch, path: patch.Path, at: at}, nil)
		entry.Path = path.Join("repo", patch.Path)
	case patch.Patch != "":
		c.take(".", reference{use: asInline, path: patch.Patch, at: at}, nil)
	default:
		c.refuse(at, "give it a path or a patch", "the patch is empty")
	}
	return entry
}

// files lays l out in a folder of the overlay, "." or one below.
func (l layer) files(folder string, labels []labelEntry) Files {
	files := Files{}
	base := l.base
	if len(l.counts) > 0 {
		below := kustomizationFile{
			APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind, Resources: []string{"../" + base}, Patches: l.counts,
		}
		files[path.Join(replicasFolder, konfig.DefaultKustomizationFileName())] = below.encode()
		base = replicasFolder
	}
	if folder != "." {
		base = "../" + base
	}
	k := l.kustomization
	k.Labels = labels
	k.Resources = []string{base}
	files.place(path.Join(folder, "repo"), l.repo)
	files[path.Join(folder, konfig.DefaultKustomizationFileName())] = k.encode()
	return files
}
