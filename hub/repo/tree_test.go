package repo_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestTree(t *testing.T) {
	s := newStage(t)
	large := strings.Repeat("0123456789abcdef", 1<<17)
	write(t, s, map[string]string{
		"README.md": "hello\n", "a/b/c/deep.yaml": "x: 1\n", "a.txt": "beside the folder a\n", "a-b": "sorted before a/\n",
		"run.sh": "#!/bin/sh\n", "empty": "", "large": large, "ünï/日本": "names\n",
	})
	if err := os.Chmod(filepath.Join(s.ada.Path, "run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"link": "a.txt", "folder": "a", "outside": "../../etc/passwd", "dangling": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(s.ada.Path, name)); err != nil {
			t.Fatal(err)
		}
	}
	s.git(t, "add", ".")
	s.git(t, "update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", 40)+",module")
	s.git(t, "commit", "--quiet", "--message", "all kinds")
	s.git(t, "push", "--quiet", "origin", "main")
	tree := fetch(t, s.open(t)).Tree
	compare(t, s, tree)
	got := map[string]string{}
	entries, err := tree.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		info, err := tree.Lstat(entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		content, err := tree.ReadFile(entry.Name())
		got[entry.Name()] = fmt.Sprintf("%s %s %d %v", entry.Type(), info.Mode(), info.Size(), err)
		if err == nil && int64(len(content)) != info.Size() {
			t.Errorf("%s has %d bytes and says %d", entry.Name(), len(content), info.Size())
		}
	}
	const ok, link = "<nil>", "is a symbolic link, which is not followed"
	want := map[string]string{
		"README.md": "---------- -rw-r--r-- 6 " + ok,
		"a":         "d--------- drwxr-xr-x 0 read a: is a folder",
		"a-b":       "---------- -rw-r--r-- 17 " + ok,
		"a.txt":     "---------- -rw-r--r-- 20 " + ok,
		"dangling":  "L--------- Lrwxrwxrwx 7 read dangling: " + link,
		"empty":     "---------- -rw-r--r-- 0 " + ok,
		"folder":    "L--------- Lrwxrwxrwx 1 read folder: " + link,
		"large":     fmt.Sprintf("---------- -rw-r--r-- %d %s", len(large), ok),
		"link":      "L--------- Lrwxrwxrwx 5 read link: " + link,
		"module":    "?--------- ?--------- 0 read module: is neither a file nor a folder",
		"outside":   "L--------- Lrwxrwxrwx 16 read outside: " + link,
		"run.sh":    "---------- -rwxr-xr-x 10 " + ok,
		"ünï":       "d--------- drwxr-xr-x 0 read ünï: is a folder",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if target, err := tree.ReadLink("outside"); target != "../../etc/passwd" || err != nil {
		t.Errorf("link %q, %v", target, err)
	}

	// The test of the standard library opens everything that it sees.
	s.git(t, "rm", "--quiet", "--cached", "module")
	s.git(t, "rm", "--quiet", "link", "folder", "outside", "dangling")
	s.git(t, "commit", "--quiet", "--message", "files and folders")
	s.git(t, "push", "--quiet", "origin", "main")
	tree = fetch(t, s.open(t)).Tree
	if err := fstest.TestFS(tree, "README.md", "a/b/c/deep.yaml", "run.sh", "empty", "large", "ünï/日本"); err != nil {
		t.Error(err)
	}
}

// TestHugeFile pushes a file that would fill the memory.
func TestHugeFile(t *testing.T) {
	s := newStage(t)
	path := filepath.Join(s.ada.Path, "huge")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 64<<20+1); err != nil {
		t.Fatal(err)
	}
	s.publish(t, map[string]string{"file": "1"})
	tree := fetch(t, s.open(t)).Tree
	if info, err := tree.Stat("huge"); err != nil || info.Size() != 64<<20+1 {
		t.Errorf("%v, %v", info, err)
	}
	_, err := tree.ReadFile("huge")
	expectError(t, err, "larger than 64 MiB")
	if content, err := tree.ReadFile("file"); string(content) != "1" || err != nil {
		t.Errorf("%q, %v", content, err)
	}
}

func TestTreeRefuses(t *testing.T) {
	s := newStage(t)
	s.publish(t, map[string]string{"a/file": "1"})
	if err := os.Symlink("a", filepath.Join(s.ada.Path, "link")); err != nil {
		t.Fatal(err)
	}
	s.publish(t, nil)
	tree := fetch(t, s.open(t)).Tree
	for path, want := range map[string]error{
		"absent": fs.ErrNotExist, "a/absent": fs.ErrNotExist, "a/file/below": fs.ErrNotExist, "link/file": fs.ErrNotExist,
		"": fs.ErrInvalid, "/a": fs.ErrInvalid, "../a": fs.ErrInvalid, "a/": fs.ErrInvalid, "a//file": fs.ErrInvalid, "a/../a/file": fs.ErrInvalid,
	} {
		_, opened := tree.Open(path)
		_, read := tree.ReadFile(path)
		_, listed := tree.ReadDir(path)
		_, seen := tree.Stat(path)
		_, led := tree.ReadLink(path)
		for name, err := range map[string]error{"open": opened, "read": read, "readdir": listed, "stat": seen, "readlink": led} {
			var where *fs.PathError
			if !errors.Is(err, want) || !errors.As(err, &where) || where.Path != path {
				t.Errorf("%s %q: %v, want %v", name, path, err, want)
			}
		}
		if id, found := tree.Hash(path); found {
			t.Errorf("%q has the id %s", path, id)
		}
	}
	if _, err := tree.ReadDir("a/file"); err == nil {
		t.Error("a file is listed")
	}
	if _, err := tree.ReadLink("a/file"); err == nil {
		t.Error("a file is read as a link")
	}
	folder, err := tree.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(folder); err == nil {
		t.Error("a folder is read")
	}
}

// TestCraftedTrees pushes what git itself never makes.
func TestCraftedTrees(t *testing.T) {
	blob := "100644 blob %s\t%s\x00"
	cases := map[string]struct {
		make func(t *testing.T, s *stage, file string) string // id of a tree
		want string                                           // "" when it is fine
	}{
		"dots": {func(t *testing.T, s *stage, file string) string {
			return mktree(t, s, fmt.Sprintf(blob, file, ".."))
		}, "no file can be named so"},
		"git": {func(t *testing.T, s *stage, file string) string {
			return mktree(t, s, fmt.Sprintf(blob, file, ".GIT"))
		}, "no file can be named so"},
		"twice": {func(t *testing.T, s *stage, file string) string {
			return mktree(t, s, fmt.Sprintf(blob, file, "x"), fmt.Sprintf(blob, file, "x"))
		}, "there twice"},
		"not UTF-8": {func(t *testing.T, s *stage, file string) string {
			return mktree(t, s, fmt.Sprintf(blob, file, "caf\xe9"), fmt.Sprintf(blob, file, "x"))
		}, ""},
		"bomb": {func(t *testing.T, s *stage, file string) string {
			id := mktree(t, s, fmt.Sprintf(blob, file, "x"))
			for range 12 {
				var lines []string
				for i := range 10 {
					lines = append(lines, fmt.Sprintf("040000 tree %s\t%d\x00", id, i))
				}
				id = mktree(t, s, lines...)
			}
			return id
		}, "more than 1000000 files and folders"},
		"deep": {func(t *testing.T, s *stage, file string) string {
			id := mktree(t, s, fmt.Sprintf(blob, file, "x"))
			for range 110 {
				id = mktree(t, s, fmt.Sprintf("040000 tree %s\td\x00", id))
			}
			return id
		}, "nested more than 100 deep"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			before := s.publish(t, map[string]string{"file": "1"})
			r := s.open(t)
			fetch(t, r)
			tree := c.make(t, s, s.git(t, "rev-parse", "HEAD:file"))
			commit := s.git(t, "commit-tree", tree, "-p", "HEAD", "-m", "crafted")
			s.git(t, "push", "--quiet", "origin", commit+":refs/heads/main")
			got, changed, err := r.Fetch(t.Context())
			if c.want != "" {
				expectError(t, err, c.want)
				if changed || got.Hash != before {
					t.Errorf("commit %s, changed %t", got.Hash, changed)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var kinds []string
			err = fs.WalkDir(got.Tree, ".", func(_ string, entry fs.DirEntry, err error) error {
				kinds = append(kinds, entry.Type().String())
				return err
			})
			if diff := cmp.Diff([]string{"d---------", "?---------", "----------"}, kinds); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// mktree makes a tree as it is said, whatever git thinks of it.
func mktree(t *testing.T, s *stage, lines ...string) string {
	t.Helper()
	var object []byte
	for _, line := range lines {
		head, name, _ := strings.Cut(strings.TrimSuffix(line, "\x00"), "\t")
		fields := strings.Fields(head)
		object = append(object, strings.TrimPrefix(fields[0], "0")+" "+name+"\x00"...)
		var raw []byte
		if _, err := fmt.Sscanf(fields[2], "%x", &raw); err != nil {
			t.Fatal(err)
		}
		object = append(object, raw...)
	}
	cmd := exec.Command("git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally")
	cmd.Dir, cmd.Stdin = s.ada.Path, strings.NewReader(string(object))
	output, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(output))
}

func write(t *testing.T, s *stage, files map[string]string) {
	t.Helper()
	if err := s.ada.Write(files); err != nil {
		t.Fatal(err)
	}
}
