package repo_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/navarch/navarch/e2e/env/gitserver"
	"github.com/navarch/navarch/hub/repo"
)

// stage is a served repository, a clone to push from, and a watch.
type stage struct {
	server *gitserver.Server
	url    string
	ada    *gitserver.WorkDir
	dir    string // of the watch's store
}

func newStage(t testing.TB) *stage {
	t.Helper()
	server, err := gitserver.Start(filepath.Join(t.TempDir(), "served"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	url, err := server.Create("team/fleet")
	if err != nil {
		t.Fatal(err)
	}
	ada, err := gitserver.Clone(t.Context(), url, filepath.Join(t.TempDir(), "ada"))
	if err != nil {
		t.Fatal(err)
	}
	return &stage{server: server, url: url, ada: ada, dir: t.TempDir()}
}

// open opens the watch, anew after the first time.
func (s *stage) open(t testing.TB) *repo.Repo {
	t.Helper()
	r, err := repo.Open(repo.Config{URL: s.url, Dir: s.dir, Poll: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// publish commits files and pushes them.
func (s *stage) publish(t testing.TB, files map[string]string) string {
	t.Helper()
	pushed, err := s.ada.Publish(t.Context(), "change", files)
	if err != nil {
		t.Fatal(err)
	}
	return pushed.Commit
}

// git runs a git command in the clone.
func (s *stage) git(t testing.TB, args ...string) string {
	t.Helper()
	output, err := s.ada.Git(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

// fetch fetches what has to be another commit than before.
func fetch(t testing.TB, r *repo.Repo) repo.Commit {
	t.Helper()
	commit, changed, err := r.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !changed {
		t.Fatalf("commit %s is not new", commit.Hash)
	}
	return commit
}

// fleetFiles are the files of as many apps, each a definition and two manifests.
func fleetFiles(apps int) map[string]string {
	files := map[string]string{"fleet.yaml": "kind: Fleet\n"}
	for i := range apps {
		dir := fmt.Sprintf("apps/app-%04d/", i)
		files[dir+"app.yaml"] = fmt.Sprintf("kind: App\nmetadata: {name: app-%04d}\n", i)
		files[dir+"base/kustomization.yaml"] = "resources: [objects.yaml]\n"
		files[dir+"base/objects.yaml"] = manifest(i, 0)
	}
	return files
}

func manifest(app, mark int) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: app-%04d, annotations: {mark: "%d"}}
spec:
  replicas: 0
  selector: {matchLabels: {app: app-%04d}}
  template:
    metadata: {labels: {app: app-%04d}}
    spec:
      containers: [{name: main, image: "registry.example/app-%04d:1.0"}]
`, app, mark, app, app, app)
}
