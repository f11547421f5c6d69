package fleet

import (
	"encoding/json"
	"reflect"
	"testing"
)

// TestForms checks that there is a way to decode whatever a document may hold.
func TestForms(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var visit func(t *testing.T, of reflect.Type)
	visit = func(t *testing.T, of reflect.Type) {
		if seen[of] {
			return
		}
		seen[of] = true
		if of == reflect.TypeFor[json.RawMessage]() || reflect.PointerTo(of).Implements(reflect.TypeFor[json.Unmarshaler]()) {
			return
		}
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice:
			visit(t, of.Elem())
		case reflect.Map:
			if of.Key().Kind() != reflect.String {
				t.Errorf("%s: keys are text", of)
			}
			visit(t, of.Elem())
		case reflect.Struct:
			for _, i := range fieldsOf(of) {
				visit(t, of.FieldByIndex(i).Type)
			}
		case reflect.String, reflect.Bool, reflect.Int64:
		default:
			t.Errorf("no way to decode a %s", of)
		}
	}
	visit(t, reflect.TypeFor[form[appSpec]]())
	visit(t, reflect.TypeFor[form[clusterSpec]]())
	visit(t, reflect.TypeFor[form[Settings]]())
	visit(t, reflect.TypeFor[karmadaForm[propagationSpec]]())
	visit(t, reflect.TypeFor[karmadaForm[overrideSpec]]())
	visit(t, reflect.TypeFor[karmadaForm[karmadaClusterSpec]]())
	visit(t, reflect.TypeFor[karmadaForm[taintSpec]]())
	for of, names := range refused {
		for name := range names {
			if _, known := fieldsOf(of)[name]; known || !seen[of] {
				t.Errorf("%s.%s is listed as not supported, and is", of, name)
			}
		}
	}
	for of, names := range elsewhere {
		for name := range names {
			if _, known := fieldsOf(of)[name]; known || !seen[of] {
				t.Errorf("%s.%s is listed as having no place, and has one", of, name)
			}
		}
	}
}

func TestDidYouMean(t *testing.T) {
	known := []string{"placement", "source", "overrides", "eu-1", "us-1"}
	for written, want := range map[string]string{
		"placment":  `did you mean "placement"?`,
		"Placement": `did you mean "placement"?`,
		"sourec":    `did you mean "source"?`,
		"eu1":       `did you mean "eu-1"?`,
		"s-1":       `did you mean "us-1"?`,
		"nothing":   "",
		"":          "",
	} {
		t.Run(written, func(t *testing.T) {
			if got := didYouMean(written, known); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}
