package fleet

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document is one YAML document while it is read: where each of its fields is
// written, and what is wrong with it.
type document struct {
	file     string
	line     int            // of the first line with content
	lines    map[string]int // path of a field -> line where it is written
	problems Problems
	// misshapen tells that some field could not be read: one that seems to be absent
	// is then most likely there, misspelt.
	misshapen bool
	// karmada tells that the document is one of Karmada's, which is read as Karmada
	// would: what its API server takes is no error.
	karmada bool
}

// at returns where a field is written, or the closest field around it that is.
func (d *document) at(field string) Position {
	for field != "" {
		if line, ok := d.lines[field]; ok {
			return Position{File: d.file, Line: line}
		}
		field = field[:max(strings.LastIndexAny(field, ".["), 0)]
	}
	return Position{File: d.file, Line: d.line}
}

// has tells whether a field is written.
func (d *document) has(field string) bool {
	_, ok := d.lines[field]
	return ok
}

func (d *document) problem(field, message, hint string) Problem {
	at := d.at(field)
	return Problem{File: at.File, Line: at.Line, Field: field, Message: message, Hint: hint}
}

// refuse adds a problem with a field.
func (d *document) refuse(field, hint, format string, args ...any) {
	d.problems = append(d.problems, d.problem(field, fmt.Sprintf(format, args...), hint))
}

// missing adds the problem that a field is absent.
func (d *document) missing(field, hint string) { d.lacks(field, hint, "is missing") }

// lacks adds a problem with something that is absent, unless it may be misspelt.
func (d *document) lacks(field, hint, message string) {
	if !d.misshapen {
		d.refuse(field, hint, "%s", message)
	}
}

// warn adds a warning about a field.
func (d *document) warn(field, hint, format string, args ...any) {
	p := d.problem(field, fmt.Sprintf(format, args...), hint)
	p.Warning = true
	d.problems = append(d.problems, p)
}

// The most that one document may hold once its aliases are expanded: an alias can
// stand for itself, or for gigabytes.
const (
	maxNodes = 200_000
	maxDepth = 200
)

var errTooLarge = errors.New("is too large or too deep once its aliases are expanded")

// object reports what Karmada takes and this package would refuse in documents of
// its own.
func (d *document) object(field, hint, format string, args ...any) {
	if d.karmada {
		d.warn(field, hint, format, args...)
		return
	}
	d.refuse(field, hint, format, args...)
}

// expansion replaces aliases and merge keys by what they stand for.
type expansion struct {
	nodes int // made so far
}

// expand returns a copy of n without aliases and merge keys. Every node keeps the
// line where it is written.
func (e *expansion) expand(n *yaml.Node, depth int) (*yaml.Node, error) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	e.nodes++
	if e.nodes > maxNodes || depth > maxDepth {
		return nil, errTooLarge
	}
	expanded := *n
	expanded.Content = make([]*yaml.Node, 0, len(n.Content))
	var merged []*yaml.Node
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && child.ShortTag() == "!!merge" && i%2 == 0 {
			continue
		}
		c, err := e.expand(child, depth+1)
		if err != nil {
			return nil, err
		}
		if n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].ShortTag() == "!!merge" {
			merged = append(merged, c)
			continue
		}
		expanded.Content = append(expanded.Content, c)
	}
	for _, from := range merged {
		if err := merge(&expanded, from); err != nil {
			return nil, err
		}
	}
	return &expanded, nil
}

// merge adds the keys of from, a mapping or a list of mappings, that into lacks.
func merge(into, from *yaml.Node) error {
	switch from.Kind {
	case yaml.SequenceNode:
		for _, item := range from.Content {
			if err := merge(into, item); err != nil {
				return err
			}
		}
		return nil
	case yaml.MappingNode:
		present := make(map[string]bool, len(into.Content)/2)
		for i := 0; i < len(into.Content); i += 2 {
			present[into.Content[i].Value] = true
		}
		for i := 0; i < len(from.Content); i += 2 {
			if !present[from.Content[i].Value] {
				into.Content = append(into.Content, from.Content[i], from.Content[i+1])
			}
		}
		return nil
	default:
		return fmt.Errorf("merges %s, want a mapping", describe(from))
	}
}

// describe says for people what a node is.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch tag := n.ShortTag(); tag {
	case "!!str", "!!timestamp":
		return "text"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "nothing"
	default:
		return strconv.Quote(tag)
	}
}
