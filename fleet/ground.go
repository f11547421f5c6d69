package fleet

import (
	"path"
	"slices"
	"strings"
)

// ground tells which files of a repository policies may claim manifests from: those
// that nothing else takes. Taken are what the apps' sources name, what
// kustomizations take in that do more than to list, Helm charts, and whatever has a
// name that begins with a dot.
type ground struct {
	files          map[string]string // taken -> by what, for people
	folders        map[string]string // taken with all that is below
	kustomizations map[string][]kustomization
}

func groundOf(parsed []Parsed, apps []App) ground {
	g := ground{files: map[string]string{}, folders: map[string]string{}, kustomizations: map[string][]kustomization{}}
	for _, p := range parsed {
		for _, k := range p.kustomizations {
			g.kustomizations[k.dir] = append(g.kustomizations[k.dir], k)
		}
		if path.Base(p.file) == "Chart.yaml" {
			g.folders[path.Dir(p.file)] = "a Helm chart"
		}
	}
	for _, app := range apps {
		by := "app " + string(app.Name)
		g.take(app.Source.Path, by)
		for _, rule := range app.Overrides {
			for _, patch := range rule.Kustomize.Patches {
				g.take(patch.Path, by)
			}
			for _, component := range rule.Kustomize.Components {
				g.take(component, by)
			}
		}
	}
	for _, p := range parsed {
		for _, k := range p.kustomizations {
			if by, taken := g.takenBy(p.file); taken {
				g.follow(k, by)
			} else if !k.lists {
				g.follow(k, p.file)
			}
		}
	}
	return g
}

// take takes a path, and what kustomizations there take in.
func (g *ground) take(name, by string) {
	if name == "" || name == ".." || strings.HasPrefix(name, "../") {
		return
	}
	if found := g.kustomizations[name]; len(found) > 0 {
		if _, done := g.files[name+"/"]; done {
			return
		}
		g.files[name+"/"] = by
		for _, k := range found {
			g.follow(k, by)
		}
		if !strings.HasPrefix(by, "app ") {
			return // only what the kustomization names
		}
	}
	if isYAML(name) {
		g.files[name] = by
		return
	}
	g.folders[name] = by
}

func (g *ground) follow(k kustomization, by string) {
	for _, name := range k.paths {
		if !strings.Contains(name, "://") {
			g.take(path.Join(k.dir, name), by)
		}
	}
}

// takenBy tells what has taken a file.
func (g *ground) takenBy(file string) (by string, taken bool) {
	if by, taken = g.files[file]; taken {
		return by, true
	}
	if slices.ContainsFunc(strings.Split(file, "/"), func(part string) bool { return strings.HasPrefix(part, ".") }) {
		return "a name that begins with a dot", true
	}
	for dir := path.Dir(file); ; dir = path.Dir(dir) {
		if by, taken = g.folders[dir]; taken {
			return by, true
		}
		if dir == "." {
			return "", false
		}
	}
}
