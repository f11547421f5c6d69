package overlays_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/overlays"
)

func objectsApp(objects ...fleet.SourceObject) fleet.App {
	app := appAt("")
	app.Source.Objects = objects
	return app
}

// TestGatherObjectsWhereverTheyStand shows that a base depends on its objects only,
// and that a change of their files is seen.
func TestGatherObjectsWhereverTheyStand(t *testing.T) {
	one := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n"
	first, err := overlays.Gather(repository(map[string]string{"a.yaml": one + "---\n" + service}),
		objectsApp(fleet.SourceObject{File: "a.yaml"}, fleet.SourceObject{File: "a.yaml", Document: 1}))
	if err != nil {
		t.Fatal(err)
	}
	second, err := overlays.Gather(repository(map[string]string{"b.yaml": "# first\n---\n" + service, "deep/c.yml": one}),
		objectsApp(fleet.SourceObject{File: "deep/c.yml"}, fleet.SourceObject{File: "b.yaml"}))
	if err != nil {
		t.Fatal(err)
	}
	if first.Digest != second.Digest {
		t.Errorf("the same objects give other bases: %v, %v", first.Files.Paths(), second.Files.Paths())
	}
	if diff := cmp.Diff([]string{"b.yaml", "deep/c.yml"}, second.Paths); diff != "" {
		t.Errorf("paths: want -, got +:\n%s", diff)
	}
	if !overlays.Touched(second.Paths, []string{"deep/c.yml"}) || overlays.Touched(second.Paths, []string{"deep/d.yml"}) {
		t.Error("a change of a file of an object is missed, or one of another file is seen")
	}
}

func TestGatherObjectsWithLongNames(t *testing.T) {
	long := strings.Repeat("a", 250)
	repo := repository(map[string]string{"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + long + "1}\n---\n" +
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + long + "2}\n"})
	source, err := overlays.Gather(repo, objectsApp(fleet.SourceObject{File: "a.yaml"}, fleet.SourceObject{File: "a.yaml", Document: 1}))
	if err != nil {
		t.Fatal(err)
	}
	if len(source.Files) != 3 {
		t.Errorf("want two objects and a kustomization, got %v", source.Files.Paths())
	}
	for name := range source.Files {
		if len(name) > 255 {
			t.Errorf("no file system takes %q", name)
		}
	}
}

// TestGatherLeavesTheFleetOut shows that policies beside manifests are not deployed.
func TestGatherLeavesTheFleetOut(t *testing.T) {
	var documents []string
	for _, version := range []string{"fleet.navarch.dev/v1alpha1", "policy.karmada.io/v1alpha1", "cluster.karmada.io/v1alpha1"} {
		documents = append(documents, "apiVersion: "+version+"\nkind: Anything\nmetadata: {name: a}\n")
	}
	app := appAt("base")
	source, err := overlays.Gather(repository(map[string]string{"base/a.yaml": strings.Join(append(documents, service), "---\n")}), app)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(service, string(source.Files["base/a.yaml"])); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}
