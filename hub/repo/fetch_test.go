package repo_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/hub/repo"
)

func TestFetch(t *testing.T) {
	s := newStage(t)
	first := s.publish(t, map[string]string{"a/one": "1", "b/two": "2"})
	r := s.open(t)
	commit := fetch(t, r)
	want := repo.Commit{
		Hash: first, Revision: "main@sha1:" + first, Message: "change\n", Author: "Ada Example",
		Time: commit.Time, Tree: commit.Tree,
	}
	if diff := cmp.Diff(want, commit, cmp.Comparer(func(a, b *repo.Tree) bool { return a == b })); diff != "" {
		t.Errorf("first commit (-want +got):\n%s", diff)
	}
	if got, want := commit.Time.Format("2006-01-02T15:04:05-07:00"), s.git(t, "show", "-s", "--format=%cI"); got != want {
		t.Errorf("time %s, want %s", got, want)
	}

	same, changed, err := r.Fetch(t.Context())
	if err != nil || changed || same.Tree != commit.Tree {
		t.Errorf("without a push: changed %t, %v", changed, err)
	}

	second := s.publish(t, map[string]string{"a/one": "changed"})
	next := fetch(t, r)
	if next.Hash != second || next.Rewound {
		t.Errorf("second commit is %s, rewound %t", next.Hash, next.Rewound)
	}
	ids := map[string]bool{}
	for _, path := range []string{".", "a", "a/one", "b", "b/two", "absent"} {
		before, _ := commit.Tree.Hash(path)
		now, _ := next.Tree.Hash(path)
		ids[path] = before == now
	}
	if diff := cmp.Diff(map[string]bool{".": false, "a": false, "a/one": false, "b": true, "b/two": true, "absent": true}, ids); diff != "" {
		t.Errorf("same ids (-want +got):\n%s", diff)
	}
	if old, err := commit.Tree.ReadFile("a/one"); string(old) != "1" || err != nil {
		t.Errorf("the tree of the first commit has changed: %q, %v", old, err)
	}
	if got := r.Status(); got.Revision != next.Revision || got.Err != nil || got.Checked.IsZero() {
		t.Errorf("status %+v", got)
	}
}

// TestReopen shows that the store is kept: nothing is downloaded again, and the
// commit before is remembered.
func TestReopen(t *testing.T) {
	s := newStage(t)
	first := s.publish(t, fleetFiles(3))
	fetch(t, s.open(t))
	before := packs(t, s.dir)

	if commit := fetch(t, s.open(t)); commit.Hash != first || commit.Rewound {
		t.Errorf("after opening again: %s, rewound %t", commit.Hash, commit.Rewound)
	}
	if diff := cmp.Diff(before, packs(t, s.dir)); diff != "" {
		t.Errorf("packs (-before +after):\n%s", diff)
	}
	s.git(t, "commit", "--quiet", "--amend", "--message", "other")
	s.git(t, "push", "--quiet", "--force", "origin", "main")
	if commit := fetch(t, s.open(t)); !commit.Rewound {
		t.Error("a force-push while nobody looked is not noticed")
	}
	if out, err := exec.Command("git", "--git-dir", store(t, s.dir), "fsck", "--no-dangling").CombinedOutput(); err != nil {
		t.Errorf("git does not like the store: %v: %s", err, out)
	}
}

// TestAnotherRepository shows that a folder is not mistaken for that of another
// repository or branch.
func TestAnotherRepository(t *testing.T) {
	s := newStage(t)
	s.publish(t, map[string]string{"file": "1"})
	fetch(t, s.open(t))
	s.git(t, "push", "--quiet", "origin", "main:other")
	r, err := repo.Open(repo.Config{URL: s.url, Dir: s.dir, Branch: "other"})
	if err != nil {
		t.Fatal(err)
	}
	if commit := fetch(t, r); commit.Rewound || !strings.HasPrefix(commit.Revision, "other@") {
		t.Errorf("%+v", commit)
	}
}

func TestRewound(t *testing.T) {
	steps := map[string]struct {
		commands []string // of git, in a clone with three commits that were fetched
		want     bool
	}{
		"push":                      {[]string{"commit --allow-empty -m next"}, false},
		"many commits":              {[]string{"commits 30"}, false},
		"more commits than fetched": {[]string{"commits 120"}, false},
		"far more commits":          {[]string{"commits 1000"}, false},
		"merge":                     {[]string{"checkout -B side HEAD~1", "commit --allow-empty -m side", "checkout main", "merge --no-ff -m merge side"}, false},
		"merge of old":              {[]string{"checkout -B side HEAD~2", "commits 70", "checkout main", "merge --no-ff -m merge side"}, false},
		"fast-forward of a merge":   {[]string{"checkout -B side", "commits 3", "checkout main", "commit --allow-empty -m x", "merge --no-ff -m merge side"}, false},
		"older":                     {[]string{"reset --hard HEAD~1"}, true},
		"oldest":                    {[]string{"reset --hard HEAD~2"}, true},
		"amend":                     {[]string{"commit --allow-empty --amend -m other"}, true},
		"rebase of many":            {[]string{"reset --hard HEAD~2", "commits 60"}, true},
		"unrelated":                 {[]string{"checkout --orphan new", "commit --allow-empty -m new", "branch -M main"}, true},
		"unrelated and long":        {[]string{"checkout --orphan new", "commits 60", "branch -M main"}, true},
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			for i := range 3 {
				s.publish(t, map[string]string{"file": strconv.Itoa(i)})
			}
			r := s.open(t)
			fetch(t, r)
			for _, command := range step.commands {
				var count int
				if n, _ := fmt.Sscanf(command, "commits %d", &count); n == 1 {
					commits(t, s, count)
					continue
				}
				s.git(t, strings.Fields(command)...)
			}
			s.git(t, "push", "--quiet", "--force", "origin", "HEAD:main")
			commit := fetch(t, r)
			if commit.Hash != s.git(t, "rev-parse", "HEAD") || commit.Rewound != step.want {
				t.Errorf("commit %s, rewound %t, want %t", commit.Hash, commit.Rewound, step.want)
			}
			compare(t, s, commit.Tree)
		})
	}
}

// TestOldContent brings back a file that is older than the history that is fetched:
// the server must not think that the store still has it.
func TestOldContent(t *testing.T) {
	s := newStage(t)
	s.publish(t, map[string]string{"file": "ancient", "other": "x"})
	s.publish(t, map[string]string{"file": "new"})
	commits(t, s, 120)
	s.git(t, "push", "--quiet", "origin", "HEAD:main")
	fetch(t, s.open(t))
	s.publish(t, map[string]string{"file": "ancient"})
	commit := fetch(t, s.open(t))
	compare(t, s, commit.Tree)
	if commit.Rewound {
		t.Error("rewound")
	}
}

// TestIncremental counts what is fetched: the history of a clone to some depth, and
// of a push what it changed.
func TestIncremental(t *testing.T) {
	s := newStage(t)
	commits(t, s, 600)
	s.publish(t, fleetFiles(10))
	r := s.open(t)
	fetch(t, r)
	known := packs(t, s.dir)
	if got := objects(t, known); got["commit"] != 50 {
		t.Errorf("the first fetch brings %v", got)
	}
	for i, skipped := range []int{0, 0, 57, 0} { // commits that are pushed together with the last
		if skipped > 0 {
			commits(t, s, skipped)
		}
		s.publish(t, map[string]string{"apps/app-0003/base/objects.yaml": manifest(3, i+1)})
		fetch(t, r)
		now := packs(t, s.dir)
		got := objects(t, slices.DeleteFunc(slices.Clone(now), func(path string) bool { return slices.Contains(known, path) }))
		known = now
		want := map[string]int{"commit": 1, "tree": 4, "blob": 1} // folders: root, apps, app-0003, base
		if skipped > 0 {                                          // more than the window: some of the history before comes too, not all
			want = got
			if got["commit"] > 400 {
				t.Errorf("with %d commits %v come", skipped+1, got)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("push %d brings (-want +got):\n%s", i, diff)
		}
	}
}

func TestDamage(t *testing.T) {
	ways := map[string]func(t *testing.T, store string){
		"pack overwritten": func(t *testing.T, store string) { rewrite(t, store, "objects/pack/*.pack", scramble) },
		"pack cut":         func(t *testing.T, store string) { rewrite(t, store, "objects/pack/*.pack", half) },
		"pack gone":        func(t *testing.T, store string) { remove(t, store, "objects/pack/*.pack") },
		"index cut":        func(t *testing.T, store string) { rewrite(t, store, "objects/pack/*.idx", half) },
		"index gone":       func(t *testing.T, store string) { remove(t, store, "objects/pack/*.idx") },
		"packs gone":       func(t *testing.T, store string) { remove(t, store, "objects/pack/*") },
		"all objects gone": func(t *testing.T, store string) { remove(t, store, "objects") },
		"head garbled":     func(t *testing.T, store string) { rewrite(t, store, "refs/heads/main", scramble) },
		"head unknown": func(t *testing.T, store string) {
			rewrite(t, store, "refs/heads/main", func([]byte) []byte { return []byte(strings.Repeat("1", 40)) })
		},
		"config gone": func(t *testing.T, store string) { remove(t, store, "config") },
		"all gone":    func(t *testing.T, store string) { remove(t, store, "*") },
	}
	for name, harm := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.publish(t, fleetFiles(5))
			fetch(t, s.open(t))
			harm(t, store(t, s.dir))
			compare(t, s, fetch(t, s.open(t)).Tree)

			harm(t, store(t, s.dir))
			s.publish(t, map[string]string{"file": "after"})
			compare(t, s, fetch(t, s.open(t)).Tree)
		})
	}
}

// TestDamageWhileReading breaks the store of a tree that is being read. The next
// fetch gives the same commit again, whole.
func TestDamageWhileReading(t *testing.T) {
	s := newStage(t)
	files := fleetFiles(5)
	files["large"] = strings.Repeat("a large file\n", 10_000)
	s.publish(t, files)
	fetch(t, s.open(t))
	r := s.open(t)
	commit := fetch(t, r)
	rewrite(t, store(t, s.dir), "objects/pack/*.pack", scramble)
	if _, err := commit.Tree.ReadFile("large"); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Fatalf("reading from a broken pack gives %v", err)
	}
	again := fetch(t, r)
	if again.Hash != commit.Hash || again.Rewound {
		t.Errorf("commit %s, rewound %t, want %s again", again.Hash, again.Rewound, commit.Hash)
	}
	compare(t, s, again.Tree)
	if _, changed, err := r.Fetch(t.Context()); changed || err != nil {
		t.Errorf("after that: changed %t, %v", changed, err)
	}
}

// commits makes many commits at once.
func commits(t *testing.T, s *stage, count int) {
	t.Helper()
	var stream strings.Builder
	branch := s.git(t, "symbolic-ref", "HEAD")
	parent, err := s.ada.Git(t.Context(), "rev-parse", "--verify", "HEAD")
	for i := range count {
		fmt.Fprintf(&stream, "commit %s\nmark :%d\ncommitter Ada Example <ada@example.com> %d +0000\ndata 1\nx\n", branch, i+1, 1700000000+i)
		if i == 0 && err == nil {
			fmt.Fprintf(&stream, "from %s\n", parent)
		}
		fmt.Fprintf(&stream, "M 644 inline count\ndata %d\n%04d\n", 4, i)
	}
	cmd := exec.Command("git", "fast-import", "--quiet")
	cmd.Dir, cmd.Stdin = s.ada.Path, strings.NewReader(stream.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.git(t, "reset", "--quiet", "--hard")
}

// compare compares a tree with what git has in the clone.
func compare(t *testing.T, s *stage, tree *repo.Tree) {
	t.Helper()
	want := map[string]string{}
	for line := range strings.Lines(s.git(t, "-c", "core.quotePath=false", "ls-tree", "-r", "-t", "--format=%(path)%x09%(objectname)", "HEAD")) {
		path, id, _ := strings.Cut(strings.TrimSpace(line), "\t")
		want[path] = id
	}
	got := map[string]string{}
	err := fs.WalkDir(tree, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		id, _ := tree.Hash(path)
		got[path] = id
		if entry.Type().IsRegular() {
			content, err := tree.ReadFile(path)
			if err != nil {
				return err
			}
			disk, err := os.ReadFile(filepath.Join(s.ada.Path, path))
			if err != nil {
				return err
			}
			if string(content) != string(disk) {
				t.Errorf("%s has %d bytes, want %d", path, len(content), len(disk))
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// store returns the folder of the newest store.
func store(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "store-*"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no store in %s: %v", dir, err)
	}
	return found[len(found)-1]
}

// objects counts the objects in packs by their type.
func objects(t *testing.T, packs []string) map[string]int {
	t.Helper()
	kinds := map[string]int{}
	for _, pack := range packs {
		if filepath.Ext(pack) != ".idx" {
			continue
		}
		output, err := exec.Command("git", "verify-pack", "--verbose", pack).Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(output)) {
			if fields := strings.Fields(line); len(fields) > 4 && len(fields[0]) == 40 {
				kinds[fields[1]]++
			}
		}
	}
	return kinds
}

func packs(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(store(t, dir), "objects/pack/*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func rewrite(t *testing.T, store, pattern string, change func([]byte) []byte) {
	t.Helper()
	each(t, store, pattern, func(path string) error {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.Chmod(path, 0o600); err != nil {
			return err
		}
		return os.WriteFile(path, change(content), 0o600)
	})
}

func remove(t *testing.T, store, pattern string) {
	t.Helper()
	each(t, store, pattern, os.RemoveAll)
}

func each(t *testing.T, store, pattern string, do func(path string) error) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(store, pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("nothing is called %s: %v", pattern, err)
	}
	for _, path := range found {
		if err := do(path); err != nil {
			t.Fatal(err)
		}
	}
}

// scramble changes every byte behind the first few.
func scramble(content []byte) []byte {
	changed := append([]byte(nil), content...)
	for i := range changed {
		if i >= 12 {
			changed[i] ^= 0x55
		}
	}
	return changed
}

func half(content []byte) []byte { return content[:len(content)/2] }
