package fleet

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

func TestLint(t *testing.T) {
	const file = "testdata/lint/lint.txtar"
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	def, problems := Load(repository(archive))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var lines strings.Builder
	for _, p := range Lint(def) {
		if !p.Warning {
			t.Errorf("%v stops a commit", p)
		}
		lines.WriteString(p.Error() + "\n")
	}
	got := map[string]string{wantProblems: lines.String()}
	if *update {
		rewrite(t, file, archive, got)
		return
	}
	want := map[string]string{}
	for _, f := range archive.Files {
		if f.Name == wantProblems {
			want[f.Name] = string(f.Data)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lint (-want +got):\n%s", diff)
	}
}
