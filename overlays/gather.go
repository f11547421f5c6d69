package overlays

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/navarch/navarch/fleet"
)

// Source is what an app is made of, before any cluster's differences: its base.
type Source struct {
	// Files are the closure of the app's source by their paths in the repository,
	// with a kustomization added where the source is plain YAML.
	Files Files
	// Root is the folder in Files of the kustomization to build.
	Root string
	// Written is the kustomization in Files that was added, empty where there is none.
	Written string
	// Digest is that of Files.
	Digest fleet.Digest
	// Warnings name the Secrets in Files that whoever reads the repository can read.
	Warnings fleet.Problems
	// Paths are the paths of the repository that decided over Files, sorted: the
	// files that were read or looked for, and with a slash at the end the folders
	// of which everything below counts. See [Touched].
	Paths []string
}

// Touched tells whether a change of the given paths can change what was gathered
// with these paths of a [Source] or [Overlay].
func Touched(paths, changed []string) bool {
	for _, name := range changed {
		if _, found := slices.BinarySearch(paths, name); found {
			return true
		}
		for dir := path.Dir(name); ; dir = path.Dir(dir) {
			if _, found := slices.BinarySearch(paths, dir+"/"); found {
				return true
			}
			if dir == "." || dir == "/" {
				break
			}
		}
	}
	return false
}

// Gather collects the closure of an app's source: every file that kustomize will
// read. It refuses what reaches out of the repository, what would run a program or
// fetch something, symlinks, cycles, and what is too large. Its error is a
// [fleet.Problems] that lists everything that is wrong with the source at once.
func Gather(repo fs.FS, app fleet.App) (Source, error) {
	c := newClosure(repo)
	root := c.source(app)
	if err := c.problems.Sorted().Err(); err != nil {
		return Source{}, err
	}
	return Source{Files: c.files, Root: root, Written: c.written, Digest: c.files.Digest(), Paths: c.listed(), Warnings: c.plainSecrets.Sorted()}, nil
}

// source gathers an app's source and returns the folder to build.
func (c *closure) source(app fleet.App) string {
	at := sourceProblem(app)
	if len(app.Source.Objects) > 0 {
		return c.objects(app.Source.Objects, at)
	}
	name, ok := c.resolve(".", reference{path: app.Source.Path, at: at})
	if !ok {
		return ""
	}
	found, _ := c.expect(name, at)
	switch {
	case found == missing:
		return ""
	case found == folder && c.hasKustomization(name):
		c.kustomization(name, false, at, nil)
		return name
	case found == folder:
		c.plainFolder(name, at, app)
		return name
	case isKustomization(name) || !isYAML(name):
		c.refuse(at, "name a folder, or a file that ends in .yaml or .yml", "%q is no file of objects", name)
		return ""
	}
	c.plain(path.Dir(name), []string{name}, at)
	return path.Dir(name)
}

func (c *closure) hasKustomization(dir string) bool {
	has := false
	for _, base := range konfig.RecognizedKustomizationFileNames() {
		name := path.Join(dir, base)
		c.paths[name] = true
		found, _, _ := c.stat(name)
		has = has || found == regular || found == symlink
	}
	return has
}

// plainFolder gathers a folder without a kustomization: every YAML file below it,
// and subfolders that have a kustomization as such. What the folder holds besides
// objects is left out: components, and the patches that the app's own overrides name.
func (c *closure) plainFolder(dir string, at fleet.Problem, app fleet.App) {
	c.paths[dir+"/"] = true
	patches := map[string]bool{}
	for _, rule := range app.Overrides {
		for _, patch := range rule.Kustomize.Patches {
			patches[patch.Path] = true
		}
	}
	var names []string
	var walk func(dir string)
	walk = func(dir string) {
		entries, err := fs.ReadDir(c.repo, dir)
		if err != nil {
			c.refuse(at, "", "list folder %q: %v", dir, err)
			return
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			if strings.HasPrefix(e.Name(), ".") || patches[name] || !e.IsDir() && !isYAML(name) && e.Type()&fs.ModeSymlink == 0 {
				continue
			}
			if !c.step(at) {
				return
			}
			if _, ok := c.resolve(".", reference{path: name, at: at}); !ok {
				continue
			}
			switch found, _ := c.expect(name, at); {
			case found == folder && !c.hasKustomization(name):
				walk(name)
			case found == regular || found == folder && !c.isComponent(name):
				names = append(names, name)
			}
		}
	}
	walk(dir)
	c.plain(dir, names, at)
}

// isComponent tells whether a folder with a kustomization is a component. It takes
// nothing into the closure and reports nothing.
func (c *closure) isComponent(dir string) bool {
	for _, base := range konfig.RecognizedKustomizationFileNames() {
		name := path.Join(dir, base)
		found, size, _ := c.stat(name)
		if found != regular || size > MaxFile {
			continue
		}
		content, err := fs.ReadFile(c.repo, name)
		var k types.Kustomization
		if err == nil && k.Unmarshal(content) == nil && k.Kind == types.ComponentKind {
			return true
		}
	}
	return false
}

// plain gathers files of objects and subfolders with kustomizations, and writes
// the kustomization that lists them.
func (c *closure) plain(dir string, names []string, at fleet.Problem) {
	generated := kustomizationFile{APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind}
	list := func(name string) {
		relative := strings.TrimPrefix(name, dir+"/")
		if remote(asResource, relative) {
			relative = "./" + relative
		}
		generated.Resources = append(generated.Resources, relative)
	}
	for _, name := range names {
		if c.full {
			return
		}
		found, size := c.expect(name, at)
		if found == folder {
			c.kustomization(name, false, at, []string{dir})
			list(name)
			continue
		}
		content, ok := c.read(name, size, at)
		if !ok {
			continue
		}
		rest, objects := c.withoutFleet(name, content)
		if objects == 0 {
			delete(c.files, name)
			continue
		}
		c.files[name] = rest
		list(name)
	}
	if len(generated.Resources) == 0 && len(c.problems) == 0 {
		c.refuse(at, "name a folder or file with Kubernetes objects", "the source holds no objects")
	}
	c.written = path.Join(dir, konfig.DefaultKustomizationFileName())
	c.files[c.written] = generated.encode()
}

// withoutFleet checks a file of plain YAML and returns it without the documents
// that describe the fleet, and the number of documents that are left.
func (c *closure) withoutFleet(name string, content []byte) (rest []byte, objects int) {
	var kept strings.Builder
	docs := c.checkDocuments(name, content)
	for _, doc := range docs {
		if doc.isFleet() {
			continue
		}
		c.checkObjects(name, doc)
		if objects++; objects > 1 {
			kept.WriteString("---\n")
		}
		kept.WriteString(doc.text)
	}
	if objects == len(docs) {
		return content, objects
	}
	return []byte(kept.String()), objects
}

func isYAML(name string) bool {
	extension := path.Ext(name)
	return extension == ".yaml" || extension == ".yml"
}
