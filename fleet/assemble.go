package fleet

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// Assemble makes a definition of everything that the files of a repository say,
// in whatever order they come. It looks only at the paths in repo that
// the apps name. All problems are returned at once, sorted; when one of them is
// more than a warning there is no definition.
func Assemble(parsed []Parsed, repo fs.FS) (Definition, Problems) {
	a := assembly{
		repo: repo, clusters: map[ClusterName]parsedCluster{}, apps: map[AppName]parsedApp{}, hints: map[ClusterName]string{},
		policies: map[string]*propagationPolicy{}, overrides: map[string]*overridePolicy{}, taints: map[string]Position{},
	}
	sorted := slices.Clone(parsed)
	slices.SortFunc(sorted, func(x, y Parsed) int { return strings.Compare(x.file, y.file) })
	for _, p := range sorted {
		a.add(p)
	}
	a.claim(sorted)
	slices.SortFunc(a.def.TaintPolicies, func(x, y TaintPolicy) int { return cmp.Compare(x.Name, y.Name) })
	slices.SortFunc(a.def.Clusters, func(x, y Cluster) int { return cmp.Compare(x.Name, y.Name) })
	slices.SortFunc(a.def.Apps, func(x, y App) int { return cmp.Compare(x.Name, y.Name) })
	for _, app := range a.def.Apps {
		p := a.apps[app.Name]
		a.checkApp(p)
		a.checkDependsOn(p)
		a.checkPaths(p)
	}
	a.checkCycles()
	problems := a.problems.Sorted()
	if problems.Err() != nil {
		return Definition{}, problems
	}
	a.def.Settings.DeletionBudget = a.def.Settings.DeletionBudget.withDefaults()
	a.def.Settings.Failover = a.def.Settings.Failover.withDefaults()
	return a.def, problems
}

// assembly is a definition that is being put together.
type assembly struct {
	repo     fs.FS
	def      Definition
	settings *document
	clusters map[ClusterName]parsedCluster
	apps     map[AppName]parsedApp
	hints    map[ClusterName]string // at what was meant by a name that no cluster has
	problems Problems

	policies  map[string]*propagationPolicy // by what they are called
	overrides map[string]*overridePolicy
	taints    map[string]Position
}

// add takes in what one file says. Of two things with one name the first stays.
func (a *assembly) add(p Parsed) {
	a.problems = append(a.problems, p.problems...)
	for _, s := range p.settings {
		if a.settings != nil {
			a.twice(s.document, "kind", "a Fleet", a.settings.at("kind"))
			continue
		}
		a.settings, a.def.Settings = s.document, s.Settings
	}
	for _, c := range p.clusters {
		if first, twice := a.clusters[c.Name]; twice {
			a.twice(c.document, "metadata.name", fmt.Sprintf("cluster %q", c.Name), first.Position)
		} else if c.Name != "" {
			a.clusters[c.Name] = c
			a.def.Clusters = append(a.def.Clusters, c.Cluster)
		}
	}
	for _, app := range p.apps {
		if first, twice := a.apps[app.Name]; twice {
			a.twice(app.document, "metadata.name", fmt.Sprintf("app %q", app.Name), first.Position)
		} else if app.Name != "" {
			a.apps[app.Name] = app
			a.def.Apps = append(a.def.Apps, app.App)
		}
	}
	a.addPolicies(p)
}

func (a *assembly) twice(d *document, field, what string, first Position) {
	p := d.problem(field, fmt.Sprintf("%s is defined twice, first in %s:%d", what, first.File, first.Line), "remove or rename one of them")
	a.problems = append(a.problems, p)
}

func (a *assembly) checkDependsOn(p parsedApp) {
	for i, name := range p.dependsOn {
		if _, ok := a.apps[name]; ok || checkName("app", string(name)) != nil {
			continue // is there, or has been refused
		}
		a.refuse(p, index("spec.dependsOn", i), didYouMean(name, slices.Sorted(maps.Keys(a.apps))), "no app has the name %q", name)
	}
}

// checkCycles refuses apps that wait for each other, each cycle once.
func (a *assembly) checkCycles() {
	const open, done = 1, 2
	state := make(map[AppName]int, len(a.apps))
	var trail []AppName
	var visit func(name AppName)
	visit = func(name AppName) {
		switch state[name] {
		case done:
			return
		case open:
			a.cycle(trail[slices.Index(trail, name):])
			return
		}
		state[name] = open
		trail = append(trail, name)
		for _, next := range a.apps[name].DependsOn {
			visit(next)
		}
		trail = trail[:len(trail)-1]
		state[name] = done
	}
	for _, app := range a.def.Apps {
		visit(app.Name)
	}
}

// cycle refuses a cycle at the app in it whose name comes first.
func (a *assembly) cycle(names []AppName) {
	first := slices.Index(names, slices.Min(names))
	path := slices.Concat(names[first:], names[:first], names[first:first+1])
	words := make([]string, len(path))
	for i, name := range path {
		words[i] = string(name)
	}
	a.refuse(a.apps[path[0]], "spec.dependsOn", "remove one of these dependencies",
		"apps wait for each other: %s", strings.Join(words, " -> "))
}
