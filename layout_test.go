package navarch_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

const module = "github.com/navarch/navarch"

// mayImport is the table of the house: which of our own packages each package may
// import. A package that is not listed may import nothing of ours, and a new
// package has no place until somebody gives it a line here.
var mayImport = map[string][]string{
	"fleet":                {},
	"overlays":             {"fleet"},
	"wire":                 {"fleet"},
	"wire/natsconn":        {"fleet", "wire"},
	"manifests":            {},
	"cmd/internal/profile": {},
	"hub":                  {"fleet", "manifests", "overlays", "wire", "wire/natsconn", "hub/access", "hub/artifacts", "hub/broker", "hub/compile", "hub/dashboard", "hub/enrol", "hub/gate", "hub/repo", "hub/view"},
	"hub/access":           {},
	"hub/artifacts":        {"fleet", "wire", "wire/natsconn"},
	"hub/broker":           {"fleet", "wire"},
	"hub/compile":          {"fleet", "overlays"},
	"hub/dashboard":        {"fleet", "wire", "hub/access", "hub/view"},
	"hub/enrol":            {"fleet", "wire"},
	"hub/gate":             {"fleet", "hub/access"},
	"hub/natsconf":         {"fleet", "wire"},
	"hub/repo":             {"fleet"},
	"hub/view":             {"fleet", "wire", "hub/access"},
	"agent":                {"fleet", "overlays", "wire", "wire/natsconn", "agent/apply", "agent/enrol", "agent/fetch", "agent/observe", "agent/sops"},
	"agent/enrol":          {"fleet", "wire", "wire/natsconn"},
	"agent/apply":          {"fleet", "overlays", "wire"},
	"agent/fetch":          {"fleet", "overlays", "wire", "wire/natsconn"},
	"agent/observe":        {"fleet", "wire"},
	"agent/sops":           {},
	"cmd/hub":              {"hub", "hub/enrol", "cmd/internal/profile"},
	"cmd/agent":            {"agent", "fleet", "cmd/internal/profile"},
	"cmd/images":           {},
	"cmd/navarch":          {"fleet", "overlays", "manifests", "wire", "hub/access", "hub/compile", "hub/enrol", "hub/gate", "hub/natsconf", "hub/repo"},
	"e2e/env":              nil, // stands outside: it may import everything
	"e2e/stories":          nil,
	"e2e/bench":            nil,
	"e2e/demo":             nil,
	"e2e/chaos":            nil,
	"e2e/hostile":          nil,
	"e2e/scale":            nil,
	"e2e/vulndb":           {},
	"e2e/env/gitserver":    {},
	"e2e/env/connectproxy": {},
	"e2e/env/freeport":     {},
	"e2e/env/natsserver":   {"e2e/env/freeport", "hub/natsconf"},
	"e2e/env/provider":     {},
}

// onlyImporter names the packages that alone may import a library, so that its
// ways of thinking stay in one place.
var onlyImporter = map[string][]string{
	"github.com/go-git/go-git/v5":        {"hub/repo"},
	"sigs.k8s.io/kustomize/":             {"overlays"},
	"github.com/nats-io/nats.go":         {"wire/natsconn"},
	"github.com/nats-io/nats-server/v2/": {"hub/broker"},
	"k8s.io/client-go/":                  {"agent", "agent/apply", "agent/enrol", "agent/fetch", "agent/observe", "agent/sops", "cmd/agent"},
	"sigs.k8s.io/controller-runtime":     {"agent", "agent/apply", "agent/enrol", "agent/fetch", "agent/observe", "cmd/agent"},
	"github.com/fluxcd/":                 {"agent", "agent/apply", "agent/observe"},
	"filippo.io/age":                     {"agent/sops"},
	"github.com/coreos/go-oidc/v3":       {"hub/gate"},
	"golang.org/x/oauth2":                {"hub/gate"},
}

// impure lists what the pure packages never import.
var impure = []string{"context", "log", "log/slog", "math/rand", "math/rand/v2", "net", "net/http", "os", "os/exec", "sync/atomic"}

func TestHouse(t *testing.T) {
	for _, pkg := range load(t, false) {
		dir := strings.TrimPrefix(strings.TrimPrefix(pkg.PkgPath, module), "/")
		allowed, listed := mayImport[dir]
		if !listed {
			t.Errorf("package %q has no line in mayImport: say what it may import", dir)
			continue
		}
		outside := strings.HasPrefix(dir, "e2e/")
		for imported := range pkg.Imports {
			if ours, ok := strings.CutPrefix(imported, module+"/"); ok && allowed != nil && !slices.Contains(allowed, ours) {
				t.Errorf("package %q imports %q, which the house does not allow", dir, ours)
			}
			for library, importers := range onlyImporter {
				if strings.HasPrefix(imported+"/", strings.TrimSuffix(library, "/")+"/") && !outside && !slices.Contains(importers, dir) {
					t.Errorf("package %q imports %q: only %v may", dir, imported, importers)
				}
			}
			if (dir == "fleet" || dir == "overlays" || dir == "wire") && slices.Contains(impure, imported) {
				t.Errorf("package %q is pure and imports %q", dir, imported)
			}
		}
	}
}

// TestHubIsLight keeps the API machinery of Kubernetes' clients out of the hub:
// it has no business with any API server.
func TestHubIsLight(t *testing.T) {
	forbidden := []string{"k8s.io/client-go", "sigs.k8s.io/controller-runtime"}
	packages.Visit(load(t, true, "./cmd/hub"), nil, func(pkg *packages.Package) {
		for _, path := range forbidden {
			if pkg.PkgPath == path || strings.HasPrefix(pkg.PkgPath, path+"/") {
				t.Errorf("navarch-hub links %s", pkg.PkgPath)
			}
		}
	})
}

func TestEveryPackageHasOneComment(t *testing.T) {
	comments := map[string][]string{}
	files := token.NewFileSet()
	walkGo(t, func(file string) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		parsed, err := parser.ParseFile(files, file, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(file)
		comments[dir] = append(comments[dir], "")
		if parsed.Doc != nil {
			comments[dir][len(comments[dir])-1] = file
		}
	})
	for dir, docs := range comments {
		docs = slices.DeleteFunc(docs, func(file string) bool { return file == "" })
		if len(docs) != 1 {
			t.Errorf("package in %q has %d package comments %v: want one", dir, len(docs), docs)
		}
	}
}

// TestNames keeps drawers for everything and other words that say nothing out of
// the names of files and folders.
func TestNames(t *testing.T) {
	banned := regexp.MustCompile(`(?i)(^|[/_-])(utils?|helpers?|common|misc|manager|impl|info)([/_.-]|$)`)
	walkGo(t, func(file string) {
		if banned.MatchString(file) {
			t.Errorf("%s: this name says nothing: name it after what is inside", file)
		}
		if depth := strings.Count(path.Clean(filepath.ToSlash(file)), "/"); depth > 3 {
			t.Errorf("%s: %d folders deep: two levels under the top are enough", file, depth)
		}
	})
}

func load(t *testing.T, deps bool, patterns ...string) []*packages.Package {
	t.Helper()
	mode := packages.NeedName | packages.NeedImports
	if deps {
		mode |= packages.NeedDeps
	}
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	pkgs, err := packages.Load(&packages.Config{Mode: mode}, patterns...)
	if err != nil {
		t.Fatal(fmt.Errorf("load packages: %w", err))
	}
	return slices.DeleteFunc(pkgs, func(pkg *packages.Package) bool { return pkg.PkgPath == module })
}

// walkGo calls visit with every Go file of the repository, relative to its root.
func walkGo(t *testing.T, visit func(file string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "testdata" || entry.Name() == "bin") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(name, ".go") {
			visit(name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
