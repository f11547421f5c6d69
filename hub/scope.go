package hub

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/access"
	"github.com/navarch/navarch/hub/compile"
)

// mayRelease returns why somebody may not agree to what is held now. It runs between
// two steps of the deployer, so that what is looked at is what is released.
func mayRelease(ctx context.Context, d *deployer, rights access.Rights) error {
	if rights.Whole(access.Operator) {
		return nil
	}
	err := fmt.Errorf("what is held also changes what is %w: somebody with the role operator for all of it has to agree", access.ErrScope)
	if d.live == nil { // nobody knows which labels there were before this commit
		return err
	}
	t := touched{rights, []*fleet.Definition{&d.live.Definition, &d.wanted.Definition}}
	plan, _ := d.plan(ctx, d.wanted)
	for _, change := range plan.Changes {
		for _, app := range slices.Concat(change.Added, change.Changed, change.Removed) {
			if !t.mine(app, change.Cluster) {
				return err
			}
		}
	}
	for cluster, apps := range d.orphans(d.wanted.Desired) {
		for app := range apps {
			if !t.mine(app, cluster) {
				return err
			}
		}
	}
	return nil
}

// touched decides about apps and clusters by the labels that they have before a commit
// and after it: who can push a label shall not come by a right with it. What neither
// definition names has no labels, and is in the scope of those who have everything.
type touched struct {
	rights      access.Rights
	definitions []*fleet.Definition
}

func (t touched) mine(app fleet.AppName, cluster fleet.ClusterName) bool {
	var apps, clusters []map[string]string
	for _, d := range t.definitions {
		if labels, ok := labelsOfApp(*d, app); ok {
			apps = append(apps, labels)
		}
		if labels, ok := labelsOfCluster(*d, cluster); ok {
			clusters = append(clusters, labels)
		}
	}
	if len(apps) == 0 || len(clusters) == 0 {
		return false
	}
	for _, a := range apps {
		for _, c := range clusters {
			if !t.rights.Cell(access.Operator, a, c) {
				return false
			}
		}
	}
	return true
}

func labelsOfApp(d fleet.Definition, name fleet.AppName) (map[string]string, bool) {
	i, found := slices.BinarySearchFunc(d.Apps, name, func(a fleet.App, name fleet.AppName) int { return cmp.Compare(a.Name, name) })
	if !found {
		return nil, false
	}
	return d.Apps[i].Labels, true
}

func labelsOfCluster(d fleet.Definition, name fleet.ClusterName) (map[string]string, bool) {
	i, found := slices.BinarySearchFunc(d.Clusters, name, func(c fleet.Cluster, name fleet.ClusterName) int { return cmp.Compare(c.Name, name) })
	if !found {
		return nil, false
	}
	return d.Clusters[i].Labels, true
}

// narrowExplanation returns what somebody sees of why an app is where it is. The app
// has to be one that is seen.
func narrowExplanation(e fleet.Explanation, reading *compile.Reading, rights access.Rights) fleet.Explanation {
	if rights.Whole(access.Viewer) {
		return e
	}
	labels, _ := labelsOfApp(reading.Definition, e.App)
	e.Verdicts = slices.DeleteFunc(slices.Clone(e.Verdicts), func(v fleet.Verdict) bool {
		cluster, _ := labelsOfCluster(reading.Definition, v.Cluster)
		return !rights.Cell(access.Viewer, labels, cluster)
	})
	return e
}

// narrowState returns what somebody sees of what is observed and was decided.
func narrowState(s fleet.State, reading *compile.Reading, rights access.Rights) fleet.State {
	if rights.Whole(access.Viewer) {
		return s
	}
	seen := fleet.State{Now: s.Now, Observed: map[fleet.ClusterName]fleet.Observed{}, Previous: map[fleet.AppName]fleet.Previous{}}
	sees := func(app fleet.AppName, cluster fleet.ClusterName) bool {
		appLabels, _ := labelsOfApp(reading.Definition, app)
		clusterLabels, _ := labelsOfCluster(reading.Definition, cluster)
		return rights.Cell(access.Viewer, appLabels, clusterLabels)
	}
	for name, o := range s.Observed {
		labels, _ := labelsOfCluster(reading.Definition, name)
		if !rights.Cluster(access.Viewer, labels) {
			continue
		}
		o.Apps = maps.Clone(o.Apps)
		maps.DeleteFunc(o.Apps, func(app fleet.AppName, _ fleet.AppHealth) bool { return !sees(app, name) })
		seen.Observed[name] = o
	}
	for app, p := range s.Previous {
		if labels, _ := labelsOfApp(reading.Definition, app); rights.App(access.Viewer, labels) {
			seen.Previous[app] = narrowPrevious(p, func(cluster fleet.ClusterName) bool { return sees(app, cluster) })
		}
	}
	return seen
}

// narrowPrevious returns a decision without the clusters that somebody does not see.
func narrowPrevious(p fleet.Previous, sees func(fleet.ClusterName) bool) fleet.Previous {
	seen := p
	seen.Clusters, seen.Divisions = nil, slices.Clone(p.Divisions)
	for i := range seen.Divisions {
		seen.Divisions[i].Counts, seen.Divisions[i].Completions = nil, nil
	}
	for i, cluster := range p.Clusters {
		if !sees(cluster) {
			continue
		}
		seen.Clusters = append(seen.Clusters, cluster)
		for j, division := range p.Divisions {
			to := &seen.Divisions[j]
			if i < len(division.Counts) {
				to.Counts = append(to.Counts, division.Counts[i])
			}
			if i < len(division.Completions) {
				to.Completions = append(to.Completions, division.Completions[i])
			}
		}
	}
	seen.Evicted, seen.Tolerating = maps.Clone(p.Evicted), maps.Clone(p.Tolerating)
	maps.DeleteFunc(seen.Evicted, func(cluster fleet.ClusterName, _ fleet.Eviction) bool { return !sees(cluster) })
	maps.DeleteFunc(seen.Tolerating, func(cluster fleet.ClusterName, _ time.Time) bool { return !sees(cluster) })
	return seen
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
