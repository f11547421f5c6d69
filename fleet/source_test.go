package fleet

import "testing"

func TestSourceString(t *testing.T) {
	for want, source := range map[string]Source{
		"":                  {},
		"apps/base":         {Path: "apps/base"},
		"a.yaml":            {Objects: []SourceObject{{File: "a.yaml"}, {File: "a.yaml", Document: 1}}},
		"a.yaml and 2 more": {Objects: []SourceObject{{File: "a.yaml"}, {File: "b.yaml"}, {File: "b.yaml", Document: 1}, {File: "c.yaml"}}},
	} {
		if got := source.String(); got != want {
			t.Errorf("%+v is %q, want %q", source.Objects, got, want)
		}
	}
}
