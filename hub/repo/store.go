package repo

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
)

const (
	cacheSize = 64 * cache.MiByte // of object contents in memory
	maxPacks  = 100               // a store with more is made anew
)

// damageError is a store that lacks what it should have, or has it otherwise than
// its hash says.
type damageError struct{ err error }

func (e *damageError) Error() string {
	return "the copy of the repository is damaged: " + e.err.Error()
}
func (e *damageError) Unwrap() error { return e.err }

// store is a bare repository on disk that Git's own tools understand. What it
// gives out is checked against its hash. Its methods may be called from any
// goroutine, but those that write only from one at a time.
type store struct {
	dir     string
	number  int // of the stores in one folder; the highest is the newest
	branch  plumbing.ReferenceName
	head    plumbing.Hash // zero: the store is not complete
	packs   int
	created time.Time // zero: by an earlier run
	alarm   func()    // called when damage is found
	damaged atomic.Bool

	mu      sync.Mutex // go-git's storage is not safe for use by several goroutines
	objects *filesystem.ObjectStorage
}

// openStore opens the newest complete store of a folder and removes all others. It
// returns nil when there is none of this repository and branch.
func openStore(dir string, r *remote) (*store, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "store-*"))
	if err != nil {
		return nil, fmt.Errorf("look for the copy of the repository: %w", err)
	}
	slices.Sort(paths)
	var newest *store
	for _, path := range slices.Backward(paths) {
		if newest == nil {
			if newest = readStore(path, r); newest != nil {
				continue
			}
		}
		if err := os.RemoveAll(path); err != nil {
			return nil, fmt.Errorf("remove an old copy of the repository: %w", err)
		}
	}
	return newest, nil
}

// readStore returns the store at path, nil if it is not complete or of another
// repository or branch.
func readStore(path string, r *remote) *store {
	number, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(path), "store-"))
	if err != nil {
		return nil
	}
	s := newStore(path, number, r)
	config, err := os.ReadFile(filepath.Join(path, "config"))
	if err != nil || string(config) != r.config() {
		return nil
	}
	head, err := os.ReadFile(s.path(s.branch.String()))
	if err != nil || !plumbing.IsHash(strings.TrimSpace(string(head))) {
		return nil
	}
	packs, err := filepath.Glob(s.path("objects/pack/*.pack"))
	if err != nil || !plausible(packs) {
		return nil
	}
	s.head, s.packs = plumbing.NewHash(strings.TrimSpace(string(head))), len(packs)
	s.clean()
	return s
}

// createStore makes an empty store. It is complete after setHead.
func createStore(dir string, number int, r *remote) (*store, error) {
	s := newStore(storePath(dir, number), number, r)
	s.created = time.Now()
	err := os.RemoveAll(s.dir)
	for _, folder := range []string{"objects/pack", "objects/info", "refs/heads"} {
		err = errors.Join(err, os.MkdirAll(s.path(folder), 0o700))
	}
	err = errors.Join(err, s.write("config", r.config()), s.write("HEAD", "ref: "+s.branch.String()+"\n"))
	if err != nil {
		return nil, onDisk(err)
	}
	return s, nil
}

func newStore(path string, number int, r *remote) *store {
	dir := dotgit.NewWithOptions(osfs.New(path), dotgit.Options{ExclusiveAccess: true})
	return &store{
		dir:     path,
		number:  number,
		branch:  r.ref,
		alarm:   func() {},
		objects: filesystem.NewObjectStorageWithOptions(dir, cache.NewObjectLRU(cacheSize), filesystem.Options{KeepDescriptors: true}),
	}
}

func (s *store) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// write replaces a file as a whole.
func (s *store) write(name, content string) error {
	path := s.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(path+".lock", []byte(content), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".lock", path)
}

// setHead notes a commit that is in the store as a whole.
func (s *store) setHead(hash plumbing.Hash) error {
	if hash == s.head {
		return nil
	}
	if err := s.write(s.branch.String(), hash.String()+"\n"); err != nil {
		return onDisk(err)
	}
	s.head = hash
	return nil
}

// shallow returns the commits behind which the server has kept the history.
func (s *store) shallow() ([]plumbing.Hash, error) {
	content, err := os.ReadFile(s.path("shallow"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, s.damage(err)
	}
	var hashes []plumbing.Hash
	for line := range strings.Lines(string(content)) {
		hashes = append(hashes, plumbing.NewHash(strings.TrimSpace(line)))
	}
	return hashes, nil
}

func (s *store) setShallow(hashes []plumbing.Hash) error {
	var lines strings.Builder
	for _, hash := range hashes {
		lines.WriteString(hash.String() + "\n")
	}
	return onDisk(s.write("shallow", lines.String()))
}

// tags returns the tags by which the head may be deployed.
func (s *store) tags() ([]tagRef, error) {
	content, err := os.ReadFile(s.path("navarch-tags"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, onDisk(err)
	}
	var tags []tagRef
	for line := range strings.Lines(string(content)) {
		hash, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		tags = append(tags, tagRef{name: name, hash: plumbing.NewHash(hash)})
	}
	return tags, nil
}

// setTags notes the tags of a commit that is going to be the head. Their names are
// those that a server has chosen, so none becomes the name of a file.
func (s *store) setTags(tags []tagRef) error {
	if len(tags) == 0 {
		return nil
	}
	var lines strings.Builder
	for _, t := range tags {
		if !strings.Contains(t.name, "\n") {
			lines.WriteString(t.hash.String() + " " + t.name + "\n")
		}
	}
	return onDisk(s.write("navarch-tags", lines.String()))
}

// add takes in a pack. Others can read meanwhile.
func (s *store) add(pack io.Reader) error {
	s.mu.Lock()
	w, err := s.objects.PackfileWriter()
	s.mu.Unlock()
	if err != nil {
		return s.damage(err)
	}
	err = inspect(pack, w)
	s.mu.Lock()
	defer s.mu.Unlock()
	if closed := w.Close(); err == nil {
		err = closed // otherwise it only follows from the first
	}
	if err != nil {
		s.clean()
		return err
	}
	s.packs++
	return nil
}

// clean removes what packs that were not taken in have left behind.
func (s *store) clean() {
	files, _ := filepath.Glob(s.path("objects/pack/tmp_*")) // the pattern is well formed
	for _, file := range files {
		_ = os.Remove(file) // in the way of nobody
	}
}

// has tells whether the store has an object.
func (s *store) has(hash plumbing.Hash) (bool, error) {
	if hash.IsZero() {
		return false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.objects.EncodedObjectSize(hash) // HasEncodedObject sees no packs where access is exclusive
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return false, nil
	}
	if err != nil {
		return false, s.damage(err)
	}
	return true, nil
}

// size returns the size of an object's content.
func (s *store) size(hash plumbing.Hash) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size, err := s.objects.EncodedObjectSize(hash)
	if err != nil {
		return 0, s.damage(fmt.Errorf("object %s: %w", hash, err))
	}
	return size, nil
}

// object returns the content of an object that need not be there. It belongs to the
// caller.
func (s *store) object(kind plumbing.ObjectType, hash plumbing.Hash) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size, err := s.objects.EncodedObjectSize(hash) // before anything is unpacked
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", hash, err)
	}
	if size > maxObject[kind] {
		return nil, &sizeError{hash: hash, kind: kind}
	}
	o, err := s.objects.EncodedObject(kind, hash)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", hash, err)
	}
	r, err := o.Reader()
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", hash, err)
	}
	defer r.Close()
	content := make([]byte, o.Size())
	if _, err := io.ReadFull(r, content); err != nil {
		return nil, fmt.Errorf("object %s: %w", hash, err)
	}
	return content, checkHash(hash, plumbing.NewHasher(kind, o.Size()), content)
}

// maxObject bounds the size of the objects that are read as a whole.
var maxObject = map[plumbing.ObjectType]int64{
	plumbing.CommitObject: 1 << 20,
	plumbing.TagObject:    1 << 20,
	plumbing.TreeObject:   64 << 20, // which maxEntries fit into
	plumbing.BlobObject:   maxFile,
}

// sizeError is an object of a size that it cannot need. The store has nothing to do
// with it.
type sizeError struct {
	hash plumbing.Hash
	kind plumbing.ObjectType
}

func (e *sizeError) Error() string {
	return fmt.Sprintf("object %s: a %s of this size does not belong into a fleet repository", e.hash, e.kind)
}

// checkHash checks that a content is the one that a hash is of. SHA-1 can be made to
// be that of two contents; what was made so is noticed, and refused.
func checkHash(hash plumbing.Hash, h plumbing.Hasher, content []byte) error {
	_, _ = h.Write(content) // it is memory
	if is := h.Sum(); is != hash {
		return fmt.Errorf("object %s has the hash %s", hash, is)
	}
	if forged(h.Hash) {
		return fmt.Errorf("object %s was made to have the same hash as another", hash)
	}
	return nil
}

// forged tells whether what was hashed has the marks of a collision.
func forged(h hash.Hash) bool {
	detecting, ok := h.(interface {
		CollisionResistantSum([]byte) ([]byte, bool)
	})
	if !ok {
		return true // nobody would notice
	}
	_, found := detecting.CollisionResistantSum(nil)
	return found
}

// content returns the content of an object that has to be there. It belongs to the
// caller.
func (s *store) content(kind plumbing.ObjectType, hash plumbing.Hash) ([]byte, error) {
	content, err := s.object(kind, hash)
	if err != nil && !errors.As(err, new(*sizeError)) {
		return nil, s.damage(err)
	}
	return content, err
}

// encoded gives content to go-git's decoders.
func encoded(kind plumbing.ObjectType, content []byte) plumbing.EncodedObject {
	o := &plumbing.MemoryObject{}
	o.SetType(kind)
	_, _ = o.Write(content) // it is memory
	return o
}

// damage notes that the store cannot be trusted any more. Errors of the machine say
// nothing about the store.
func (s *store) damage(err error) error {
	for _, machine := range []error{syscall.ENOSPC, syscall.EMFILE, syscall.ENFILE, fs.ErrPermission, fs.ErrClosed} {
		if errors.Is(err, machine) {
			return onDisk(err)
		}
	}
	if !s.damaged.Swap(true) {
		s.alarm()
	}
	return &damageError{err}
}

// onDisk says what went wrong with the store's files.
func onDisk(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("keep a copy of the repository: %w (make room for the hub's data)", err)
	default:
		return fmt.Errorf("keep a copy of the repository: %w", err)
	}
}

// remove removes the store from disk. What still reads from it fails.
func (s *store) remove() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.objects.Close(), os.RemoveAll(s.dir))
}
