package overlays_test

import (
	"bytes"
	"flag"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/overlays"
)

var update = flag.Bool("update", false, "rewrite the goldens in testdata")

// TestRender reads testdata/render: prose, the app (its overrides are the rules
// that match), the replicas that were decided, the repository below repo/, and what
// comes out below want/.
func TestRender(t *testing.T) {
	files, err := filepath.Glob("testdata/render/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			app, repo := storyOf(t, archive)
			got := render(t, repo, app, replicasOf(t, archive))
			if *update {
				rewrite(t, file, archive, got)
				return
			}
			want := map[string]string{}
			for _, f := range archive.Files {
				if name, ok := strings.CutPrefix(f.Name, "want/"); ok {
					want[name] = string(f.Data)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

// render returns what a story wants: the paths of the base, the overlay's files
// and the objects, or the error.
func render(t *testing.T, repo fstest.MapFS, app fleet.App, replicas []overlays.Replica) map[string]string {
	t.Helper()
	source, err := overlays.Gather(repo, app)
	if err != nil {
		return map[string]string{"error": err.Error() + "\n"}
	}
	overlay, objects, err := overlays.Render(repo, app, source, overlays.Difference{Rules: app.Overrides, Replicas: replicas})
	if err != nil {
		return map[string]string{"error": err.Error() + "\n"}
	}
	stockAgrees(t, app.Name, source.Files, overlay.Files, objects)
	got := map[string]string{
		"base":    strings.Join(source.Files.Paths(), "\n") + "\n",
		"objects": printed(t, objects),
	}
	for name, content := range source.Files {
		if repo[name] == nil {
			got[path.Join("generated", name)] = string(content)
		}
	}
	for name, content := range overlay.Files {
		got[path.Join("overlay", name)] = string(content)
	}
	return got
}

// stockAgrees checks that the agent's build and the stock kustomize, run on files
// in a folder on disk, make the same objects.
func stockAgrees(t *testing.T, app fleet.AppName, base, overlay overlays.Files, objects []*unstructured.Unstructured) {
	t.Helper()
	again, err := overlays.Build(app, base, overlay)
	if err != nil {
		t.Fatalf("build what was rendered: %v", err)
	}
	if diff := cmp.Diff(objects, again); diff != "" {
		t.Errorf("Render and Build differ:\n%s", diff)
	}
	dir := t.TempDir()
	tree := overlays.Tree(map[fleet.ClusterName][]overlays.Placed{"eu-1": {{App: app, Base: base, Overlay: overlay}}})
	for name, content := range tree {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionUnspecified
	for _, folder := range []string{"clusters/eu-1", "clusters/eu-1/" + string(app)} {
		built, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), filepath.Join(dir, folder))
		if err != nil {
			t.Fatalf("stock kustomize on %q: %v", folder, err)
		}
		stock, err := built.AsYaml()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(stock), printed(t, objects)); diff != "" {
			t.Errorf("stock kustomize on %q (-) and the agent (+) differ:\n%s", folder, diff)
		}
	}
}

func printed(t *testing.T, objects []*unstructured.Unstructured) string {
	t.Helper()
	var parts []string
	for _, object := range objects {
		content, err := yaml.Marshal(object.Object)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, string(content))
	}
	return strings.Join(parts, "---\n")
}

// storyOf reads the app and the repository of an archive. Positions are those that
// loading app.yaml would give.
func storyOf(t *testing.T, archive *txtar.Archive) (fleet.App, fstest.MapFS) {
	t.Helper()
	var app fleet.App
	repo := fstest.MapFS{}
	for _, f := range archive.Files {
		if name, ok := strings.CutPrefix(f.Name, "repo/"); ok {
			repo[name] = &fstest.MapFile{Data: f.Data}
		}
		if f.Name == "app" {
			app = parseApp(t, f.Data)
		}
	}
	return app, repo
}

func replicasOf(t *testing.T, archive *txtar.Archive) []overlays.Replica {
	t.Helper()
	var replicas []overlays.Replica
	for _, f := range archive.Files {
		if f.Name == "replicas" {
			if err := yaml.UnmarshalStrict(f.Data, &replicas); err != nil {
				t.Fatal(err)
			}
		}
	}
	return replicas
}

func parseApp(t testing.TB, content []byte) fleet.App {
	t.Helper()
	var app fleet.App
	if err := yaml.UnmarshalStrict(content, &app); err != nil {
		t.Fatal(err)
	}
	app.Position = fleet.Position{File: "app.yaml", Line: 1}
	app.Source.Position = fleet.Position{File: "app.yaml", Line: 3}
	for i := range app.Overrides {
		app.Overrides[i].Position = fleet.Position{File: "app.yaml", Line: 10 * (i + 1)}
	}
	return app
}

func rewrite(t *testing.T, file string, archive *txtar.Archive, got map[string]string) {
	t.Helper()
	kept := archive.Files[:0]
	for _, f := range archive.Files {
		if !strings.HasPrefix(f.Name, "want/") {
			kept = append(kept, f)
		}
	}
	names := overlays.Files{}
	for name, content := range got {
		names[name] = []byte(content)
	}
	for _, name := range names.Paths() {
		kept = append(kept, txtar.File{Name: "want/" + name, Data: bytes.TrimRight(names[name], "\n")})
		kept[len(kept)-1].Data = append(kept[len(kept)-1].Data, '\n')
	}
	archive.Files = kept
	if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
		t.Fatal(err)
	}
}
