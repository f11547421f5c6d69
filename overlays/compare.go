package overlays

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/fleet"
)

// What happens to an object.
const (
	ObjectAdded    = "added"
	ObjectRemoved  = "removed"
	ObjectChanged  = "changed"
	ObjectReplaced = "replaced"
	// ObjectKept leaves its app and stays in the cluster; [Compare] does not say so.
	ObjectKept = "kept"
)

// ObjectChange is what happens to one object. It holds no value of a Secret.
type ObjectChange struct {
	Object fleet.ObjectID `json:"object"`
	Action string         `json:"action"` // one of the Object constants
	// Was is the object that is removed where this one is added, for ObjectReplaced: a
	// generated object has a hash of its content in its name.
	Was *fleet.ObjectID `json:"was,omitempty"`
	// Fields are what differs, by path, for ObjectChanged and ObjectReplaced.
	Fields []FieldChange `json:"fields,omitempty"`
}

// FieldChange is one difference between two forms of an object.
type FieldChange struct {
	// Path leads to the field, as in spec.template.spec.containers[web].image: items
	// of a list are named by their name, or else by their number from 0.
	Path   string `json:"path"`
	Before any    `json:"before,omitempty"` // nil where the field is added
	After  any    `json:"after,omitempty"`  // nil where it is removed
}

// Hidden stands for a value that is not shown. Two of them in one [FieldChange] are
// two different values.
const Hidden = "(hidden)"

// Compare returns what becomes of objects, by identity. The values of Secrets, wherever
// an annotation repeats them, and what SOPS has encrypted, are compared and hidden. The
// arguments are not written to.
func Compare(before, after []*unstructured.Unstructured) []ObjectChange {
	old, now := byID(before), byID(after)
	var changes []ObjectChange
	for id, object := range now {
		was, known := old[id]
		if !known {
			changes = append(changes, ObjectChange{Object: id, Action: ObjectAdded})
			continue
		}
		if fields := compareObjects(was, object); len(fields) > 0 {
			changes = append(changes, ObjectChange{Object: id, Action: ObjectChanged, Fields: fields})
		}
	}
	for id := range old {
		if now[id] == nil {
			changes = append(changes, ObjectChange{Object: id, Action: ObjectRemoved})
		}
	}
	changes = replaced(changes, old, now)
	slices.SortFunc(changes, func(a, b ObjectChange) int { return compareIDs(a.Object, b.Object) })
	return changes
}

func byID(objects []*unstructured.Unstructured) map[fleet.ObjectID]*unstructured.Unstructured {
	ids := make(map[fleet.ObjectID]*unstructured.Unstructured, len(objects))
	for _, object := range objects {
		ids[objectID(object)] = object
	}
	return ids
}

// replaced pairs generated objects that are removed with those that are added under
// the same name but for the hash, where there is one of each.
func replaced(changes []ObjectChange, old, now map[fleet.ObjectID]*unstructured.Unstructured) []ObjectChange {
	removed, added := map[fleet.ObjectID][]fleet.ObjectID{}, map[fleet.ObjectID][]fleet.ObjectID{} // by the name without the hash
	for _, change := range changes {
		objects, into := now, added
		if change.Action == ObjectRemoved {
			objects, into = old, removed
		}
		if object := objects[change.Object]; change.Action != ObjectChanged && unhashedName(object) != "" {
			plain := change.Object
			plain.Name = unhashedName(object)
			into[plain] = append(into[plain], change.Object)
		}
	}
	was, gone := map[fleet.ObjectID]fleet.ObjectID{}, map[fleet.ObjectID]bool{}
	for plain, objects := range added {
		if len(objects) == 1 && len(removed[plain]) == 1 {
			was[objects[0]], gone[removed[plain][0]] = removed[plain][0], true
		}
	}
	changes = slices.DeleteFunc(changes, func(c ObjectChange) bool { return c.Action == ObjectRemoved && gone[c.Object] })
	for i, change := range changes {
		if id, found := was[change.Object]; found {
			fields := compareObjects(old[id], now[change.Object])
			fields = slices.DeleteFunc(fields, func(f FieldChange) bool { return f.Path == "metadata.name" })
			changes[i] = ObjectChange{Object: change.Object, Action: ObjectReplaced, Was: &id, Fields: fields}
		}
	}
	return changes
}

// compareObjects returns what differs between two forms of an object.
func compareObjects(before, after *unstructured.Unstructured) []FieldChange {
	return compareValues("", veiled(before), veiled(after), nil)
}

// shown returns a value with what is hidden taken out of the veils.
func shown(v any) any {
	switch v := v.(type) {
	case veil:
		return Hidden
	case map[string]any:
		open := make(map[string]any, len(v))
		for key, value := range v {
			open[key] = shown(value)
		}
		return open
	}
	return v
}

// compareValues appends the differences between two values at a path.
func compareValues(path string, before, after any, changes []FieldChange) []FieldChange {
	switch was := before.(type) {
	case map[string]any:
		if now, ok := after.(map[string]any); ok {
			for _, key := range slices.Sorted(maps.Keys(both(was, now))) {
				changes = compareValues(keyPath(path, key), was[key], now[key], changes)
			}
			return changes
		}
	case []any:
		if now, ok := after.([]any); ok {
			return compareLists(path, was, now, changes)
		}
	}
	if sameValue(before, after) {
		return changes
	}
	return append(changes, FieldChange{Path: path, Before: shown(before), After: shown(after)})
}

// compareLists compares items by name where all of them have one, by number where
// all are mappings, and lists of anything else as a whole.
func compareLists(path string, was, now []any, changes []FieldChange) []FieldChange {
	oldNames, oldItems, named := itemsByName(was)
	newNames, newItems, alsoNamed := itemsByName(now)
	if !named || !alsoNamed {
		return compareByNumber(path, was, now, changes)
	}
	kept := func(in map[string]any) func(string) bool {
		return func(name string) bool { return in[name] == nil }
	}
	if before, after := slices.DeleteFunc(slices.Clone(oldNames), kept(newItems)), slices.DeleteFunc(slices.Clone(newNames), kept(oldItems)); !slices.Equal(before, after) {
		changes = append(changes, FieldChange{Path: path + " (order)", Before: before, After: after})
	}
	for _, name := range slices.Sorted(maps.Keys(both(oldItems, newItems))) {
		changes = compareValues(fmt.Sprintf("%s[%s]", path, name), oldItems[name], newItems[name], changes)
	}
	return changes
}

func compareByNumber(path string, was, now []any, changes []FieldChange) []FieldChange {
	mappings := func(v any) bool { _, ok := v.(map[string]any); return ok }
	if !slices.ContainsFunc(was, mappings) || !slices.ContainsFunc(now, mappings) {
		if sameValue(was, now) {
			return changes
		}
		return append(changes, FieldChange{Path: path, Before: was, After: now})
	}
	for i := range max(len(was), len(now)) {
		var before, after any
		if i < len(was) {
			before = was[i]
		}
		if i < len(now) {
			after = now[i]
		}
		changes = compareValues(fmt.Sprintf("%s[%d]", path, i), before, after, changes)
	}
	return changes
}

// itemsByName returns the items of a list by their name, and the names in order. It
// reports false unless every item has a name of its own.
func itemsByName(list []any) (names []string, items map[string]any, ok bool) {
	items = map[string]any{}
	for _, item := range list {
		mapping, _ := item.(map[string]any)
		name, _ := mapping["name"].(string)
		if name == "" || items[name] != nil {
			return nil, nil, false
		}
		items[name] = item
		names = append(names, name)
	}
	return names, items, len(list) > 0
}

// sameValue compares decoded values; a number is its value, however written.
func sameValue(a, b any) bool {
	_, same := difference("", a, b)
	_, alike := difference("", b, a)
	return same || alike
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func keyPath(path, key string) string {
	switch {
	case !plainKey.MatchString(key):
		return fmt.Sprintf("%s[%q]", path, key)
	case path == "":
		return key
	}
	return path + "." + key
}
