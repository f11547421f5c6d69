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
	d.checkResourceSelectors(o.ResourceSelectors, field+".resourceSelectors")
	d.checkOverriders(o.Overriders, field+".overriders")
	d.checkWords(&o.Kustomize, field+".kustomize")
	if o.empty() {
		d.lacks(field, "give it overriders or kustomize", "changes nothing")
	}
}

func (d *document) checkResourceSelectors(selectors []ResourceSelector, field string) {
	for i, s := range selectors {
		field := index(field, i)
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
}

// empty tells whether a rule changes nothing.
func (o Override) empty() bool {
	r, k := o.Overriders, o.Kustomize
	return r.empty() && len(k.Patches)+len(k.Images)+len(k.Replicas)+len(k.Components) == 0
}

func (o Overriders) empty() bool {
	return len(o.ImageOverrider)+len(o.CommandOverrider)+len(o.ArgsOverrider)+len(o.LabelsOverrider)+
		len(o.AnnotationsOverrider)+len(o.FieldOverrider)+len(o.Plaintext) == 0
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
