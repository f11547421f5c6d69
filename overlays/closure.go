package overlays

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/navarch/navarch/fleet"
)

// maxSteps bounds how many references of kustomizations are followed for one app,
// counted each time: kustomize reads a folder once for each way that leads to it.
const maxSteps = 2 * MaxFiles

// maxProblems is how many problems of one app are worth reading at once.
const maxProblems = 100

// closure collects the files that a kustomization is made of, and all that is
// wrong with them.
type closure struct {
	repo     fs.FS
	files    Files
	written  string          // see [Source.Written]
	paths    map[string]bool // see [Source.Paths]
	parsed   map[string]*kustomization
	folders  map[string]bool    // that are no symlinks
	checked  map[reference]bool // files, by what they are used for
	steps    int
	bytes    int // of everything read, as often as kustomize reads it
	full     bool
	problems fleet.Problems

	plainSecrets fleet.Problems // see [Source.Warnings]
}

func newClosure(repo fs.FS) *closure {
	return &closure{
		repo: repo, files: Files{}, paths: map[string]bool{}, folders: map[string]bool{},
		parsed: map[string]*kustomization{}, checked: map[reference]bool{},
	}
}

// refuse records a problem at a place.
func (c *closure) refuse(at fleet.Problem, hint, format string, args ...any) {
	at.Message, at.Hint = fmt.Sprintf(format, args...), hint
	c.problems = append(c.problems, at)
}

// stop is [closure.refuse] for a cap that was exceeded: there is no point in
// reading on.
func (c *closure) stop(at fleet.Problem, hint, format string, args ...any) {
	if !c.full {
		c.refuse(at, hint, format, args...)
	}
	c.full = true
}

// listed returns the paths that were looked at, sorted.
func (c *closure) listed() []string { return slices.Sorted(maps.Keys(c.paths)) }

// entry is what stands at a path.
type entry int

const (
	missing entry = iota
	regular
	folder
	symlink
	special
)

// stat tells what stands at name, and its size. A symlink anywhere on the way is a
// symlink: what it points at is never looked at.
func (c *closure) stat(name string) (entry, int64, error) {
	for end := 0; end < len(name); end++ {
		if end += strings.IndexByte(name[end:]+"/", '/'); end < len(name) && c.folders[name[:end]] {
			continue
		}
		info, err := fs.Lstat(c.repo, name[:end])
		switch last := end == len(name); {
		case errors.Is(err, fs.ErrNotExist):
			return missing, 0, nil
		case err != nil:
			return missing, 0, err
		case info.Mode()&fs.ModeSymlink != 0:
			return symlink, 0, nil
		case info.IsDir() && last:
			return folder, 0, nil
		case info.IsDir():
			c.folders[name[:end]] = true
		case !last:
			return missing, 0, nil
		case info.Mode().IsRegular():
			return regular, info.Size(), nil
		default:
			return special, 0, nil
		}
	}
	return missing, 0, nil
}

// expect is [closure.stat] that refuses all but what can be read.
func (c *closure) expect(name string, at fleet.Problem) (entry, int64) {
	found, size, err := c.stat(name)
	c.paths[name] = true
	switch {
	case err != nil:
		c.refuse(at, "", "read %q: %v", name, err)
	case found == missing:
		c.refuse(at, "paths are relative to the file that names them", "there is no file or folder %q", name)
	case found == symlink:
		c.refuse(at, "put the file itself there", "%q is or lies behind a symlink, and links are never followed", name)
	case found == special:
		c.refuse(at, "", "%q is neither a file nor a folder", name)
	default:
		return found, size
	}
	return missing, 0
}

// read takes a file into the closure. It reports false when it refused it.
func (c *closure) read(name string, size int64, at fleet.Problem) ([]byte, bool) {
	c.paths[name] = true
	if size > MaxFile {
		c.refuse(at, "", "file %q is larger than %d bytes", name, MaxFile)
		return nil, false
	}
	if c.bytes += int(size); c.bytes > MaxTotal {
		c.stop(at, "split the app", "the app's files are larger than %d bytes in all", MaxTotal)
		return nil, false
	}
	if content, known := c.files[name]; known {
		return content, true
	}
	if len(c.files) == MaxFiles {
		c.stop(at, "split the app", "the app has more than %d files", MaxFiles)
		return nil, false
	}
	content, err := fs.ReadFile(c.repo, name)
	if err != nil {
		c.refuse(at, "", "read %q: %v", name, err)
		return nil, false
	}
	if len(content) > MaxFile {
		c.refuse(at, "", "file %q is larger than %d bytes", name, MaxFile)
		return nil, false
	}
	c.files[name] = content
	return content, true
}

// step counts one more reference, and reports false when there are too many.
func (c *closure) step(at fleet.Problem) bool {
	if c.steps++; c.steps > maxSteps {
		c.stop(at, "split the app", "kustomize would have to read more than %d files and folders", maxSteps)
	}
	if len(c.problems) >= maxProblems {
		c.full = true
	}
	return !c.full
}

// resolve returns the repository path that ref means in a kustomization in dir.
func (c *closure) resolve(dir string, ref reference) (string, bool) {
	name := path.Join(dir, ref.path)
	switch {
	case path.IsAbs(ref.path):
		c.refuse(ref.at, "write it relative to this file", "%q is an absolute path", ref.path)
	case name == ".." || strings.HasPrefix(name, "../"):
		c.refuse(ref.at, "copy it into the repository", "%q leads out of the repository", ref.path)
	case ref.path == "" || !cleanPath(name):
		c.refuse(ref.at, "separate folders with /", "%q is not a usable path", ref.path)
	default:
		return name, true
	}
	return "", false
}

// kustomization takes the kustomization in dir and all that it names into the
// closure. stack holds the folders that led here.
func (c *closure) kustomization(dir string, component bool, at fleet.Problem, stack []string) {
	for _, above := range stack {
		if within(dir, above) {
			c.refuse(at, "a kustomization cannot build on itself or on a folder that it lies in", "folder %q leads back to itself", dir)
			return
		}
	}
	k := c.load(dir, at)
	if k == nil {
		return
	}
	if _, ok := c.read(k.file, k.size, at); !ok {
		return
	}
	if isComponent := k.Kind == types.ComponentKind; isComponent && !component {
		c.refuse(at, "list it under components", "folder %q is a component", dir)
		return
	} else if component && !isComponent {
		c.refuse(at, "list it under resources", "folder %q is not a component", dir)
		return
	}
	stack = append(stack[:len(stack):len(stack)], dir)
	for _, ref := range k.references() {
		if !c.step(ref.at) {
			return
		}
		c.take(dir, ref, stack)
	}
	c.checkGenerators(dir, k)
}

// load returns the parsed kustomization of a folder, or nil when it was refused.
func (c *closure) load(dir string, at fleet.Problem) *kustomization {
	if k, known := c.parsed[dir]; known {
		return k
	}
	c.parsed[dir] = nil
	var names []string
	for _, base := range konfig.RecognizedKustomizationFileNames() {
		name := path.Join(dir, base)
		c.paths[name] = true
		if found, _, _ := c.stat(name); found == regular || found == symlink {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		c.refuse(at, "add one that lists its files", "folder %q has no kustomization.yaml", dir)
		return nil
	}
	if len(names) > 1 {
		c.refuse(fleet.Problem{File: names[1]}, "keep one", "folder %q has more than one kustomization", dir)
		return nil
	}
	found, size := c.expect(names[0], at)
	if found != regular {
		return nil
	}
	content, ok := c.read(names[0], size, at)
	if !ok {
		return nil
	}
	k, problems := parseKustomization(names[0], content)
	c.problems = append(c.problems, problems...)
	c.parsed[dir] = k
	return k
}

// take takes what one reference names into the closure.
func (c *closure) take(dir string, ref reference, stack []string) {
	if remote(ref.use, ref.path) {
		c.problems = append(c.problems, ref.refused())
		return
	}
	if ref.use == asInline {
		c.checkInline(ref)
		return
	}
	name, ok := c.resolve(dir, ref)
	if !ok {
		return
	}
	found, size := c.expect(name, ref.at)
	switch {
	case found == missing:
		return
	case found == folder && (ref.use == asResource || ref.use == asComponent):
		c.kustomization(name, ref.use == asComponent, ref.at, stack)
		return
	case found == folder:
		c.refuse(ref.at, "", "%q is a folder", name)
		return
	case ref.use == asComponent:
		c.refuse(ref.at, "name the folder of its kustomization", "%q is a file", name)
		return
	case !within(dir, name):
		c.refuse(ref.at, "give the file's folder a kustomization of its own and name the folder",
			"file %q lies outside the folder of this kustomization, which kustomize does not allow", name)
		return
	}
	content, ok := c.read(name, size, ref.at)
	use := reference{use: ref.use, path: name}
	if !ok || c.checked[use] {
		return
	}
	c.checked[use] = true
	switch ref.use {
	case asResource:
		c.checkResources(name, content)
	case asPatch:
		c.checkDocuments(name, content)
	case asEnv:
		c.checkEnv(name, content)
	case asCRD:
		if err := checkCRD(content); err != nil {
			c.refuse(fleet.Problem{File: name}, "remove it from crds", "%v", err)
		}
	}
}

// checkDocuments splits a file of YAML and refuses what kustomize would choke on.
func (c *closure) checkDocuments(file string, content []byte) []document {
	docs, problems := documents(file, content)
	c.problems = append(c.problems, problems...)
	for _, doc := range docs {
		weight := weigh(doc.node, MaxFile, 0)
		if c.bytes += max(0, weight-len(doc.text)); weight > MaxFile || c.bytes > MaxTotal {
			c.stop(fleet.Problem{File: file, Line: doc.line}, "write out what the aliases stand for",
				"the document's aliases expand to too much")
			return nil
		}
		if deep := tooDeep(doc.node, 0); deep != nil {
			c.refuse(fleet.Problem{File: file, Line: doc.lineOf(deep)}, "no object is so deep", "the document has more than %d levels", maxNesting)
			continue
		}
		if key := repeatedKey(doc.node); key != nil {
			c.refuse(fleet.Problem{File: file, Line: doc.lineOf(key)}, "keep one", "key %q is there twice", key.Value)
		}
	}
	return docs
}

func (c *closure) checkResources(file string, content []byte) {
	for _, doc := range c.checkDocuments(file, content) {
		if doc.isFleet() {
			c.refuse(fleet.Problem{File: file, Line: doc.line}, "take the file off the kustomization's resources",
				"%s describes the fleet and cannot run in a cluster", scalar(doc.node, "kind"))
			continue
		}
		c.checkObjects(file, doc)
	}
}

// checkEnv refuses lines at which kustomize would stop reading without a word.
func (c *closure) checkEnv(file string, content []byte) {
	for i, line := range bytes.Split(content, []byte("\n")) {
		if len(line) >= bufio.MaxScanTokenSize {
			c.refuse(fleet.Problem{File: file, Line: i + 1}, "make the value a file of its own",
				"the line is longer than %d bytes", bufio.MaxScanTokenSize)
		}
	}
}

// checkInline checks the text of a patch inside another file.
func (c *closure) checkInline(ref reference) {
	before := len(c.problems)
	c.checkDocuments(ref.at.File, []byte(ref.path))
	for i := range c.problems[before:] {
		c.problems[before+i].Line, c.problems[before+i].Field = ref.at.Line, ref.at.Field
	}
}

// within tells whether name is dir or lies below it.
func within(dir, name string) bool {
	return dir == "." || name == dir || strings.HasPrefix(name, dir+"/")
}
