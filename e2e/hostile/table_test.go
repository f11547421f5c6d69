package hostile

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestThreatModelNamesTests: every test that docs/threat-model.md names is there. Words
// may follow its number, in the name of a function as in that of a part of a test.
func TestThreatModelNamesTests(t *testing.T) {
	page, err := os.ReadFile("../../docs/threat-model.md")
	check(t, err)
	sources := testSources(t)
	named := regexp.MustCompile("`(Test[A-Za-z0-9]+)(?:/([A-Za-z0-9-]+))?`").FindAllStringSubmatch(string(page), -1)
	if len(named) < 90 {
		t.Fatalf("the page names only %d tests", len(named))
	}
	for _, found := range named {
		test, part := found[1], found[2]
		there := false
		for _, source := range sources {
			there = there || regexp.MustCompile(`func `+test+`[^0-9]`).MatchString(source) &&
				(part == "" || strings.Contains(source, `"`+part+` `))
		}
		if !there {
			t.Errorf("the page names %s, which is nowhere", strings.Trim(found[0], "`"))
		}
	}
	for _, row := range strings.Split(string(page), "\n") {
		if name, told, ok := strings.Cut(strings.TrimPrefix(row, "| "), " | "); ok && strings.Contains(name, "CVE-20") || strings.HasPrefix(row, "| GHSA-") {
			applies, test, _ := strings.Cut(told, " | ")
			if applies != "yes" && applies != "no" || applies == "yes" && !strings.Contains(test, "`Test") {
				t.Errorf("the page says of %s neither a test nor why it cannot apply: %q", name, row)
			}
		}
	}
}

// testSources reads every file of tests.
func testSources(t *testing.T) []string {
	t.Helper()
	var sources []string
	check(t, filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "bin" || entry.Name() == "out") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, "_test.go") {
			content, err := os.ReadFile(path)
			sources = append(sources, string(content))
			return err
		}
		return nil
	}))
	return sources
}
