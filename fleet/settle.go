package fleet

import (
	"maps"
	"slices"
)

// Settle returns what is desired after what stays as it is published: apps that are
// suspended, and the old copies that a decision keeps. Evictions are noted where they
// outlive the hub: on what is kept, and on tombstones.
func Settle(def Definition, outcomes []Outcome, desired, published Published, revision string) Published {
	kept := map[ClusterName]map[AppName]bool{}
	keep := func(cluster ClusterName, app AppName) {
		if kept[cluster] == nil {
			kept[cluster] = map[AppName]bool{}
		}
		kept[cluster][app] = true
	}
	evicts := false
	for _, o := range outcomes {
		for _, cluster := range o.Kept {
			keep(cluster, o.App)
		}
		evicts = evicts || len(o.Evicted) > 0
	}
	for i := range def.Apps {
		for _, cluster := range def.Apps[i].Rollout.suspended(def.Clusters) {
			keep(cluster, def.Apps[i].Name)
		}
	}
	settled := Keep(desired, published, kept)
	if !evicts {
		return settled
	}
	settled = maps.Clone(settled)
	for _, o := range outcomes {
		for cluster, eviction := range o.Evicted {
			settled[cluster] = settled[cluster].evicted(o.App, eviction, revision)
		}
	}
	return settled
}

// suspended returns the clusters that are not told anything new about the app.
func (r Rollout) suspended(clusters []Cluster) []ClusterName {
	switch {
	case r.Suspension == nil:
		return nil
	case r.Suspension.DispatchingOnClusters != nil:
		return r.Suspension.DispatchingOnClusters.ClusterNames
	case !r.Suspension.Dispatching:
		return nil
	}
	names := make([]ClusterName, len(clusters))
	for i := range clusters {
		names[i] = clusters[i].Name
	}
	return names
}

// evicted returns d with a note that an app was taken away.
func (d Desired) evicted(app AppName, e Eviction, revision string) Desired {
	if at := slices.IndexFunc(d.Apps, func(a DesiredApp) bool { return a.Name == app }); at >= 0 {
		d.Apps = slices.Clone(d.Apps)
		d.Apps[at].Decided.Evicted = &e
		return d
	}
	stones := map[AppName]Tombstone{app: {App: app, Revision: revision, Evicted: &e}}
	for _, t := range d.Tombstones {
		stones[t.App] = t
	}
	d.Tombstones = sortedStones(stones)
	return d
}
