package gate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/navarch/navarch/fleet"
)

// document is a YAML document that is read strictly: what it has and nobody knows is
// a problem.
type document struct {
	name     string
	problems fleet.Problems
}

// field takes in the value of one field.
type field func(value *yaml.Node, at string)

// fields are those that a mapping may have.
type fields map[string]field

func (d *document) refuse(n *yaml.Node, at, hint, format string, args ...any) {
	d.problems = append(d.problems, fleet.Problem{File: d.name, Line: n.Line, Field: at, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// mapping reads a mapping. An alias is no mapping: nothing here is worth one.
func (d *document) mapping(n *yaml.Node, at string, known fields) {
	if n.Kind != yaml.MappingNode {
		d.refuse(n, at, "write fields: "+strings.Join(slices.Sorted(maps.Keys(known)), ", "), "has no fields")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		path := strings.TrimPrefix(at+"."+key.Value, ".")
		take, ok := known[key.Value]
		switch {
		case !ok:
			d.refuse(key, path, "known are "+strings.Join(slices.Sorted(maps.Keys(known)), ", "), "is no field of an access file")
		case seen[key.Value]:
			d.refuse(key, path, "remove one of them", "is written twice")
		default:
			seen[key.Value] = true
			take(value, path)
		}
	}
}

func (d *document) sequence(n *yaml.Node, at string, take field) {
	if n.Kind != yaml.SequenceNode {
		d.refuse(n, at, "begin each with a dash", "is no list")
		return
	}
	for i, item := range n.Content {
		take(item, fmt.Sprintf("%s[%d]", at, i))
	}
}

func (d *document) text(n *yaml.Node, at string) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "" {
		d.refuse(n, at, "write a text", "is no text")
		return ""
	}
	return n.Value
}

func (d *document) texts(n *yaml.Node, at string) []string {
	var all []string
	d.sequence(n, at, func(n *yaml.Node, at string) { all = append(all, d.text(n, at)) })
	return all
}

// selector reads a label selector of Kubernetes. One that is there and selects
// everything by saying nothing is refused: a scope that somebody began to write is no
// scope over everything.
func (d *document) selector(n *yaml.Node, at string) labels.Selector {
	s := metav1.LabelSelector{MatchLabels: map[string]string{}}
	d.mapping(n, at, fields{
		"matchLabels": func(n *yaml.Node, at string) {
			if n.Kind != yaml.MappingNode {
				d.refuse(n, at, "write labels, as in {env: prod}", "has no labels")
				return
			}
			for i := 0; i+1 < len(n.Content); i += 2 {
				s.MatchLabels[n.Content[i].Value] = d.text(n.Content[i+1], at+"."+n.Content[i].Value)
			}
		},
		"matchExpressions": func(n *yaml.Node, at string) {
			d.sequence(n, at, func(n *yaml.Node, at string) {
				var e metav1.LabelSelectorRequirement
				d.mapping(n, at, fields{
					"key":      func(n *yaml.Node, at string) { e.Key = d.text(n, at) },
					"operator": func(n *yaml.Node, at string) { e.Operator = metav1.LabelSelectorOperator(d.text(n, at)) },
					"values":   func(n *yaml.Node, at string) { e.Values = d.texts(n, at) },
				})
				s.MatchExpressions = append(s.MatchExpressions, e)
			})
		},
	})
	selector, err := metav1.LabelSelectorAsSelector(&s)
	switch {
	case err != nil:
		d.refuse(n, at, "", "%v", err)
	case selector.Empty():
		d.refuse(n, at, "write matchLabels or matchExpressions, or leave the field out for all", "selects nothing in particular")
	}
	if err != nil || selector.Empty() {
		return labels.Nothing()
	}
	return selector
}
