package repo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// Tree is the files of one commit, read from the store when they are asked for. It
// never changes and may be used by several goroutines. A tree stays readable after
// later commits, though not for ever: see it as of use until a few commits later.
//
// Links are seen and never followed: Stat tells of the link itself, and a path
// through a link does not exist. Submodules are seen as irregular files.
type Tree struct {
	store *store
	root  *folder
}

var (
	_ fs.ReadDirFS  = (*Tree)(nil)
	_ fs.ReadFileFS = (*Tree)(nil)
	_ fs.StatFS     = (*Tree)(nil)
	_ fs.ReadLinkFS = (*Tree)(nil)
)

// maxFile bounds the files that are read, all of which have to fit into memory. No
// manifest comes near it.
const maxFile = 64 << 20

var (
	errIsFolder  = errors.New("is a folder")
	errNotFolder = errors.New("is not a folder")
	errIsLink    = errors.New("is a symbolic link, which is not followed")
	errNotLink   = errors.New("is not a symbolic link")
	errIrregular = errors.New("is neither a file nor a folder")
	errTooLarge  = fmt.Errorf("is larger than %d MiB: files of this size do not belong into a fleet repository", maxFile>>20)
)

// Hash returns the id that Git gives to the content of a file, or of a folder with
// all that is below it. Equal ids are equal content; where nothing is, there is no
// id.
func (t *Tree) Hash(path string) (string, bool) {
	e, err := t.find("hash", path)
	if err != nil {
		return "", false
	}
	return e.hash.String(), true
}

// Open opens a file or folder.
func (t *Tree) Open(path string) (fs.File, error) {
	e, err := t.find("open", path)
	if err != nil {
		return nil, err
	}
	if e.folder != nil {
		return &openFolder{info: t.info(e), path: path, entries: t.list(e.folder)}, nil
	}
	content, err := t.content("open", path, e)
	if err != nil {
		return nil, err
	}
	return &openFile{Reader: bytes.NewReader(content), info: t.info(e)}, nil
}

// ReadFile returns the content of a file.
func (t *Tree) ReadFile(path string) ([]byte, error) {
	e, err := t.find("read", path)
	if err != nil {
		return nil, err
	}
	return t.content("read", path, e)
}

// ReadDir returns what is in a folder, by name.
func (t *Tree) ReadDir(path string) ([]fs.DirEntry, error) {
	e, err := t.find("readdir", path)
	if err != nil {
		return nil, err
	}
	if e.folder == nil {
		return nil, &fs.PathError{Op: "readdir", Path: path, Err: errNotFolder}
	}
	return t.list(e.folder), nil
}

// Stat tells what is at a path. It is Lstat: links are not followed.
func (t *Tree) Stat(path string) (fs.FileInfo, error) { return t.Lstat(path) }

// Lstat tells what is at a path.
func (t *Tree) Lstat(path string) (fs.FileInfo, error) {
	e, err := t.find("stat", path)
	if err != nil {
		return nil, err
	}
	return t.info(e).Info()
}

// ReadLink returns where a link leads, as it is written.
func (t *Tree) ReadLink(path string) (string, error) {
	e, err := t.find("readlink", path)
	if err != nil {
		return "", err
	}
	if e.mode != filemode.Symlink {
		return "", &fs.PathError{Op: "readlink", Path: path, Err: errNotLink}
	}
	target, err := t.blob(e.hash)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: path, Err: err}
	}
	return string(target), nil
}

func (t *Tree) find(op, path string) (entry, error) {
	if !fs.ValidPath(path) {
		return entry{}, &fs.PathError{Op: op, Path: path, Err: fs.ErrInvalid}
	}
	found := entry{name: ".", mode: filemode.Dir, hash: t.root.hash, folder: t.root}
	if path == "." {
		return found, nil
	}
	for name := range strings.SplitSeq(path, "/") {
		ok := found.folder != nil
		if ok {
			found, ok = found.folder.find(name)
		}
		if !ok {
			return entry{}, &fs.PathError{Op: op, Path: path, Err: fs.ErrNotExist}
		}
	}
	return found, nil
}

func (t *Tree) content(op, path string, e entry) ([]byte, error) {
	var err error
	switch e.mode {
	case filemode.Dir:
		err = errIsFolder
	case filemode.Symlink:
		err = errIsLink
	case filemode.Regular, filemode.Deprecated, filemode.Executable:
		var content []byte
		if content, err = t.blob(e.hash); err == nil {
			return content, nil
		}
	default:
		err = errIrregular
	}
	return nil, &fs.PathError{Op: op, Path: path, Err: err}
}

func (t *Tree) blob(hash plumbing.Hash) ([]byte, error) {
	size, err := t.store.size(hash)
	if err != nil {
		return nil, err
	}
	if size > maxFile {
		return nil, errTooLarge
	}
	return t.store.content(plumbing.BlobObject, hash)
}

func (t *Tree) list(f *folder) []fs.DirEntry {
	entries := make([]fs.DirEntry, len(f.entries))
	for i, e := range f.entries {
		entries[i] = t.info(e)
	}
	return entries
}

func (t *Tree) info(e entry) *info { return &info{entry: e, store: t.store} }

// info is an entry as [io/fs] wants to see it, in a folder and by itself. Its size is
// looked up only when somebody asks.
type info struct {
	entry entry
	store *store
	size  int64
}

func (i *info) Name() string       { return i.entry.name }
func (i *info) IsDir() bool        { return i.entry.folder != nil }
func (i *info) Type() fs.FileMode  { return i.Mode().Type() }
func (i *info) Size() int64        { return i.size }
func (i *info) ModTime() time.Time { return time.Time{} } // a commit knows none
func (i *info) Sys() any           { return nil }
func (i *info) String() string     { return fs.FormatDirEntry(i) }

func (i *info) Mode() fs.FileMode {
	switch i.entry.mode {
	case filemode.Dir:
		return fs.ModeDir | 0o755
	case filemode.Regular, filemode.Deprecated:
		return 0o644
	case filemode.Executable:
		return 0o755
	case filemode.Symlink:
		return fs.ModeSymlink | 0o777
	default:
		return fs.ModeIrregular
	}
}

// Info returns the same with its size.
func (i *info) Info() (fs.FileInfo, error) {
	whole := *i
	if i.Mode().IsRegular() || i.entry.mode == filemode.Symlink {
		size, err := i.store.size(i.entry.hash)
		if err != nil {
			return nil, &fs.PathError{Op: "stat", Path: i.entry.name, Err: err}
		}
		whole.size = size
	}
	return &whole, nil
}

// openFile is a file that is read.
type openFile struct {
	*bytes.Reader
	info *info
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info.Info() }
func (f *openFile) Close() error               { return nil }

// openFolder is a folder that is listed.
type openFolder struct {
	info    *info
	path    string
	entries []fs.DirEntry // not listed yet
}

func (f *openFolder) Stat() (fs.FileInfo, error) { return f.info.Info() }
func (f *openFolder) Close() error               { return nil }

func (f *openFolder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: f.path, Err: errIsFolder}
}

func (f *openFolder) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(f.entries)
	} else if len(f.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(f.entries))
	listed := f.entries[:n]
	f.entries = f.entries[n:]
	return listed, nil
}
