package repo

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// A commit with more is refused: a few kilobytes of folders that hold each other
// many times over can be a tree without end.
const (
	maxEntries = 1_000_000
	maxDepth   = 100
)

// emptyTree is the hash of a folder without entries, which no server has to send.
var emptyTree = plumbing.ComputeHash(plumbing.TreeObject, nil)

// folder is a folder of some commit with all that is below it. It never changes, and
// commits share the folders that are the same in both.
type folder struct {
	hash    plumbing.Hash
	entries []entry // by name
	size    int     // how many entries there are, here and below
}

// entry is one name in a folder.
type entry struct {
	name   string
	mode   filemode.FileMode
	hash   plumbing.Hash
	folder *folder // nil: not a folder
}

// find returns the entry with a name.
func (f *folder) find(name string) (entry, bool) {
	i, ok := slices.BinarySearchFunc(f.entries, name, func(e entry, name string) int { return strings.Compare(e.name, name) })
	if !ok {
		return entry{}, false
	}
	return f.entries[i], true
}

// readFolders reads the folder with a hash and all below it. What is the same in
// the folder before, at the same place, is taken from there; it may be nil.
func readFolders(s *store, hash plumbing.Hash, before *folder) (*folder, error) {
	r := &folderReader{store: s, known: map[plumbing.Hash]*folder{}}
	return r.read(hash, before, 0)
}

// folderReader reads the folders of one commit.
type folderReader struct {
	store *store
	known map[plumbing.Hash]*folder // read already; many places can hold the same
}

func (r *folderReader) read(hash plumbing.Hash, before *folder, depth int) (*folder, error) {
	if before != nil && before.hash == hash {
		return before, nil
	}
	if known, ok := r.known[hash]; ok {
		return known, nil
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("folders are nested more than %d deep", maxDepth)
	}
	entries, err := r.entries(hash)
	if err != nil {
		return nil, err
	}
	f := &folder{hash: hash, entries: entries, size: len(entries)}
	for i := range entries {
		e := &entries[i]
		if e.mode != filemode.Dir {
			continue
		}
		var same *folder
		if before != nil {
			was, _ := before.find(e.name)
			same = was.folder
		}
		if e.folder, err = r.read(e.hash, same, depth+1); err != nil {
			return nil, err
		}
		if f.size += e.folder.size; f.size > maxEntries {
			return nil, fmt.Errorf("more than %d files and folders", maxEntries)
		}
	}
	r.known[hash] = f
	return f, nil
}

// entries reads one folder.
func (r *folderReader) entries(hash plumbing.Hash) ([]entry, error) {
	if hash == emptyTree {
		return nil, nil
	}
	content, err := r.store.content(plumbing.TreeObject, hash)
	if err != nil {
		return nil, err
	}
	var tree object.Tree
	if err := tree.Decode(encoded(plumbing.TreeObject, content)); err != nil {
		return nil, fmt.Errorf("folder %s: %w", hash, err)
	}
	entries := make([]entry, len(tree.Entries))
	for i, e := range tree.Entries {
		entries[i] = entry{name: e.Name, mode: e.Mode, hash: e.Hash}
		if err := checkName(e.Name); err != nil {
			return nil, fmt.Errorf("folder %s: entry %q: %w", hash, e.Name, err)
		}
		if !utf8.ValidString(e.Name) {
			entries[i].mode = filemode.Empty // seen, but of no use: no path can say it
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	for i := range entries[min(1, len(entries)):] {
		if entries[i].name == entries[i+1].name {
			return nil, fmt.Errorf("folder %s: entry %q is there twice", hash, entries[i].name)
		}
	}
	return entries, nil
}

// checkName refuses names that Git itself never writes.
func checkName(name string) error {
	switch {
	case name == "", name == ".", name == "..", strings.EqualFold(name, ".git"):
		return errors.New("no file can be named so")
	case strings.ContainsAny(name, "/\x00"):
		return errors.New("a name has no '/'")
	}
	return nil
}
