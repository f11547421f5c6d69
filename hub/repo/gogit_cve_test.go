package repo_test

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/navarch/navarch/hub/repo"
)

// script is a Git server that says what a test wants it to.
type script struct {
	refs []string // lines without capabilities, as in "HASH refs/heads/main"
	raw  func(w io.Writer)
	pack []byte
}

// caps are few, so that what follows is the pack itself.
const caps = "ofs-delta shallow no-progress"

func (s script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	line := func(text string) { _, _ = fmt.Fprintf(w, "%04x%s", len(text)+4, text) }
	if r.Method == http.MethodPost {
		_, _ = io.WriteString(w, "0000") // nothing is shallow
		line("NAK\n")
		_, _ = w.Write(s.pack)
		return
	}
	line("# service=git-upload-pack\n")
	_, _ = io.WriteString(w, "0000")
	if s.raw != nil {
		s.raw(w)
		return
	}
	for i, ref := range s.refs {
		if i == 0 {
			ref += "\x00" + caps
		}
		line(ref + "\n")
	}
	_, _ = io.WriteString(w, "0000")
}

// play fetches from a server of a script and returns the folder that it was given,
// and how much memory was taken in all.
func play(t *testing.T, s script, verify repo.Verify) (dir string, took uint64, commit repo.Commit, err error) {
	t.Helper()
	server := httptest.NewServer(s)
	defer server.Close()
	dir = filepath.Join(t.TempDir(), "hub", "data")
	r := open(t, repo.Config{URL: server.URL + "/fleet.git", Dir: dir, Verify: verify})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	commit, _, err = r.Fetch(t.Context())
	runtime.ReadMemStats(&after)
	return dir, after.TotalAlloc - before.TotalAlloc, commit, err
}

// ones is the hash of nothing that is there.
var ones = strings.Repeat("1", 40)

// withSum ends a pack as it should end.
func withSum(pack []byte) []byte {
	sum := sha1.Sum(pack)
	return append(pack, sum[:]...)
}

// realPack returns the pack of a small repository, and its head.
func realPack(t *testing.T) (pack []byte, head string, s *stage) {
	t.Helper()
	s = newStage(t)
	head = s.publish(t, fleetFiles(3))
	cmd := exec.Command("git", "pack-objects", "--all", "--stdout", "-q")
	cmd.Dir = s.ada.Path
	pack, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return pack, head, s
}

// TestCVE202349568 (go-git): no answer of a server uses up the memory, or keeps the
// hub busy for ever.
func TestCVE202349568(t *testing.T) {
	header := func(count uint32) []byte { return binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), count) }
	// A blob that says it has 2^62 bytes, and one that is a difference of as many.
	huge := func(kind byte) []byte { return []byte{0x80 | kind<<4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f} }
	refs := []string{ones + " refs/heads/main"}
	for name, s := range map[string]script{
		"refs without end": {raw: func(w io.Writer) {
			ref := []byte(fmt.Sprintf("%04x%s refs/heads/%s\n", 4+40+1+11+900+1, ones, strings.Repeat("x", 900)))
			for range 200 << 10 { // that is three times of what may come
				if _, err := w.Write(ref); err != nil {
					return // the client has heard enough
				}
			}
			t.Error("the list was read to its end")
		}},
		"line too short":       {raw: func(w io.Writer) { _, _ = io.WriteString(w, "0003") }},
		"line of no number":    {raw: func(w io.Writer) { _, _ = io.WriteString(w, "zzzz") }},
		"line cut":             {raw: func(w io.Writer) { _, _ = io.WriteString(w, "ffff"+ones) }},
		"no hash":              {refs: []string{"x refs/heads/main"}},
		"no name":              {refs: []string{ones}},
		"no pack":              {refs: refs},
		"half a header":        {refs: refs, pack: []byte("PACK\x00\x00")},
		"other version":        {refs: refs, pack: withSum([]byte("PACK\x00\x00\x00\xff\x00\x00\x00\x01"))},
		"too many objects":     {refs: refs, pack: withSum(header(0xffffffff))},
		"no object":            {refs: refs, pack: withSum(header(0))},
		"huge blob":            {refs: refs, pack: withSum(append(append(header(1), huge(3)...), zlibOf("x")...))},
		"huge difference":      {refs: refs, pack: withSum(append(append(append(header(1), huge(7)...), make([]byte, 20)...), zlibOf("x")...))},
		"difference to itself": {refs: refs, pack: withSum(append(append(header(1), 0x61, 0x00), zlibOf("x")...))},
		"difference to before": {refs: refs, pack: withSum(append(append(header(1), 0x61, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), zlibOf("x")...))},
		"unknown kind":         {refs: refs, pack: withSum(append(append(header(1), 0x51), zlibOf("x")...))},
		"pack of something":    {refs: refs, pack: withSum(append(append(header(1), 0x31), zlibOf("x")...))},
	} {
		t.Run(name, func(t *testing.T) {
			dir, took, _, err := play(t, s, repo.Verify{})
			expectError(t, err, "")
			if took > 1<<30 {
				t.Errorf("%d MiB were used", took>>20)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*", "objects", "pack", "*")); len(left) > 0 {
				t.Errorf("%q is left", left)
			}
		})
	}
}

// packOf is a pack of objects, and what they are called.
func packOf(objects ...packed) []byte {
	pack := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), uint32(len(objects)))
	for _, o := range objects {
		size := o.says
		if size == 0 {
			size = len(o.content)
		}
		header := []byte{o.kind<<4 | byte(size&15)}
		for size >>= 4; size > 0; size >>= 7 {
			header[len(header)-1] |= 0x80
			header = append(header, byte(size&127))
		}
		pack = append(append(append(pack, header...), o.base...), zlibOf(string(o.content))...)
	}
	return withSum(pack)
}

// packed is an object in a pack.
type packed struct {
	kind    byte // as a pack has it: 1 commit, 2 tree, 3 blob, 7 difference to the object called base
	base    []byte
	content []byte
	says    int // of its size; 0: the truth
}

func (o packed) hash() []byte {
	sum := sha1.Sum(append(fmt.Appendf(nil, "%s %d\x00", []string{1: "commit", 2: "tree", 3: "blob"}[o.kind], len(o.content)), o.content...))
	return sum[:]
}

// TestCVE202521614 (go-git): a pack that unpacks to far more than it is costs no more
// than what may be in a pack.
func TestCVE202521614(t *testing.T) {
	commitOf := func(tree packed) packed {
		return packed{kind: 1, content: fmt.Appendf(nil, "tree %x\nauthor Eve <e@e> 1 +0000\ncommitter Eve <e@e> 1 +0000\n\nbomb\n", tree.hash())}
	}
	base := packed{kind: 3, content: make([]byte, 1<<20)}
	// A difference that repeats its base until there are 8 GiB of it.
	repeat := append(binary.AppendUvarint(nil, 1<<20), binary.AppendUvarint(nil, 8<<30)...)
	for range 8 << 10 {
		repeat = append(repeat, 0x80|0x40, 0x10) // copy 1 MiB from the beginning
	}
	entry := append([]byte("100644 x\x00"), bytes.Repeat([]byte{1}, 20)...)
	folder := packed{kind: 2, content: bytes.Repeat(entry, (65<<20)/len(entry))}
	message := packed{kind: 1, content: append(commitOf(folder).content, bytes.Repeat([]byte("x"), 2<<20)...)}
	for name, c := range map[string]struct {
		head packed
		pack []byte
		want string
	}{
		"blob":           {base, packOf(base, packed{kind: 3, content: []byte("x"), says: 129 << 20}), "more than 128 MiB"},
		"blob that lies": {base, packOf(packed{kind: 3, content: make([]byte, 8<<20), says: 10}), "cannot be unpacked"},
		"difference":     {base, packOf(base, packed{kind: 7, base: base.hash(), content: repeat}), "more than 128 MiB"},
		"folder":         {commitOf(folder), packOf(folder, commitOf(folder)), "does not belong into a fleet repository"},
		"message":        {message, packOf(folder, message), "does not belong into a fleet repository"},
	} {
		t.Run(name, func(t *testing.T) {
			_, took, _, err := play(t, script{refs: []string{fmt.Sprintf("%x refs/heads/main", c.head.hash())}, pack: c.pack}, repo.Verify{})
			expectError(t, err, c.want)
			if took > 1<<30 {
				t.Errorf("%d MiB were used", took>>20)
			}
		})
	}
}

// TestCVE202625934 (go-git): a pack whose bytes are not those that it was made of is
// not taken in.
func TestCVE202625934(t *testing.T) {
	pack, head, _ := realPack(t)
	refs := []string{head + " refs/heads/main"}
	if _, _, commit, err := play(t, script{refs: refs, pack: pack}, repo.Verify{}); err != nil || commit.Hash != head {
		t.Fatalf("the pack is not taken as it is: %v", err)
	}
	for name, at := range map[string]int{"sum": len(pack) - 1, "begin of the sum": len(pack) - 20, "content": len(pack) / 2, "count": 11} {
		t.Run(name, func(t *testing.T) {
			broken := bytes.Clone(pack)
			broken[at] ^= 1
			dir, _, _, err := play(t, script{refs: refs, pack: broken}, repo.Verify{})
			if err == nil {
				t.Error("it is taken")
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*", "objects", "pack", "*")); len(left) > 0 {
				t.Errorf("%q is left", left)
			}
		})
	}
	t.Run("cut", func(t *testing.T) {
		if _, _, _, err := play(t, script{refs: refs, pack: pack[:len(pack)-20]}, repo.Verify{}); err == nil {
			t.Error("it is taken")
		}
	})
}

// TestCVE202634165 (go-git): an index of a pack that says it has four thousand million
// objects is damage, and costs nothing. Only this machine can have made it.
func TestCVE202634165(t *testing.T) {
	s := newStage(t)
	s.publish(t, fleetFiles(3))
	fetch(t, s.open(t))
	rewrite(t, store(t, s.dir), "objects/pack/*.idx", func([]byte) []byte {
		return append([]byte("\xfftOc\x00\x00\x00\x02"), bytes.Repeat([]byte{0xff}, 256*4)...)
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	commit := fetch(t, s.open(t))
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 256<<20 {
		t.Errorf("%d MiB were used", took>>20)
	}
	compare(t, s, commit.Tree)
}

// TestCVE202633762 (go-git): the index of a checkout is not read, so that one which is
// broken is in nobody's way.
func TestCVE202633762(t *testing.T) {
	s := newStage(t)
	hash := s.publish(t, map[string]string{"file": "1"})
	index := append([]byte("DIRC\x00\x00\x00\x04\x00\x00\x00\x01"), bytes.Repeat([]byte{0xff}, 200)...)
	if err := os.WriteFile(filepath.Join(s.ada.Path, ".git", "index"), index, 0o600); err != nil {
		t.Fatal(err)
	}
	if commit, _, err := repo.Checkout(s.ada.Path, "HEAD"); err != nil || commit.Hash != hash {
		t.Errorf("commit %s, %v", commit.Hash, err)
	}
}

// inStore is every file that a store may have.
var inStore = regexp.MustCompile(`^store-\d{6}/(config|HEAD|shallow|navarch-tags|refs/heads/main|objects/pack/pack-[0-9a-f]{40}\.(pack|idx|rev))$`)

// onlyStore fails when there is any file beside those of a store, above it too.
func onlyStore(t *testing.T, dir string) {
	t.Helper()
	top := filepath.Dir(filepath.Dir(dir))
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if name, err := filepath.Rel(dir, path); err != nil || !inStore.MatchString(filepath.ToSlash(name)) || !entry.Type().IsRegular() {
			t.Errorf("%s is there", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestCVE202671557 (go-git): a name that a server gives to a branch or tag becomes the
// name of no file.
func TestCVE202671557(t *testing.T) {
	pack, head, _ := realPack(t)
	refs := []string{head + " refs/heads/main"}
	for _, name := range []string{"../../../../evil", "../config", "main/../../../config", "/etc/evil", "..", ".", "a\\..\\evil", "x.lock", "navarch-tags", "a//b"} {
		refs = append(refs, head+" refs/heads/"+name, ones+" refs/tags/"+name, head+" refs/tags/"+name+"^{}", head+" "+name)
	}
	for mode, verify := range map[string]repo.Verify{
		"nothing": {}, "tags": {Mode: repo.VerifyTags, Keys: keysOf(t, sshSigner(t, "ada"))},
	} {
		t.Run(mode, func(t *testing.T) {
			dir, _, commit, err := play(t, script{refs: refs, pack: pack}, verify)
			if err == nil && mode == "tags" && commit.Held == nil {
				t.Error("it was believed")
			}
			if err == nil && mode == "nothing" && commit.Hash != head {
				t.Errorf("commit %s", commit.Hash)
			}
			onlyStore(t, dir)
		})
	}
}

// TestCVE202349569 (go-git): a file of a commit becomes none of this machine, whatever
// it is called.
func TestCVE202349569(t *testing.T) {
	becomesNoFile(t, func(_ *stage, blob string) map[string][]string {
		return map[string][]string{
			"dots":     {"100644 blob " + blob + "\t..\x00"},
			"path":     {"100644 blob " + blob + "\t../../evil\x00"},
			"absolute": {"100644 blob " + blob + "\t/tmp/evil\x00"},
		}
	})
}

// TestCVE202645571 (go-git): nothing in a commit overwrites what Git goes by.
func TestCVE202645571(t *testing.T) {
	becomesNoFile(t, func(s *stage, blob string) map[string][]string {
		modules := s.hash(t, "blob", "[submodule \"../../x\"]\n\tpath = ../../x\n\turl = ext::sh -c touch% /tmp/evil\n")
		return map[string][]string{
			"git":       {"100644 blob " + blob + "\t.git\x00"},
			"git, else": {"100644 blob " + blob + "\t.Git\x00"},
			"bare":      {"040000 tree " + mktree(t, s, "100755 blob "+blob+"\tpre-receive\x00") + "\thooks\x00", "100644 blob " + blob + "\tconfig\x00", "100644 blob " + blob + "\tHEAD\x00"},
			"modules":   {"100644 blob " + modules + "\t.gitmodules\x00", "160000 commit " + ones + "\tx\x00"},
		}
	})
}

// TestCVE202671556 (go-git): no link in a commit is followed.
func TestCVE202671556(t *testing.T) {
	outside := fileOf(t, "outside", "secret of the machine")
	becomesNoFile(t, func(s *stage, _ string) map[string][]string {
		return map[string][]string{
			"file":   {"120000 blob " + s.hash(t, "blob", outside) + "\tlink\x00", "120000 blob " + s.hash(t, "blob", "../../../config") + "\tup\x00"},
			"folder": {"120000 blob " + s.hash(t, "blob", filepath.Dir(outside)) + "\tlink\x00"},
		}
	})
}

// becomesNoFile pushes trees and expects that nothing is written but a store, and
// nothing is read but what is in the commit.
func becomesNoFile(t *testing.T, trees func(s *stage, blob string) map[string][]string) {
	t.Helper()
	s := newStage(t)
	s.publish(t, map[string]string{"file": "1"})
	for name, lines := range trees(s, s.git(t, "rev-parse", "HEAD:file")) {
		commit := s.git(t, "commit-tree", mktree(t, s, lines...), "-m", name)
		s.git(t, "push", "--quiet", "--force", "origin", commit+":refs/heads/main")
		dir := filepath.Join(t.TempDir(), "hub", "data")
		got, _, err := open(t, repo.Config{URL: s.url, Dir: dir}).Fetch(t.Context())
		onlyStore(t, dir)
		if err != nil {
			continue // it is refused as a whole
		}
		for _, path := range []string{"link", "up", "link/outside", "../../evil", "/tmp/evil", "../config"} {
			if content, err := got.Tree.ReadFile(path); err == nil {
				t.Errorf("%s: %q is read as %q", name, path, content)
			}
		}
	}
}

func zlibOf(text string) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close() // it is memory
	return b.Bytes()
}
