package overlays

import (
	"fmt"
	"path"
	"strings"

	jsonpatch5 "github.com/evanphx/json-patch/v5"
	"go.yaml.in/yaml/v3"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/resid"
)

// What kustomize may be made to do with the files of one app, beyond reading them. What
// people write stays far below: what exceeds it stands for gigabytes or for hours.
const (
	maxKustomization = 2 << 20   // bytes of one kustomization
	maxGrowth        = 128 << 20 // bytes that may be put into objects by what copies text
	maxPatched       = 200_000   // patches, counted for each object that they may be applied to
	maxNesting       = 200       // levels of a document
	maxAffix         = 253       // bytes before and after a name, which takes no more
)

// A copy of what was copied doubles with each operation: thirty of them are a gigabyte.
func init() {
	jsonpatch.AccumulatedCopySizeLimit = MaxObject
	jsonpatch5.AccumulatedCopySizeLimit = MaxObject
}

// cost estimates, from above, what kustomize makes of some files.
type cost struct {
	objects []estimate
	texts   int // occurrences of "$(", which begins a variable
	growth  int
}

// estimate is what an object may weigh by now.
type estimate struct {
	kind, name string
	bytes      int
}

// checkCost refuses kustomizations that would make far more of the files than they are.
func (f Files) checkCost() error {
	var ks []*kustomization
	costly := false
	for _, name := range f.Paths() {
		if !isKustomization(name) {
			continue
		}
		k, problems := parseKustomization(name, f[name])
		if len(problems) > 0 {
			return problems.Sorted()
		}
		ks = append(ks, k)
		costly = costly || k.copies()
	}
	if !costly {
		return nil
	}
	c := f.cost()
	for _, k := range ks {
		if err := c.add(k, f); err != nil {
			return fmt.Errorf("%q: %w", k.file, err)
		}
	}
	return nil
}

// copies tells whether k has anything that multiplies.
func (k kustomization) copies() bool {
	return len(k.Vars)+len(k.Replacements)+len(k.Patches)+len(k.PatchesJson6902)+k.labelled() > 0 //nolint:staticcheck // deprecated, and still read by kustomize
}

// labelled is how much text k puts into every object.
func (k kustomization) labelled() int {
	n := len(k.NamePrefix) + len(k.NameSuffix)
	count := func(pairs map[string]string) {
		for key, value := range pairs {
			n += len(key) + len(value)
		}
	}
	count(k.CommonAnnotations)
	count(k.CommonLabels) //nolint:staticcheck // deprecated, and still read by kustomize
	for _, l := range k.Labels {
		count(l.Pairs)
	}
	return n
}

// cost lists the objects in f.
func (f Files) cost() *cost {
	c := &cost{}
	for _, name := range f.Paths() {
		if !isYAML(name) || isKustomization(name) {
			continue
		}
		docs, _ := documents(name, f[name]) // what cannot be read is kustomize's to refuse
		for _, doc := range docs {
			c.texts += strings.Count(doc.text, "$(")
			for _, object := range doc.items() {
				c.objects = append(c.objects, estimate{kind: scalar(object, "kind"), name: scalar(object, "metadata", "name"), bytes: len(doc.text)})
			}
		}
	}
	return c
}

func (c *cost) add(k *kustomization, f Files) error {
	if n := c.patched(k.Patches) + c.patched(k.PatchesJson6902); n > maxPatched { //nolint:staticcheck // deprecated, and still read by kustomize
		return fmt.Errorf("its patches may be applied %d times, and %d is the most (name the targets of patches, or split the app)", n, maxPatched)
	}
	if len(k.NamePrefix)+len(k.NameSuffix) > maxAffix {
		return fmt.Errorf("its namePrefix and nameSuffix are longer than the %d bytes of a name", maxAffix)
	}
	c.growth += k.labelled() * len(c.objects)
	for _, v := range k.Vars { //nolint:staticcheck // deprecated, and still read by kustomize
		c.growth += c.texts * c.largest(v.ObjRef.Kind, v.ObjRef.Name)
	}
	for _, field := range k.Replacements {
		all, err := replacements(field, k.file, f)
		if err != nil {
			return err
		}
		for i := range all {
			if c.replace(&all[i]); c.growth > maxGrowth {
				break
			}
		}
	}
	if c.growth > maxGrowth {
		return fmt.Errorf("what it copies into objects may take more than %d bytes (name the sources and targets of replacements, or split the app)", maxGrowth)
	}
	return nil
}

// patched returns how many objects some patches may be applied to, each counted.
func (c *cost) patched(patches []types.Patch) int {
	n := 0
	for _, p := range patches {
		if p.Target == nil || p.Target.Name != "" && !strings.ContainsAny(p.Target.Name, pattern) {
			n++
			continue
		}
		n += len(c.objects)
	}
	return n
}

// pattern are the characters that make a selector more than a name; a dot is in names.
const pattern = `*+?|()[]{}^$\`

// largest is the most that a field of the named objects may weigh; any object where none
// is found, since kustomizations rename.
func (c *cost) largest(kind, name string) int {
	most, found := 0, false
	for _, o := range c.objects {
		match := (kind == "" || o.kind == kind) && (name == "" || o.name == name)
		if match && !found {
			most, found = 0, true
		}
		if match || !found {
			most = max(most, o.bytes)
		}
	}
	return most
}

// replace adds what one replacement puts into its targets, from which the next may copy.
func (c *cost) replace(r *types.Replacement) {
	size := 0
	switch {
	case r.SourceValue != nil:
		size = len(*r.SourceValue)
	case r.Source != nil:
		size = c.largest(r.Source.Kind, r.Source.Name)
	}
	for _, target := range r.Targets {
		for i := range c.objects {
			o := &c.objects[i]
			if target == nil || target.Select == nil || !mayMatch(target.Select.ResId, o) {
				continue
			}
			for _, field := range target.FieldPaths {
				times := 1
				if strings.ContainsAny(field, "*[") {
					times = 1 + o.bytes/4 // as many items as it may have
				}
				o.bytes += size * times
				if c.growth += size * times; c.growth > maxGrowth {
					return
				}
			}
		}
	}
}

// mayMatch tells whether a selector may select an object, whose name may have become
// another on the way. What a selector says is a regular expression.
func mayMatch(id resid.ResId, o *estimate) bool {
	return id.Kind == "" || id.Kind == o.kind || strings.ContainsAny(id.Kind, pattern+".")
}

// replacements are those of one entry, which may be a path to a file of them.
func replacements(field types.ReplacementField, file string, f Files) ([]types.Replacement, error) {
	if field.Path == "" {
		return []types.Replacement{field.Replacement}, nil
	}
	content := f[path.Join(path.Dir(file), field.Path)]
	var root yaml.Node
	if yaml.Unmarshal(content, &root) != nil || len(root.Content) == 0 {
		return nil, nil //nolint:nilerr // kustomize says what is wrong with it
	}
	var all []types.Replacement
	if root.Content[0].Kind != yaml.SequenceNode {
		all = make([]types.Replacement, 1)
		return all, root.Decode(&all[0])
	}
	return all, root.Decode(&all)
}

// tooDeep returns the first node of a document below more levels than any object has.
func tooDeep(n *yaml.Node, levels int) *yaml.Node {
	if levels > maxNesting {
		return n
	}
	for _, child := range n.Content {
		if deep := tooDeep(child, levels+1); deep != nil {
			return deep
		}
	}
	return nil
}
