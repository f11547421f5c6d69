package main

import (
	"maps"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const source = "https://github.com/navarch/navarch"

// built is an image for all platforms.
type built struct {
	release release
	image   image
	one     []platformImage
	Index   v1.ImageIndex
	Digest  v1.Hash
}

// platformImage is an image for one platform, and what it is made of.
type platformImage struct {
	v1.Image
	Platform v1.Platform
	Programs []compiledProgram
	SBOM     []byte // SPDX in JSON
}

// Name is where the image is found, as in ghcr.io/navarch/navarch-hub.
func (b built) Name() string { return b.release.Registry + "/" + b.image.Name }

// Reference names the image by its tag, for people, and its digest.
func (b built) Reference() string {
	return b.Name() + ":" + b.release.Tag() + "@" + b.Digest.String()
}

// annotations say what the image is, in the words of OCI.
func (b built) annotations() map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":       b.image.Name,
		"org.opencontainers.image.description": b.image.About,
		"org.opencontainers.image.version":     b.release.Version,
		"org.opencontainers.image.revision":    b.release.Revision,
		"org.opencontainers.image.created":     b.release.Time.Format(time.RFC3339),
		"org.opencontainers.image.source":      source,
		"org.opencontainers.image.licenses":    "Apache-2.0",
	}
}

// add puts together the image for one platform: a layer that all images share, and one
// with the programs and their bill of materials.
func (b *built) add(platform v1.Platform, programs []compiledProgram) error {
	bill, err := b.bill(platform, programs)
	if err != nil {
		return err
	}
	var entries []entry
	for _, p := range programs {
		e, err := programEntry(p)
		if err != nil {
			return err
		}
		entries = append(entries, e)
	}
	entries = append(entries, entry{Name: "sbom.spdx.json", Mode: 0o444, Content: bill})
	made, err := b.assemble(platform, entries)
	if err != nil {
		return err
	}
	b.one = append(b.one, platformImage{made, platform, programs, bill})
	return nil
}

func (b *built) assemble(platform v1.Platform, programs []entry) (v1.Image, error) {
	config := &v1.ConfigFile{
		Created: v1.Time{Time: b.release.Time}, OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant,
		RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{
			User: user + ":" + user, WorkingDir: "/", Entrypoint: []string{"/" + b.image.Programs[0].Name},
			Env: []string{"PATH=/", "HOME=/"}, Labels: b.annotations(),
		},
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	made, err := mutate.ConfigFile(base, config)
	if err != nil {
		return nil, err
	}
	for _, part := range []struct {
		what    string
		entries []entry
	}{{"user and certificate authorities", system()}, {"programs", programs}} {
		l, err := layer(part.entries, b.release.Time)
		if err != nil {
			return nil, err
		}
		history := v1.History{Created: v1.Time{Time: b.release.Time}, CreatedBy: "navarch images", Comment: part.what}
		if made, err = mutate.Append(made, mutate.Addendum{Layer: l, History: history}); err != nil {
			return nil, err
		}
	}
	return mutate.Annotations(made, b.annotations()).(v1.Image), nil //nolint:forcetypeassert // documented
}

// finish makes one index of the images for all platforms.
func (b *built) finish() error {
	whole := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, one := range b.one {
		whole = mutate.AppendManifests(whole, mutate.IndexAddendum{Add: one.Image, Descriptor: v1.Descriptor{Platform: &one.Platform}})
	}
	whole = mutate.Annotations(whole, maps.Clone(b.annotations())).(v1.ImageIndex) //nolint:forcetypeassert // documented
	var err error
	if b.Index, err = plain(whole); err != nil {
		return err
	}
	b.Digest, err = b.Index.Digest()
	return err
}
