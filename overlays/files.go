package overlays

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/navarch/navarch/fleet"
)

// What one app may weigh. They bound the memory that a commit or an artifact can
// claim, and lie far above what a cluster would accept.
const (
	MaxFiles  = 10_000   // files of an app's source, and of an overlay
	MaxFile   = 16 << 20 // bytes of one file
	MaxTotal  = 64 << 20 // bytes of all files of a source, and of an overlay
	MaxObject = 1 << 20  // bytes of one object, as JSON: etcd takes little more

	// MaxTogether is how many documents kustomize may have to put together, which takes
	// it a time that grows with the square: four seconds for these.
	MaxTogether = 2_000
)

// maxEntries is how many files an artifact may hold: a source of plain YAML gets a
// kustomization on top of its own files.
const maxEntries = MaxFiles + 1

// Files is a folder: clean slash-separated paths without a leading slash, and what
// is in them.
type Files map[string][]byte

// Paths returns the paths of f, sorted.
func (f Files) Paths() []string { return slices.Sorted(maps.Keys(f)) }

// Pack returns f as a tar archive in its only form: sorted, regular files of mode
// 0644 without owner or time. The same files give the same bytes.
func (f Files) Pack() []byte {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, name := range f.Paths() {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(f[name]))}
		// Writing to memory fails only for a header that tar cannot say, and PAX says
		// every name and size.
		if err := w.WriteHeader(header); err != nil {
			panic(fmt.Sprintf("pack %q: %v", name, err))
		}
		if _, err := w.Write(f[name]); err != nil {
			panic(fmt.Sprintf("pack %q: %v", name, err))
		}
	}
	if err := w.Close(); err != nil {
		panic(fmt.Sprintf("pack: %v", err))
	}
	return archive.Bytes()
}

// Digest returns the digest of f's packed form.
func (f Files) Digest() fleet.Digest { return fleet.DigestOf(f.Pack()) }

// Unpack reads a tar archive. It refuses names that are absolute, not clean, hold
// "..", backslashes or control characters, or are given twice; links, folders,
// devices and whatever else is no regular file; and more files or bytes than
// [MaxFiles], [MaxFile] and [MaxTotal] allow.
func Unpack(content []byte) (Files, error) {
	files := Files{}
	total := int64(0)
	r := tar.NewReader(bytes.NewReader(content))
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("unpack artifact: %w", err)
		}
		if err := checkHeader(header, files); err != nil {
			return nil, fmt.Errorf("unpack artifact: %q %w", header.Name, err)
		}
		if total += header.Size; total > MaxTotal {
			return nil, fmt.Errorf("unpack artifact: more than %d bytes in all", MaxTotal)
		}
		body, err := io.ReadAll(io.LimitReader(r, header.Size))
		if err != nil {
			return nil, fmt.Errorf("unpack artifact: %q: %w", header.Name, err)
		}
		files[header.Name] = body
	}
	return files, files.checkFolders()
}

func checkHeader(header *tar.Header, seen Files) error {
	if header.Typeflag != tar.TypeReg {
		return errors.New("is not a regular file")
	}
	if !cleanPath(header.Name) || header.Name == "." {
		return errors.New("is not a clean relative path")
	}
	if _, twice := seen[header.Name]; twice {
		return errors.New("is there twice")
	}
	if header.Size > MaxFile {
		return fmt.Errorf("is larger than %d bytes", MaxFile)
	}
	if len(seen) == maxEntries {
		return fmt.Errorf("is more than the %d files that an artifact may hold", maxEntries)
	}
	return nil
}

// checkFolders refuses a path that is both a file and a folder.
func (f Files) checkFolders() error {
	for _, name := range f.Paths() {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, file := f[dir]; file {
				return fmt.Errorf("unpack artifact: %q is both a file and a folder", dir)
			}
		}
	}
	return nil
}

// cleanPath tells whether name is a relative slash-separated path in its shortest
// form, without characters that a terminal or a file system could take amiss.
func cleanPath(name string) bool {
	return fs.ValidPath(name) && !strings.ContainsFunc(name, func(r rune) bool {
		return r == '\\' || r < ' ' || r == 0x7f
	})
}

// place copies files below dir.
func (f Files) place(dir string, files Files) {
	for name, content := range files {
		f[path.Join(dir, name)] = content
	}
}
