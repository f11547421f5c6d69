package hostile

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// others are tests that the page names and that are not here yet: they come with what
// they test. The list only ever becomes shorter.
var others = strings.Fields(`
	TestCVE202431216 TestCVE202640109 TestCVE202647680 TestCVE202224768 TestCVE20221025 TestCVE202229165 TestCVE202322482
	TestCVE202325163 TestCVE202555190 TestCVE202340029 TestCVE202440634 TestCVE202559531 TestCVE202559537 TestCVE202559538
	TestCVE202523216 TestCVE202642880 TestCVE202645737 TestCVE202547933 TestCVE202428175 TestCVE202645738 TestCVE202231035
	TestCVE202523390 TestCVE202452284 TestCVE202644937 TestCVE202456513 TestCVE202562714
`)

// TestThreatModelNamesTests: every test that docs/threat-model.md names is there. Words
// may follow its number.
func TestThreatModelNamesTests(t *testing.T) {
	page, err := os.ReadFile("../../docs/threat-model.md")
	check(t, err)
	var sources strings.Builder
	check(t, filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "bin" || entry.Name() == "out") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, "_test.go") {
			content, err := os.ReadFile(path)
			sources.Write(content)
			return err
		}
		return nil
	}))
	named := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(page), -1)
	if len(named) < 40 {
		t.Fatalf("the page names only %d tests", len(named))
	}
	for _, found := range named {
		there := regexp.MustCompile(`func ` + found[1] + `[^0-9]`).MatchString(sources.String())
		waiting := false
		for _, name := range others {
			waiting = waiting || name == found[1]
		}
		if !there && !waiting {
			t.Errorf("the page names %s, which is nowhere", found[1])
		}
	}
}
