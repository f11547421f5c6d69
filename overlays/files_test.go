package overlays_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/overlays"
)

func TestPackIsCanonical(t *testing.T) {
	files := overlays.Files{"b/c.yaml": []byte("c"), "a.yaml": []byte("a"), "b.yaml": {}, "ü/" + strings.Repeat("long", 40): []byte("long")}
	packed := files.Pack()
	again, err := overlays.Unpack(packed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(files, again); diff != "" {
		t.Errorf("unpacked -, packed +:\n%s", diff)
	}
	if !bytes.Equal(packed, again.Pack()) {
		t.Error("the same files give other bytes")
	}
	// Agents of other builds have to find the same digest.
	const want = "sha256:daf20b7580b661cf3fccc3e6a1553cfe9f7cf55c7a3db05b662eae847022e211"
	if got := files.Digest(); string(got) != want {
		t.Errorf("digest is %s, want %s", got, want)
	}
}

func TestUnpackRefuses(t *testing.T) {
	file := func(name string) []tar.Header {
		return []tar.Header{{Typeflag: tar.TypeReg, Name: name}}
	}
	link := func(kind byte) []tar.Header {
		return []tar.Header{{Typeflag: kind, Name: "a", Linkname: "/etc/passwd"}}
	}
	var many []tar.Header
	for i := range overlays.MaxFiles + 2 {
		many = append(many, tar.Header{Typeflag: tar.TypeReg, Name: strconv.Itoa(i)})
	}
	var total []tar.Header
	for i := range overlays.MaxTotal/overlays.MaxFile + 1 {
		total = append(total, tar.Header{Typeflag: tar.TypeReg, Name: strconv.Itoa(i), Size: overlays.MaxFile})
	}
	tests := map[string]struct {
		headers []tar.Header
		want    string
	}{
		"absolute":          {file("/etc/passwd"), `"/etc/passwd" is not a clean relative path`},
		"above":             {file("../a"), `"../a" is not a clean relative path`},
		"above, hidden":     {file("a/../../b"), `"a/../../b" is not a clean relative path`},
		"not clean":         {file("a//b"), `"a//b" is not a clean relative path`},
		"the folder itself": {file("."), `"." is not a clean relative path`},
		"backslash":         {file(`a\..\..\b`), `"a\\..\\..\\b" is not a clean relative path`},
		"line break":        {file("a\nb"), `"a\nb" is not a clean relative path`},
		"not UTF-8":         {file("a\xff"), `"a\xff" is not a clean relative path`},
		"symlink":           {link(tar.TypeSymlink), `"a" is not a regular file`},
		"hard link":         {link(tar.TypeLink), `"a" is not a regular file`},
		"character device":  {link(tar.TypeChar), `"a" is not a regular file`},
		"block device":      {link(tar.TypeBlock), `"a" is not a regular file`},
		"pipe":              {link(tar.TypeFifo), `"a" is not a regular file`},
		"folder":            {[]tar.Header{{Typeflag: tar.TypeDir, Name: "a/"}}, `"a/" is not a regular file`},
		"twice":             {append(file("a"), file("a")...), `"a" is there twice`},
		"file and folder":   {append(file("a/b/c"), file("a")...), `"a" is both a file and a folder`},
		"large file":        {[]tar.Header{{Typeflag: tar.TypeReg, Name: "a", Size: overlays.MaxFile + 1}}, `"a" is larger than 16777216 bytes`},
		"large in all":      {total, `more than 67108864 bytes in all`},
		"many":              {many, `"10001" is more than the 10001 files that an artifact may hold`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := overlays.Unpack(archive(t, test.headers))
			if diff := cmp.Diff("unpack artifact: "+test.want, fmt.Sprint(err)); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

func TestUnpackRefusesWhatIsNoArchive(t *testing.T) {
	whole := overlays.Files{"a": bytes.Repeat([]byte("x"), 2000)}.Pack()
	for name, content := range map[string][]byte{"noise": []byte("not a tar, but as long as a header" + strings.Repeat(".", 512)), "cut off": whole[:1024]} {
		t.Run(name, func(t *testing.T) {
			if files, err := overlays.Unpack(content); err == nil {
				t.Errorf("unpacked %v", files.Paths())
			}
		})
	}
}

func archive(t *testing.T, headers []tar.Header) []byte {
	t.Helper()
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	for _, header := range headers {
		if err := w.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, header.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return content.Bytes()
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte{})
	f.Add(overlays.Files{"a/b": []byte("c"), "d": nil}.Pack())
	f.Add(overlays.Files{strings.Repeat("ü/", 200) + "x": []byte("pax")}.Pack())
	f.Fuzz(func(t *testing.T, content []byte) {
		files, err := overlays.Unpack(content)
		if err != nil {
			return
		}
		again, err := overlays.Unpack(files.Pack())
		if err != nil {
			t.Fatalf("refuses its own archive: %v", err)
		}
		if !bytes.Equal(files.Pack(), again.Pack()) {
			t.Error("packing again gives other bytes")
		}
	})
}
