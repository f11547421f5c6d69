package overlays

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/navarch/navarch/fleet"
)

// objects gathers documents out of files: a base with a file for each, named after
// its object, so that the base does not depend on where they stand, and a
// kustomization that lists them. It returns the folder to build.
func (c *closure) objects(objects []fleet.SourceObject, at fleet.Problem) string {
	documents := map[string]map[int]bool{} // by file
	for _, object := range objects {
		if documents[object.File] == nil {
			documents[object.File] = map[int]bool{}
		}
		documents[object.File][object.Document] = true
	}
	taken := map[string]string{} // file of the base -> where the document stands
	for _, file := range slices.Sorted(maps.Keys(documents)) {
		if c.full {
			break
		}
		c.takeDocuments(file, documents[file], taken, at)
	}
	c.written = konfig.DefaultKustomizationFileName()
	k := kustomizationFile{
		APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind, Resources: slices.Sorted(maps.Keys(taken)),
	}
	c.files[c.written] = k.encode()
	return "."
}

// takeDocuments takes documents of one file into the closure, each as a file.
func (c *closure) takeDocuments(file string, wanted map[int]bool, taken map[string]string, at fleet.Problem) {
	name, ok := c.resolve(".", reference{path: file, at: at})
	if !ok {
		return
	}
	found, size := c.expect(name, at)
	if found == folder {
		c.refuse(at, "", "%q is a folder", name)
	}
	if found != regular {
		return
	}
	content, ok := c.read(name, size, at)
	if !ok {
		return
	}
	delete(c.files, name) // the base has documents of it
	before := len(c.problems)
	docs := c.checkDocuments(name, content)
	if len(c.problems) > before {
		return // documents cannot be counted
	}
	for _, i := range slices.Sorted(maps.Keys(wanted)) {
		if i < 0 || i >= len(docs) {
			c.refuse(at, "", "file %q has no document %d", name, i)
			continue
		}
		c.takeDocument(name, docs[i], taken)
	}
}

func (c *closure) takeDocument(file string, doc document, taken map[string]string) {
	at := fleet.Problem{File: file, Line: doc.line}
	if doc.isFleet() {
		c.refuse(at, "", "%s describes the fleet and cannot run in a cluster", scalar(doc.node, "kind"))
		return
	}
	c.checkObjects(file, doc)
	name := doc.fileName()
	if first, twice := taken[name]; twice {
		c.refuse(at, "keep one", "%s %q is also in %s", scalar(doc.node, "kind"), scalar(doc.node, "metadata", "name"), first)
		return
	}
	if len(taken) == MaxFiles {
		c.stop(at, "split the app", "the app has more than %d objects", MaxFiles)
		return
	}
	taken[name] = fmt.Sprintf("%s:%d", file, doc.line)
	c.files[name] = []byte(doc.text)
}

// fileName returns a path for a file with the document, made of its object's
// identity: another for another object.
func (d document) fileName() string {
	group, _, grouped := strings.Cut(scalar(d.node, "apiVersion"), "/")
	kind := scalar(d.node, "kind")
	if grouped {
		kind += "." + group
	}
	namespace := strings.ReplaceAll(escapeName(scalar(d.node, "metadata", "namespace")), ".", "_2e") // no folder looks like a file
	return path.Join(escapeName(kind), namespace, escapeName(scalar(d.node, "metadata", "name"))+".yaml")
}

// maxName is how much of an object's name goes into that of its file: file systems
// take 255 bytes.
const maxName = 200

// escapeName writes as _xx what could not be part of a file's name everywhere.
func escapeName(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	if b.Len() <= maxName {
		return b.String()
	}
	_, hash, _ := strings.Cut(string(fleet.DigestOf([]byte(name))), ":")
	return b.String()[:maxName] + "_-" + hash[:16]
}
