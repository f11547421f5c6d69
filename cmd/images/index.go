package main

import (
	"bytes"
	"encoding/json"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// index is an index of images whose entries say nothing of artifacts: an image is none,
// and tools that do not know the word write the index anew without it, under another
// digest.
type index struct {
	images
	manifest *v1.IndexManifest
	raw      []byte
}

// images is what an index is apart from its manifest. It has another name because the
// interface has a method of its own.
type images = v1.ImageIndex

func plain(of v1.ImageIndex) (v1.ImageIndex, error) {
	manifest, err := of.IndexManifest()
	if err != nil {
		return nil, err
	}
	manifest = manifest.DeepCopy()
	for i := range manifest.Manifests {
		manifest.Manifests[i].ArtifactType = ""
	}
	raw, err := json.Marshal(manifest)
	return index{of, manifest, raw}, err
}

// IndexManifest returns the manifest.
func (i index) IndexManifest() (*v1.IndexManifest, error) { return i.manifest.DeepCopy(), nil }

// RawManifest returns the manifest's bytes.
func (i index) RawManifest() ([]byte, error) { return i.raw, nil }

// Digest returns the digest of the manifest's bytes.
func (i index) Digest() (v1.Hash, error) {
	digest, _, err := v1.SHA256(bytes.NewReader(i.raw))
	return digest, err
}

// Size returns how many bytes the manifest has.
func (i index) Size() (int64, error) { return int64(len(i.raw)), nil }
