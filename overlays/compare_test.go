package overlays_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/navarch/navarch/overlays"
)

// TestCompare reads testdata/compare: objects before and after, and what is said of
// them as text and as JSON.
func TestCompare(t *testing.T) {
	files, err := filepath.Glob("testdata/compare/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			parts := map[string]string{}
			for _, f := range archive.Files {
				parts[f.Name] = string(f.Data)
			}
			before, after := objectsIn(t, parts["before"]), objectsIn(t, parts["after"])
			untouched := printed(t, before) + printed(t, after)
			changes := overlays.Compare(before, after)
			if printed(t, before)+printed(t, after) != untouched {
				t.Error("an argument was written to")
			}
			got := map[string]string{"want/text": textOf(changes), "want/json": jsonOf(t, changes)}
			if secret := regexp.MustCompile(`secret-\d|c2VjcmV0`).FindString(got["want/text"] + got["want/json"]); secret != "" {
				t.Errorf("%q is shown", secret)
			}
			slices.Reverse(before)
			slices.Reverse(after)
			if diff := cmp.Diff(got["want/text"], textOf(overlays.Compare(before, after))); diff != "" {
				t.Errorf("another order of the objects gives another text:\n%s", diff)
			}
			if *update {
				rewrite(t, file, archive, map[string]string{"text": got["want/text"], "json": got["want/json"]})
				return
			}
			for name := range got {
				if diff := cmp.Diff(parts[name], got[name]); diff != "" {
					t.Errorf("%s: want -, got +:\n%s", name, diff)
				}
			}
		})
	}
}

func textOf(changes []overlays.ObjectChange) string {
	var text strings.Builder
	for _, change := range changes {
		text.WriteString(change.String() + "\n")
	}
	return text.String()
}

func jsonOf(t *testing.T, changes []overlays.ObjectChange) string {
	t.Helper()
	content, err := json.MarshalIndent(changes, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(content) + "\n"
}

func objectsIn(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	for _, document := range strings.Split(text, "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, object)
	}
	return objects
}

func TestCompareOfTheSameIsEmpty(t *testing.T) {
	content, err := os.ReadFile("testdata/compare/objects.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range txtar.Parse(content).Files {
		if f.Name != "before" && f.Name != "after" {
			continue
		}
		if changes := overlays.Compare(objectsIn(t, string(f.Data)), objectsIn(t, string(f.Data))); len(changes) > 0 {
			t.Errorf("%s: %s", f.Name, textOf(changes))
		}
	}
}

func TestFieldChangeIsShort(t *testing.T) {
	long := strings.Repeat("x", 1000)
	change := overlays.FieldChange{Path: "a", Before: strings.Repeat("a\n", 3000), After: strings.Repeat("b\n", 3000) + long}
	if got := change.String(); len(got) > 2000 || !strings.HasSuffix(got, "… and 5962 more lines") {
		t.Errorf("a long text gives %d bytes: %s", len(got), got)
	}
	change = overlays.FieldChange{Path: "a", Before: map[string]any{"x": long}, After: long}
	if got := change.String(); len(got) > 300 {
		t.Errorf("long values give %d bytes: %s", len(got), got)
	}
}
