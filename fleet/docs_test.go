package fleet

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

const page = "../docs/fleet-repository.md"

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// examples are the blocks of YAML of the page about the repository.
func examples(t testing.TB) []string {
	t.Helper()
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, found := range yamlBlock.FindAllStringSubmatch(string(content), -1) {
		blocks = append(blocks, found[1])
	}
	if len(blocks) < 10 {
		t.Fatalf("%d examples on the page, want more", len(blocks))
	}
	return blocks
}

// around is the repository that examples stand in.
func around(example string) fstest.MapFS {
	if fields, part := strings.CutPrefix(example, "# in spec\n"); part {
		example = "apiVersion: " + APIVersion + "\nkind: App\nmetadata: {name: example, namespace: shop}\nspec:\n  source: {path: base}\n" +
			"  " + strings.ReplaceAll(strings.TrimRight(fields, "\n"), "\n", "\n  ") + "\n"
	}
	repo := fstest.MapFS{
		"base/web.yaml":                       {Data: []byte("kind: Deployment\n")},
		"patch.yaml":                          {Data: []byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {paused: true}\n")},
		"components/debug/kustomization.yaml": {Data: []byte("kind: Component\n")},
		"platform/app.yaml":                   {Data: []byte("apiVersion: " + APIVersion + "\nkind: App\nmetadata: {name: platform}\nspec: {source: {path: ../base}}\n")},
	}
	for _, name := range []string{"eu-1", "eu-2", "us-1"} {
		if !strings.Contains(example, "kind: Cluster\nmetadata:\n  name: "+name) {
			repo[name+".yaml"] = &fstest.MapFile{Data: []byte("apiVersion: " + APIVersion + "\nkind: Cluster\nmetadata: {name: " + name + "}\n")}
		}
	}
	name := "example.yaml"
	if strings.Contains(example, "kind: Fleet\n") {
		name = settingsFile
	}
	repo[name] = &fstest.MapFile{Data: []byte(example)}
	return repo
}

// TestExamples checks that what the page shows loads, without so much as a warning.
func TestExamples(t *testing.T) {
	for _, example := range examples(t) {
		if _, problems := Load(around(example)); len(problems) > 0 {
			t.Errorf("%v\nin\n%s", problems, example)
		}
	}
}

// TestEveryFieldIsExplained checks that the page names each field that may be written.
func TestEveryFieldIsExplained(t *testing.T) {
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[reflect.Type]bool{}
	var visit func(of reflect.Type)
	visit = func(of reflect.Type) {
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			visit(of.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if seen[of] || reflect.PointerTo(of).Implements(reflect.TypeFor[json.Unmarshaler]()) {
			return
		}
		seen[of] = true
		for name, i := range fieldsOf(of) {
			if !regexp.MustCompile(`\b` + name + `\b`).Match(content) {
				t.Errorf("the page does not name %s of %s", name, of)
			}
			visit(of.FieldByIndex(i).Type)
		}
	}
	visit(reflect.TypeFor[appSpec]())
	visit(reflect.TypeFor[clusterSpec]())
	visit(reflect.TypeFor[Settings]())
	visit(reflect.TypeFor[propagationSpec]())
	visit(reflect.TypeFor[overrideSpec]())
	visit(reflect.TypeFor[karmadaClusterSpec]())
	visit(reflect.TypeFor[taintSpec]())
}
