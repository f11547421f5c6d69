package repo

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// shelf is a store that holds what a test puts there.
func shelf(t testing.TB) *store {
	t.Helper()
	s, err := createStore(t.TempDir(), 1, &remote{ref: "refs/heads/main"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put stores an object of any content.
func (s *store) put(t testing.TB, kind plumbing.ObjectType, content []byte) plumbing.Hash {
	t.Helper()
	hash, err := s.objects.SetEncodedObject(encoded(kind, content))
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// readAny reads an object as every kind that it could be, and all that can be reached
// through a folder. It returns what it found.
func readAny(t testing.TB, s *store, content []byte) (found []string, err error) {
	t.Helper()
	_, tree, commitErr := decodeCommit(plumbing.ZeroHash, content)
	_, tagErr := parseTag(content)
	_, signedErr := parseCommit(content)
	if commitErr == nil && signedErr == nil && tree.IsZero() && !bytes.Contains(content, []byte(strings.Repeat("0", 40))) {
		t.Errorf("a commit of nothing is believed: %q", content)
	}
	hash := s.put(t, plumbing.CommitObject, content)
	_, parentsErr := s.parents(hash)
	root, err := readFolders(s, s.put(t, plumbing.TreeObject, content), nil)
	if err != nil {
		return nil, errors.Join(err, commitErr, tagErr, signedErr, parentsErr)
	}
	files := &Tree{store: s, root: root}
	err = fs.WalkDir(files, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !fs.ValidPath(path) && e.Type() != fs.ModeIrregular {
			t.Errorf("%q can be asked for and is no path", path)
		}
		found = append(found, fmt.Sprintf("%s %s", e.Type(), path))
		if e.Type().IsRegular() {
			_, _ = files.ReadFile(path) // what it is of need not be there
		}
		if target, err := files.ReadLink(path); err == nil && e.Type() != fs.ModeSymlink {
			t.Errorf("%s is a link to %q", e, target)
		}
		return nil
	})
	return found, err
}

// objects are what a server can send in place of a folder, a commit or a tag.
func objects(blob plumbing.Hash) map[string]string {
	id := string(blob[:])
	return map[string]string{
		"file":             "100644 file\x00" + id,
		"link":             "120000 link\x00" + id,
		"all":              "100644 a\x00" + id + "100755 b\x00" + id + "120000 c\x00" + id + "160000 d\x00" + id,
		"nothing":          "",
		"no hash":          "100644 file\x00",
		"half a hash":      "100644 file\x00" + id[:10],
		"no name":          "100644 \x00" + id,
		"no mode":          " file\x00" + id,
		"no end of a name": "100644 file",
		"no space":         "100644file\x00" + id,
		"mode of letters":  "abc file\x00" + id,
		"endless mode":     strings.Repeat("7", 1<<12) + " file\x00" + id,
		"negative mode":    "-100644 file\x00" + id,
		"dots":             "100644 ..\x00" + id,
		"slashes":          "100644 ../../etc/passwd\x00" + id,
		"zeros":            strings.Repeat("\x00", 100),
		"folder of a file": "40000 folder\x00" + id,
		"lone headers":     "tree\nparent\nauthor\ncommitter\n\n",
		"short hashes":     "tree 1\nparent 2\nauthor a <b> c\ncommitter <\n\n",
		"author of none":   "tree " + oneTree + "\nauthor\ncommitter >< 99999999999999999999 +9999999\n\n",
		"gpgsig alone":     "tree " + oneTree + "\ngpgsig",
		"mergetag alone":   "tree " + oneTree + "\nmergetag\n\n",
		"only continued":   " \n \n \n",
		"tag of nothing":   "object\ntype\ntag\ntagger\n\n",
		"tag of no kind":   "object " + oneTree + "\ntype blobtree\ntag x\ntagger <>\n\n",
		"commit":           plainCommit,
	}
}

// TestGHSAw5pp (go-git): no object that a server can send makes a reader panic. What is
// not as Git writes it is refused.
func TestGHSAw5pp(t *testing.T) {
	s := shelf(t)
	good := map[string]bool{"file": true, "link": true, "all": true, "nothing": true}
	for name, content := range objects(s.put(t, plumbing.BlobObject, []byte("content"))) {
		t.Run(name, func(t *testing.T) {
			found, err := readAny(t, s, []byte(content))
			if (err == nil) != good[name] {
				t.Errorf("found %q, %v", found, err)
			}
		})
	}
}

// FuzzObject reads anything in the place of objects that a server sends. A folder that
// is believed has each name once and leads to the same hash when it is written again.
func FuzzObject(f *testing.F) {
	blob := plumbing.ComputeHash(plumbing.BlobObject, []byte("content"))
	for _, content := range objects(blob) {
		f.Add([]byte(content))
	}
	s := shelf(f)
	s.put(f, plumbing.BlobObject, []byte("content"))
	f.Fuzz(func(t *testing.T, content []byte) {
		found, err := readAny(t, s, content)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, path := range found {
			if seen[path] {
				t.Errorf("%q is there twice", path)
			}
			seen[path] = true
		}
		var tree object.Tree
		if err := tree.Decode(encoded(plumbing.TreeObject, content)); err != nil || len(tree.Entries) > len(found)-1 {
			t.Errorf("%d entries of %d, %v", len(found)-1, len(tree.Entries), err)
		}
	})
}
