package fleet

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// APIVersion is the version of the documents that this package reads.
const APIVersion = "fleet.navarch.dev/v1alpha1"

// Definition is everything that one commit of a fleet repository says. It comes
// from [Load] and is immutable.
type Definition struct {
	Settings Settings  `json:"settings"`
	Clusters []Cluster `json:"clusters"` // by name
	Apps     []App     `json:"apps"`     // by name
	// Loose are manifests that apps with propagateDeps may need, by object; none where
	// no app has that.
	Loose []Loose `json:"loose,omitempty"`
	// TaintPolicies taint clusters by what is observed of them.
	TaintPolicies []TaintPolicy `json:"taintPolicies,omitempty"` // by name
}

// Position is where something is written.
type Position struct {
	File string `json:"file,omitempty"` // path in the repository, with slashes
	Line int    `json:"line,omitempty"` // from 1
}

// Settings is fleet.yaml: what concerns the whole repository.
type Settings struct {
	DeletionBudget DeletionBudget   `json:"deletionBudget"`
	Failover       FailoverSettings `json:"failover"`
}

// FailoverSettings say when a cluster is lost, and what apps do then that do not
// say it themselves.
type FailoverSettings struct {
	// Cluster tells whether apps without a failover of their own leave clusters that
	// are lost; default true.
	Cluster bool `json:"cluster"`
	// SilentAfter is for how long nothing is heard of a cluster before it is not
	// ready; default 30s.
	SilentAfter Duration `json:"silentAfter"`
}

// DeletionBudget bounds what one commit may take away before a person has to
// agree. Each bound is a count ("5") or a share ("20%") and is exceeded by more,
// never by as much. Removing a Namespace, a PersistentVolumeClaim or a
// CustomResourceDefinition always needs a person.
type DeletionBudget struct {
	Objects Bound `json:"objects"` // of the objects of one cluster; default 20%
	Apps    Bound `json:"apps"`    // of the apps of one cluster; default no bound
	// Clusters bounds the clusters that lose an app or are no longer in Git, of all that
	// were announced to; default no bound.
	Clusters Bound `json:"clusters"`
}

// Bound is a count or a share. The zero value bounds nothing.
type Bound struct {
	Count   int  // used when Percent is false
	Percent bool // Count is then out of 100
	Set     bool
}

// Cluster is a member cluster as Git describes it.
type Cluster struct {
	Name     ClusterName       `json:"name"`
	Labels   map[string]string `json:"labels,omitempty"`
	Provider string            `json:"provider,omitempty"`
	Region   string            `json:"region,omitempty"`
	Zones    []string          `json:"zones,omitempty"`
	Taints   []Taint           `json:"taints,omitempty"`
	Position Position          `json:"-"`
}

// Taint keeps apps without a matching toleration off a cluster, as a node's taint
// keeps pods off a node.
type Taint struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect"` // NoSchedule, PreferNoSchedule or NoExecute
}

// Toleration accepts taints. Its fields and rules are those of a pod's toleration.
type Toleration struct {
	Key      string `json:"key,omitempty"`      // empty with Exists: every taint
	Operator string `json:"operator,omitempty"` // Equal (default) or Exists
	Value    string `json:"value,omitempty"`
	Effect   string `json:"effect,omitempty"` // empty: every effect
	// TolerationSeconds is how long a taint with the effect NoExecute is tolerated by an
	// app that runs on the cluster already; nil: for ever.
	TolerationSeconds *int64 `json:"tolerationSeconds,omitempty"`
}

// App is one application of the fleet: what it is made of, where it runs and
// what differs where.
type App struct {
	Name AppName `json:"name"`
	// Namespace is where the app's objects go. It is created where it is absent and
	// never pruned. Empty: objects keep the namespace that they name.
	Namespace string `json:"namespace,omitempty"`
	// Labels are those of the app's metadata. They group apps, see [WorkloadAffinity].
	Labels map[string]string `json:"labels,omitempty"`
	// Policy is the Karmada policy that the app was made of, as in
	// "PropagationPolicy default/nginx"; empty for an App.
	Policy    string     `json:"policy,omitempty"`
	Source    Source     `json:"source"`
	Placement Placement  `json:"placement,omitzero"`
	Overrides []Override `json:"overrides,omitempty"` // in the order of the file
	// DependsOn names apps that must be Ready in a cluster before this one is
	// applied there. An app that is not placed there does not hold it back.
	DependsOn []AppName `json:"dependsOn,omitempty"` // sorted
	// Follows names the apps that need this one, which runs wherever one of them does;
	// see [Followers].
	Follows []AppName `json:"follows,omitempty"`
	// Constraints guard where the app may land, whatever the placement says.
	Constraints []Constraint `json:"constraints,omitempty"`
	Rollout     Rollout      `json:"rollout,omitzero"`
	Failover    *Failover    `json:"failover,omitempty"` // nil: see [FailoverSettings]
	Position    Position     `json:"-"`
}

// Source says what an app is made of.
type Source struct {
	// Path is a kustomize directory, a directory of plain YAML or one YAML file,
	// cleaned and relative to the root of the repository.
	// Empty where Objects are set.
	Path string `json:"path,omitempty"`
	// Objects are the documents that a Karmada policy claims: these and nothing else of
	// their files are the source. By file and document; nil where Path is set.
	Objects []SourceObject `json:"objects,omitempty"`
	// Position is where the path is written.
	Position Position `json:"-"`
}

// SourceObject is one document of a file.
type SourceObject struct {
	File string `json:"file"` // path in the repository, with slashes
	// Document counts the documents of the file from 0, without those that are empty.
	Document int `json:"document"`
}

// ClusterAffinity selects clusters: those not in Exclude that pass the label
// selector, the field selector and the list of names; absent parts pass.
// (karmada pkg/util/selector.go)
type ClusterAffinity struct {
	LabelSelector *metav1.LabelSelector `json:"labelSelector,omitempty"`
	FieldSelector *FieldSelector        `json:"fieldSelector,omitempty"`
	ClusterNames  []ClusterName         `json:"clusterNames,omitempty"`
	Exclude       []ClusterName         `json:"exclude,omitempty"`
}

// FieldSelector selects clusters by provider, region or zone; all expressions
// must hold.
type FieldSelector struct {
	MatchExpressions []FieldExpression `json:"matchExpressions,omitempty"`
}

// FieldExpression compares one field of a cluster. In on zone holds when any zone
// of the cluster is listed, NotIn when none is.
type FieldExpression struct {
	Key      string   `json:"key"`      // provider, region or zone
	Operator string   `json:"operator"` // In or NotIn
	Values   []string `json:"values"`
}

// Override is one rule: what differs in the clusters that it targets.
type Override struct {
	// ResourceSelectors names the objects that the overriders edit; none: every
	// object of the app. The words of kustomize select by themselves.
	ResourceSelectors []ResourceSelector `json:"resourceSelectors,omitempty"`
	TargetCluster     *ClusterAffinity   `json:"targetCluster,omitempty"` // nil: every cluster
	Overriders        Overriders         `json:"overriders,omitzero"`
	Kustomize         Kustomize          `json:"kustomize,omitzero"`
	Position          Position           `json:"-"`
}

// ResourceSelector selects objects; empty parts pass. LabelSelector is ignored
// where Name is set. (karmada pkg/util/selector.go)
type ResourceSelector struct {
	APIVersion    string                `json:"apiVersion"`
	Kind          string                `json:"kind"`
	Namespace     string                `json:"namespace,omitempty"`
	Name          string                `json:"name,omitempty"`
	LabelSelector *metav1.LabelSelector `json:"labelSelector,omitempty"`
}

// Overriders are Karmada's. Whatever their order in the file, they are applied in
// the order of the fields here.
type Overriders struct {
	ImageOverrider       []ImageOverrider       `json:"imageOverrider,omitempty"`
	CommandOverrider     []CommandArgsOverrider `json:"commandOverrider,omitempty"`
	ArgsOverrider        []CommandArgsOverrider `json:"argsOverrider,omitempty"`
	LabelsOverrider      []LabelOverrider       `json:"labelsOverrider,omitempty"`
	AnnotationsOverrider []LabelOverrider       `json:"annotationsOverrider,omitempty"`
	FieldOverrider       []FieldOverrider       `json:"fieldOverrider,omitempty"`
	Plaintext            []PlaintextOverrider   `json:"plaintext,omitempty"`
}

// ImageOverrider edits one component of image names.
type ImageOverrider struct {
	Predicate *ImagePredicate `json:"predicate,omitempty"` // nil: the containers of every workload
	Component string          `json:"component"`           // Registry, Repository or Tag
	Operator  string          `json:"operator"`            // add, remove or replace
	Value     string          `json:"value,omitempty"`
}

// ImagePredicate names the one string that holds an image.
type ImagePredicate struct {
	Path string `json:"path"` // RFC 6901, as in /spec/template/spec/initContainers/0/image
}

// CommandArgsOverrider edits the command or the arguments of the containers with a
// name: add appends the values, remove takes out what equals one of them.
type CommandArgsOverrider struct {
	ContainerName string   `json:"containerName"`
	Operator      string   `json:"operator"` // add or remove
	Value         []string `json:"value,omitempty"`
}

// LabelOverrider edits the labels or annotations in an object's metadata.
type LabelOverrider struct {
	Operator string            `json:"operator"` // add, remove or replace
	Value    map[string]string `json:"value"`
}

// FieldOverrider edits the JSON or YAML document that a text field of an object
// holds, as in the data of a ConfigMap. Only one of JSON and YAML is set.
type FieldOverrider struct {
	FieldPath string                `json:"fieldPath"` // RFC 6901
	JSON      []FieldPatchOperation `json:"json,omitempty"`
	YAML      []FieldPatchOperation `json:"yaml,omitempty"`
}

// FieldPatchOperation is one operation of the RFC 6902 patch that edits the
// document.
type FieldPatchOperation struct {
	SubPath  string          `json:"subPath"`  // RFC 6901
	Operator string          `json:"operator"` // add, remove or replace
	Value    json.RawMessage `json:"value,omitempty"`
}

// PlaintextOverrider is one operation of the RFC 6902 patch that all of a rule's
// plaintext overriders make together. An object that the patch does not fit is an
// error.
type PlaintextOverrider struct {
	Path     string          `json:"path"`     // RFC 6901
	Operator string          `json:"operator"` // add, remove or replace
	Value    json.RawMessage `json:"value,omitempty"`
}

// Kustomize holds words of a kustomization. They are applied before the
// overriders, those of a later rule after those of an earlier one. Paths are
// cleaned and relative to the root of the repository.
type Kustomize struct {
	Patches    []Patch        `json:"patches,omitempty"`
	Images     []Image        `json:"images,omitempty"`
	Replicas   []ReplicaCount `json:"replicas,omitempty"`
	Components []string       `json:"components,omitempty"`
}

// Patch is a strategic merge or JSON 6902 patch, from a file or in place.
type Patch struct {
	Path    string          `json:"path,omitempty"`
	Patch   string          `json:"patch,omitempty"`
	Target  *PatchTarget    `json:"target,omitempty"`
	Options map[string]bool `json:"options,omitempty"`
}

// PatchTarget selects the objects of a patch, as kustomize does.
type PatchTarget struct {
	Group              string `json:"group,omitempty"`
	Version            string `json:"version,omitempty"`
	Kind               string `json:"kind,omitempty"`
	Name               string `json:"name,omitempty"`
	Namespace          string `json:"namespace,omitempty"`
	LabelSelector      string `json:"labelSelector,omitempty"`
	AnnotationSelector string `json:"annotationSelector,omitempty"`
}

// Image replaces parts of the images with a name.
type Image struct {
	Name      string `json:"name"`
	NewName   string `json:"newName,omitempty"`
	NewTag    string `json:"newTag,omitempty"`
	TagSuffix string `json:"tagSuffix,omitempty"`
	Digest    string `json:"digest,omitempty"`
}

// ReplicaCount sets the replicas of the workloads with a name.
type ReplicaCount struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}
