package overlays

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/fleet"
)

// vector is one case of Karmada's own tests.
type vector struct {
	Name string `json:"name"`
	Args struct {
		Image  fleet.ImageOverrider   `json:"imageOverrider"`
		Maps   []fleet.LabelOverrider `json:"commandOverriders"` // sic: of labels and annotations
		Object map[string]any         `json:"rawObj"`
	} `json:"args"`
	Want    json.RawMessage `json:"want"`
	WantErr bool            `json:"wantErr"`
}

// vectorsOf reads a table of cases taken from Karmada, where they are at hand.
func vectorsOf(t *testing.T, table string) []vector {
	t.Helper()
	dir := cmp.Or(os.Getenv("KARMADA_VECTORS"), filepath.FromSlash("../../shared/vectors/karmada"))
	content, err := os.ReadFile(filepath.Join(dir, "override.json"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no vectors of Karmada in %q: set KARMADA_VECTORS to their folder", dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Tables map[string]json.RawMessage `json:"tables"`
	}
	if err := json.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(file.Tables[table], &vectors); err != nil {
		t.Fatalf("table %q: %v", table, err)
	}
	if len(vectors) == 0 {
		t.Fatalf("table %q is empty", table)
	}
	return vectors
}

func TestKarmadaImageOverrider(t *testing.T) {
	for _, v := range vectorsOf(t, "TestParseJSONPatchesByImageOverrider") {
		t.Run(v.Name, func(t *testing.T) {
			got, err := imageOperations(v.Args.Object, v.Args.Image)
			if (err != nil) != v.WantErr {
				t.Fatalf("error is %v, want one: %v", err, v.WantErr)
			}
			if err != nil {
				return
			}
			printed, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(decoded(t, v.Want), decoded(t, printed)); diff != "" {
				t.Errorf("Karmada -, Navarch +:\n%s", diff)
			}
		})
	}
}

func TestKarmadaLabelsAndAnnotationsOverrider(t *testing.T) {
	tables := map[string]string{"Test_applyLabelsOverriders": "labels", "Test_applyAnnotationsOverriders": "annotations"}
	for table, field := range tables {
		for _, v := range vectorsOf(t, table) {
			t.Run(field+"/"+v.Name, func(t *testing.T) {
				overriders := fleet.Overriders{LabelsOverrider: v.Args.Maps}
				if field == "annotations" {
					overriders = fleet.Overriders{AnnotationsOverrider: v.Args.Maps}
				}
				document, err := json.Marshal(v.Args.Object)
				if err != nil {
					t.Fatal(err)
				}
				e := &edit{document: document}
				if _, err := e.override(0, overriders); (err != nil) != v.WantErr {
					t.Fatalf("error is %v, want one: %v", err, v.WantErr)
				}
				object, err := e.value()
				if err != nil {
					t.Fatal(err)
				}
				got, _, err := unstructured.NestedStringMap(object, "metadata", field)
				if err != nil {
					t.Fatal(err)
				}
				var want map[string]string
				if err := json.Unmarshal(v.Want, &want); err != nil {
					t.Fatal(err)
				}
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Errorf("Karmada -, Navarch +:\n%s", diff)
				}
			})
		}
	}
}

func decoded(t *testing.T, content []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(content, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
