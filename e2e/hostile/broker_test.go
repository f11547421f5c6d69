package hostile

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/navarch/navarch/agent/fetch"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/overlays"
	"github.com/navarch/navarch/wire"
)

// TestHostileBrokerAnnounces has a broker announce whatever it can, on the subject that
// the agent listens to. The agent keeps what it runs and says why; then it takes what the
// hub announces.
func TestHostileBrokerAnnounces(t *testing.T) {
	c := newCaptor(t)
	_, mine, err := ed25519.GenerateKey(nil)
	check(t, err)
	next := announcement(5, 11, c.index("eu-1", c.shop, c.app("blog", settings)))
	sealed := c.seal(next)
	forged, err := wire.Seal(announcement(9, 1, next.Index), mine)
	check(t, err)
	foreign := next
	foreign.Cluster = "us-1"
	stripped := bytes.Replace(sealed, []byte(`"signature":"`), []byte(`"signature":"AAAA`), 1)
	flipped := bytes.Clone(sealed)
	flipped[bytes.Index(sealed, []byte(`"signed":"`))+20] ^= 1
	cases := map[string]struct {
		sealed []byte
		says   string
	}{
		"forged":                 {forged, "not signed by the hub's key"},
		"with another signature": {stripped, "not signed by the hub's key"},
		"with a bit flipped":     {flipped, ""},
		"cut off":                {sealed[:len(sealed)-10], "decode announcement"},
		"of another cluster":     {c.seal(foreign), `for cluster "us-1"`},
		"older":                  {c.seal(announcement(5, 9, next.Index)), "older"},
		"of an older epoch":      {c.seal(announcement(4, 99, next.Index)), "older"},
		"the same, changed":      {c.seal(announcement(5, 10, next.Index)), "older"},
		"with another's index":   {c.seal(announcement(5, 11, c.index("us-1", c.shop))), `for cluster "us-1"`},
		"with an app as index":   {c.seal(announcement(5, 11, c.shop.Base)), "decode index"},
		"with no index":          {c.seal(announcement(5, 11, fleet.DigestOf([]byte("nothing")))), "nothing is kept there"},
		"a megabyte":             {bytes.Repeat([]byte("{"), wire.MaxMessage-1000), "decode announcement"},
		"deep":                   {[]byte(strings.Repeat(`{"signed":`, 50_000)), "decode announcement"},
		"an enrolment":           {[]byte(`{"signed":"e30=","signature":""}`), "not signed by the hub's key"},
	}
	said := newHeard()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- c.agent.Desired(ctx, "eu-1", func(sealed []byte) error {
			_, err := c.fetcher.Accept(ctx, sealed)
			said.add(string(sealed) + "\n" + fmt.Sprint(err))
			return err
		})
	}()
	for name, try := range cases {
		t.Run(name, func(t *testing.T) {
			check(t, c.stolen.Announce(t.Context(), "eu-1", try.sealed))
			if !said.wait(func(line string) bool {
				return strings.HasPrefix(line, string(try.sealed)+"\n") && strings.Contains(line[len(try.sealed):], try.says) && !strings.HasSuffix(line, "\n<nil>")
			}) {
				t.Errorf("not refused with %q: %.300s", try.says, said.all()[len(said.all())-1])
			}
			c.stands(t)
			if _, refused := c.fetcher.Accepted(); refused == "" {
				t.Error("the agent does not say why")
			}
		})
	}
	check(t, c.stolen.Announce(t.Context(), "eu-1", sealed))
	if !said.wait(func(line string) bool { return line == string(sealed)+"\n<nil>" }) {
		t.Error("what the hub announces is not taken any more")
	}
	cancel()
	check(t, <-done)
}

// mostMemory is what an agent may take to refuse content: an artifact, its chunks, and
// some more.
const mostMemory = 400 << 20

// TestHostileBrokerServes puts something else where an announcement of the hub says that
// content is. It opens with the right key, since who keeps the announcement knows it.
func TestHostileBrokerServes(t *testing.T) {
	c := newCaptor(t)
	zeros := func(n int) []byte { return compress(t, make([]byte, n)) }
	many := func(n, size int) [][]byte {
		chunks := make([][]byte, n)
		for i := range chunks {
			chunks[i] = make([]byte, size)
		}
		return chunks
	}
	cases := map[string]func(d fleet.Digest, right [][]byte) [][]byte{
		"other content": func(d fleet.Digest, _ [][]byte) [][]byte { return forge(t, d, 5, 1, compress(t, []byte("other"))) },
		"content of another app": func(fleet.Digest, [][]byte) [][]byte {
			_, chunks, _ := wire.PackArtifact([]byte("another"))
			return chunks
		},
		"a bomb of 64 MiB": func(d fleet.Digest, _ [][]byte) [][]byte {
			return forge(t, d, wire.MaxArtifact, 1, zeros(wire.MaxArtifact))
		},
		"a bomb that says it is none": func(d fleet.Digest, _ [][]byte) [][]byte { return forge(t, d, 10, 1, zeros(512<<20)) },
		"a bomb of four gigabytes":    func(d fleet.Digest, _ [][]byte) [][]byte { return forge(t, d, 1<<32-1, 1, zeros(1<<20)) },
		"a bomb in a bomb": func(d fleet.Digest, _ [][]byte) [][]byte {
			return forge(t, d, wire.MaxArtifact, 1, compress(t, zeros(256<<20)))
		},
		"chunks without end": func(d fleet.Digest, _ [][]byte) [][]byte { return forge(t, d, 100, 2000, many(2000, 40<<10)...) },
		"chunks that are too long": func(d fleet.Digest, _ [][]byte) [][]byte {
			return forge(t, d, wire.MaxArtifact, 60, many(60, 1000<<10)...)
		},
		"all the chunks that there may be": func(d fleet.Digest, _ [][]byte) [][]byte {
			return forge(t, d, wire.MaxArtifact, 1020, many(1020, 60<<10)...)
		},
		"chunks that never come":  func(d fleet.Digest, _ [][]byte) [][]byte { return forge(t, d, 100<<20/2, 100, make([]byte, 10)) },
		"no chunk at all":         func(d fleet.Digest, _ [][]byte) [][]byte { return forge(t, d, 10, 0, []byte("x")) },
		"nothing":                 func(fleet.Digest, [][]byte) [][]byte { return [][]byte{{}} },
		"a chunk that is cut off": func(_ fleet.Digest, right [][]byte) [][]byte { return [][]byte{right[0][:len(right[0])/2]} },
		"a chunk with a bit flipped": func(_ fleet.Digest, right [][]byte) [][]byte {
			c := bytes.Clone(right[0])
			c[len(c)/2] ^= 4
			return [][]byte{c}
		},
		"no compression at all": func(d fleet.Digest, _ [][]byte) [][]byte { return forge(t, d, 300, 1, make([]byte, 300)) },
		"a size that lies":      func(d fleet.Digest, _ [][]byte) [][]byte { return forge(t, d, 6, 1, compress(t, []byte("other"))) },
	}
	sequence := uint64(100)
	for name, twist := range cases {
		for _, what := range []string{"index", "app"} {
			t.Run(what+" is "+name, func(t *testing.T) {
				sequence++
				base := overlays.Files{"a.yaml": []byte(settings + "# " + name)}
				app := fleet.DesiredApp{Name: "blog", Base: base.Digest(), Overlay: c.shop.Overlay}
				content, index, err := wire.EncodeIndex(wire.Index{Version: wire.Version, Cluster: "eu-1", Desired: fleet.Desired{Apps: []fleet.DesiredApp{c.shop, app}}})
				check(t, err)
				victim, packed := app.Base, base.Pack()
				if what == "index" {
					victim, packed = index, content
				} else {
					c.put(content)
				}
				_, right, err := wire.PackArtifact(packed)
				check(t, err)
				check(t, c.stolen.PutArtifact(t.Context(), wire.AddressOf(victim), twist(victim, right)))
				runtime.GC()
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_, err = c.fetcher.Accept(t.Context(), c.seal(announcement(5, sequence, index)))
				runtime.ReadMemStats(&after)
				if err == nil {
					t.Error("it was accepted")
				}
				if took := after.TotalAlloc - before.TotalAlloc; took > mostMemory {
					t.Errorf("it took %d MiB to refuse it", took>>20)
				}
				c.stands(t)
				if _, refused := c.fetcher.Accepted(); !strings.Contains(refused, victim.Hex()[:8]) && !strings.Contains(refused, "artifact") {
					t.Errorf("the agent says %q", refused)
				}
			})
		}
	}
}

// TestHostileArchives goes one further: the hub itself has signed content that no hub
// makes. The agent refuses to unpack or to build it, writes nothing anywhere, and builds
// the rest.
func TestHostileArchives(t *testing.T) {
	c := newCaptor(t)
	file := func(name, body string) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(body)), Linkname: body}
	}
	canary := filepath.Join(t.TempDir(), "escaped.yaml")
	var crowd []tar.Header
	for i := range 60_000 {
		crowd = append(crowd, file(fmt.Sprint("f", i), ""))
	}
	for name, headers := range map[string][]tar.Header{
		"an absolute path":          {file(canary, settings)},
		"a path that leads out":     {file("../../../../../../.."+canary, settings)},
		"a path that leads around":  {file("a/../../escaped.yaml", settings)},
		"a path of dots":            {file("./a.yaml", settings)},
		"a path with two slashes":   {file("a//b.yaml", settings)},
		"a path of Windows":         {file(`..\..\escaped.yaml`, settings)},
		"a drive":                   {file(`C:\escaped.yaml`, settings)},
		"a NUL":                     {file("a\x01.yaml", settings)},
		"a path that is no UTF-8":   {file("a\xff.yaml", settings)},
		"no name":                   {file("", settings)},
		"a symlink":                 {{Typeflag: tar.TypeSymlink, Name: "a.yaml", Linkname: "/etc/passwd"}},
		"a hard link":               {{Typeflag: tar.TypeLink, Name: "a.yaml", Linkname: "/etc/passwd"}},
		"a device":                  {{Typeflag: tar.TypeChar, Name: "a.yaml", Devmajor: 1, Devminor: 5}},
		"a pipe":                    {{Typeflag: tar.TypeFifo, Name: "a.yaml"}},
		"a folder":                  {{Typeflag: tar.TypeDir, Name: "a/"}},
		"one name twice":            {file("kustomization.yaml", "resources: []"), file("kustomization.yaml", "resources: [b.yaml]")},
		"a file that is a folder":   {file("a", "x"), file("a/b.yaml", settings)},
		"sixty thousand files":      crowd,
		"a large file":              {file("a.yaml", strings.Repeat("x", overlays.MaxFile+1))},
		"a remote base":             {file("kustomization.yaml", "resources: ['https://example.com/a?ref=b']")},
		"a program":                 {file("kustomization.yaml", "generators: [exec.yaml]\n"), file("exec.yaml", "apiVersion: a\nkind: B\nmetadata: {name: c, annotations: {config.kubernetes.io/function: 'exec: {path: /bin/sh}'}}\n")},
		"a chart":                   {file("kustomization.yaml", "helmCharts: [{name: a, repo: 'https://e'}]")},
		"files of the machine":      {file("kustomization.yaml", "resources: [../../../../../../etc/passwd]")},
		"a generator that looks up": {file("kustomization.yaml", "configMapGenerator: [{name: a, files: [/etc/passwd]}]")},
		"no kustomization":          {file("a.yaml", settings)},
		"aliases without end":       {file("kustomization.yaml", "resources: [a.yaml]"), file("a.yaml", settings+"x: &a [*a]\n")},
	} {
		t.Run(name, func(t *testing.T) {
			bad := fleet.DesiredApp{Name: "bad", Base: c.put(archive(t, headers)), Overlay: c.shop.Overlay}
			cache, err := fetch.NewCache("")
			check(t, err)
			f := fetch.New("eu-1", c.obeyed(), c.agent, cache, wire.Announcement{})
			_, err = f.Accept(t.Context(), c.seal(announcement(1, 1, c.index("eu-1", c.shop, bad))))
			check(t, err)
			before := time.Now()
			objects, err := f.Build(bad)
			if err == nil {
				t.Errorf("it builds %d objects", len(objects))
			} else if !strings.Contains(err.Error(), `"bad"`) || strings.Contains(err.Error(), "\n") {
				t.Errorf("it says %q", err)
			}
			if took := time.Since(before); took > 20*time.Second {
				t.Errorf("that took %s", took)
			}
			if built, err := f.Build(c.shop); err != nil || len(built) != 1 {
				t.Errorf("the other app builds %d objects: %v", len(built), err)
			}
			if _, err := os.Lstat(canary); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a file was written: %v", err)
			}
		})
	}
}

// archive writes what no packer of ours would. The content of a file is in Linkname.
func archive(t *testing.T, headers []tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		body := ""
		if h.Typeflag == tar.TypeReg {
			body, h.Linkname = h.Linkname, ""
		}
		check(t, w.WriteHeader(&h))
		_, err := w.Write([]byte(body))
		check(t, err)
	}
	check(t, w.Close())
	return b.Bytes()
}
