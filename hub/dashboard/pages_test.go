package dashboard

import (
	"flag"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the golden pages")

func sortedStories() []string { return slices.Sorted(maps.Keys(stories)) }

// pagesOf returns addresses of every kind of page of a story.
func pagesOf(t *testing.T, name string) []string {
	t.Helper()
	switch name {
	case "empty":
		return []string{"/"}
	case "fresh":
		return []string{"/", "/apps/shop"}
	case "large":
		return []string{"/?size=3", "/?health=failed&sort=worst&size=2", "/?q=store-0001&page=2&size=4&app=shop", "/apps/shop?size=2"}
	case "strange":
		return []string{"/", "/clusters/edge-1", "/clusters/lab-7", "/clusters/eu-1", "/apps/legacy"}
	case "silent":
		return []string{"/", "/clusters/ap-1", "/clusters/edge-1", "/apps/shop"}
	}
	return []string{"/", "/clusters/us-1", "/apps/shop?q=eu"}
}

func get(t *testing.T, handler http.Handler, address string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, address, nil))
	return w
}

// TestPages compares every kind of page of every story with testdata. What is
// the same on all pages is compared once.
func TestPages(t *testing.T) {
	for _, name := range sortedStories() {
		t.Run(name, func(t *testing.T) {
			handler := newStory(stories[name]())
			archive := new(txtar.Archive)
			for _, address := range pagesOf(t, name) {
				w := get(t, handler, address)
				if w.Code != http.StatusOK {
					t.Fatalf("%s: %d\n%s", address, w.Code, w.Body)
				}
				archive.Files = append(archive.Files, txtar.File{Name: address, Data: []byte(mainOf(t, w.Body.String()))})
			}
			golden := filepath.Join("testdata", name+".txtar")
			got := txtar.Format(archive)
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("pages differ; look at them, then rewrite them with -update (-want +got):\n%s", diff)
			}
		})
	}
}

var emptyLines = regexp.MustCompile(`\n\s*\n+`)

// mainOf returns the content of a page without its frame.
func mainOf(t *testing.T, page string) string {
	t.Helper()
	_, page, begins := strings.Cut(page, "<main")
	content, _, ends := strings.Cut(page, "</main>")
	if !begins || !ends {
		t.Fatalf("the page has no main part:\n%s", page)
	}
	return emptyLines.ReplaceAllString("<main"+content+"</main>\n", "\n")
}

// TestHostileWords looks at the whole pages: nothing that somebody wrote may become
// markup, a script or an address that does something.
func TestHostileWords(t *testing.T) {
	handler := newStory(hostileStory())
	for _, address := range []string{"/", "/clusters/eu-1", "/apps/shop", "/%22%3E%3Cscript%3Ealert(1)", "/?q=%22%3E%3Cscript%3Ealert(1)", "/?sort=%3Cscript%3E"} {
		page := get(t, handler, address).Body.String()
		for _, bad := range []string{"<script>", "<img", "javascript:alert(1)//\"", `href="javascript`} {
			if strings.Contains(page, bad) {
				t.Errorf("%s contains %s", address, bad)
			}
		}
	}
}

// TestPagesAreWellFormed finds what a browser would forgive: ids used twice, and
// inline styles and handlers, which the content security policy would drop.
func TestPagesAreWellFormed(t *testing.T) {
	ids := regexp.MustCompile(` id="([^"]*)"`)
	inline := regexp.MustCompile(`<[^>]* (style|on[a-z]+)=`)
	for _, name := range sortedStories() {
		if name == "hostile" {
			continue // its words look like all of that
		}
		handler := newStory(stories[name]())
		for _, address := range pagesOf(t, name) {
			page := get(t, handler, address).Body.String()
			seen := map[string]bool{}
			for _, match := range ids.FindAllStringSubmatch(page, -1) {
				if seen[match[1]] {
					t.Errorf("%s %s: id %q is used twice", name, address, match[1])
				}
				seen[match[1]] = true
			}
			if found := inline.FindString(page); found != "" {
				t.Errorf("%s %s: inline %s", name, address, found)
			}
			if strings.Contains(page, "ZgotmplZ") {
				t.Errorf("%s %s: a value stands where templates cannot escape it", name, address)
			}
		}
	}
}

// BenchmarkOverview is one look at 10,000 clusters.
func BenchmarkOverview(b *testing.B) {
	handler := newStory(largeStory())
	for b.Loop() {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
}
