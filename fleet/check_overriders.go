package fleet

import "regexp"

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
	for i, c := range o.CommandOverrider {
		d.checkCommandOverrider(c, index(field+".commandOverrider", i))
	}
	for i, a := range o.ArgsOverrider {
		d.checkCommandOverrider(a, index(field+".argsOverrider", i))
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
	for i, f := range o.FieldOverrider {
		d.checkFieldOverrider(f, index(field+".fieldOverrider", i))
	}
	for i, p := range o.Plaintext {
		field := index(field+".plaintext", i)
		d.checkOperation(p.Operator, field)
		d.checkPointer(p.Path, field+".path")
	}
}

// checkOperation checks the operator and the value of one operation of a patch.
func (d *document) checkOperation(operator, field string) {
	d.oneOf(operator, field+".operator", overrideAdd, overrideRemove, overrideReplace)
	switch {
	case operator == overrideRemove && d.has(field+".value"):
		d.object(field+".value", "remove it", "operator remove has no value")
	case operator != overrideRemove && !d.has(field+".value"):
		d.missing(field+".value", "operators add and replace need one")
	}
}

func (d *document) checkCommandOverrider(o CommandArgsOverrider, field string) {
	if o.ContainerName == "" {
		d.missing(field+".containerName", "")
	}
	d.oneOf(o.Operator, field+".operator", overrideAdd, overrideRemove)
	if len(o.Value) == 0 && !d.misshapen {
		d.object(field+".value", "list what to add or remove", "is empty, and so changes nothing")
	}
}

func (d *document) checkFieldOverrider(o FieldOverrider, field string) {
	d.checkPointer(o.FieldPath, field+".fieldPath")
	switch {
	case len(o.JSON) > 0 && len(o.YAML) > 0:
		d.refuse(field, "keep the one that the field is written in", "has json and yaml")
	case len(o.JSON)+len(o.YAML) == 0:
		d.lacks(field, "give it json or yaml, as the field is written", "has neither json nor yaml")
	}
	for name, operations := range map[string][]FieldPatchOperation{"json": o.JSON, "yaml": o.YAML} {
		for i, operation := range operations {
			field := index(field+"."+name, i)
			d.checkPointer(operation.SubPath, field+".subPath")
			d.checkOperation(operation.Operator, field)
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
