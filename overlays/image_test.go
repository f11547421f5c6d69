package overlays

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/navarch/navarch/fleet"
)

const digest = "sha256:50d858e0985ecc7f60418aaf0cc5ab587f42c2570a884095a9e8ccacd0f6545c"

func TestOverrideImage(t *testing.T) {
	type overrider = fleet.ImageOverrider
	tests := map[string]struct {
		name string
		o    overrider
		want string // or the error
	}{
		"registry, where there is none":     {"nginx", overrider{Component: "Registry", Operator: "add", Value: "r.eu:5000"}, "r.eu:5000/nginx"},
		"registry, appended to":             {"r.eu/a/b:1", overrider{Component: "Registry", Operator: "add", Value: ":5000"}, "r.eu:5000/a/b:1"},
		"registry, where a user looks like": {"library/nginx", overrider{Component: "Registry", Operator: "replace", Value: "r.eu"}, "r.eu/library/nginx"},
		"registry on localhost":             {"localhost/nginx", overrider{Component: "Registry", Operator: "remove"}, "nginx"},
		"registry with a port":              {"r:5000/nginx", overrider{Component: "Registry", Operator: "remove"}, "nginx"},
		"registry keeps tag and digest":     {"a:1@" + digest, overrider{Component: "Registry", Operator: "replace", Value: "r.eu"}, "r.eu/a:1@" + digest},
		"repository, appended to":           {"r.eu/a:1", overrider{Component: "Repository", Operator: "add", Value: "/b"}, "r.eu/a/b:1"},
		"repository, replaced":              {"a@" + digest, overrider{Component: "Repository", Operator: "replace", Value: "b/c"}, "b/c@" + digest},
		"repository, removed":               {"r.eu/a:1", overrider{Component: "Repository", Operator: "remove"}, "r.eu/:1"},
		"tag, where there is none":          {"a", overrider{Component: "Tag", Operator: "add", Value: "v2"}, "a:v2"},
		"tag, appended to":                  {"a:1", overrider{Component: "Tag", Operator: "add", Value: "-slim"}, "a:1-slim"},
		"tag, replaced":                     {"a:1", overrider{Component: "Tag", Operator: "replace", Value: "2"}, "a:2"},
		"tag becomes digest":                {"a:1", overrider{Component: "Tag", Operator: "replace", Value: digest}, "a@" + digest},
		"digest becomes tag":                {"a@" + digest, overrider{Component: "Tag", Operator: "replace", Value: "v1"}, "a:v1"},
		"tag drops the digest beside it":    {"a:1@" + digest, overrider{Component: "Tag", Operator: "replace", Value: "2"}, "a:2"},
		"tag and digest, removed":           {"a:1@" + digest, overrider{Component: "Tag", Operator: "remove"}, "a"},
		"neither tag nor digest":            {"a:1", overrider{Component: "Tag", Operator: "replace", Value: "a b"}, "a:1"},
		"unknown component":                 {"a:1", overrider{Component: "Version"}, `an image has no component "Version": use Registry, Repository or Tag`},
		"no image":                          {"A B", overrider{Component: "Tag"}, `image "A B": invalid reference format`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := overrideImage(test.name, test.o)
			if err != nil {
				got = fmt.Sprint(err)
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestEncode writes texts that YAML is known to mangle and reads them back as
// kustomize does.
func TestEncode(t *testing.T) {
	for _, text := range []string{
		"yes", "1e3", "0x10", "null", "~", "2026-01-02", "12:30:45", "a: b", "- a", "# a", "line\nline\n", "line\n\n\n", "\nline", " indented\nline",
		"trailing \nline", "tab\tline\n\tline", "cr\r\nline", "é\nü", "\u0085\u2028", "'", `"`, `\`, "a\n...\nb\n---\nc", "@a", "*a", "&a", "!a", "%a", "|", ">", "?", "{{a}}",
	} {
		written := kustomizationFile{
			Resources: []string{text}, Namespace: text, Labels: []labelEntry{{Pairs: map[string]string{text: text}}},
			Patches: []patchEntry{{Patch: block(text), Target: &targetEntry{Name: text}}}, Images: []imageEntry{{Name: text, NewTag: text}},
		}
		var read types.Kustomization
		if err := read.Unmarshal(written.encode()); err != nil {
			t.Errorf("%q: %v\n%s", text, err, written.encode())
			continue
		}
		got := []string{read.Resources[0], read.Namespace, read.Labels[0].Pairs[text], read.Patches[0].Patch, read.Patches[0].Target.Name, read.Images[0].Name, read.Images[0].NewTag}
		want := []string{text, text, text, text, text, text, text}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: written -, read +:\n%s\n%s", text, diff, written.encode())
		}
	}
}
