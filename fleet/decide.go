package fleet

import (
	"slices"
	"time"
)

// Decision places one app on one cluster.
type Decision struct {
	Cluster ClusterName `json:"cluster"`
	Because Because     `json:"because"`
}

// Because is the rule that put an app on a cluster, or kept it off.
type Because struct {
	Rule   string `json:"rule"`             // a stable word: one of the Rule constants
	Detail string `json:"detail,omitempty"` // what in the rule decided, for people
}

// Outcome is what was decided for one app. It is immutable.
type Outcome struct {
	App       AppName    `json:"app"`
	Placed    []Decision `json:"placed"`              // by cluster
	Divisions []Division `json:"divisions,omitempty"` // by workload; those whose replicas were decided
	// Affinity is the group that won, and Rescheduled the request that was honoured; see
	// [Previous].
	Affinity    string `json:"affinity,omitempty"`
	Rescheduled string `json:"rescheduled,omitempty"`
	// Problem says what could not be had. Placed is then what the decision before said,
	// or nothing where no cluster is feasible at all, or what is possible where bounds
	// leave replicas over.
	Problem string `json:"problem,omitempty"`
	// Evicted is where the app was taken away because the cluster, or the app in it,
	// failed.
	Evicted map[ClusterName]Eviction `json:"evicted,omitempty"`
	// Kept are clusters, not among Placed, where what is published stays for now:
	// because they are lost, or until the app is well elsewhere. Sorted.
	Kept []ClusterName `json:"kept,omitempty"`
	// Again is when time alone may decide otherwise; zero: never.
	Again time.Time `json:"again,omitzero"`
	// Next is what the next decision has to be told of this one.
	Next Previous `json:"-"`
}

// Division is how the replicas of one workload are divided.
type Division struct {
	Workload ObjectID `json:"workload"`
	Total    int64    `json:"total"`
	Counts   []int64  `json:"counts"` // beside Placed; 0: the workload is not in that cluster
	// Completions of a Job, beside Counts; nil where the Job does not have any.
	Completions []int64 `json:"completions,omitempty"`
}

// In returns what the next decision has to know of the cluster at a place of Placed.
func (o *Outcome) In(i int) Decided { return o.Next.In(o.Placed[i].Cluster) }

// Decide places every app of a definition, in the order of the apps: what clusters
// run it, and how many replicas of which of its workloads. Workloads are those of the
// apps' bases, by app.
//
// The same arguments give the same outcomes, whatever was decided in between: what
// has to be remembered is in the state. To decide again and again as little changes,
// use a [Decider].
func Decide(def Definition, workloads map[AppName][]Workload, state State) []Outcome {
	d := newDeciding(def, state)
	outcomes := make([]Outcome, len(def.Apps))
	for i := range def.Apps {
		outcomes[i] = d.decide(&def.Apps[i], workloads[def.Apps[i].Name])
	}
	return outcomes
}

// deciding is one call of [Decide].
type deciding struct {
	settings Settings
	sites    []site // by name
	state    State
	members  map[membership][]member
	placed   map[AppName][]Decision // of the apps with a group, decided by now

	// What the apps need one after the other, kept because it is long.
	was        []int
	candidates []candidate
}

func newDeciding(def Definition, state State) *deciding {
	d := &deciding{settings: def.Settings, sites: sitesOf(def, state), state: state}
	d.group(def.Apps)
	return d
}

// group finds the groups that apps make.
func (d *deciding) group(apps []App) {
	d.members, d.placed = map[membership][]member{}, map[AppName][]Decision{}
	for i := range apps {
		for _, m := range membershipsOf(&apps[i]) {
			d.members[m] = append(d.members[m], member{&apps[i], groupsOf(&apps[i].Placement)})
		}
	}
}

// decide decides about one app. Apps are decided in their order.
func (d *deciding) decide(app *App, workloads []Workload) Outcome {
	o := d.schedule(app, workloads).outcome()
	if app.Placement.WorkloadAffinity != nil {
		d.placed[app.Name] = o.Placed
	}
	return o
}

// divisionOf is the division of a workload by what each cluster gets. The
// completions of a Job are divided as its replicas are.
func divisionOf(w Workload, counts []int64, placed []Decision) Division {
	d := Division{Workload: w.Object, Counts: counts}
	for _, n := range counts {
		d.Total += n
	}
	if w.Completions == nil {
		return d
	}
	parties := make([]party, 0, len(placed))
	for i, p := range placed {
		if counts[i] > 0 {
			parties = append(parties, party{name: p.Cluster, votes: counts[i]})
		}
	}
	webster(parties, *w.Completions)
	d.Completions = make([]int64, len(placed))
	for i := range placed {
		if counts[i] > 0 {
			d.Completions[i], parties = parties[0].seats, parties[1:]
		}
	}
	return d
}

// next is what has to be remembered of an outcome. What did not change is the same
// value as before.
func (s *schedule) next(o *Outcome) Previous {
	next := Previous{
		Affinity: o.Affinity, Rescheduled: o.Rescheduled, Settled: s.settled,
		Divisions: o.Divisions, Evicted: o.Evicted, Tolerating: s.tolerating,
	}
	if slices.EqualFunc(s.previous.Clusters, o.Placed, func(name ClusterName, d Decision) bool { return name == d.Cluster }) {
		next.Clusters = s.previous.Clusters
	} else {
		next.Clusters = make([]ClusterName, len(o.Placed))
		for i := range o.Placed {
			next.Clusters[i] = o.Placed[i].Cluster
		}
	}
	if next.equal(&s.previous) {
		return s.previous
	}
	return next
}
