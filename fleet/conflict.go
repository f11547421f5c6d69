package fleet

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Conflicts finds objects that two apps would both own in one cluster. Each pair
// of apps and object is one problem, at the app whose name comes last, whatever
// the number of clusters.
func Conflicts(desired Published, contents Contents, def Definition) Problems {
	shared := sharedObjects(desired, contents)
	if len(shared) == 0 {
		return nil
	}
	found := map[conflict][]ClusterName{}
	for _, cluster := range slices.Sorted(maps.Keys(desired)) {
		owners := map[ObjectID]AppName{}
		for _, app := range desired[cluster].Apps {
			for _, id := range contents[app.Content()] {
				if !shared[id] {
					continue
				}
				if owner, taken := owners[id]; taken {
					c := conflict{owner, app.Name, id}
					found[c] = append(found[c], cluster)
					continue
				}
				owners[id] = app.Name
			}
		}
	}
	var problems Problems
	for c, clusters := range found {
		problems = append(problems, c.problem(def, clusters))
	}
	return problems.Sorted()
}

// conflict is two apps that both have an object.
type conflict struct {
	first, second AppName
	object        ObjectID
}

func (c conflict) problem(def Definition, clusters []ClusterName) Problem {
	first, second := positionOf(def, c.first), positionOf(def, c.second)
	where := fmt.Sprintf("cluster %q", clusters[0])
	if len(clusters) > 1 {
		where += fmt.Sprintf(" and %d more", len(clusters)-1)
	}
	return Problem{
		File: second.File, Line: second.Line, Field: "metadata.name",
		Message: fmt.Sprintf("apps %q (%s:%d) and %q both have %s in %s", c.first, first.File, first.Line, c.second, c.object, where),
		Hint:    "an object belongs to one app: remove it from the other, or give one of them another namespace or name",
	}
}

// sharedObjects returns the objects that more than one app has anywhere, which are
// few: only these have to be looked for in every cluster.
func sharedObjects(desired Published, contents Contents) map[ObjectID]bool {
	type deployed struct {
		app AppName
		Content
	}
	seen := map[deployed]bool{}
	owners := map[ObjectID]AppName{}
	shared := map[ObjectID]bool{}
	for _, d := range desired {
		for _, app := range d.Apps {
			one := deployed{app.Name, app.Content()}
			if seen[one] {
				continue
			}
			seen[one] = true
			for _, id := range contents[one.Content] {
				if owner, taken := owners[id]; taken && owner != app.Name {
					shared[id] = true
				}
				owners[id] = app.Name
			}
		}
	}
	return shared
}

func positionOf(def Definition, name AppName) Position {
	at, found := slices.BinarySearchFunc(def.Apps, name, func(a App, name AppName) int { return cmp.Compare(a.Name, name) })
	if !found {
		return Position{}
	}
	return def.Apps[at].Position
}
