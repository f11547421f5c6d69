package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// two are images of small programs: what the images of Navarch are made of takes
// minutes to compile for a second architecture. The first holds a second program, which
// is of another module.
var two = []image{
	{"navarch-agent", "One program and another", []program{{"one", ".", "./one"}, {"other", "other", "."}}},
	{"navarch", "A program that knows what was built before", []program{{"one", ".", "./one"}}},
}

// sources writes the source of the programs into a folder.
func sources(dir string) error {
	for file, content := range map[string]string{
		"go.mod":       "module github.com/navarch/navarch\n\ngo 1.26\n",
		"other/go.mod": "module example.com/other\n\ngo 1.26\n",
		"one/main.go": "package main\n\nimport (\"fmt\"; \"os\"; \"github.com/navarch/navarch/manifests\")\n\nvar version string\n\n" +
			"func main() {\n\t_, err := os.ReadFile(\"/etc/ssl/certs/ca-certificates.crt\")\n\tfmt.Println(version, manifests.Agent(), os.Getuid(), err)\n" +
			"\tfmt.Println(os.WriteFile(\"/new\", nil, 0o600) != nil, os.WriteFile(\"/tmp/new\", nil, 0o600))\n}\n",
		"manifests/image.go": "package manifests\n\nvar agentDigest, registry string\n\nfunc Agent() string { return registry + \" \" + agentDigest }\n",
		"other/main.go":      "package main\n\nfunc main() { println(\"other\") }\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func releaseOf(source, registry string) release {
	return release{
		Source: source, Version: "v1.2.3+few", Revision: "4f0c", Time: time.Unix(1700000000, 0).UTC(), Registry: registry, Images: two,
		Platforms: []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}},
	}
}

// buildIn writes the source into a folder and builds the images of it there.
func buildIn(dir string) ([]built, error) {
	if err := sources(dir); err != nil {
		return nil, err
	}
	return releaseOf(dir, "registry.example.com/navarch").build(context.Background(), filepath.Join(dir, "work"))
}

// once builds the images that most tests look at.
var once = sync.OnceValues(func() ([]built, error) {
	return buildIn(folder)
})

// folder is for what is built once.
var folder string

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "navarch-images-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(folder) // the tests have said what they found
	os.Exit(code)
}

func buildTwo(t *testing.T) []built {
	t.Helper()
	images, err := once()
	check(t, err)
	return images
}

// TestReproducible builds from two folders, at two times, and compares every byte.
func TestReproducible(t *testing.T) {
	files := func(images []built) map[string]string {
		out := t.TempDir()
		check(t, write(images, out))
		sums := map[string]string{}
		check(t, filepath.WalkDir(out, func(file string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			content, err := os.ReadFile(file)
			digest, _, _ := v1.SHA256(bytes.NewReader(content))
			sums[strings.TrimPrefix(file, out)] = digest.String()
			return err
		}))
		return sums
	}
	again, err := buildIn(t.TempDir())
	check(t, err)
	first := files(buildTwo(t))
	if diff := cmp.Diff(first, files(again)); diff != "" {
		t.Errorf("the second build differs (-first +second):\n%s", diff)
	}
	for _, want := range []string{"/navarch-agent.tar", "/navarch-agent/oci-layout", "/navarch-agent-linux-arm64.spdx.json", "/bin/linux-arm64/one", "/images.txt"} {
		if first[want] == "" {
			t.Errorf("there is no %s", want)
		}
	}
}

// TestImageHoldsNothingElse looks at every file of an image for every platform.
func TestImageHoldsNothingElse(t *testing.T) {
	agent := buildTwo(t)[0]
	for _, one := range agent.one {
		got := map[string]int64{}
		reader := tar.NewReader(mutate.Extract(one.Image))
		for {
			header, err := reader.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			check(t, err)
			got[header.Name] = header.Mode
			if header.Uid != 0 || header.Gid != 0 || header.Uname != "" || !header.ModTime.Equal(time.Unix(1700000000, 0)) {
				t.Errorf("%s belongs to %d:%d %q, of %s", header.Name, header.Uid, header.Gid, header.Uname, header.ModTime)
			}
		}
		want := map[string]int64{
			"etc": 0o755, "etc/group": 0o644, "etc/passwd": 0o644, "etc/ssl": 0o755, "etc/ssl/certs": 0o755, "etc/ssl/certs/ca-certificates.crt": 0o644,
			"tmp": 0o1777, "one": 0o555, "other": 0o555, "sbom.spdx.json": 0o444,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", one.Platform, diff)
		}
		config, err := one.ConfigFile()
		check(t, err)
		if config.Architecture != one.Platform.Architecture || config.Config.User != "65532:65532" || !slices.Equal(config.Config.Entrypoint, []string{"/one"}) || len(config.Config.Cmd) > 0 {
			t.Errorf("%s: %+v", one.Platform, config.Config)
		}
		for _, label := range []string{"source", "revision", "version", "licenses", "created"} {
			if config.Config.Labels["org.opencontainers.image."+label] == "" {
				t.Errorf("there is no label %q", label)
			}
		}
	}
}

// TestRuns runs a program in what its image holds, as the user that it runs as.
func TestRuns(t *testing.T) {
	images := buildTwo(t)
	root := t.TempDir()
	check(t, os.Chmod(root, 0o755))
	for _, one := range images[1].one {
		if one.Platform.Architecture == runtime.GOARCH {
			unpack(t, one.Image, root)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("only root can run a program in another root")
	}
	run := exec.CommandContext(t.Context(), "/one")
	run.Dir, run.Env = "/", []string{}
	run.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	out, err := run.CombinedOutput()
	check(t, err)
	want := "v1.2.3+few registry.example.com/navarch " + images[0].Digest.String() + " 65532 <nil>\ntrue <nil>\n"
	if string(out) != want {
		t.Errorf("it says %q, want %q", out, want)
	}
}

func unpack(t *testing.T, i v1.Image, root string) {
	t.Helper()
	reader := tar.NewReader(mutate.Extract(i))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		check(t, err)
		path := filepath.Join(root, header.Name)
		if header.Typeflag == tar.TypeDir {
			check(t, os.Mkdir(path, 0o755))
		} else {
			content, err := io.ReadAll(reader)
			check(t, err)
			check(t, os.WriteFile(path, content, 0o600))
		}
		check(t, os.Chmod(path, header.FileInfo().Mode()))
	}
}

// TestPush pushes to a registry and pulls again, by digest and by tag, with the bill of
// materials that refers to the image.
func TestPush(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	pushAndPull(t, strings.TrimPrefix(server.URL, "http://"))
}

func pushAndPull(t *testing.T, host string) {
	t.Helper()
	for _, b := range buildTwo(t) {
		b.release.Registry = host + "/navarch"
		check(t, b.push(t.Context()))
		reference, err := name.ParseReference(b.Reference())
		check(t, err)
		pulled, err := remote.Index(reference, remote.WithContext(t.Context()))
		check(t, err)
		check(t, validate.Index(pulled))
		tagged, err := remote.Head(reference.Context().Tag("v1.2.3-few"))
		check(t, err)
		if tagged.Digest != b.Digest {
			t.Errorf("the tag names %s, want %s", tagged.Digest, b.Digest)
		}
		for _, one := range b.one {
			digest, err := one.Digest()
			check(t, err)
			referring, err := remote.Referrers(reference.Context().Digest(digest.String()))
			check(t, err)
			manifest, err := referring.IndexManifest()
			check(t, err)
			if len(manifest.Manifests) != 1 {
				t.Fatalf("what refers to the image for %s: %+v", one.Platform, manifest.Manifests)
			}
			bill, err := remote.Image(reference.Context().Digest(manifest.Manifests[0].Digest.String()))
			check(t, err)
			said, err := bill.Manifest()
			check(t, err)
			if said.ArtifactType != spdxType || said.Subject.Digest != digest {
				t.Errorf("what refers to the image for %s: %+v", one.Platform, said)
			}
			layers, err := bill.Layers()
			check(t, err)
			content, err := layers[0].Compressed()
			check(t, err)
			got, err := io.ReadAll(content)
			check(t, err)
			if !bytes.Equal(got, one.SBOM) {
				t.Error("the bill of materials came back as something else")
			}
		}
	}
}

// TestLayout reads what is written back as other tools do: there is one manifest, that
// of all platforms, with the digest that manifests name.
func TestLayout(t *testing.T) {
	out := t.TempDir()
	images := buildTwo(t)
	check(t, write(images, out))
	for _, b := range images {
		index, err := layout.ImageIndexFromPath(filepath.Join(out, b.image.Name))
		check(t, err)
		manifest, err := index.IndexManifest()
		check(t, err)
		if len(manifest.Manifests) != 1 || manifest.Manifests[0].Digest != b.Digest {
			t.Fatalf("%+v", manifest.Manifests)
		}
		annotations := manifest.Manifests[0].Annotations
		if got := annotations["io.containerd.image.name"]; got != b.Name()+":v1.2.3-few" {
			t.Errorf("containerd calls the image %q", got)
		}
		all, err := index.ImageIndex(b.Digest)
		check(t, err)
		raw, err := all.RawManifest()
		check(t, err)
		if strings.Contains(string(raw), "artifactType") {
			t.Errorf("the index calls its images artifacts, which tools take out again:\n%s", raw)
		}
		check(t, validate.Index(all))
	}
	references, err := os.ReadFile(filepath.Join(out, "images.txt"))
	check(t, err)
	if want := images[0].Reference() + "\n" + images[1].Reference() + "\n"; string(references) != want {
		t.Errorf("got %q, want %q", references, want)
	}
}

// TestBillOfMaterials builds a program of Navarch and looks for what it is made of.
func TestBillOfMaterials(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the command")
	}
	r := releaseOf("../..", "registry.example.com/navarch")
	r.Platforms = []v1.Platform{{OS: "linux", Architecture: runtime.GOARCH}}
	r.Images = []image{all[2]}
	images, err := r.build(t.Context(), t.TempDir())
	check(t, err)
	var document spdxDocument
	check(t, json.Unmarshal(images[0].one[0].SBOM, &document))
	ids := map[string]bool{document.ID: true}
	found := map[string]string{}
	for _, p := range document.Packages {
		if ids[p.ID] {
			t.Errorf("two packages are called %q", p.ID)
		}
		ids[p.ID], found[p.Name] = true, p.External[0].Locator
	}
	for _, r := range document.Relationships {
		if !ids[r.From] || !ids[r.To] {
			t.Errorf("a relationship names what is not there: %+v", r)
		}
	}
	for _, want := range []string{"navarch", "stdlib", "github.com/spf13/cobra", "github.com/nats-io/nkeys"} {
		if !strings.HasPrefix(found[want], "pkg:golang/") {
			t.Errorf("package %q is %q", want, found[want])
		}
	}
	if document.Version != "SPDX-2.3" || len(document.Packages) < 30 || document.Creation.Created != "2023-11-14T22:13:20Z" {
		t.Errorf("%s of %s with %d packages", document.Version, document.Creation.Created, len(document.Packages))
	}
}

func TestAuthorities(t *testing.T) {
	count := 0
	for rest := authorities(); ; count++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
	}
	if count < 100 {
		t.Errorf("%d certificate authorities", count)
	}
}

func TestFlags(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no version": {nil, "the images need a version: say --version"},
		"time":       {[]string{"--version", "v1", "--time", "yesterday"}, "--time \"yesterday\": want seconds since 1970, as `git log -1 --format=%ct` prints them"},
		"platform":   {[]string{"--version", "v1", "--platforms", "linux"}, `--platforms "linux": want names such as linux/arm64`},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(context.Background(), test.args); err == nil || err.Error() != test.want {
				t.Errorf("got error %v, want %q", err, test.want)
			}
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
