package overlays

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
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
		Image   fleet.ImageOverrider       `json:"imageOverrider"`
		Command fleet.CommandArgsOverrider `json:"CommandArgsOverrider"`
		Maps    []fleet.LabelOverrider     `json:"commandOverriders"` // sic: of labels and annotations
		Object  map[string]any             `json:"rawObj"`
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

// departures are the cases, by table and name, in which Navarch does something else
// than Karmada, and why. There is none among the shared cases.
var departures = map[string]string{}

// compare compares what Karmada wants in a case with what Navarch makes of it.
func (v vector) compare(t *testing.T, table string, got any, err error) {
	t.Helper()
	differs := ""
	if (err != nil) != v.WantErr {
		differs = fmt.Sprintf("error is %v, want one: %v", err, v.WantErr)
	} else if err == nil {
		printed, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		differs = gocmp.Diff(decoded(t, v.Want), decoded(t, printed))
	}
	switch reason, departs := departures[table+"/"+v.Name]; {
	case departs && differs == "":
		t.Errorf("does not depart from Karmada any more (%s)", reason)
	case departs:
		t.Skip(reason)
	case differs != "":
		t.Errorf("Karmada -, Navarch +:\n%s", differs)
	}
}

func TestKarmadaImageOverrider(t *testing.T) {
	const table = "TestParseJSONPatchesByImageOverrider"
	for _, v := range vectorsOf(t, table) {
		t.Run(v.Name, func(t *testing.T) {
			got, err := imageOperations(v.Args.Object, v.Args.Image)
			v.compare(t, table, got, err)
		})
	}
}

func TestKarmadaCommandAndArgsOverrider(t *testing.T) {
	tables := map[string]string{"TestParseJSONPatchesByCommandOverrider": "command", "TestParseJSONPatchesByArgsOverrider": "args"}
	for table, field := range tables {
		for _, v := range vectorsOf(t, table) {
			t.Run(field+"/"+v.Name, func(t *testing.T) {
				got, err := commandOperations(v.Args.Object, v.Args.Command, field)
				v.compare(t, table, got, err)
			})
		}
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
				_, overrideErr := e.override(0, overriders)
				object, err := e.value()
				if err != nil {
					t.Fatal(err)
				}
				got, _, err := unstructured.NestedStringMap(object, "metadata", field)
				if err != nil {
					t.Fatal(err)
				}
				v.compare(t, table, got, overrideErr)
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
