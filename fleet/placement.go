package fleet

// Placement says which clusters run an app, and how many replicas each runs. The
// zero value means all clusters that have no taint against it, each with all
// replicas. Fields and meaning are those of Karmada's Placement, except where they
// say otherwise.
type Placement struct {
	ClusterAffinity *ClusterAffinity `json:"clusterAffinity,omitempty"`
	// ClusterAffinities are tried in order; the first in which everything can be
	// scheduled wins. Not beside ClusterAffinity.
	ClusterAffinities  []AffinityGroup    `json:"clusterAffinities,omitempty"`
	ClusterTolerations []Toleration       `json:"clusterTolerations,omitempty"`
	SpreadConstraints  []SpreadConstraint `json:"spreadConstraints,omitempty"`
	// ReplicaScheduling divides replicas; nil: every cluster runs all of them.
	ReplicaScheduling *ReplicaScheduling `json:"replicaScheduling,omitempty"`
	WorkloadAffinity  *WorkloadAffinity  `json:"workloadAffinity,omitempty"`
	// Preferences order clusters where a choice is left. Not in Karmada.
	Preferences []Preference `json:"preferences,omitempty"`
}

// AffinityGroup is one of several affinities. Its clusters come first; those of
// Overflow, in order, take what does not fit.
type AffinityGroup struct {
	AffinityName string `json:"affinityName"`
	ClusterAffinity
	OverflowAffinities []OverflowAffinity `json:"overflowAffinities,omitempty"`
}

// OverflowAffinity is where replicas go that do not fit into the clusters before.
type OverflowAffinity struct {
	AffinityName string `json:"affinityName"`
	ClusterAffinity
}

// SpreadConstraint bounds over how many groups of clusters an app spreads.
type SpreadConstraint struct {
	SpreadByField string `json:"spreadByField,omitempty"` // cluster, region, zone or provider
	SpreadByLabel string `json:"spreadByLabel,omitempty"` // key of a cluster label; not beside SpreadByField
	MinGroups     int64  `json:"minGroups,omitempty"`     // default 1
	MaxGroups     int64  `json:"maxGroups,omitempty"`     // 0: no bound
}

// ReplicaScheduling says how many replicas of its workloads each cluster runs.
type ReplicaScheduling struct {
	ReplicaSchedulingType     string            `json:"replicaSchedulingType,omitempty"`     // Duplicated or Divided; default Divided
	ReplicaDivisionPreference string            `json:"replicaDivisionPreference,omitempty"` // Aggregated or Weighted; default Weighted
	WeightPreference          *WeightPreference `json:"weightPreference,omitempty"`
	// ClusterReplicas fixes the replicas of every workload cluster by cluster; a
	// cluster without a rule runs none. Alone. Not in Karmada.
	ClusterReplicas []ClusterReplicas `json:"clusterReplicas,omitempty"`
	// Replicas is the total that is divided, in place of what the manifest says; for
	// an app with one workload. Not in Karmada.
	Replicas *int64 `json:"replicas,omitempty"`
	// RescheduleAt asks for one fresh division, as of that time, when it changes:
	// RFC 3339. Karmada's WorkloadRebalancer.
	RescheduleAt string `json:"rescheduleAt,omitempty"`
}

// WeightPreference gives clusters their share.
type WeightPreference struct {
	StaticWeightList []StaticWeight `json:"staticWeightList,omitempty"`
	DynamicWeight    string         `json:"dynamicWeight,omitempty"` // AvailableReplicas; the static list is then ignored
}

// StaticWeight is the share of the clusters that it targets. Of several rules for
// one cluster the largest weight counts.
type StaticWeight struct {
	TargetCluster ClusterAffinity `json:"targetCluster"`
	Weight        int64           `json:"weight"` // 1 or more
	// MinReplicas and MaxReplicas bound what each of the clusters gets. Not in Karmada:
	// they are those of KubeFed's ReplicaSchedulingPreference.
	MinReplicas int64  `json:"minReplicas,omitempty"`
	MaxReplicas *int64 `json:"maxReplicas,omitempty"` // nil: no bound
}

// ClusterReplicas is how many replicas each of the targeted clusters runs. Of
// several rules for one cluster the first counts.
type ClusterReplicas struct {
	TargetCluster ClusterAffinity `json:"targetCluster"`
	Replicas      int64           `json:"replicas"`
}

// WorkloadAffinity keeps apps together or apart. Apps of one namespace that have
// the same value under the label key are a group.
type WorkloadAffinity struct {
	Affinity     *WorkloadGroup `json:"affinity,omitempty"`
	AntiAffinity *WorkloadGroup `json:"antiAffinity,omitempty"`
}

// WorkloadGroup names the label key, in an app's metadata, that makes groups.
type WorkloadGroup struct {
	GroupByLabelKey string `json:"groupByLabelKey"`
}

// Preference makes the clusters that it targets come before others where a choice
// is left, by the sum of their weights.
type Preference struct {
	TargetCluster ClusterAffinity `json:"targetCluster"`
	Weight        int64           `json:"weight"` // 1 to 100
}

// Constraint is a guard: an app that would land on a cluster outside of Within is an
// error of the commit.
type Constraint struct {
	Within ClusterAffinity `json:"within"`
	Reason string          `json:"reason"` // why, for the error
}

// Rollout is how an app is treated beyond its placement. The fields are those of
// Karmada's PropagationSpec, except where they say otherwise.
type Rollout struct {
	ConflictResolution          string      `json:"conflictResolution,omitempty"` // Abort or Overwrite; default Abort
	PreserveResourcesOnDeletion bool        `json:"preserveResourcesOnDeletion,omitempty"`
	Suspension                  *Suspension `json:"suspension,omitempty"`
	PropagateDeps               bool        `json:"propagateDeps,omitempty"`
	// IgnoreDifferences names fields that each cluster may change for itself. Not in
	// Karmada: they are those of Argo CD.
	IgnoreDifferences []IgnoredDifference `json:"ignoreDifferences,omitempty"`
	// The rest is not in Karmada either.

	// Drift says what to do where somebody changes or deletes an object of the app:
	// correct (the default), report or off.
	Drift Drift `json:"drift,omitempty"`
	// Atomic applies all of the app's changes or none: the cluster is asked first
	// whether it would take every one of them.
	Atomic bool `json:"atomic,omitempty"`
	// Force deletes an object and makes it again where a field that cannot change has
	// changed. (Flux, Kustomization.spec.force)
	Force bool `json:"force,omitempty"`
	// ServiceAccountName is whose rights the app is applied with, a ServiceAccount of
	// the app's namespace; empty: the agent's. (Flux, Kustomization.spec.serviceAccountName)
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
	// PruneAlso names the precious kinds whose objects go too when the app no longer has
	// them: see [ObjectID.Precious].
	PruneAlso []string `json:"pruneAlso,omitempty"`
	// HealthCheckExprs tell how objects of custom kinds do. (Flux,
	// Kustomization.spec.healthCheckExprs)
	HealthCheckExprs []HealthCheckExpr `json:"healthCheckExprs,omitempty"`
}

// Drift is what an agent does about objects that are not as the app says.
type Drift string

// The words of [Drift]. The zero value is DriftCorrect.
const (
	DriftCorrect Drift = "correct" // the objects are applied again
	DriftReport  Drift = "report"  // they are named in the app's report
	DriftOff     Drift = "off"     // nobody looks
)

// HealthCheckExpr tells how objects of one kind do, by expressions in CEL over the
// object's fields (spec, status, metadata, …) that give true or false. They are
// asked in the order of the fields here; the first that is true decides, and an
// object for which none is true is InProgress.
type HealthCheckExpr struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	InProgress string `json:"inProgress,omitempty"`
	Failed     string `json:"failed,omitempty"`
	Current    string `json:"current"`
}

// Suspension stops telling clusters anything new about an app. Only one of its
// fields is set.
type Suspension struct {
	Dispatching           bool                `json:"dispatching,omitempty"`
	DispatchingOnClusters *SuspensionClusters `json:"dispatchingOnClusters,omitempty"`
}

// SuspensionClusters names clusters.
type SuspensionClusters struct {
	ClusterNames []ClusterName `json:"clusterNames"`
}

// IgnoredDifference names fields of objects by RFC 6901 pointers.
type IgnoredDifference struct {
	Group        string   `json:"group,omitempty"`
	Kind         string   `json:"kind"`
	Namespace    string   `json:"namespace,omitempty"` // empty: any
	Name         string   `json:"name,omitempty"`      // empty: any
	JSONPointers []string `json:"jsonPointers"`
}

// Failover says what happens to an app on clusters that are lost.
type Failover struct {
	Application *ApplicationFailover `json:"application,omitempty"`
	Cluster     *ClusterFailover     `json:"cluster,omitempty"`
	// OnReturn says when the app goes back to a cluster that is well again. Not in
	// Karmada.
	OnReturn Return `json:"onReturn,omitempty"`
}

// ApplicationFailover moves an app that stays unhealthy in one cluster.
type ApplicationFailover struct {
	DecisionConditions DecisionConditions `json:"decisionConditions"`
	PurgeMode          string             `json:"purgeMode,omitempty"`          // Directly, Gracefully or Never; default Gracefully
	GracePeriodSeconds *int64             `json:"gracePeriodSeconds,omitempty"` // with Gracefully; default 600
}

// DecisionConditions is when an application has failed.
type DecisionConditions struct {
	TolerationSeconds *int64 `json:"tolerationSeconds,omitempty"` // default 300
}

// ClusterFailover moves an app away from a cluster that is lost.
type ClusterFailover struct {
	PurgeMode string `json:"purgeMode,omitempty"` // Directly or Gracefully; default Gracefully
}

// TaintPolicy taints clusters by their conditions: Karmada's ClusterTaintPolicy.
type TaintPolicy struct {
	Name               string           `json:"name"`
	TargetClusters     *ClusterAffinity `json:"targetClusters,omitempty"` // nil: every cluster
	AddOnConditions    []TaintCondition `json:"addOnConditions,omitempty"`
	RemoveOnConditions []TaintCondition `json:"removeOnConditions,omitempty"`
	Taints             []Taint          `json:"taints"`
	Position           Position         `json:"-"`
}

// TaintCondition holds when a cluster's condition has one of the values, or none.
type TaintCondition struct {
	ConditionType string   `json:"conditionType"`
	Operator      string   `json:"operator"` // In or NotIn
	StatusValues  []string `json:"statusValues"`
}
