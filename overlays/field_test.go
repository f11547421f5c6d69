package overlays

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
)

func TestOverrideDocument(t *testing.T) {
	add := func(path, value string) fleet.FieldPatchOperation {
		return fleet.FieldPatchOperation{SubPath: path, Operator: "add", Value: json.RawMessage(value)}
	}
	remove := func(path string) fleet.FieldPatchOperation {
		return fleet.FieldPatchOperation{SubPath: path, Operator: "remove", Value: json.RawMessage(`"ignored"`)}
	}
	replace := func(path, value string) fleet.FieldPatchOperation {
		return fleet.FieldPatchOperation{SubPath: path, Operator: "replace", Value: json.RawMessage(value)}
	}
	type operations []fleet.FieldPatchOperation
	tests := map[string]struct {
		text       string
		json, yaml operations
		want, err  string
	}{
		"JSON keeps the order of its keys": {
			text: `{"z": {"port": 1, "host": "a"}, "a": [1, 2]}`,
			json: operations{replace("/z/host", `"b<c"`), add("/a/-", `3`), add("/new", `{"x": null}`)},
			want: `{"z":{"port":1,"host":"b<c"},"a":[1,2,3],"new":{"x":null}}`,
		},
		"JSON numbers stay as they are": {
			text: `{"big": 12345678901234567890123, "exact": 1.10, "gone": 1}`, json: operations{remove("/gone")},
			want: `{"big":12345678901234567890123,"exact":1.10}`,
		},
		"an array at the top": {text: `[1,2]`, json: operations{replace("/0", `{"a":1}`)}, want: `[{"a":1},2]`},
		"escaped keys":        {text: `{"a/b":{"~":1}}`, json: operations{replace("/a~1b/~0", `2`)}, want: `{"a/b":{"~":2}}`},
		"YAML": {
			text: "---\n# says why\ndb: {host: a, port: 5432}\nlist: [a, b]\n",
			yaml: operations{replace("/db/host", `"b"`), remove("/list/0"), add("/on", `true`)},
			want: "db:\n  host: b\n  port: 5432\nlist:\n- b\n\"on\": true\n",
		},
		"YAML with anchors": {
			text: "base: &b {a: 1}\ncopy: *b\n", yaml: operations{replace("/copy/a", `2`)},
			want: "base:\n  a: 1\ncopy:\n  a: 2\n",
		},
		"JSON that is none":             {text: "a: b", json: operations{remove("/a")}, err: `not JSON`},
		"YAML that is none":             {text: "a: [", yaml: operations{remove("/a")}, err: `not YAML: line 1: did not find expected node content`},
		"several documents":             {text: "a: 1\n---\nb: 1\n", yaml: operations{remove("/a")}, err: `more than one document, and only one can be edited`},
		"a key twice":                   {text: "a: 1\na: 2\n", yaml: operations{remove("/a")}, err: `not YAML: unmarshal errors: line 2: key "a" already set in map`},
		"no document":                   {text: "", yaml: operations{add("/a", `1`)}, err: `add of "/a" does not fit: error in add for path: '/a': invalid value, expected object`},
		"both":                          {text: "{}", json: operations{add("/a", `1`)}, yaml: operations{add("/a", `1`)}, err: `the overrider has json and yaml: keep the one that the document is written in`},
		"neither":                       {text: "{}", err: `the overrider has no operations: give it json or yaml`},
		"nothing to remove":             {text: "{}", json: operations{remove("/a")}, err: `remove of "/a" does not fit: there is nothing at that path`},
		"nothing to add it to":          {text: "{}", yaml: operations{add("/a/b", `1`)}, err: `add of "/a/b" does not fit: what it should be added to is not there`},
		"an operation without a value":  {text: "{}", json: operations{{SubPath: "/a", Operator: "add"}}, err: `add of "/a" needs a value`},
		"an operation that is not JSON": {text: "{}", json: operations{add("/a", `{`)}, err: `add of "/a": json: error calling MarshalJSON for type json.RawMessage: unexpected end of JSON input`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := overrideDocument(test.text, fleet.FieldOverrider{FieldPath: "/data/x", JSON: test.json, YAML: test.yaml})
			message := ""
			if err != nil {
				got, message = "", err.Error()
			}
			if diff := cmp.Diff(test.want, got) + cmp.Diff(test.err, message); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

// FuzzOverrideDocument edits any text. Nothing may panic, and a document that was
// edited is one that can be edited again.
func FuzzOverrideDocument(f *testing.F) {
	f.Add(`{"a": [1, {"b": null}]}`, "/a/1/b", "replace", `"x"`, true)
	f.Add("a: &x [1]\nb: *x\n", "/b/-", "add", `{"c": 1}`, false)
	f.Add("- 1\n...\n", "/0", "remove", ``, false)
	f.Fuzz(func(t *testing.T, text, path, operator, value string, isJSON bool) {
		o := fleet.FieldOverrider{}
		operations := []fleet.FieldPatchOperation{{SubPath: path, Operator: operator, Value: json.RawMessage(value)}}
		o.YAML = operations
		if isJSON {
			o.JSON, o.YAML = operations, nil
		}
		edited, err := overrideDocument(text, o)
		if err != nil {
			return
		}
		test := []fleet.FieldPatchOperation{{SubPath: "", Operator: "test", Value: json.RawMessage(`0`)}}
		o.YAML = test
		if isJSON {
			o.JSON, o.YAML = test, nil
		}
		if _, err := overrideDocument(edited, o); err != nil && strings.HasPrefix(err.Error(), "not ") {
			t.Errorf("%q became %q: %v", text, edited, err)
		}
	})
}
