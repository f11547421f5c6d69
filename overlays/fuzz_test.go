package overlays_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/overlays"
)

// FuzzGather gives a kustomization and a file that it may use to the whole path
// from source to objects. Nothing may panic, and what is gathered builds alike in
// hub and agent and comes from the repository.
func FuzzGather(f *testing.F) {
	f.Add("resources: [a.yaml]\n", service)
	f.Add("resources: [a.yaml, ../common]\nnamePrefix: p-\npatches: [{path: a.yaml}]\n", service+"---\n"+service)
	f.Add("configMapGenerator: [{name: a, files: [k=a.yaml], envs: [a.yaml]}]\nreplacements: [{path: a.yaml}]\n", "a=b\n")
	f.Add("crds: [a.yaml]\nresources: []\n", `{"a": {"Schema": {"properties": {"b": {"$ref": "a"}}}}}`)
	f.Add("resources: [a.yaml]\npatchesStrategicMerge:\n- |-\n  a: &a [*a]\n", "apiVersion: v1\nkind: List\nitems: [&a {b: *a}]\n")
	f.Add("resources: ['git@github.com:a/b', 'https://a']\nbases: [..]\n", service)
	f.Add("resources: [a.yaml]\nvars: [{name: A, objref: {kind: Service, name: web, apiVersion: v1}}]\nimages: [{name: '(', newTag: a}]\n", service+"spec: {a: $(A)}\n")
	f.Fuzz(func(t *testing.T, kustomization, file string) {
		repo := repository(map[string]string{
			"base/kustomization.yaml": kustomization, "base/a.yaml": file,
			"common/kustomization.yaml": "resources: [b.yaml]", "common/b.yaml": strings.Replace(service, "web", "b", 1),
		})
		for name := range repo {
			repo[name].Mode = 0 // a fuzzed file is never a symlink
		}
		app := appAt("base")
		source, err := overlays.Gather(repo, app)
		if err != nil {
			return
		}
		for name, content := range source.Files {
			if !bytes.Equal(repo[name].Data, content) {
				t.Errorf("%q is not the repository's", name)
			}
		}
		overlay, objects, err := overlays.Render(repo, app, source, overlays.Difference{})
		if err != nil {
			return
		}
		again, err := overlays.Build(app.Name, source.Files, overlay.Files)
		if err != nil {
			t.Fatalf("the agent cannot build it: %v", err)
		}
		if diff := cmp.Diff(objects, again); diff != "" {
			t.Errorf("hub -, agent +:\n%s", diff)
		}
	})
}

// FuzzOverride gives overriders and an inline patch to Render. What builds carries
// the app's label and is the same for hub and agent.
func FuzzOverride(f *testing.F) {
	f.Add("/spec/ports/0", "replace", `{"port": 1}`, "key", "value", "")
	f.Add("/metadata/name", "replace", `"other"`, "a/b~c", "v", "kind: Service")
	f.Add("/metadata/annotations", "remove", ``, "navarch.dev/app", "other", `[{"op": "test", "path": "/kind", "value": "Service"}]`)
	f.Add("/metadata/labels", "add", `null`, "", "", "\t- x: |\n  \u0085y ")
	f.Add("", "replace", `[1e400]`, "a", "b", "a: b\nc: 'd'\r\n")
	repo := repository(map[string]string{"base/a.yaml": service + "spec: {ports: [{port: 80}]}\n"})
	f.Fuzz(func(t *testing.T, path, operator, value, key, text, patch string) {
		app := appAt("base")
		rule := fleet.Override{Overriders: fleet.Overriders{
			LabelsOverrider:      []fleet.LabelOverrider{{Operator: "add", Value: map[string]string{key: text}}},
			AnnotationsOverrider: []fleet.LabelOverrider{{Operator: operator, Value: map[string]string{key: text}}},
			Plaintext:            []fleet.PlaintextOverrider{{Path: path, Operator: operator, Value: []byte(value)}},
		}}
		if patch != "" {
			rule.Kustomize.Patches = []fleet.Patch{{Patch: patch, Target: &fleet.PatchTarget{Kind: "Service"}}}
		}
		source, err := overlays.Gather(repo, app)
		if err != nil {
			t.Fatal(err)
		}
		overlay, objects, err := overlays.Render(repo, app, source, overlays.Difference{Rules: []fleet.Override{rule}})
		if err != nil {
			return
		}
		for _, object := range objects {
			if object.GetLabels()[overlays.LabelApp] != "shop" {
				t.Errorf("%v has no label of its app", object)
			}
		}
		again, err := overlays.Build(app.Name, source.Files, overlay.Files)
		if err != nil {
			t.Fatalf("the agent cannot build it: %v", err)
		}
		if diff := cmp.Diff(objects, again); diff != "" {
			t.Errorf("hub -, agent +:\n%s", diff)
		}
	})
}
