package hub

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/overlays"
)

// tree is a commit's files. Hash tells whether a file or folder is the same as in
// another commit without reading it.
type tree interface {
	fs.FS
	Hash(path string) (id string, found bool)
}

// renderer renders apps and remembers them, so that a commit costs only the apps
// whose definition or files it changed. It belongs to one goroutine.
type renderer struct {
	apps map[fleet.AppName]renderedApp
}

// renderedApp is what one app became. It is reused as long as its definition and
// every file that went into it are the same.
type renderedApp struct {
	definition string            // JSON of the app
	inputs     map[string]string // path in the repository -> git id, "" where there was none
	source     overlays.Source
	variants   map[string]variant // by the rules that apply
}

// variant is an app under one set of override rules, shared by every cluster that
// they apply to.
type variant struct {
	overlay overlays.Overlay
	objects []fleet.ObjectID
}

// render renders every placed app in every variant that some cluster needs. The
// result replaces what the renderer remembers only when there is no problem, so a
// bad commit does not make the next good one slow.
func (r *renderer) render(files tree, def fleet.Definition, groups map[fleet.AppName][]fleet.Variant) error {
	next := make(map[fleet.AppName]renderedApp, len(def.Apps))
	var problems fleet.Problems
	for _, app := range def.Apps {
		rendered, err := r.renderApp(files, app, groups[app.Name])
		if err != nil {
			problems = append(problems, asProblems(err, app)...)
			continue
		}
		next[app.Name] = rendered
	}
	if err := problems.Sorted().Err(); err != nil {
		return err
	}
	r.apps = next
	return nil
}

func (r *renderer) renderApp(files tree, app fleet.App, groups []fleet.Variant) (renderedApp, error) {
	definition, err := json.Marshal(app)
	if err != nil {
		return renderedApp{}, fmt.Errorf("encode app %q: %w", app.Name, err)
	}
	known, ok := r.apps[app.Name]
	if !ok || known.definition != string(definition) || !sameInputs(files, known.inputs) {
		known = renderedApp{}
	}
	rendered := renderedApp{
		definition: string(definition),
		inputs:     map[string]string{},
		source:     known.source,
		variants:   make(map[string]variant, len(groups)),
	}
	if known.definition == "" {
		if rendered.source, err = overlays.Gather(files, app); err != nil {
			return renderedApp{}, err
		}
	}
	note(files, rendered.inputs, rendered.source.Paths)
	for _, group := range groups {
		v, ok := known.variants[group.Key]
		if !ok {
			overlay, objects, err := overlays.Render(files, app, rendered.source, overlays.Difference{Rules: rulesOf(app, group)})
			if err != nil {
				return renderedApp{}, err
			}
			v = variant{overlay: overlay, objects: overlays.ObjectIDs(objects)}
		}
		rendered.variants[group.Key] = v
		note(files, rendered.inputs, v.overlay.Paths)
	}
	return rendered, nil
}

func rulesOf(app fleet.App, group fleet.Variant) []fleet.Override {
	rules := make([]fleet.Override, len(group.Rules))
	for i, rule := range group.Rules {
		rules[i] = app.Overrides[rule]
	}
	return rules
}

func note(files tree, inputs map[string]string, paths []string) {
	for _, path := range paths {
		inputs[path], _ = files.Hash(folder(path))
	}
}

func sameInputs(files tree, inputs map[string]string) bool {
	for path, id := range inputs {
		if now, _ := files.Hash(folder(path)); now != id {
			return false
		}
	}
	return true
}

// folder takes the slash off that marks a folder in the paths of an overlay.
func folder(path string) string {
	if path == "./" {
		return "."
	}
	return strings.TrimSuffix(path, "/")
}

// desired returns what each cluster should run, and what all of it consists of.
func (r *renderer) desired(def fleet.Definition, groups map[fleet.AppName][]fleet.Variant) (fleet.Published, fleet.Contents, map[fleet.Digest]overlays.Files) {
	desired := make(fleet.Published, len(def.Clusters))
	contents := fleet.Contents{}
	files := map[fleet.Digest]overlays.Files{}
	for _, app := range def.Apps {
		rendered := r.apps[app.Name]
		for _, group := range groups[app.Name] {
			v := rendered.variants[group.Key]
			files[v.overlay.Digest], files[rendered.source.Digest] = v.overlay.Files, rendered.source.Files
			item := fleet.DesiredApp{
				Name: app.Name, Namespace: app.Namespace, DependsOn: app.DependsOn,
				Overlay: v.overlay.Digest, Base: rendered.source.Digest, Terms: app.Rollout.Terms(),
			}
			contents[item.Content()] = v.objects
			for _, cluster := range group.Clusters {
				d := desired[cluster]
				d.Apps = append(d.Apps, item)
				desired[cluster] = d
			}
		}
	}
	for cluster, d := range desired {
		desired[cluster] = withDependencies(d)
	}
	return desired, contents, files
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

// parser reads fleet documents and remembers them by git id.
type parser struct {
	files map[string]fleet.Parsed // path and id -> what it says
}

// load loads the definition of a commit. It is [fleet.Load], which reads again only
// the files that changed.
func (p *parser) load(files tree) (fleet.Definition, fleet.Problems) {
	found, problems := fleet.Find(files)
	next := make(map[string]fleet.Parsed, len(found))
	parsed := make([]fleet.Parsed, 0, len(found))
	for _, path := range found {
		id, _ := files.Hash(path)
		key := path + "\x00" + id
		file, ok := p.files[key]
		if !ok {
			content, err := fs.ReadFile(files, path)
			if err != nil {
				problems = append(problems, fleet.Problem{File: path, Message: fmt.Sprintf("cannot be read: %v", err)})
				continue
			}
			file = fleet.Parse(path, content)
		}
		next[key] = file
		parsed = append(parsed, file)
	}
	p.files = next
	def, more := fleet.Assemble(parsed, files)
	problems = slices.Concat(problems, more).Sorted()
	if problems.Err() != nil {
		return fleet.Definition{}, problems
	}
	return def, problems
}
