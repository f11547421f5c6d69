package repo

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheckout(t *testing.T) {
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=me", "-c", "user.email=me@example.com"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	write := func(content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, "fleet"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "fleet", "app.yaml"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git("init", "--quiet", "--initial-branch", "main")
	write("first")
	git("add", ".")
	git("commit", "--quiet", "-m", "one")
	git("tag", "v1")
	write("second")
	git("commit", "--quiet", "-am", "two")
	git("gc", "--quiet") // what is read lies in a pack
	git("worktree", "add", "--quiet", filepath.Join(dir, "beside"), "v1")
	write("not committed")

	for name, test := range map[string]struct {
		dir, revision string
		want          string // message, path inside, content of the file
	}{
		"a branch":               {"", "main", "two . second"},
		"one before":             {"", "HEAD~1", "one . first"},
		"a tag, from a folder":   {"fleet", "v1", "one fleet first"},
		"from a second worktree": {"beside/fleet", "HEAD", "one fleet first"},
	} {
		t.Run(name, func(t *testing.T) {
			commit, inside, err := Checkout(filepath.Join(dir, test.dir), test.revision)
			if err != nil {
				t.Fatal(err)
			}
			content, err := fs.ReadFile(commit.Tree, "fleet/app.yaml")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, strings.Join([]string{strings.TrimSpace(commit.Message), inside, string(content)}, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for revision, want := range map[string]string{"nowhere": `has no revision "nowhere"`, "HEAD~7": "HEAD~7"} {
		if _, _, err := Checkout(dir, revision); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("revision %q: error %v, want one with %q", revision, err, want)
		}
	}
	if _, _, err := Checkout(t.TempDir(), "HEAD"); err == nil || !strings.Contains(err.Error(), "not in the checkout") {
		t.Errorf("a folder without Git: error %v", err)
	}
}
