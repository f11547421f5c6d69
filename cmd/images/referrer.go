package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const spdxType = "application/spdx+json"

// nothing is what OCI has an artifact without a configuration say in its place.
var nothing = []byte("{}")

// referrer is a bill of materials as an artifact that refers to its image.
type referrer struct {
	manifest []byte
	bill     v1.Layer
}

// referrer returns the bill of materials of an image for one platform, to be pushed
// beside it: registries list it among what refers to the image.
func (p platformImage) referrer(annotations map[string]string) (v1.Image, error) {
	subject, err := partial.Descriptor(p.Image)
	if err != nil {
		return nil, err
	}
	bill := static.NewLayer(p.SBOM, spdxType)
	described, err := partial.Descriptor(bill)
	if err != nil {
		return nil, err
	}
	digest, size, err := v1.SHA256(bytes.NewReader(nothing))
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: spdxType,
		Config:      v1.Descriptor{MediaType: "application/vnd.oci.empty.v1+json", Digest: digest, Size: size},
		Layers:      []v1.Descriptor{*described},
		Subject:     &v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
		Annotations: annotations,
	})
	if err != nil {
		return nil, err
	}
	return partial.CompressedToImage(referrer{manifest, bill})
}

// RawConfigFile returns the configuration, which says nothing.
func (r referrer) RawConfigFile() ([]byte, error) { return nothing, nil }

// MediaType returns that of a manifest.
func (r referrer) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// RawManifest returns the manifest.
func (r referrer) RawManifest() ([]byte, error) { return r.manifest, nil }

// LayerByDigest returns the bill of materials, or the configuration.
func (r referrer) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	for _, layer := range []v1.Layer{r.bill, static.NewLayer(nothing, "application/vnd.oci.empty.v1+json")} {
		if has, err := layer.Digest(); err == nil && has == digest {
			return layer, nil
		}
	}
	return nil, fmt.Errorf("the artifact has no blob %s", digest)
}
