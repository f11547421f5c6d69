package fleet

import (
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// decode fills v from a node, strictly: the Go type is the schema. Other decoders
// stop at the first thing wrong and forget lines; this one goes on, and notes the
// line of every field.
func (d *document) decode(n *yaml.Node, v reflect.Value, field string) {
	if into, ok := v.Addr().Interface().(*json.RawMessage); ok {
		*into = d.free(n, field)
		return
	}
	if n.ShortTag() == "!!null" {
		if d.karmada { // as an API server does
			delete(d.lines, field)
			return
		}
		d.refuse(field, "give it a value, or remove it", "has no value")
		return
	}
	if into, ok := v.Addr().Interface().(json.Unmarshaler); ok {
		d.decodeOwn(n, into, field)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(n, v.Elem(), field)
	case reflect.Struct:
		d.decodeStruct(n, v, field)
	case reflect.Map:
		d.decodeMap(n, v, field)
	case reflect.Slice:
		d.decodeSlice(n, v, field)
	default:
		d.decodeScalar(n, v, field)
	}
}

func (d *document) decodeStruct(n *yaml.Node, v reflect.Value, field string) {
	if !d.is(n, yaml.MappingNode, "a mapping", field) {
		return
	}
	fields := fieldsOf(v.Type())
	for key, value := range d.pairs(n, field) {
		path := join(field, key.Value)
		d.lines[path] = key.Line
		if i, ok := fields[key.Value]; ok {
			d.decode(value, v.FieldByIndex(i), path)
			continue
		}
		if d.karmada && v.Type() == reflect.TypeFor[metadata]() && slices.Contains(serverFields, key.Value) {
			continue
		}
		d.unknown(v.Type(), key.Value, path)
	}
}

func (d *document) decodeMap(n *yaml.Node, v reflect.Value, field string) {
	if !d.is(n, yaml.MappingNode, "a mapping", field) {
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for key, value := range d.pairs(n, field) {
		path := entry(field, key.Value)
		d.lines[path] = key.Line
		element := reflect.New(v.Type().Elem()).Elem()
		d.decode(value, element, path)
		v.SetMapIndex(reflect.ValueOf(key.Value), element)
	}
}

func (d *document) decodeSlice(n *yaml.Node, v reflect.Value, field string) {
	if !d.is(n, yaml.SequenceNode, "a list", field) {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		path := index(field, i)
		d.lines[path] = item.Line
		d.decode(item, v.Index(i), path)
	}
}

func (d *document) decodeScalar(n *yaml.Node, v reflect.Value, field string) {
	switch tag := n.ShortTag(); v.Kind() {
	case reflect.String:
		// A date is text in every Kubernetes API.
		if n.Kind == yaml.ScalarNode && (tag == "!!str" || tag == "!!timestamp") {
			v.SetString(n.Value)
			return
		}
		hint := ""
		if n.Kind == yaml.ScalarNode {
			hint = fmt.Sprintf("write it in quotes: %q", n.Value)
		}
		d.refuse(field, hint, "is %s, want text", describe(n))
	case reflect.Bool:
		var b bool
		if tag != "!!bool" || n.Decode(&b) != nil {
			d.refuse(field, "", "is %s, want true or false", describe(n))
			return
		}
		v.SetBool(b)
	case reflect.Int64:
		var i int64
		if tag != "!!int" || n.Decode(&i) != nil {
			is := describe(n)
			if n.Kind == yaml.ScalarNode {
				is = strconv.Quote(n.Value)
			}
			d.refuse(field, "", "is %s, want a whole number", is)
			return
		}
		v.SetInt(i)
	default:
		panic(fmt.Sprintf("fleet: no way to decode a %s", v.Type()))
	}
}

// decodeOwn decodes a scalar that knows its own form.
func (d *document) decodeOwn(n *yaml.Node, into json.Unmarshaler, field string) {
	raw := d.free(n, field)
	if raw == nil {
		return
	}
	if err := into.UnmarshalJSON(raw); err != nil {
		d.refuse(field, "", "%v", err)
	}
}

// free returns the JSON of a value that may be anything, or nil when it is not
// JSON. Its mappings have their keys in order.
func (d *document) free(n *yaml.Node, field string) json.RawMessage {
	before := len(d.problems)
	value := d.plain(n, field)
	if len(d.problems) > before {
		return nil
	}
	raw, err := json.Marshal(value)
	if err != nil {
		d.refuse(field, "", "is not JSON: %v", err)
		return nil
	}
	return raw
}

func (d *document) plain(n *yaml.Node, field string) any {
	switch n.Kind {
	case yaml.MappingNode:
		mapping := make(map[string]any, len(n.Content)/2)
		for key, value := range d.pairs(n, field) {
			path := join(field, key.Value)
			d.lines[path] = key.Line
			mapping[key.Value] = d.plain(value, path)
		}
		return mapping
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			path := index(field, i)
			d.lines[path] = item.Line
			list[i] = d.plain(item, path)
		}
		return list
	default:
		return d.plainScalar(n, field)
	}
}

func (d *document) plainScalar(n *yaml.Node, field string) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool", "!!int", "!!float":
		var value any
		if err := n.Decode(&value); err != nil {
			d.refuse(field, "", "is %q, which is no number", n.Value)
			return nil
		}
		if f, ok := value.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
			d.refuse(field, "", "is %s, which JSON cannot say", n.Value)
			return nil
		}
		return value
	case "!!str", "!!timestamp":
		if n.Style == 0 && slices.Contains(oldBooleans, strings.ToLower(n.Value)) {
			d.refuse(field, fmt.Sprintf("write true or false, or %q in quotes", n.Value),
				"is %s, which is text to some readers of YAML and a boolean to others", n.Value)
		}
		return n.Value
	default:
		d.refuse(field, "", "has the tag %q, which JSON does not have", n.ShortTag())
		return nil
	}
}

// oldBooleans are booleans in YAML 1.1, which Kubernetes reads, and text in 1.2.
var oldBooleans = []string{"y", "n", "yes", "no", "on", "off"}

// pairs yields each key and value of a mapping and refuses keys that are there
// twice or are no text.
func (d *document) pairs(n *yaml.Node, field string) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		first := make(map[string]int, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode {
				d.refuse(field, "", "has a key that is %s, want text", describe(key))
				continue
			}
			if line, twice := first[key.Value]; twice {
				p := d.problem(join(field, key.Value), fmt.Sprintf("is written twice, first in line %d", line), "remove one of them")
				p.Line = key.Line
				d.problems = append(d.problems, p)
				continue
			}
			first[key.Value] = key.Line
			if !yield(key, n.Content[i+1]) {
				return
			}
		}
	}
}

// is refuses a node that is not of the wanted kind.
func (d *document) is(n *yaml.Node, kind yaml.Kind, want, field string) bool {
	if n.Kind != kind {
		d.refuse(field, "", "is %s, want %s", describe(n), want)
	}
	return n.Kind == kind
}

// fieldsOf returns the index of each field of a struct by its name in JSON, those
// of embedded structs among them.
func fieldsOf(t reflect.Type) map[string][]int {
	fields := make(map[string][]int, t.NumField())
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			fields[name] = f.Index
		}
	}
	return fields
}

// join returns the path of a field in a struct.
func join(field, name string) string {
	if field == "" {
		return printable(name)
	}
	return field + "." + printable(name)
}

// entry returns the path of a value in a map.
func entry(field, key string) string { return field + "[" + printable(key) + "]" }

// printable returns a key as it is, or in quotes where it would break the line.
func printable(key string) string {
	if strings.ContainsFunc(key, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(key)
	}
	return key
}

// index returns the path of an item of a list.
func index(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }
