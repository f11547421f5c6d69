package fleet

import (
	"encoding/json"
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
	Nodes []NodeGroup `json:"nodes,omitempty"`
	// Kinds the cluster serves, "group/version/Kind" with an empty group for core,
	// sorted; nil: not known.
	Kinds []string              `json:"kinds,omitempty"`
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

// Previous is what was decided for one app before.
type Previous struct {
	// Affinity is the name of the affinity group that was used, empty where there are none.
	Affinity string `json:"affinity,omitempty"`
	// Rescheduled is the RescheduleAt that was honoured.
	Rescheduled string `json:"rescheduled,omitempty"`
	// Clusters is where the app was placed, with the replicas of its divided workloads.
	Clusters map[ClusterName]Counts `json:"clusters"`
	// Evicted is where it was taken away because the cluster or the app there failed.
	Evicted map[ClusterName]Eviction `json:"evicted,omitempty"`
}

// Counts are replicas by workload.
type Counts map[ObjectID]int64

// MarshalJSON writes a list by workload.
func (c Counts) MarshalJSON() ([]byte, error) { return json.Marshal(c.list()) }

// UnmarshalJSON reads what MarshalJSON writes.
func (c *Counts) UnmarshalJSON(content []byte) error {
	var list []WorkloadReplicas
	if err := json.Unmarshal(content, &list); err != nil {
		return err
	}
	*c = make(Counts, len(list))
	for _, r := range list {
		(*c)[r.Workload] = r.Count
	}
	return nil
}

func (c Counts) list() []WorkloadReplicas {
	list := make([]WorkloadReplicas, 0, len(c))
	for _, workload := range slices.SortedFunc(maps.Keys(c), compareObjects) {
		list = append(list, WorkloadReplicas{workload, c[workload]})
	}
	return list
}

// Eviction is that an app was taken away from a cluster that failed.
type Eviction struct {
	Reason string    `json:"reason"` // one of the Evicted constants
	Since  time.Time `json:"since"`
	// Back is when the cluster was seen well again; zero: not yet.
	Back time.Time `json:"back,omitzero"`
}
