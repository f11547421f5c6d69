package wire

import (
	"strings"
	"time"

	"github.com/navarch/navarch/fleet"
)

// Health is a word of kstatus.
type Health string

// The words of kstatus. An object that is gone or unknown to the agent is Unknown.
const (
	Current     Health = "Current"
	InProgress  Health = "InProgress"
	Failed      Health = "Failed"
	Terminating Health = "Terminating"
	NotFound    Health = "NotFound"
	Unknown     Health = "Unknown"
)

// Condition is one of Ready, Reconciling and Stalled, with the meaning that they
// have in Flux.
type Condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"` // True, False or Unknown
	Reason  string `json:"reason"` // one word, stable
	Message string `json:"message,omitempty"`
}

// The types of conditions.
const (
	Ready       = "Ready"
	Reconciling = "Reconciling"
	Stalled     = "Stalled"
)

// Report is what an agent says of one app. It is written anew whenever something
// in it changes, and after each connection.
type Report struct {
	Version int               `json:"version"`
	Cluster fleet.ClusterName `json:"cluster"`
	App     fleet.AppName     `json:"app"`
	Time    time.Time         `json:"time"` // the agent's clock; for people, never for ordering
	// Attempted is what the agent last set out to apply, Applied what it has applied
	// whole. Each is the overlay's digest and the revision that brought it.
	Attempted Applied `json:"attempted"`
	Applied   Applied `json:"applied"`
	// AppliedAt is when Applied was reached.
	AppliedAt  time.Time      `json:"appliedAt,omitzero"`
	Conditions []Condition    `json:"conditions"`        // by type
	Objects    []ObjectReport `json:"objects,omitempty"` // by id
	// Removed: the app had a tombstone and all of its objects are gone.
	Removed bool `json:"removed,omitempty"`
	// Held: the index names neither the app nor a tombstone, so the agent keeps it.
	Held bool `json:"held,omitempty"`
}

// Applied is content and the revision that brought it.
type Applied struct {
	Revision string       `json:"revision,omitempty"`
	Overlay  fleet.Digest `json:"overlay,omitempty"`
	Base     fleet.Digest `json:"base,omitempty"`
}

// ObjectReport is the health of one object.
type ObjectReport struct {
	fleet.ObjectID
	Health  Health `json:"health"`
	Message string `json:"message,omitempty"`
	// Replicas is how far an object with replicas has come; nil for any other.
	Replicas *Replicas `json:"replicas,omitempty"`
	// Drift is how the object was last found not to be as it was applied; nil: never.
	Drift *Drift `json:"drift,omitempty"`
}

// Replicas is how far the pods of a workload are what it wants: a Deployment,
// StatefulSet, DaemonSet or ReplicaSet, a Job, or an object of a custom kind whose
// status counts replicas as those do. Those of a Job are completions: the pods at
// work and those that succeeded are updated, and what succeeded is ready and
// available.
type Replicas struct {
	Wanted    int `json:"wanted"`
	Updated   int `json:"updated"` // made from the newest generation
	Ready     int `json:"ready"`   // of any generation
	Available int `json:"available"`
}

// Settled tells whether every replica that is wanted is updated and available.
func (r Replicas) Settled() bool { return r.Updated >= r.Wanted && r.Available >= r.Wanted }

// Drift says that somebody has changed or deleted an object of an app.
type Drift struct {
	Time    time.Time `json:"time"` // when it was found; the agent's clock
	Deleted bool      `json:"deleted,omitempty"`
	// Fields are those that were changed, as in ".spec.replicas": the first [DriftFields].
	Fields []string `json:"fields,omitempty"`
	// By names who has them: field managers, as the API server knows them. Empty where
	// fields were removed.
	By       []string `json:"by,omitempty"`
	Repaired bool     `json:"repaired,omitempty"` // the object was applied again
}

// DriftFields is how many fields a [Drift] names at most.
const DriftFields = 10

// String says it to people, as in ".spec.replicas changed by kubectl-edit".
func (d Drift) String() string {
	what := "deleted"
	if !d.Deleted {
		what = strings.Join(d.Fields, ", ") + " changed"
	}
	if len(d.By) > 0 {
		what += " by " + strings.Join(d.By, ", ")
	}
	return what
}

// Heartbeat is what an agent says of its cluster: at least every
// [HeartbeatInterval], and when something in it changes.
type Heartbeat struct {
	Version  int               `json:"version"`
	Cluster  fleet.ClusterName `json:"cluster"`
	Instance string            `json:"instance"` // a name of this run of the agent
	Agent    string            `json:"agent"`    // its version
	Time     time.Time         `json:"time"`     // the agent's clock; for people
	// Epoch, Sequence, Revision and Index are those of the last announcement that the
	// agent accepted; zero before the first.
	Epoch    uint64       `json:"epoch"`
	Sequence uint64       `json:"sequence"`
	Revision string       `json:"revision,omitempty"`
	Index    fleet.Digest `json:"index,omitempty"`
	// Refused says why the newest announcement was not accepted; empty when it was.
	Refused string `json:"refused,omitempty"`
	Facts   Facts  `json:"facts"`
	// Pins is whom the agent obeys; absent: it does not say.
	Pins Pins `json:"pins,omitzero"`
	// Cost is what this run of the agent took so far; zero: it does not say.
	Cost Cost `json:"cost,omitzero"`
	// Recipient is age's public key of the cluster, set by agents that decrypt: what SOPS
	// has encrypted for it, only this cluster can read. Empty: the agent has none, or is
	// older than this field.
	Recipient string `json:"recipient,omitempty"`
}

// HeartbeatInterval is the longest silence of an agent that is well.
const HeartbeatInterval = 10 * time.Second

// Facts is what an agent sees of its cluster. Quantities are in Kubernetes' form.
type Facts struct {
	Kubernetes string `json:"kubernetes,omitempty"` // version, as in "v1.36.3"
	// Namespaces are the only ones that the agent sees, sorted. It then knows no nodes,
	// says nothing of what they have, and Pods are those in these namespaces. Absent: it
	// sees the whole cluster.
	Namespaces  []string          `json:"namespaces,omitempty"`
	Nodes       int               `json:"nodes"`
	NodesReady  int               `json:"nodesReady"`
	Capacity    map[string]string `json:"capacity,omitempty"`    // cpu, memory, pods
	Allocatable map[string]string `json:"allocatable,omitempty"` // cpu, memory, pods
	// Requested is what all pods ask for that have not ended, with a node or without:
	// cpu, memory, pods. Absent: the agent does not say.
	Requested map[string]string `json:"requested,omitempty"`
	// Used is what the nodes use by the cluster's own measurement, up to a minute ago:
	// cpu, memory. Absent: the cluster does not serve metrics.k8s.io.
	Used map[string]string `json:"used,omitempty"`
	Pods map[string]int    `json:"pods,omitempty"` // by phase
	// Kinds with replicas that the cluster serves, as in "apps/v1/Deployment"; nil where it
	// does not say.
	Kinds []string `json:"kinds,omitzero"`
	// Room is what is free on the nodes that take new pods. Empty: no node does; absent:
	// no node is known.
	Room []fleet.NodeGroup `json:"room,omitzero"`
}

// Cost is what one run of an agent took and did so far. It counts up, but for
// ResidentBytes.
type Cost struct {
	CPUSeconds    float64 `json:"cpuSeconds"`
	ResidentBytes int64   `json:"residentBytes"` // now
	Requests      uint64  `json:"requests"`      // to the API server
	Applied       uint64  `json:"applied"`       // objects, because an app changed
	Repaired      uint64  `json:"repaired"`      // objects, because somebody changed or deleted them
	Failures      uint64  `json:"failures"`      // attempts at an app
}
