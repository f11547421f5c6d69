package repo_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestCVE202644740 (go-billy): links that lead to each other keep nobody busy. They are
// seen as links, and nothing is behind them.
func TestCVE202644740(t *testing.T) {
	s := newStage(t)
	for name, target := range map[string]string{"a": "b", "b": "a", "self": "self", "up": "../up", "dir/in": "../dir"} {
		link := filepath.Join(s.ada.Path, name)
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	s.publish(t, map[string]string{"dir/file": "1"})
	tree := fetch(t, s.open(t)).Tree
	links := 0
	err := fs.WalkDir(tree, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type() != fs.ModeSymlink {
			return err
		}
		links++
		if _, err := tree.ReadFile(path); err == nil {
			t.Errorf("%s is read", path)
		}
		if _, err := tree.Stat(path + "/file"); err == nil {
			t.Errorf("there is something behind %s", path)
		}
		return nil
	})
	if links != 5 || err != nil {
		t.Errorf("%d links, %v", links, err)
	}
}

// TestCVE202644973 (go-billy): no path that a fleet names leads out of the commit, and no
// name in a commit leads out of the folder of the store.
func TestCVE202644973(t *testing.T) {
	s := newStage(t)
	s.publish(t, map[string]string{"dir/file": "1"})
	tree := fetch(t, s.open(t)).Tree
	for _, path := range []string{"../dir/file", "dir/../../etc/passwd", "/etc/passwd", "dir/./file", "dir//file", "./dir/file", "dir/file/..", `..\dir\file`, "dir/file/", ""} {
		if content, err := tree.ReadFile(path); err == nil {
			t.Errorf("%q is read as %q", path, content)
		}
		if _, err := tree.ReadDir(path); err == nil {
			t.Errorf("%q is listed", path)
		}
		if _, err := tree.Open(path); err == nil {
			t.Errorf("%q is opened", path)
		}
	}
	becomesNoFile(t, func(s *stage, blob string) map[string][]string {
		return map[string][]string{
			"folder of dots":      {"040000 tree " + mktree(t, s, "100644 blob "+blob+"\tevil\x00") + "\t..\x00"},
			"folder of a sibling": {"040000 tree " + mktree(t, s, "100644 blob "+blob+"\tevil\x00") + "\t../data-2\x00"},
			"backslashes":         {"100644 blob " + blob + "\t..\\..\\evil\x00"},
		}
	})
}
