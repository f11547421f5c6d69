package fleet

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the golden parts of testdata")

// The golden parts of an archive in testdata/load; its other files are the
// repository. A file whose name ends in " -> target" is a symbolic link.
const (
	wantProblems   = "want/problems"
	wantDefinition = "want/definition.json"
)

func repository(archive *txtar.Archive) fstest.MapFS {
	repo := fstest.MapFS{}
	for _, f := range archive.Files {
		if strings.HasPrefix(f.Name, "want/") {
			continue
		}
		if name, target, ok := strings.Cut(f.Name, " -> "); ok {
			repo[name] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink}
			continue
		}
		repo[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	return repo
}

func TestLoad(t *testing.T) {
	archives, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, file := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := results(t, repository(archive))
			if *update {
				rewrite(t, file, archive, got)
				return
			}
			want := map[string]string{}
			for _, f := range archive.Files {
				if strings.HasPrefix(f.Name, "want/") {
					want[f.Name] = string(f.Data)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("load (-want +got):\n%s", diff)
			}
		})
	}
}

func results(t *testing.T, repo fs.FS) map[string]string {
	t.Helper()
	def, problems := Load(repo)
	got := map[string]string{}
	var lines strings.Builder
	for _, p := range problems {
		if p.Warning {
			lines.WriteString("warning: ")
		}
		lines.WriteString(p.Error() + "\n")
	}
	if lines.Len() > 0 {
		got[wantProblems] = lines.String()
	}
	if problems.Err() != nil {
		if diff := cmp.Diff(Definition{}, def); diff != "" {
			t.Errorf("a definition beside errors:\n%s", diff)
		}
		return got
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(def); err != nil {
		t.Fatal(err)
	}
	got[wantDefinition] = b.String()
	return got
}

func rewrite(t *testing.T, file string, archive *txtar.Archive, got map[string]string) {
	t.Helper()
	var kept []txtar.File
	for _, f := range archive.Files {
		if !strings.HasPrefix(f.Name, "want/") {
			kept = append(kept, f)
		}
	}
	for _, name := range []string{wantProblems, wantDefinition} {
		if text, ok := got[name]; ok {
			kept = append(kept, txtar.File{Name: name, Data: []byte(text)})
		}
	}
	archive.Files = kept
	if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// unreadable is a repository of which one path cannot be opened.
type unreadable struct {
	fstest.MapFS
	path string
}

func (r unreadable) Open(name string) (fs.File, error) {
	if name == r.path {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return r.MapFS.Open(name)
}

func (r unreadable) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == r.path {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return r.MapFS.ReadDir(name)
}

func (r unreadable) ReadFile(name string) ([]byte, error) {
	if name == r.path {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return r.MapFS.ReadFile(name)
}

// TestUnreadable checks that what cannot be read is never taken for absent.
func TestUnreadable(t *testing.T) {
	files := fstest.MapFS{
		"apps/shop.yaml": {Data: []byte("apiVersion: " + APIVersion + "\nkind: App\nmetadata: {name: shop}\nspec:\n  source: {path: base}\n" +
			"  overrides: [{kustomize: {patches: [{path: patch.yaml}]}}]\n")},
		"apps/base/web.yaml": {},
		"apps/patch.yaml":    {Data: []byte("kind: Deployment\nmetadata: {name: web}\n")},
	}
	for path, want := range map[string]string{
		".":               ".: cannot be read: permission denied",
		"apps":            "apps: cannot be read: permission denied",
		"apps/shop.yaml":  "apps/shop.yaml: cannot be read: permission denied",
		"apps/patch.yaml": "apps/patch.yaml: cannot be read: permission denied\n" + `apps/shop.yaml:6: spec.overrides[0].kustomize.patches[0].path: read "apps/patch.yaml": permission denied`,
	} {
		t.Run(path, func(t *testing.T) {
			def, problems := Load(unreadable{files, path})
			if diff := cmp.Diff(want, problems.Error()); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(Definition{}, def); diff != "" {
				t.Errorf("a definition all the same:\n%s", diff)
			}
		})
	}
}

// TestSymlinksOnDisk checks that a checkout is looked at without following links.
func TestSymlinksOnDisk(t *testing.T) {
	outside, repo := t.TempDir(), t.TempDir()
	app := "apiVersion: " + APIVersion + "\nkind: App\nmetadata: {name: shop}\nspec: {source: {path: out}}\n"
	for name, content := range map[string]string{
		filepath.Join(outside, "other.yaml"): app,
		filepath.Join(repo, "app.yaml"):      app,
	} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"out": outside, "other.yaml": filepath.Join(outside, "other.yaml")} {
		if err := os.Symlink(target, filepath.Join(repo, link)); err != nil {
			t.Skipf("no symbolic links here: %v", err)
		}
	}
	_, problems := Load(os.DirFS(repo))
	want := `app.yaml:4: spec.source.path: "out" is a symbolic link (symbolic links are not followed: name the real path)
other.yaml: is a symbolic link (symbolic links are not followed: put the file itself here)`
	if diff := cmp.Diff(want, problems.Error()); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}
