// Command vulndb writes the Go vulnerability database in the form that govulncheck reads
// from a folder, from the reports of the module golang.org/x/vulndb: for machines that
// reach a module proxy and not vuln.go.dev.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: vulndb REPORTS FOLDER (reports are data/osv of golang.org/x/vulndb)")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// report is what of an OSV report goes into the indexes.
type report struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"`
	Aliases  []string  `json:"aliases,omitempty"`
	Affected []struct {
		Package struct {
			Name string `json:"name"`
		} `json:"package"`
		Ranges []struct {
			Events []struct {
				Fixed string `json:"fixed"`
			} `json:"events"`
		} `json:"ranges"`
	} `json:"affected"`
}

type vuln struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"`
	Fixed    string    `json:"fixed,omitempty"`
	Aliases  []string  `json:"aliases,omitempty"`
}

type module struct {
	Path  string `json:"path"`
	Vulns []vuln `json:"vulns"`
}

func run(reports, folder string) error {
	names, err := filepath.Glob(filepath.Join(reports, "GO-*.json"))
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return fmt.Errorf("%q holds no reports", reports)
	}
	modules := map[string]*module{}
	var vulns []vuln
	var newest time.Time
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var r report
		if err := json.Unmarshal(content, &r); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if r.Modified.After(newest) {
			newest = r.Modified
		}
		vulns = append(vulns, vuln{ID: r.ID, Modified: r.Modified, Aliases: r.Aliases})
		for _, a := range r.Affected {
			m := modules[a.Package.Name]
			if m == nil {
				m = &module{Path: a.Package.Name}
				modules[a.Package.Name] = m
			}
			fixed := ""
			for _, span := range a.Ranges {
				for _, e := range span.Events {
					if e.Fixed != "" {
						fixed = e.Fixed
					}
				}
			}
			m.Vulns = append(m.Vulns, vuln{ID: r.ID, Modified: r.Modified, Fixed: fixed})
		}
		if err := write(filepath.Join(folder, "ID", r.ID+".json"), json.RawMessage(content)); err != nil {
			return err
		}
	}
	var sorted []*module
	for _, m := range modules {
		sorted = append(sorted, m)
	}
	slices.SortFunc(sorted, func(a, b *module) int { return strings.Compare(a.Path, b.Path) })
	index := filepath.Join(folder, "index")
	return errors.Join(
		write(filepath.Join(index, "db.json"), map[string]time.Time{"modified": newest}),
		write(filepath.Join(index, "modules.json"), sorted),
		write(filepath.Join(index, "vulns.json"), vulns),
	)
}

func write(file string, value any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o600)
}
