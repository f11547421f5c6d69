package fleet

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

func (d *document) checkMetadata(m metadata) {
	d.checkLabels(m.Labels, "metadata.labels")
	d.checkAnnotations(m.Annotations, "metadata.annotations")
}

// checkName refuses a name for the reason in err.
func (d *document) checkName(name string, err error) {
	switch {
	case name == "":
		d.missing("metadata.name", "")
	case err != nil:
		d.refuse("metadata.name", "", "%v", err)
	}
}

// checkNames refuses what cannot be the name of an app or a cluster.
func checkNames[S ~string](d *document, noun string, names []S, field string) {
	for i, name := range names {
		if err := checkName(noun, string(name)); err != nil && (name != "" || !d.misshapen) {
			d.refuse(index(field, i), "", "%v", err)
		}
	}
}

func (d *document) checkNamespace(namespace, field string) {
	if namespace == "" {
		return
	}
	if len(validation.IsDNS1123Label(namespace)) > 0 {
		d.refuse(field, nameHint, "%q is not the name of a namespace", namespace)
	}
}

const (
	labelHint    = "letters and digits, with '-', '_' and '.' between them, at most 63"
	labelKeyHint = labelHint + "; before it a domain and '/' if you like"
)

func (d *document) checkAnnotations(annotations map[string]string, field string) {
	for key := range annotations {
		if len(validation.IsQualifiedName(strings.ToLower(key))) > 0 {
			d.refuse(entry(field, key), labelKeyHint, "%q is not an annotation's key", key)
		}
	}
}

func (d *document) checkLabels(labels map[string]string, field string) {
	for key, value := range labels {
		field := entry(field, key)
		d.checkLabel(key, value, field, field)
	}
}

// checkLabel refuses a key and a value, each in a field of its own, that no label
// may have.
func (d *document) checkLabel(key, value, keyField, valueField string) {
	if len(validation.IsQualifiedName(key)) > 0 {
		d.refuse(keyField, labelKeyHint, "%q is not a label's key", key)
	}
	if len(validation.IsValidLabelValue(value)) > 0 {
		d.refuse(valueField, labelHint, "%q is not a label's value", value)
	}
}

// oneOf refuses a text that is none of the allowed. An empty one is missing.
func (d *document) oneOf(text, field string, allowed ...string) bool {
	if slices.Contains(allowed, text) {
		return true
	}
	if text == "" && d.misshapen {
		return false // refused before
	}
	choice := allowed[len(allowed)-1]
	if len(allowed) > 1 {
		choice = strings.Join(allowed[:len(allowed)-1], ", ") + " or " + choice
	}
	if !d.has(field) {
		d.missing(field, choice)
		return false
	}
	hint := didYouMean(text, allowed)
	if hint == "" {
		hint = "use " + choice
	}
	d.refuse(field, hint, "%q is not allowed", text)
	return false
}

var effects = []string{effectNoSchedule, effectPreferNoSchedule, effectNoExecute}

func (d *document) checkTaints(taints []Taint, field string) {
	type identity struct{ key, effect string }
	seen := map[identity]string{}
	for i, taint := range taints {
		field := index(field, i)
		if taint.Key == "" {
			d.missing(field+".key", "")
		} else {
			d.checkLabel(taint.Key, taint.Value, field+".key", field+".value")
		}
		d.oneOf(taint.Effect, field+".effect", effects...)
		id := identity{taint.Key, taint.Effect}
		if first, twice := seen[id]; twice {
			d.refuse(field, "remove one of them", "has the key and effect of %s", first)
			continue
		}
		seen[id] = field
	}
}

// inRepository returns the path that is written in a field, from the file's
// folder, as one from the root of the repository; or "" after refusing it.
func (d *document) inRepository(field, written string) string {
	switch {
	case written == "" && d.has(field):
		d.refuse(field, "", "is empty")
		return ""
	case written == "":
		d.missing(field, "")
		return ""
	case strings.Contains(written, "://"), strings.Contains(written, "?ref="), strings.HasPrefix(written, "git@"):
		d.refuse(field, "copy it into the repository: only what a commit holds can be checked and repeated", "%q is remote", written)
		return ""
	}
	clean := path.Join(path.Dir(d.file), written)
	if path.IsAbs(written) || !fs.ValidPath(clean) {
		d.refuse(field, "paths are relative to the file that names them", "%q leads out of the repository", written)
		return ""
	}
	return clean
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
