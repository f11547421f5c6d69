package fleet

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Decided is what was decided for an app in one cluster, as far as the next decision
// asks for it. It travels with what is published, so that it outlives the hub.
type Decided struct {
	Affinity    string             `json:"affinity,omitempty"`
	Rescheduled string             `json:"rescheduled,omitempty"`
	Settled     string             `json:"settled,omitempty"`
	Replicas    []WorkloadReplicas `json:"replicas,omitempty"` // of divided workloads, by workload
	// Tolerating is since when a taint of the cluster is tolerated for a time.
	Tolerating *time.Time `json:"tolerating,omitempty"`
	// Evicted is set where the app was taken away because the cluster or the app in it
	// failed.
	Evicted *Eviction `json:"evicted,omitempty"`
}

// WorkloadReplicas is how many replicas of a workload one cluster runs.
type WorkloadReplicas struct {
	Workload ObjectID `json:"workload"`
	Count    int64    `json:"count"`
}

// In returns what was decided for one cluster.
func (p Previous) In(cluster ClusterName) Decided {
	d := Decided{Affinity: p.Affinity, Rescheduled: p.Rescheduled, Settled: p.Settled}
	if at, placed := slices.BinarySearch(p.Clusters, cluster); placed {
		for _, division := range p.Divisions {
			d.Replicas = append(d.Replicas, WorkloadReplicas{division.Workload, division.Counts[at]})
		}
	}
	if since, ok := p.Tolerating[cluster]; ok {
		d.Tolerating = &since
	}
	if eviction, ok := p.Evicted[cluster]; ok {
		d.Evicted = &eviction
	}
	return d
}

func (d Decided) equal(e Decided) bool {
	return d.Affinity == e.Affinity && d.Rescheduled == e.Rescheduled && d.Settled == e.Settled &&
		slices.Equal(d.Replicas, e.Replicas) && equalTimes(d.Tolerating, e.Tolerating) && d.Evicted.equal(e.Evicted)
}

func equalTimes(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(*b)
}

func (e *Eviction) equal(f *Eviction) bool {
	if e == nil || f == nil {
		return e == f
	}
	return e.Reason == f.Reason && e.Since.Equal(f.Since) && e.Back.Equal(f.Back)
}

func (t Tombstone) equal(u Tombstone) bool {
	return t.App == u.App && t.Revision == u.Revision && t.Preserve == u.Preserve && slices.Equal(t.PruneAlso, u.PruneAlso) &&
		t.Namespace == u.Namespace && t.ServiceAccount == u.ServiceAccount && t.Evicted.equal(u.Evicted)
}

// PreviousOf returns what was decided for every app, as far as what is published
// tells.
func PreviousOf(published Published) map[AppName]Previous {
	previous := map[AppName]Previous{}
	for _, cluster := range slices.SortedFunc(maps.Keys(published), cmp.Compare) {
		for _, app := range published[cluster].Apps {
			p := previous[app.Name]
			if app.Decided.Evicted != nil {
				p.evict(cluster, *app.Decided.Evicted)
				if p.Clusters == nil { // unless it is placed somewhere
					p.Affinity, p.Rescheduled = app.Decided.Affinity, app.Decided.Rescheduled
				}
			} else {
				p.place(cluster, app.Decided)
			}
			previous[app.Name] = p
		}
		for _, stone := range published[cluster].Tombstones {
			if stone.Evicted != nil {
				p := previous[stone.App]
				p.evict(cluster, *stone.Evicted)
				previous[stone.App] = p
			}
		}
	}
	return previous
}

func (p *Previous) evict(cluster ClusterName, e Eviction) {
	if p.Evicted == nil {
		p.Evicted = map[ClusterName]Eviction{}
	}
	p.Evicted[cluster] = e
}

// place adds the cluster that comes last.
func (p *Previous) place(cluster ClusterName, d Decided) {
	if len(p.Clusters) == 0 {
		p.Affinity, p.Rescheduled, p.Settled = d.Affinity, d.Rescheduled, d.Settled
	}
	if d.Tolerating != nil {
		if p.Tolerating == nil {
			p.Tolerating = map[ClusterName]time.Time{}
		}
		p.Tolerating[cluster] = *d.Tolerating
	}
	p.Clusters = append(p.Clusters, cluster)
	for _, r := range d.Replicas {
		at := slices.IndexFunc(p.Divisions, func(e Division) bool { return e.Workload == r.Workload })
		if at < 0 {
			at = len(p.Divisions)
			p.Divisions = append(p.Divisions, Division{Workload: r.Workload})
		}
		e := &p.Divisions[at]
		e.Counts = append(e.Counts, make([]int64, len(p.Clusters)-1-len(e.Counts))...) // clusters that did not say
		e.Counts = append(e.Counts, r.Count)
		e.Total += r.Count
	}
	for i := range p.Divisions {
		e := &p.Divisions[i]
		e.Counts = append(e.Counts, make([]int64, len(p.Clusters)-len(e.Counts))...)
	}
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
