package repo

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha1"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/google/go-cmp/cmp"
	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

const (
	oneTree  = "1111111111111111111111111111111111111111"
	evilTree = "2222222222222222222222222222222222222222"
	person   = "Ada Example <ada@example.com> 1700000000 +0000"
)

// plainCommit is a commit without a signature.
const plainCommit = "tree " + oneTree + "\nparent " + evilTree + "\nauthor " + person + "\ncommitter " + person + "\nencoding UTF-8\n\nhello\n\nworld\n"

// pen signs for tests.
type pen struct {
	signer ssh.Signer
	keys   keyring
}

func newPen(t testing.TB) pen {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte("s"), ed25519.SeedSize)) // the same in every process that fuzzes
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pen{signer: signer, keys: keyring{ssh: []sshKey{{key: signer.PublicKey(), name: "ada"}}}}
}

func (p pen) sign(t testing.TB, payload string) string {
	t.Helper()
	sig, err := sshsig.Sign(strings.NewReader(payload), p.signer, sshsig.HashSHA512, gitNamespace)
	if err != nil {
		t.Fatal(err)
	}
	return string(sshsig.Armor(sig))
}

// sealed puts a signature over a commit into its headers.
func (p pen) sealed(t testing.TB, payload string) string {
	t.Helper()
	return strings.Replace(payload, "\n\n", "\n"+header("gpgsig", p.sign(t, payload))+"\n", 1)
}

// header writes a header of several lines.
func header(name, value string) string {
	return name + " " + strings.ReplaceAll(strings.TrimSuffix(value, "\n"), "\n", "\n ") + "\n"
}

// TestCVE202645022 (go-git): what is verified is read from the bytes that are stored,
// and an object that two programs could understand in two ways is refused, whatever
// the signature in it is over.
func TestCVE202645022(t *testing.T) {
	p := newPen(t)
	good := p.sealed(t, plainCommit)
	sig := header("gpgsig", p.sign(t, plainCommit))
	inside := func(old, fresh string) string { return strings.Replace(good, old, fresh, 1) }
	cases := map[string]struct{ content, why string }{
		"good":                      {good, ""},
		"signature before encoding": {strings.Replace(plainCommit, "encoding", sig+"encoding", 1), ""},
		"merge of a tag":            {p.sealed(t, strings.Replace(plainCommit, "encoding", "mergetag object "+oneTree+"\n type commit\n gpgsig x\nencoding", 1)), ""},
		"second tree before":        {"tree " + evilTree + "\n" + good, `"tree" stands`},
		"second tree behind":        {inside("parent", "tree "+evilTree+"\nparent"), `"tree" stands`},
		"second tree at the end":    {inside("\n\n", "\ntree "+evilTree+"\n\n"), `"tree" stands`},
		"parent behind author":      {inside("committer", "parent "+evilTree+"\ncommitter"), `"parent" stands`},
		"second author":             {inside("committer", "author Eve <e@e> 1 +0000\ncommitter"), `"author" stands`},
		"second committer":          {inside("encoding", "committer Eve <e@e> 1 +0000\nencoding"), `"committer" stands`},
		"no committer":              {strings.Replace(good, "committer "+person+"\n", "", 1), "stands where it cannot"},
		"no author":                 {strings.Replace(good, "author "+person+"\n", "", 1), `"committer" stands`},
		"no tree":                   {strings.Replace(good, "tree "+oneTree+"\n", "", 1), `"parent" stands`},
		"two signatures":            {inside("encoding", sig+"encoding"), `"gpgsig" stands`},
		"signature first":           {sig + plainCommit, `"gpgsig" stands`},
		"signature before author":   {strings.Replace(plainCommit, "author", sig+"author", 1), `"gpgsig" stands`},
		"signature for SHA-256":     {inside("encoding", header("gpgsig-sha256", p.sign(t, plainCommit))+"encoding"), `"gpgsig-sha256" stands`},
		"signature in the message":  {plainCommit + p.sign(t, plainCommit), "is not signed"},
		"two in one header":         {strings.Replace(plainCommit, "\n\n", "\n"+header("gpgsig", p.sign(t, plainCommit)+p.sign(t, plainCommit))+"\n", 1), "more than one signature"},
		"text before it":            {strings.Replace(plainCommit, "\n\n", "\n"+header("gpgsig", "hello\n"+p.sign(t, plainCommit))+"\n", 1), "neither one of GPG nor of SSH"},
		"text behind it":            {strings.Replace(plainCommit, "\n\n", "\n"+header("gpgsig", p.sign(t, plainCommit)+"hello")+"\n", 1), "neither one of GPG nor of SSH"},
		"tree goes on":              {inside("\nparent", "\n x\nparent"), `"tree" goes on`},
		"tree in capitals":          {inside(oneTree, strings.ToUpper(strings.Repeat("a", 40))), "is no hash"},
		"tree and return":           {inside(oneTree, oneTree+"\r"), "is no hash"},
		"short tree":                {inside(oneTree, "11"), "is no hash"},
		"zero byte":                 {inside("encoding", "x y\x00tree "+evilTree+"\nencoding"), "zero byte"},
		"no end":                    {strings.ReplaceAll(good, "\n\n", "\n"), "no end"},
		"begins with space":         {" " + good, "begin with a continued line"},
		"nothing":                   {"", "no end"},
		"header without a name":     {inside("encoding", "=\nencoding"), "something else"},
		"message changed":           {inside("world", "World"), "something else"},
		"tree changed":              {inside(oneTree, evilTree), "two trees"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			held := Verify{Mode: VerifyCommits}.judge(p.keys, plumbing.ZeroHash, plumbing.NewHash(oneTree), []byte(c.content), nil, time.Now())
			switch {
			case c.why == "" && held != nil:
				t.Errorf("held: %s", held.Why)
			case c.why != "" && (held == nil || !strings.Contains(held.Why, c.why)):
				t.Errorf("held as %+v, want %q", held, c.why)
			}
		})
	}
}

// TestTags reads what is like a tag.
func TestTags(t *testing.T) {
	p := newPen(t)
	plain := "object " + oneTree + "\ntype commit\ntag v1\ntagger " + person + "\n\nrelease\n"
	good := plain + p.sign(t, plain)
	cases := map[string]struct{ name, content, why string }{
		"good":               {"v1", good, ""},
		"other name":         {"v2", good, `was made as "v1"`},
		"unsigned":           {"v1", plain, "is not signed"},
		"other commit":       {"v1", strings.Replace(good, oneTree, evilTree, 1), "is of another commit"},
		"of a tree":          {"v1", strings.Replace(good, "type commit", "type tree", 1), `tag of a "tree"`},
		"two objects":        {"v1", "object " + evilTree + "\n" + good, `"object" stands`},
		"two tags":           {"v1", strings.Replace(good, "tagger", "tag v2\ntagger", 1), `"tag" stands`},
		"more headers":       {"v1", strings.Replace(good, "\n\n", "\ngpgsig x\n\n", 1), `"gpgsig" stands`},
		"no tagger":          {"v1", strings.Replace(good, "tagger "+person+"\n", "", 1), `"tagger" is missing`},
		"two signatures":     {"v1", good + p.sign(t, good), "has two signatures"},
		"signature and more": {"v1", good + "more\n", "neither one of GPG nor of SSH"},
		"message changed":    {"v1", strings.Replace(good, "release", "Release", 1), "something else"},
		"nothing":            {"v1", "", "no end"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			held := p.keys.judgeTags(plumbing.NewHash(oneTree), []tag{{name: c.name, content: []byte(c.content)}}, time.Now())
			switch {
			case c.why == "" && held != nil:
				t.Errorf("held: %s", held.Why)
			case c.why != "" && (held == nil || !strings.Contains(held.Why, c.why)):
				t.Errorf("held as %+v, want %q", held, c.why)
			}
		})
	}
}

// FuzzSigned changes signed objects anyhow: what is still believed is what was
// signed, byte for byte.
func FuzzSigned(f *testing.F) {
	p := newPen(f)
	good := p.sealed(f, plainCommit)
	f.Add([]byte(good))
	f.Add([]byte("tree " + evilTree + "\n" + good))
	f.Add([]byte(strings.Replace(good, "\n\n", "\ntree "+evilTree+"\n\n", 1)))
	f.Add([]byte("object " + oneTree + "\ntype commit\ntag v1\ntagger " + person + "\n\nrelease\n-----BEGIN SSH SIGNATURE-----\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if s, err := parseTag(content); err == nil && !bytes.Equal(append(s.payload, s.signature...), content) {
			t.Errorf("a tag is not what was stored: %q", content)
		}
		s, err := parseCommit(content)
		if err != nil {
			return
		}
		if p.keys.verify(s, time.Now()) == nil && string(s.payload) != plainCommit {
			t.Errorf("believed: %q", s.payload)
		}
		if _, tree, err := decodeCommit(plumbing.ZeroHash, content); err == nil && tree != s.target {
			t.Errorf("trees %s and %s in %q", tree, s.target, content)
		}
	})
}

func TestKeys(t *testing.T) {
	p := newPen(t)
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p.signer.PublicKey())))
	cases := map[string]struct {
		content string
		keys    int
		why     string
	}{
		"plain":              {line, 1, ""},
		"named":              {line + " ada@example.com\n", 1, ""},
		"allowed":            {"ada@example.com " + line, 1, ""},
		"anybody":            {"* " + line, 1, ""},
		"quoted":             {`"ada,bob" namespaces="git" ` + line, 1, ""},
		"comments":           {"# us\n\n" + line + "\r\n\n# them\nbob " + line + "\n", 2, ""},
		"other namespace":    {`ada namespaces="file" ` + line, 0, "file:1: this key may sign for"},
		"namespace pattern":  {`ada namespaces="*" ` + line, 0, "may sign for"},
		"authority":          {"ada cert-authority " + line, 0, "certificates are not understood"},
		"unknown option":     {"ada verify-required " + line, 0, "is not understood"},
		"no time":            {`ada valid-before="tomorrow" ` + line, 0, "YYYYMMDD"},
		"words":              {"\nhello there\n", 0, "file:2: this line holds no SSH key"},
		"word":               {"hello", 0, "neither a GPG key nor"},
		"private SSH key":    {"-----BEGIN OPENSSH PRIVATE KEY-----\n", 0, "file:1: this is a private key"},
		"private GPG key":    {"-----BEGIN PGP PRIVATE KEY BLOCK-----\n", 0, "private key"},
		"GPG key without":    {pgpBegin + "\n\n" + pgpEnd, 0, "file:1: this block holds no GPG key"},
		"GPG key, cut":       {"\n" + pgpBegin + "\n\nmDMEZ\n", 0, "file:2: the GPG key that begins here has no end"},
		"certificate of SSH": {"ssh-ed25519-cert-v01@openssh.com AAAA", 0, "SSH key"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var k keyring
			err := k.add("file", []byte(c.content))
			if len(k.ssh) != c.keys || (c.why == "") != (err == nil) {
				t.Errorf("%d keys, %v", len(k.ssh), err)
			}
			if err != nil && (!strings.Contains(err.Error(), c.why) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("error %q, want %q", err, c.why)
			}
		})
	}
	if _, err := readKeys(t.TempDir()); err == nil || !strings.Contains(err.Error(), "holds no key") {
		t.Errorf("an empty folder gives %v", err)
	}
}

func TestParseStamp(t *testing.T) {
	cases := map[string]string{
		"20240102Z":       "2024-01-02T00:00:00Z",
		"202401020304Z":   "2024-01-02T03:04:00Z",
		"20240102030405Z": "2024-01-02T03:04:05Z",
		"20240102":        time.Date(2024, 1, 2, 0, 0, 0, 0, time.Local).UTC().Format(time.RFC3339),
		"2024":            "", "": "", "Z": "", "20241302Z": "", "2024-01-02": "",
	}
	got := map[string]string{}
	for text := range cases {
		got[text] = ""
		if stamp, err := parseStamp(text); err == nil {
			got[text] = stamp.UTC().Format(time.RFC3339)
		}
	}
	if diff := cmp.Diff(cases, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzKeys reads files of keys: what comes in is there as a key.
func FuzzKeys(f *testing.F) {
	p := newPen(f)
	line := string(ssh.MarshalAuthorizedKey(p.signer.PublicKey()))
	for _, seed := range []string{line, "ada " + line, `"a b" namespaces="git",valid-before="20300101" ` + line, pgpBegin + "\n\nmDMEZ\n=abcd\n" + pgpEnd + "\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		var k keyring
		if err := k.add("file", content); err != nil && (strings.ContainsAny(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "file:")) {
			t.Errorf("error %q", err)
		}
		for _, key := range k.ssh {
			if key.key == nil {
				t.Error("a key of nothing")
			}
		}
	})
}

// FuzzSignature verifies signatures of any form over something.
func FuzzSignature(f *testing.F) {
	p := newPen(f)
	f.Add(p.sign(f, "hello"))
	f.Add("-----BEGIN PGP SIGNATURE-----\n\niHUEABYKAB0WIQ\n=abcd\n-----END PGP SIGNATURE-----")
	f.Fuzz(func(t *testing.T, signature string) {
		if err := p.keys.verify(signed{payload: []byte("other"), signature: signature}, time.Now()); err == nil {
			t.Errorf("believed %q", signature)
		}
	})
}

// TestForged notices the first published collision of SHA-1, by the blocks that its
// two files begin with: neither is believed, and they have not the same hash here.
func TestForged(t *testing.T) {
	sums := map[string]bool{}
	for _, digits := range []string{shatteredOne, shatteredTwo} {
		content, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		if got := sha1.Sum(content); hex.EncodeToString(got[:]) != "f92d74e3874587aaf443d1db961d4e26dde13e9c" {
			t.Fatalf("this is not the collision: %x", got)
		}
		h := plumbing.NewHasher(plumbing.BlobObject, 0).Hash
		h.Reset()
		_, _ = h.Write(content)
		sums[string(h.Sum(nil))] = true
		if !forged(h) {
			t.Error("a collision is not noticed")
		}
	}
	if len(sums) != 2 {
		t.Error("the two files have the same hash")
	}
	if forged(plumbing.NewHasher(plumbing.BlobObject, 5).Hash) {
		t.Error("nothing is forged")
	}
}
