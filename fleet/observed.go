package fleet

import (
	"maps"
	"slices"
	"time"
)

// Workload is an object of an app that has replicas, as its base has it, before any
// override.
type Workload struct {
	Object   ObjectID
	Replicas int64 // spec.replicas, or spec.parallelism of a Job
	// Completions is spec.completions of a Job; nil where there is none.
	Completions *int64
	Requests    Resources // of one replica; empty: nothing is asked for
}

// Resources are quantities by the name of a resource: cpu in millicores, everything
// else in its own unit, such as bytes.
type Resources map[string]int64

// State is what decides besides Git.
type State struct {
	Now      time.Time                `json:"now"`
	Observed map[ClusterName]Observed `json:"observed,omitempty"`
	// Previous is what was decided last, by app; an app that was never decided is
	// absent.
	Previous map[AppName]Previous `json:"previous,omitempty"`
}

// Observed is what an agent last said of its cluster and what the hub makes of its
// silence. A cluster that was never heard of has no Observed: nothing is known
// against it, and nothing of its capacity.
type Observed struct {
	Ready ConditionStatus `json:"ready"` // Unknown: the agent is silent
	Since time.Time       `json:"since"` // when Ready took its value
	// Nodes are the schedulable nodes, equal ones counted together; nil: not known.
	Nodes []NodeGroup `json:"nodes,omitzero"`
	// Kinds with replicas that the cluster serves, "group/version/Kind", sorted; nil: not
	// known.
	Kinds []string              `json:"kinds,omitzero"`
	Apps  map[AppName]AppHealth `json:"apps,omitempty"`
}

// ConditionStatus is a status as in Kubernetes' conditions.
type ConditionStatus string

// The statuses.
const (
	ConditionTrue    ConditionStatus = "True"
	ConditionFalse   ConditionStatus = "False"
	ConditionUnknown ConditionStatus = "Unknown"
)

// NodeGroup is nodes with the same room.
type NodeGroup struct {
	Count int64     `json:"count"`
	Free  Resources `json:"free"` // allocatable less what pods request, "pods" among them
}

// AppHealth is how an app does in one cluster.
type AppHealth struct {
	Healthy bool      `json:"healthy"`
	Since   time.Time `json:"since"` // when Healthy took its value
}

// Previous is what was decided for one app before. It is immutable.
type Previous struct {
	// Affinity is the name of the affinity group that was used, empty where there are none.
	Affinity string `json:"affinity,omitempty"`
	// Rescheduled is the RescheduleAt that was honoured.
	Rescheduled string `json:"rescheduled,omitempty"`
	// Settled identifies the placement that chose the clusters, or weighed them: while it
	// is the same, what runs there stays. Empty where that is not asked for.
	Settled string `json:"settled,omitempty"`
	// Clusters is where the app was placed, sorted.
	Clusters []ClusterName `json:"clusters"`
	// Divisions are those of the workloads that were divided, by workload, with counts
	// beside Clusters.
	Divisions []Division `json:"divisions,omitempty"`
	// Evicted is where it was taken away because the cluster or the app there failed.
	Evicted map[ClusterName]Eviction `json:"evicted,omitempty"`
	// Tolerating is since when a taint is tolerated that will be tolerated for a time only.
	Tolerating map[ClusterName]time.Time `json:"tolerating,omitempty"`
}

// counts returns how many replicas of a workload each of the clusters runs, beside
// them; nil where the workload was not divided.
func (p *Previous) counts(workload ObjectID) []int64 {
	for i := range p.Divisions {
		if p.Divisions[i].Workload == workload {
			return p.Divisions[i].Counts
		}
	}
	return nil
}

// has tells whether the app was placed on a cluster.
func (p *Previous) has(cluster ClusterName) bool {
	_, found := slices.BinarySearch(p.Clusters, cluster)
	return found
}

// equal tells whether two decisions are the same.
func (p *Previous) equal(q *Previous) bool {
	return p.Affinity == q.Affinity && p.Rescheduled == q.Rescheduled && p.Settled == q.Settled &&
		same(p.Clusters, q.Clusters) && slices.EqualFunc(p.Divisions, q.Divisions, Division.alike) &&
		maps.EqualFunc(p.Evicted, q.Evicted, func(a, b Eviction) bool { return a.equal(&b) }) &&
		maps.EqualFunc(p.Tolerating, q.Tolerating, time.Time.Equal)
}

// alike tells whether two divisions give the clusters the same replicas.
func (d Division) alike(e Division) bool {
	return d.Workload == e.Workload && d.Total == e.Total && same(d.Counts, e.Counts)
}

// same is [slices.Equal], at once where it is one list.
func same[T comparable](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}

// Eviction is that an app was taken away from a cluster that failed.
type Eviction struct {
	Reason string    `json:"reason"` // one of the Evicted constants
	Since  time.Time `json:"since"`
	// Back is when the cluster was seen well again; zero: not yet.
	Back time.Time `json:"back,omitzero"`
}
