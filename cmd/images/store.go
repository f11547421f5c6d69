package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// write writes everything that was built into a folder, which is replaced: each image
// as an OCI layout and as an archive of it, the programs, the bills of materials, and
// the file images.txt with the reference of each image.
func write(images []built, out string) error {
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	var references strings.Builder
	for _, b := range images {
		if err := b.write(out); err != nil {
			return fmt.Errorf("write image %q: %w", b.image.Name, err)
		}
		fmt.Fprintln(&references, b.Reference())
	}
	return os.WriteFile(filepath.Join(out, "images.txt"), []byte(references.String()), 0o644) //nolint:gosec // for everybody
}

func (b built) write(out string) error {
	folder := filepath.Join(out, b.image.Name)
	to, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	// containerd reads the first, everybody else the second.
	err = to.AppendIndex(b.Index, layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          b.Name() + ":" + b.release.Tag(),
		"org.opencontainers.image.ref.name": b.release.Tag(),
	}))
	if err != nil {
		return err
	}
	if err := archiveFolder(folder, folder+".tar", b.release.Time); err != nil {
		return err
	}
	for _, one := range b.one {
		name := strings.ReplaceAll(one.Platform.String(), "/", "-")
		if err := os.WriteFile(filepath.Join(out, b.image.Name+"-"+name+".spdx.json"), one.SBOM, 0o644); err != nil { //nolint:gosec // for everybody
			return err
		}
		for _, p := range one.Programs {
			content, err := os.ReadFile(p.File)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Join(out, "bin", name), 0o755); err != nil { //nolint:gosec // for everybody
				return err
			}
			if err := os.WriteFile(filepath.Join(out, "bin", name, p.Name), content, 0o755); err != nil { //nolint:gosec // for everybody
				return err
			}
		}
	}
	return nil
}

// archiveFolder archives the files of a folder, by name.
func archiveFolder(folder, file string, when time.Time) error {
	var entries []entry
	err := fs.WalkDir(os.DirFS(folder), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(folder, name))
		entries = append(entries, entry{Name: name, Mode: 0o644, Content: content})
		return err
	})
	if err != nil {
		return err
	}
	var content bytes.Buffer
	if err := archive(&content, entries, when); err != nil {
		return err
	}
	return os.WriteFile(file, content.Bytes(), 0o644) //nolint:gosec // for everybody
}

// push pushes the image with its tag, and the bill of materials for each platform as
// what refers to it. It logs in as `docker login` has left it.
func (b built) push(ctx context.Context) error {
	tag, err := name.NewTag(b.Name() + ":" + b.release.Tag())
	if err != nil {
		return err
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
	if err := remote.WriteIndex(tag, b.Index, options...); err != nil {
		return fmt.Errorf("push %s: %w (is there a login for %s?)", tag, err, tag.RegistryStr())
	}
	for _, one := range b.one {
		artifact, err := one.referrer(map[string]string{"org.opencontainers.image.created": b.release.Time.Format(time.RFC3339)})
		if err != nil {
			return fmt.Errorf("describe what %s is made of: %w", tag, err)
		}
		digest, err := artifact.Digest()
		if err != nil {
			return err
		}
		if err := remote.Write(tag.Digest(digest.String()), artifact, options...); err != nil {
			return fmt.Errorf("push what %s is made of: %w", tag, err)
		}
	}
	return nil
}
