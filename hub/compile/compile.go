package compile

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/overlays"
)

// hashed is a tree that tells whether a file or folder is the same as in another
// commit without reading it. Of any other tree nothing is known to be the same.
type hashed interface {
	Hash(path string) (id string, found bool)
}

// Compiler compiles one tree after the other and remembers what stayed the same, so
// that a commit costs only the apps whose definition or files it changed. It is for
// one goroutine.
type Compiler struct {
	files map[string]fleet.Parsed // path and id -> what it says
	apps  map[fleet.AppName]*app  // of the last tree that was rendered without a problem
}

// Reading is a tree that was loaded, with what its apps are made of.
type Reading struct {
	Definition fleet.Definition
	// Workloads are what may be divided, by app.
	Workloads map[fleet.AppName][]fleet.Workload

	tree      fs.FS
	apps      map[fleet.AppName]*app
	followers []fleet.App // that apps take with them
}

// Result is what every cluster of a reading should run.
type Result struct {
	Definition fleet.Definition
	Outcomes   []fleet.Outcome // in the order of the apps
	Desired    fleet.Published
	Contents   fleet.Contents                  // objects of everything desired
	Files      map[fleet.Digest]overlays.Files // by overlay and base
	Overlays   int                             // how many distinct ones there are
}

// Read is step 2: it loads the definition of a tree and gathers what its apps are
// made of. All problems are returned at once, and what is said in vain. Unless one of them is more than a
// warning, the reading is whole; otherwise it holds what could be read.
func (c *Compiler) Read(tree fs.FS) (*Reading, fleet.Problems) {
	r := &Reading{tree: tree, Workloads: map[fleet.AppName][]fleet.Workload{}, apps: map[fleet.AppName]*app{}}
	var problems fleet.Problems
	if r.Definition, problems = c.load(tree); problems.Err() != nil {
		return r, problems
	}
	problems = append(problems, fleet.Lint(r.Definition)...)
	needs := map[fleet.AppName][]fleet.ObjectID{}
	for _, def := range r.Definition.Apps {
		a, err := c.gather(tree, def)
		if err != nil {
			problems = append(problems, asProblems(err, def)...)
			continue
		}
		problems = append(problems, a.source.Warnings...)
		r.apps[def.Name], r.Workloads[def.Name], needs[def.Name] = a, a.workloads, a.needs
	}
	r.followers = fleet.Followers(r.Definition, needs)
	for _, def := range r.followers {
		a, err := c.gather(tree, def)
		if err != nil {
			problems = append(problems, asProblems(err, def)...)
			continue
		}
		r.apps[def.Name] = a
	}
	return r, problems.Sorted()
}

// Explain says why an app is where it is in some state. Its error says why there is
// nothing to explain.
func (r *Reading) Explain(name fleet.AppName, state fleet.State) (fleet.Explanation, error) {
	for _, app := range r.followers {
		if app.Name == name {
			return fleet.Explanation{}, fmt.Errorf("app %q runs wherever %q needs it: explain that one", name, app.Follows)
		}
	}
	explained, found := fleet.Explain(r.Definition, name, r.Workloads, state)
	if !found {
		return explained, fmt.Errorf("there is no app %q in the commit", name)
	}
	return explained, nil
}

// load is [fleet.Load], which reads again only the files that changed.
func (c *Compiler) load(tree fs.FS) (fleet.Definition, fleet.Problems) {
	found, problems := fleet.Find(tree)
	next := make(map[string]fleet.Parsed, len(found))
	parsed := make([]fleet.Parsed, 0, len(found))
	for _, path := range found {
		id, known := hash(tree, path)
		key := path + "\x00" + id
		file, ok := c.files[key]
		if !ok || !known {
			content, err := fs.ReadFile(tree, path)
			if err != nil {
				problems = append(problems, fleet.Problem{File: path, Message: fmt.Sprintf("cannot be read: %v", err)})
				continue
			}
			file = fleet.Parse(path, content)
		}
		next[key] = file
		parsed = append(parsed, file)
	}
	c.files = next
	def, more := fleet.Assemble(parsed, tree)
	problems = slices.Concat(problems, more).Sorted()
	if problems.Err() != nil {
		return fleet.Definition{}, problems
	}
	return def, problems
}

// Compile is steps 2 to 5 for a tree and what is known beside it. All problems are
// returned at once; the result lacks what has one.
func (c *Compiler) Compile(tree fs.FS, state fleet.State) (*Result, fleet.Problems) {
	reading, problems := c.Read(tree)
	result, more := c.Render(reading, fleet.Decide(reading.Definition, reading.Workloads, state))
	return result, slices.Concat(problems, more).Sorted()
}

// Render is steps 4 and 5 for a reading and what was decided about it: one overlay
// for each app and distinct outcome, built. It continues after a problem, and what
// it then returns lacks what could not be rendered.
func (c *Compiler) Render(r *Reading, outcomes []fleet.Outcome) (*Result, fleet.Problems) {
	def, outcomes := fleet.Follow(r.Definition, outcomes, r.followers)
	f := &Result{
		Definition: def, Outcomes: outcomes,
		Desired:  make(fleet.Published, len(r.Definition.Clusters)),
		Contents: fleet.Contents{},
		Files:    map[fleet.Digest]overlays.Files{},
	}
	var problems fleet.Problems
	next := make(map[fleet.AppName]*app, len(r.apps))
	for i, app := range def.Apps {
		a := r.apps[app.Name]
		if a == nil {
			continue // Read has said why
		}
		groups := fleet.Variants(app, def.Clusters, outcomes[i])
		rendered, err := a.render(r.tree, app, groups)
		if err != nil {
			problems = append(problems, asProblems(err, app)...)
			continue
		}
		next[app.Name] = rendered
		f.add(app, rendered, groups, outcomes[i])
	}
	for cluster, d := range f.Desired {
		f.Desired[cluster] = withDependencies(d)
	}
	problems = slices.Concat(problems, fleet.Conflicts(f.Desired, f.Contents, def), fleet.Violations(def, outcomes)).Sorted()
	if problems.Err() == nil {
		c.apps, r.apps = next, next
	}
	return f, problems
}

// Next is what the decision after this one has to know of it. Followers are decided
// as what they follow.
func (f *Result) Next() map[fleet.AppName]fleet.Previous {
	next := make(map[fleet.AppName]fleet.Previous, len(f.Outcomes))
	for i := range f.Outcomes {
		if len(f.Definition.Apps[i].Follows) == 0 {
			next[f.Outcomes[i].App] = f.Outcomes[i].Next
		}
	}
	return next
}

// add puts an app into the clusters where it is placed.
func (f *Result) add(def fleet.App, a *app, groups []fleet.Variant, outcome fleet.Outcome) {
	f.Overlays += len(groups)
	for _, group := range groups {
		v := a.variants[group.Key]
		f.Files[v.overlay.Digest], f.Files[a.source.Digest] = v.overlay.Files, a.source.Files
		item := fleet.DesiredApp{
			Name: def.Name, Namespace: def.Namespace, DependsOn: def.DependsOn,
			Overlay: v.overlay.Digest, Base: a.source.Digest, Terms: def.Rollout.Terms(),
		}
		f.Contents[item.Content()] = v.objects
		for _, cluster := range group.Clusters {
			item.Decided = outcome.Next.In(cluster)
			d := f.Desired[cluster]
			d.Apps = append(d.Apps, item)
			f.Desired[cluster] = d
		}
	}
}

// withDependencies keeps of each app's dependencies those of the same cluster.
func withDependencies(d fleet.Desired) fleet.Desired {
	here := make(map[fleet.AppName]bool, len(d.Apps))
	for _, app := range d.Apps {
		here[app.Name] = true
	}
	for i, app := range d.Apps {
		var kept []fleet.AppName
		for _, name := range app.DependsOn {
			if here[name] {
				kept = append(kept, name)
			}
		}
		d.Apps[i].DependsOn = kept
	}
	return d
}

// asProblems gives err as problems that name at least the app's file.
func asProblems(err error, app fleet.App) fleet.Problems {
	switch e := err.(type) { //nolint:errorlint // a wrapped problem is told with its wrapping
	case fleet.Problem:
		return fleet.Problems{e}
	case fleet.Problems:
		return e
	}
	return fleet.Problems{{
		File:    app.Position.File,
		Line:    app.Position.Line,
		Message: strings.TrimSpace(err.Error()),
		Hint:    "run `navarch check` in a checkout to see the same",
	}}
}
