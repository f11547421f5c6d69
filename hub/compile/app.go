package compile

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"strings"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/overlays"
)

// app is what one app became. It is reused as long as what it is made of, its
// overrides and every file that went into it are the same.
type app struct {
	definition string            // JSON of what goes into rendering
	inputs     map[string]string // path in the repository -> git id, "" where there was none
	source     overlays.Source
	workloads  []fleet.Workload
	needs      []fleet.ObjectID   // what it names of its namespaces, where it takes that with it
	variants   map[string]variant // by what differs: see [fleet.Variant]
}

// variant is an app with one set of differences, shared by every cluster that has
// them.
type variant struct {
	overlay overlays.Overlay
	objects []fleet.ObjectID
}

// gather collects what an app is made of, or returns what is known of it already.
func (c *Compiler) gather(tree fs.FS, def fleet.App) (*app, error) {
	encoded, err := json.Marshal(struct {
		fleet.Source
		Namespace string
		Overrides []fleet.Override
		Needs     bool
	}{def.Source, def.Namespace, def.Overrides, def.Rollout.PropagateDeps})
	if err != nil {
		return nil, fmt.Errorf("encode app %q: %w", def.Name, err)
	}
	if known := c.apps[def.Name]; known != nil && known.definition == string(encoded) && same(tree, known.inputs) {
		return known, nil
	}
	a := &app{definition: string(encoded), inputs: map[string]string{}}
	if a.source, err = overlays.Gather(tree, def); err != nil {
		return nil, err
	}
	if a.workloads, err = overlays.Workloads(def, a.source); err != nil {
		return nil, err
	}
	if def.Rollout.PropagateDeps {
		if a.needs, err = overlays.Needs(def, a.source); err != nil {
			return nil, err
		}
	}
	note(tree, a.inputs, a.source.Paths)
	return a, nil
}

// render returns the app with exactly the given variants. What is known is not
// rendered again.
func (a *app) render(tree fs.FS, def fleet.App, groups []fleet.Variant) (*app, error) {
	next := &app{
		definition: a.definition, inputs: maps.Clone(a.inputs), source: a.source, workloads: a.workloads, needs: a.needs,
		variants: make(map[string]variant, len(groups)),
	}
	for _, group := range groups {
		v, ok := a.variants[group.Key]
		if !ok {
			overlay, objects, err := overlays.Render(tree, def, a.source, difference(def, group))
			if err != nil {
				return nil, err
			}
			v = variant{overlay: overlay, objects: overlays.ObjectIDs(objects)}
		}
		next.variants[group.Key] = v
		note(tree, next.inputs, v.overlay.Paths)
	}
	return next, nil
}

// difference is what sets the clusters of a variant apart.
func difference(def fleet.App, group fleet.Variant) overlays.Difference {
	d := overlays.Difference{Rules: make([]fleet.Override, len(group.Rules))}
	for i, rule := range group.Rules {
		d.Rules[i] = def.Overrides[rule]
	}
	for _, r := range group.Replicas {
		d.Replicas = append(d.Replicas, overlays.Replica{Workload: r.Workload, Count: r.Count, Completions: r.Completions, Absent: r.Count == 0})
	}
	return d
}

func note(tree fs.FS, inputs map[string]string, paths []string) {
	for _, path := range paths {
		inputs[path], _ = hash(tree, folder(path))
	}
}

func same(tree fs.FS, inputs map[string]string) bool {
	if _, tells := tree.(hashed); !tells {
		return false
	}
	for path, id := range inputs {
		if now, _ := hash(tree, folder(path)); now != id {
			return false
		}
	}
	return true
}

func hash(tree fs.FS, path string) (id string, found bool) {
	if t, tells := tree.(hashed); tells {
		return t.Hash(path)
	}
	return "", false
}

// folder takes the slash off that marks a folder in the paths of an overlay.
func folder(path string) string {
	if path == "./" {
		return "."
	}
	return strings.TrimSuffix(path, "/")
}
