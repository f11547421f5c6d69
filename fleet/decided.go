package fleet

import (
	"cmp"
	"maps"
	"slices"
)

// Decided is what was decided for an app in one cluster, as far as the next decision
// asks for it. It travels with what is published, so that it outlives the hub.
type Decided struct {
	Affinity    string             `json:"affinity,omitempty"`
	Rescheduled string             `json:"rescheduled,omitempty"`
	Replicas    []WorkloadReplicas `json:"replicas,omitempty"` // of divided workloads, by workload
	// Evicted is set where the app was taken away because the cluster or the app in it
	// failed.
	Evicted *Eviction `json:"evicted,omitempty"`
}

// WorkloadReplicas is how many replicas of a workload one cluster runs.
type WorkloadReplicas struct {
	Workload ObjectID `json:"workload"`
	Count    int64    `json:"count"`
}

func (d Decided) equal(e Decided) bool {
	return d.Affinity == e.Affinity && d.Rescheduled == e.Rescheduled && slices.Equal(d.Replicas, e.Replicas) && d.Evicted.equal(e.Evicted)
}

func (e *Eviction) equal(f *Eviction) bool {
	if e == nil || f == nil {
		return e == f
	}
	return e.Reason == f.Reason && e.Since.Equal(f.Since) && e.Back.Equal(f.Back)
}

func (t Tombstone) equal(u Tombstone) bool {
	return t.App == u.App && t.Revision == u.Revision && t.Preserve == u.Preserve && t.Evicted.equal(u.Evicted)
}

// PreviousOf returns what was decided for every app, as far as what is published
// tells.
func PreviousOf(published Published) map[AppName]Previous {
	previous := map[AppName]Previous{}
	for _, cluster := range slices.SortedFunc(maps.Keys(published), cmp.Compare) {
		for _, app := range published[cluster].Apps {
			p, known := previous[app.Name]
			if !known {
				p = Previous{
					Affinity: app.Decided.Affinity, Rescheduled: app.Decided.Rescheduled,
					Clusters: map[ClusterName]Counts{}, Evicted: map[ClusterName]Eviction{},
				}
			}
			if app.Decided.Evicted != nil {
				p.Evicted[cluster] = *app.Decided.Evicted
			} else {
				counts := make(Counts, len(app.Decided.Replicas))
				for _, r := range app.Decided.Replicas {
					counts[r.Workload] = r.Count
				}
				p.Clusters[cluster] = counts
			}
			previous[app.Name] = p
		}
		for _, stone := range published[cluster].Tombstones {
			p, known := previous[stone.App]
			if stone.Evicted == nil {
				continue
			}
			if !known {
				p = Previous{Clusters: map[ClusterName]Counts{}, Evicted: map[ClusterName]Eviction{}}
			}
			p.Evicted[cluster] = *stone.Evicted
			previous[stone.App] = p
		}
	}
	return previous
}

// Keep returns what is desired, but with some apps in some clusters exactly as they
// are published, there or not.
func Keep(desired, published Published, kept map[ClusterName]map[AppName]bool) Published {
	if len(kept) == 0 {
		return desired
	}
	result := maps.Clone(desired)
	for cluster, apps := range kept {
		d := desired[cluster]
		d.Apps = slices.DeleteFunc(slices.Clone(d.Apps), func(a DesiredApp) bool { return apps[a.Name] })
		for _, app := range published[cluster].Apps {
			if apps[app.Name] {
				d.Apps = append(d.Apps, app)
			}
		}
		slices.SortFunc(d.Apps, func(a, b DesiredApp) int { return cmp.Compare(a.Name, b.Name) })
		result[cluster] = d
	}
	return result
}
