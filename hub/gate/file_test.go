package gate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// TestAccessFile reads good and bad access files. Each has every mistake said, with
// its line, its field and what to do.
func TestAccessFile(t *testing.T) {
	const golden = "testdata/files.txtar"
	archive, err := txtar.ParseFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	got := &txtar.Archive{Comment: archive.Comment}
	for i := 0; i+1 < len(archive.Files); i += 2 {
		file := archive.Files[i]
		said := "good\n"
		if _, problems := parse("access.yaml", file.Data); problems.Err() != nil {
			var lines []string
			for _, p := range problems.Sorted() {
				lines = append(lines, p.Error())
			}
			said = strings.Join(lines, "\n") + "\n"
		}
		got.Files = append(got.Files, file, txtar.File{Name: archive.Files[i+1].Name, Data: []byte(said)})
	}
	if *update {
		if err := os.WriteFile(golden, txtar.Format(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(txtar.Format(archive)), string(txtar.Format(got))); diff != "" {
		t.Errorf("look at what differs, then rewrite it with -update (-want +got):\n%s", diff)
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	head := "url: https://hub.example.com\noidc:\n  issuer: https://login.example.com\n  clientID: navarch\n  clientSecretFile: "
	s, err := ReadFile(write("good.yaml", head+write("secret", "hush\n")))
	if err != nil || string(s.OIDC.secret.content) != "hush\n" || s.URL.Host != "hub.example.com" || s.OIDC.Name != "login.example.com" {
		t.Errorf("%+v %v", s, err)
	}
	for name, file := range map[string]string{
		"absent": filepath.Join(dir, "none"), "no secret": write("a.yaml", head+filepath.Join(dir, "none")),
		"empty secret": write("b.yaml", head+write("empty", " \n")), "long": write("c.yaml", string(make([]byte, maxFile+1))),
	} {
		if _, err := ReadFile(file); err == nil {
			t.Errorf("%s: read", name)
		}
	}
	if s, err := ReadFile(write("nothing.yaml", "# nobody but who has a token\n")); err != nil || s.OIDC != nil || s.Session != DefaultSession {
		t.Errorf("an empty file: %+v %v", s, err)
	}
}

func FuzzAccessFile(f *testing.F) {
	archive, err := txtar.ParseFile("testdata/files.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		f.Add(file.Data)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		s, problems := parse("access.yaml", content)
		if problems.Err() != nil {
			return
		}
		for _, g := range s.Grants {
			if (g.User == "") == (g.Group == "") || g.Role.String() == "none" {
				t.Errorf("a grant to nobody in particular, or of nothing: %+v", g)
			}
		}
	})
}
