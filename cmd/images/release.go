package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// image is what one image holds: its first program is what it runs.
type image struct {
	Name     string
	About    string
	Programs []program
}

// program is a Go program: its name in the image, the folder of its module and its
// package in there.
type program struct{ Name, Module, Package string }

// all are the images in the order in which they are built. A program that goes beside
// another one into the same image is one line here.
var all = []image{
	{"navarch-agent", "Keeps a member cluster at what its hub announces", []program{
		{"navarch-agent", ".", "./cmd/agent"},
		{"navarch-decrypt", "cmd/decrypt", "."},
	}},
	{"navarch-hub", "Deploys the apps of a Git repository to a fleet of Kubernetes clusters", []program{
		{"navarch-hub", ".", "./cmd/hub"},
	}},
	{"navarch", "The command that people and pipelines work on a fleet with", []program{
		{"navarch", ".", "./cmd/navarch"},
	}},
}

// linked names the variables that the digests of images are linked into.
var linked = map[string]string{
	"navarch-agent": "github.com/navarch/navarch/manifests.agentDigest",
	"navarch-hub":   "github.com/navarch/navarch/manifests.hubDigest",
}

// release is what is built, and from what.
type release struct {
	Source    string // folder
	Version   string
	Revision  string
	Time      time.Time // of the revision
	Registry  string    // and repository, as in ghcr.io/navarch
	Platforms []v1.Platform
	Images    []image
}

// Tag is the version in the form of a tag.
func (r release) Tag() string {
	return regexp.MustCompile(`[^A-Za-z0-9._-]`).ReplaceAllString(r.Version, "-")
}

// build builds every image, each with the digests of those before it. Programs go below
// work.
func (r release) build(ctx context.Context, work string) ([]built, error) {
	var done []built
	variables := []string{"main.version=" + r.Version, "github.com/navarch/navarch/manifests.registry=" + r.Registry}
	for _, i := range r.Images {
		b := built{release: r, image: i}
		for _, platform := range r.Platforms {
			var compiled []compiledProgram
			for _, p := range i.Programs {
				c, err := r.compile(ctx, p, platform, variables, filepath.Join(work, platform.Architecture))
				if err != nil {
					return nil, err
				}
				compiled = append(compiled, c)
			}
			if err := b.add(platform, compiled); err != nil {
				return nil, fmt.Errorf("put together image %q for %s: %w", i.Name, platform, err)
			}
		}
		if err := b.finish(); err != nil {
			return nil, fmt.Errorf("put together image %q: %w", i.Name, err)
		}
		if variable := linked[i.Name]; variable != "" {
			variables = append(variables, variable+"="+b.Digest.String())
		}
		done = append(done, b)
	}
	return done, nil
}

// compiledProgram is a program and the file that it was compiled to.
type compiledProgram struct {
	program
	File string
}

// compile compiles a program so that the bytes follow from source, Go and platform only.
func (r release) compile(ctx context.Context, p program, platform v1.Platform, variables []string, dir string) (compiledProgram, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return compiledProgram{}, err
	}
	file, err := filepath.Abs(filepath.Join(dir, p.Name))
	if err != nil {
		return compiledProgram{}, err
	}
	link := "-s -w -buildid= -X " + strings.Join(variables, " -X ")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", link, "-o", file, p.Package)
	build.Dir = filepath.Join(r.Source, p.Module)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOEXPERIMENT=", "GOWORK=off",
		"GOOS="+platform.OS, "GOARCH="+platform.Architecture, "GOAMD64=v1", "GOARM64=v8.0")
	if out, err := build.CombinedOutput(); err != nil {
		return compiledProgram{}, fmt.Errorf("compile %s of module %q for %s: %w\n%s", p.Package, p.Module, platform, err, out)
	}
	return compiledProgram{p, file}, nil
}
