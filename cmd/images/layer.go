package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"io"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// user is who programs run as: nobody of the node's.
const user = "65532"

// entry is a file, or a folder, of a layer. All belong to root and are read-only for
// whom the program runs as, but for a folder of its mode.
type entry struct {
	Name    string
	Mode    int64
	Content []byte
	Folder  bool
}

// system is what a program finds in its image beside itself: a name for the user that
// it runs as, the public certificate authorities, and a folder for temporary files.
func system() []entry {
	return []entry{
		{Name: "etc/", Mode: 0o755, Folder: true},
		{Name: "etc/group", Mode: 0o644, Content: []byte("navarch:x:" + user + ":\n")},
		{Name: "etc/passwd", Mode: 0o644, Content: []byte("navarch:x:" + user + ":" + user + "::/:/\n")},
		{Name: "etc/ssl/", Mode: 0o755, Folder: true},
		{Name: "etc/ssl/certs/", Mode: 0o755, Folder: true},
		{Name: "etc/ssl/certs/ca-certificates.crt", Mode: 0o644, Content: authorities()},
		{Name: "tmp/", Mode: 0o1777, Folder: true},
	}
}

// authorities returns the public certificate authorities in PEM. One that is trusted
// under a condition is left out: a file cannot say the condition.
func authorities() []byte {
	var all bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&all, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes everything
		}
	}
	return all.Bytes()
}

// layer makes a layer of entries in their order, each with the same time.
func layer(entries []entry, when time.Time) (v1.Layer, error) {
	var content bytes.Buffer
	if err := archive(&content, entries, when); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}

// archive writes entries as a tar archive that follows from them and the time alone.
func archive(to io.Writer, entries []entry, when time.Time) error {
	w := tar.NewWriter(to)
	for _, e := range entries {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: e.Name, Mode: e.Mode, Size: int64(len(e.Content)), ModTime: when, Format: tar.FormatUSTAR}
		if e.Folder {
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		if _, err := w.Write(e.Content); err != nil {
			return err
		}
	}
	return w.Close()
}

// programEntry is a program as it lies in an image.
func programEntry(c compiledProgram) (entry, error) {
	content, err := os.ReadFile(c.File)
	return entry{Name: c.Name, Mode: 0o555, Content: content}, err
}
