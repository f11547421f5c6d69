package compile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/overlays"
)

// Preview is what becomes of the clusters when one state of a fleet follows another.
type Preview struct {
	Apps []AppPreview `json:"apps"` // by name; only those to which something happens
	// Holds say why a person would have to agree first. Empty: it would be announced.
	Holds []fleet.Hold `json:"holds,omitempty"`
	// Left are clusters that are no longer in Git. They keep what they run.
	Left    []fleet.ClusterName `json:"left,omitempty"`
	Objects Tally               `json:"objects"` // in all clusters
}

// Tally counts objects, each once a cluster.
type Tally struct {
	Added   int `json:"added"`
	Changed int `json:"changed"`
	Deleted int `json:"deleted"`
	Kept    int `json:"kept,omitempty"` // left by their apps, not deleted
}

// AppPreview is what happens to one app.
type AppPreview struct {
	App     fleet.AppName `json:"app"`
	Effects []Effect      `json:"effects"` // by action and cluster
	// Moves says from which clusters to which others the app goes; nil where it does not
	// leave some for others.
	Moves    *Move            `json:"moves,omitempty"`
	Replicas []ReplicaPreview `json:"replicas,omitempty"` // by workload; only those that change
}

// Move is an app that leaves clusters and comes to others.
type Move struct {
	From []fleet.ClusterName `json:"from"`
	To   []fleet.ClusterName `json:"to"`
}

// What happens to an app in a cluster.
const (
	AppAdded   = "added"
	AppChanged = "changed"
	AppRemoved = "removed"
)

// Effect is what happens to an app in the clusters where the same happens.
type Effect struct {
	Clusters []fleet.ClusterName     `json:"clusters"` // sorted
	Action   string                  `json:"action"`
	Objects  []overlays.ObjectChange `json:"objects,omitempty"`
	// Preserved objects stay in the clusters that the app leaves.
	Preserved bool `json:"preserved,omitempty"`
}

// ReplicaPreview is how the replicas of a workload change.
type ReplicaPreview struct {
	Workload fleet.ObjectID              `json:"workload"`
	Before   map[fleet.ClusterName]int64 `json:"before"`
	After    map[fleet.ClusterName]int64 `json:"after"`
}

// Compare returns what happens when after follows before, which is taken to run.
func Compare(before, after *Result, revision string) (Preview, error) {
	contents := maps.Clone(before.Contents)
	maps.Copy(contents, after.Contents)
	plan := fleet.Diff(before.Desired, fleet.Wanted{
		Revision: revision, Definition: after.Definition, Desired: after.Desired, Contents: contents,
	})
	c := comparison{before: before, after: after, built: map[fleet.Content][]*unstructured.Unstructured{}, apps: map[fleet.AppName]map[happening]*Effect{}}
	for _, change := range plan.Changes {
		c.add(change)
	}
	p := Preview{Holds: plan.Holds, Left: plan.Left}
	for _, name := range slices.Sorted(maps.Keys(c.apps)) {
		app, err := c.app(name)
		if err != nil {
			return Preview{}, err
		}
		for _, effect := range app.Effects {
			p.Objects.count(effect)
		}
		p.Apps = append(p.Apps, app)
	}
	return p, nil
}

func (t *Tally) count(e Effect) {
	for _, object := range e.Objects {
		switch object.Action {
		case overlays.ObjectAdded:
			t.Added += len(e.Clusters)
		case overlays.ObjectRemoved:
			t.Deleted += len(e.Clusters)
		case overlays.ObjectKept:
			t.Kept += len(e.Clusters)
		case overlays.ObjectReplaced:
			t.Added += len(e.Clusters)
			t.Deleted += len(e.Clusters)
		default:
			t.Changed += len(e.Clusters)
		}
	}
}

// comparison is a preview that is being made.
type comparison struct {
	before, after *Result
	built         map[fleet.Content][]*unstructured.Unstructured
	apps          map[fleet.AppName]map[happening]*Effect
}

// happening is what happens to an app, the same in many clusters.
type happening struct {
	action        string
	before, after fleet.Content
	preserved     bool
	pruneAlso     string // the kinds, with commas between them
}

// add takes in what happens to one cluster.
func (c *comparison) add(change fleet.Change) {
	was, is := byName(c.before.Desired[change.Cluster]), byName(change.Desired)
	for action, names := range map[string][]fleet.AppName{AppAdded: change.Added, AppChanged: change.Changed, AppRemoved: change.Removed} {
		for _, name := range names {
			h := happening{
				action: action, before: was[name].Content(), after: is[name].Content(),
			}
			also := is[name].Terms.PruneAlso
			if action == AppRemoved {
				h.preserved, also = was[name].Terms.Preserve, was[name].Terms.PruneAlso
			}
			h.pruneAlso = strings.Join(also, ",")
			if c.apps[name] == nil {
				c.apps[name] = map[happening]*Effect{}
			}
			if c.apps[name][h] == nil {
				c.apps[name][h] = &Effect{Action: action, Preserved: h.preserved}
			}
			c.apps[name][h].Clusters = append(c.apps[name][h].Clusters, change.Cluster)
		}
	}
}

func byName(d fleet.Desired) map[fleet.AppName]fleet.DesiredApp {
	apps := make(map[fleet.AppName]fleet.DesiredApp, len(d.Apps))
	for _, app := range d.Apps {
		apps[app.Name] = app
	}
	return apps
}

// app makes the preview of one app.
func (c *comparison) app(name fleet.AppName) (AppPreview, error) {
	p := AppPreview{App: name}
	var moves Move
	for h, effect := range c.apps[name] {
		slices.Sort(effect.Clusters)
		was, err := c.build(name, c.before, h.before)
		if err != nil {
			return p, err
		}
		is, err := c.build(name, c.after, h.after)
		if err != nil {
			return p, err
		}
		switch h.action {
		case AppAdded:
			moves.To = append(moves.To, effect.Clusters...)
		case AppRemoved:
			moves.From = append(moves.From, effect.Clusters...)
		}
		if !h.preserved {
			effect.Objects = keep(overlays.Compare(was, is), was, strings.Split(h.pruneAlso, ","))
		}
		p.Effects = append(p.Effects, *effect)
	}
	slices.SortFunc(p.Effects, func(a, b Effect) int {
		return cmp.Or(cmp.Compare(a.Action, b.Action), slices.Compare(a.Clusters, b.Clusters))
	})
	if len(moves.From) > 0 && len(moves.To) > 0 {
		slices.Sort(moves.From)
		slices.Sort(moves.To)
		p.Moves = &moves
	}
	p.Replicas = replicas(c.before.outcome(name), c.after.outcome(name))
	return p, nil
}

// keep says of the objects that are removed from an app which of them stay in the
// cluster. The app says what to prune also.
func keep(changes []overlays.ObjectChange, was []*unstructured.Unstructured, pruneAlso []string) []overlays.ObjectChange {
	stays := map[fleet.ObjectID]bool{}
	for _, object := range was {
		gvk := object.GroupVersionKind()
		id := fleet.ObjectID{Group: gvk.Group, Kind: gvk.Kind, Namespace: object.GetNamespace(), Name: object.GetName()}
		stays[id] = id.Kept(pruneAlso) || fleet.AsksToStay(object.GetLabels(), object.GetAnnotations()) != ""
	}
	for i, change := range changes {
		if change.Action == overlays.ObjectRemoved && stays[change.Object] {
			changes[i].Action = overlays.ObjectKept
		}
	}
	return changes
}

// build returns the objects of a content; none for the zero content.
func (c *comparison) build(app fleet.AppName, from *Result, content fleet.Content) ([]*unstructured.Unstructured, error) {
	if content == (fleet.Content{}) {
		return nil, nil
	}
	objects, known := c.built[content]
	if !known {
		var err error
		if objects, err = overlays.Build(app, from.Files[content.Base], from.Files[content.Overlay]); err != nil {
			return nil, fmt.Errorf("build app %q: %w", app, err)
		}
		c.built[content] = objects
	}
	return objects, nil
}

// outcome returns what was decided for an app; the zero value where nothing was.
func (r *Result) outcome(name fleet.AppName) fleet.Outcome {
	at, found := slices.BinarySearchFunc(r.Outcomes, name, func(o fleet.Outcome, name fleet.AppName) int { return cmp.Compare(o.App, name) })
	if !found {
		return fleet.Outcome{}
	}
	return r.Outcomes[at]
}

// replicas returns the workloads whose replicas change.
func replicas(before, after fleet.Outcome) []ReplicaPreview {
	was, is := countsOf(before), countsOf(after)
	workloads := map[fleet.ObjectID]bool{}
	for id := range was {
		workloads[id] = true
	}
	for id := range is {
		workloads[id] = true
	}
	var changed []ReplicaPreview
	for id := range workloads {
		if !maps.Equal(was[id], is[id]) {
			changed = append(changed, ReplicaPreview{Workload: id, Before: was[id], After: is[id]})
		}
	}
	slices.SortFunc(changed, func(a, b ReplicaPreview) int { return cmp.Compare(a.Workload.String(), b.Workload.String()) })
	return changed
}

func countsOf(o fleet.Outcome) map[fleet.ObjectID]map[fleet.ClusterName]int64 {
	counts := map[fleet.ObjectID]map[fleet.ClusterName]int64{}
	for _, d := range o.Divisions {
		counts[d.Workload] = make(map[fleet.ClusterName]int64, len(o.Placed))
		for i, placed := range o.Placed {
			if d.Counts[i] > 0 {
				counts[d.Workload][placed.Cluster] = d.Counts[i]
			}
		}
	}
	return counts
}
