package fleet

import (
	"regexp"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/labels"
)

// checkOverride checks one rule, and makes its paths relative to the root of the
// repository.
func (d *document) checkOverride(o *Override, field string) {
	d.checkAffinity(o.TargetCluster, field+".targetCluster")
	for i, s := range o.ResourceSelectors {
		field := index(field+".resourceSelectors", i)
		if s.APIVersion == "" {
			d.missing(field+".apiVersion", "")
		}
		if s.Kind == "" {
			d.missing(field+".kind", "")
		}
		d.checkLabelSelector(s.LabelSelector, field+".labelSelector")
		if s.Name != "" && s.LabelSelector != nil {
			d.warn(field+".labelSelector", "remove one of them", "is ignored where name is set")
		}
	}
	d.checkOverriders(o.Overriders, field+".overriders")
	d.checkWords(&o.Kustomize, field+".kustomize")
	if o.empty() {
		d.lacks(field, "give it overriders or kustomize", "changes nothing")
	}
}

// empty tells whether a rule changes nothing.
func (o Override) empty() bool {
	r, k := o.Overriders, o.Kustomize
	return len(r.ImageOverrider)+len(r.LabelsOverrider)+len(r.AnnotationsOverrider)+len(r.Plaintext) == 0 &&
		len(k.Patches)+len(k.Images)+len(k.Replicas)+len(k.Components) == 0
}

// The operators of overriders.
const (
	overrideAdd     = "add"
	overrideRemove  = "remove"
	overrideReplace = "replace"
)

func (d *document) checkOverriders(o Overriders, field string) {
	for i, image := range o.ImageOverrider {
		d.checkImageOverrider(image, index(field+".imageOverrider", i))
	}
	for i, l := range o.LabelsOverrider {
		field := index(field+".labelsOverrider", i)
		d.checkLabelOverrider(l, field)
		if l.Operator != overrideRemove {
			d.checkLabels(l.Value, field+".value")
		}
	}
	for i, a := range o.AnnotationsOverrider {
		field := index(field+".annotationsOverrider", i)
		d.checkLabelOverrider(a, field)
		d.checkAnnotations(a.Value, field+".value")
	}
	for i, p := range o.Plaintext {
		field := index(field+".plaintext", i)
		d.oneOf(p.Operator, field+".operator", overrideAdd, overrideRemove, overrideReplace)
		d.checkPointer(p.Path, field+".path")
		switch {
		case p.Operator == overrideRemove && d.has(field+".value"):
			d.refuse(field+".value", "remove it", "operator remove has no value")
		case p.Operator != overrideRemove && !d.has(field+".value"):
			d.missing(field+".value", "operators add and replace need one")
		}
	}
}

func (d *document) checkImageOverrider(o ImageOverrider, field string) {
	d.oneOf(o.Component, field+".component", "Registry", "Repository", "Tag")
	d.oneOf(o.Operator, field+".operator", overrideAdd, overrideRemove, overrideReplace)
	switch {
	case o.Operator == overrideRemove && o.Value != "":
		d.warn(field+".value", "remove it", "is ignored: operator remove takes the whole component away")
	case o.Operator != overrideRemove && o.Value == "":
		d.missing(field+".value", "operators add and replace need one")
	}
	if o.Predicate != nil {
		d.checkPointer(o.Predicate.Path, field+".predicate.path")
	}
}

func (d *document) checkLabelOverrider(o LabelOverrider, field string) {
	d.oneOf(o.Operator, field+".operator", overrideAdd, overrideRemove, overrideReplace)
	if len(o.Value) == 0 {
		d.missing(field+".value", "a mapping of keys to values; for remove the keys count")
	}
}

var badEscape = regexp.MustCompile(`~([^01]|$)`)

// checkPointer refuses what is no JSON pointer into an object (RFC 6901).
func (d *document) checkPointer(path, field string) {
	switch {
	case path == "":
		d.missing(field, "a JSON pointer such as /spec/replicas")
	case path[0] != '/':
		d.refuse(field, "write it as a JSON pointer such as /spec/replicas", "%q does not begin with /", path)
	case badEscape.MatchString(path):
		d.refuse(field, "in a JSON pointer ~ is written ~0 and / in a key ~1", "%q has a lone ~", path)
	}
}

// checkWords checks the words of kustomize.
func (d *document) checkWords(k *Kustomize, field string) {
	for i := range k.Patches {
		d.checkPatch(&k.Patches[i], index(field+".patches", i))
	}
	for i, image := range k.Images {
		field := index(field+".images", i)
		if image.Name == "" {
			d.missing(field+".name", "")
		}
		if image.NewName+image.NewTag+image.TagSuffix+image.Digest == "" {
			d.lacks(field, "give it newName, newTag, tagSuffix or digest", "changes nothing")
		}
		if image.NewTag != "" && image.Digest != "" {
			d.refuse(field+".newTag", "remove one of them", "is ignored where digest is set")
		}
	}
	for i, r := range k.Replicas {
		field := index(field+".replicas", i)
		if r.Name == "" {
			d.missing(field+".name", "")
		}
		if !d.has(field + ".count") {
			d.missing(field+".count", "")
		}
		if r.Count < 0 || r.Count > 1<<31-1 {
			d.refuse(field+".count", "", "is %d, which is no number of replicas", r.Count)
		}
	}
	for i := range k.Components {
		k.Components[i] = d.inRepository(index(field+".components", i), k.Components[i])
	}
}

func (d *document) checkPatch(p *Patch, field string) {
	switch {
	case d.has(field+".path") && d.has(field+".patch"):
		d.refuse(field, "write the patch in place, or in a file, not both", "has path and patch")
	case d.has(field + ".path"):
		p.Path = d.inRepository(field+".path", p.Path)
	case d.has(field+".patch") && d.misshapen && p.Patch == "": // refused before
	case d.has(field + ".patch"):
		if message, hint := wrongPatch([]byte(p.Patch), p.Target); message != "" {
			d.refuse(field+".patch", hint, "%s", message)
		}
	default:
		d.lacks(field, "give it one of them", "has neither path nor patch")
	}
	for option := range p.Options {
		if option != "allowNameChange" && option != "allowKindChange" {
			d.refuse(entry(field+".options", option), "known: allowKindChange, allowNameChange", "unknown option")
		}
	}
	if p.Target != nil {
		d.checkTarget(*p.Target, field+".target")
	}
}

func (d *document) checkTarget(t PatchTarget, field string) {
	for _, part := range []struct{ name, expression string }{
		{"group", t.Group}, {"version", t.Version}, {"kind", t.Kind}, {"name", t.Name}, {"namespace", t.Namespace},
	} {
		if _, err := regexp.Compile("^(?:" + part.expression + ")$"); err != nil {
			d.refuse(field+"."+part.name, "", "%q is no regular expression", part.expression)
		}
	}
	for _, part := range []struct{ name, selector string }{
		{"labelSelector", t.LabelSelector}, {"annotationSelector", t.AnnotationSelector},
	} {
		if _, err := labels.Parse(part.selector); err != nil {
			d.refuse(field+"."+part.name, "", "is no selector: %s", oneLine(err.Error()))
		}
	}
}

// wrongPatch says what is wrong with a patch, and what to do about it.
func wrongPatch(content []byte, target *PatchTarget) (message, hint string) {
	found := false
	for patch, err := range documents(content) {
		if err != nil {
			return "the patch is not YAML: " + messageOf(err), ""
		}
		found = true
		switch {
		case patch.Kind == yaml.ScalarNode:
			return "the patch is " + describe(patch) + ", want an object or a list of operations", ""
		case target != nil:
		case patch.Kind == yaml.SequenceNode:
			return "patch without a target", "a list of operations does not say what it edits: add target"
		case textAt(patch, "kind") == "" || textAt(patch, "metadata", "name") == "":
			return "patch without a target", "give the patch kind and metadata.name, or add target"
		}
	}
	if !found {
		return "the patch is empty", ""
	}
	return "", ""
}

// textAt returns the scalar at a path of keys, or "".
func textAt(n *yaml.Node, keys ...string) string {
	for _, key := range keys {
		var value *yaml.Node
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				value = n.Content[i+1]
			}
		}
		if value == nil {
			return ""
		}
		for value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		n = value
	}
	return n.Value
}
