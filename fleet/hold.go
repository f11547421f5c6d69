package fleet

import (
	"fmt"
	"slices"
	"strings"
)

// holdCluster holds a change that takes more from a cluster than the budget
// allows, or something that always needs a person.
func (d *comparison) holdCluster(before Desired, c Change) {
	hold := func(format string, args ...any) {
		d.plan.Holds = append(d.plan.Holds, Hold{Cluster: c.Cluster, Message: fmt.Sprintf(format, args...)})
	}
	if unknown := d.unknown(before, c); len(unknown) > 0 {
		hold("what the cluster runs of %s is not known any more, so what this deletes cannot be counted", list(unknown))
	}
	if precious := slices.DeleteFunc(slices.Clone(c.Deleted), func(id ObjectID) bool { return !id.Precious() }); len(precious) > 0 {
		hold("would delete %s: that always needs a person", list(precious))
	}
	if len(c.Deleted) > 0 {
		if whole := d.count(before); d.budget.Objects.exceededBy(len(c.Deleted), whole) {
			hold("would delete %d of %d objects: the deletion budget is %s", len(c.Deleted), whole, d.budget.Objects)
		}
	}
	if whole := len(before.Apps); d.budget.Apps.exceededBy(len(c.Removed), whole) {
		hold("would remove %d of %d apps: the deletion budget is %s", len(c.Removed), whole, d.budget.Apps)
	}
}

// holdFleet holds what concerns the fleet as a whole.
func (d *comparison) holdFleet(published Published, wanted Wanted) {
	running, losing := 0, len(d.plan.Left)
	for _, desired := range published {
		running += len(desired.Apps)
	}
	for _, c := range d.plan.Changes {
		if len(c.Removed) > 0 {
			losing++
		}
	}
	if len(wanted.Definition.Apps) == 0 && running > 0 {
		d.plan.Holds = append(d.plan.Holds, Hold{Message: "the repository defines no app any more: that always needs a person"})
	}
	if d.budget.Clusters.exceededBy(losing, len(published)) {
		d.plan.Holds = append(d.plan.Holds, Hold{Message: fmt.Sprintf(
			"would take something from %d of %d clusters: the deletion budget is %s", losing, len(published), d.budget.Clusters)})
	}
}

// unknown lists the apps of which a change takes something that is not known.
func (d *comparison) unknown(before Desired, c Change) []AppName {
	var unknown []AppName
	for _, app := range before.Apps {
		if _, known := d.contents[app.Content()]; known {
			continue
		}
		if slices.Contains(c.Removed, app.Name) || slices.Contains(c.Changed, app.Name) {
			unknown = append(unknown, app.Name)
		}
	}
	return unknown
}

// count counts the objects of a cluster.
func (d *comparison) count(desired Desired) int {
	objects := map[ObjectID]bool{}
	for _, app := range desired.Apps {
		for _, id := range d.contents[app.Content()] {
			objects[id] = true
		}
	}
	return len(objects)
}

// list names some things for people, the first few of many.
func list[T any](things []T) string {
	const few = 5
	names := make([]string, 0, few+1)
	for i, thing := range things {
		if i == few {
			names = append(names, fmt.Sprintf("%d more", len(things)-few))
			break
		}
		names = append(names, fmt.Sprint(thing))
	}
	return strings.Join(names, ", ")
}
