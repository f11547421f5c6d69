package fleet

import (
	"encoding/json"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation"
)

// The documents of Karmada that are read.
const (
	karmadaDomain  = "karmada.io"
	policyGroup    = "policy." + karmadaDomain
	clusterGroup   = "cluster." + karmadaDomain
	karmadaVersion = "v1alpha1"

	kindPropagation        = "PropagationPolicy"
	kindClusterPropagation = "ClusterPropagationPolicy"
	kindOverride           = "OverridePolicy"
	kindClusterOverride    = "ClusterOverridePolicy"
	kindTaint              = "ClusterTaintPolicy"
	kindCluster            = "Cluster"
)

// karmadaKinds lists the kinds that are read, by group.
var karmadaKinds = map[string][]string{
	policyGroup:  {kindPropagation, kindClusterPropagation, kindOverride, kindClusterOverride, kindTaint},
	clusterGroup: {kindCluster},
}

// IsDefinition tells whether a document with this apiVersion and kind defines the
// fleet, and so is nothing to run in a cluster: those of this package, and those of
// Karmada that it reads.
func IsDefinition(apiVersion, kind string) bool {
	found, _, _ := strings.Cut(apiVersion, "/")
	return found == group || slices.Contains(karmadaKinds[found], kind)
}

// karmadaForm is a document of Karmada's API.
type karmadaForm[Spec any] struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   metadata        `json:"metadata"`
	Spec       Spec            `json:"spec"`
	Status     json.RawMessage `json:"status"`
}

// serverFields are the fields of metadata that an API server writes into what
// people export from it.
var serverFields = []string{
	"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generateName", "generation",
	"managedFields", "ownerReferences", "resourceVersion", "selfLink", "uid",
}

type propagationSpec struct {
	ResourceSelectors    []ResourceSelector `json:"resourceSelectors"`
	Placement            Placement          `json:"placement"`
	Association          bool               `json:"association"`
	Priority             int64              `json:"priority"`
	Preemption           string             `json:"preemption"`
	DependentOverrides   []string           `json:"dependentOverrides"`
	SchedulerName        string             `json:"schedulerName"`
	ActivationPreference string             `json:"activationPreference"`
	SchedulePriority     json.RawMessage    `json:"schedulePriority"`
	Failover             *Failover          `json:"failover"`
	Rollout
}

type overrideSpec struct {
	ResourceSelectors []ResourceSelector `json:"resourceSelectors"`
	OverrideRules     []overrideRule     `json:"overrideRules"`
	// TargetCluster and Overriders are the former way to write one rule.
	TargetCluster *ClusterAffinity `json:"targetCluster"`
	Overriders    Overriders       `json:"overriders"`
}

type overrideRule struct {
	TargetCluster *ClusterAffinity `json:"targetCluster"`
	Overriders    Overriders       `json:"overriders"`
}

// propagationPolicy says which manifests of the repository run where.
type propagationPolicy struct {
	*document
	kind               string
	namespace          string // empty: of the whole fleet
	name               string
	selectors          []selector
	priority           int64
	dependentOverrides []string
	app                App // without a source
}

// overridePolicy edits manifests that policies claim.
type overridePolicy struct {
	*document
	kind      string
	namespace string // empty: of the whole fleet
	name      string
	selectors []selector // none: every manifest in reach
	rules     []Override
	fields    []string // where each rule is written
}

// taintPolicy is a [TaintPolicy] with its document.
type taintPolicy struct {
	TaintPolicy
	*document
}

// addKarmada reads one document of Karmada's, and tells whether it is one that is
// read.
func (p *Parsed) addKarmada(root *yaml.Node) bool {
	d := &document{file: p.file, line: root.Line, lines: map[string]int{}, karmada: true}
	found, version, _ := strings.Cut(d.header(root, "apiVersion"), "/")
	kind := d.header(root, "kind")
	if !slices.Contains(karmadaKinds[found], kind) {
		return false
	}
	defer func() { p.problems = append(p.problems, d.problems...) }()
	if version != karmadaVersion {
		d.refuse("apiVersion", "write "+found+"/"+karmadaVersion, "version %q of %s is not known", version, kind)
		return true
	}
	var e expansion
	root, err := e.expand(root, 0)
	if err != nil {
		d.refuse("", "", "the document %v", err)
		return true
	}
	switch kind {
	case kindPropagation, kindClusterPropagation:
		var f karmadaForm[propagationSpec]
		d.fill(root, &f)
		p.policies = append(p.policies, d.propagationPolicy(f))
	case kindOverride, kindClusterOverride:
		var f karmadaForm[overrideSpec]
		d.fill(root, &f)
		p.overrides = append(p.overrides, d.overridePolicy(f))
	case kindTaint:
		var f karmadaForm[taintSpec]
		d.fill(root, &f)
		p.taints = append(p.taints, taintPolicy{d.taintPolicy(f), d})
	case kindCluster:
		var f karmadaForm[karmadaClusterSpec]
		d.fill(root, &f)
		p.clusters = append(p.clusters, parsedCluster{d.karmadaCluster(f), d})
	}
	if d.has("status") {
		d.warn("status", "remove it", "is what Karmada observed, and is not read")
	}
	return true
}

// checkPolicyMetadata checks the metadata of a document of Karmada's and returns
// its namespace, which is "" for a kind that has none.
func (d *document) checkPolicyMetadata(m metadata, namespaced bool) string {
	d.checkMetadata(m)
	switch {
	case m.Name == "":
		d.missing("metadata.name", "")
	case len(validation.IsDNS1123Subdomain(m.Name)) > 0:
		d.refuse("metadata.name", "use lower-case letters, digits, '-' and '.', at most 253 characters", "%q is no name of an object", m.Name)
	}
	switch {
	case !namespaced && m.Namespace != "":
		d.warn("metadata.namespace", "remove it", "is ignored: objects of this kind have no namespace")
		return ""
	case !namespaced:
		return ""
	case m.Namespace == "":
		return defaultNamespace
	}
	d.checkNamespace(m.Namespace, "metadata.namespace")
	return m.Namespace
}

// propagationPolicy checks a policy and makes the value, with the defaults of
// Karmada's webhook.
func (d *document) propagationPolicy(f karmadaForm[propagationSpec]) propagationPolicy {
	s := f.Spec
	namespace := d.checkPolicyMetadata(f.Metadata, f.Kind == kindPropagation)
	d.checkResourceSelectors(s.ResourceSelectors, "spec.resourceSelectors")
	if len(s.ResourceSelectors) == 0 {
		d.missing("spec.resourceSelectors", "name the objects that the policy is for, by apiVersion and kind at least")
	}
	for i := range s.ResourceSelectors {
		chosen := &s.ResourceSelectors[i]
		switch {
		case namespace == "":
		case chosen.Namespace == "":
			chosen.Namespace = namespace
		case chosen.Namespace != namespace:
			d.refuse(index("spec.resourceSelectors", i)+".namespace", "write a policy in that namespace, or a ClusterPropagationPolicy",
				"is %q: a policy reaches objects of its own namespace only, which is %q", chosen.Namespace, namespace)
		}
		s.PropagateDeps = s.PropagateDeps || chosen.Kind == "ServiceImport"
	}
	if d.has("spec.association") {
		d.warn("spec.association", "write propagateDeps", "is a word of former versions of Karmada")
		s.PropagateDeps = s.PropagateDeps || s.Association
	}
	d.checkPlacement(&s.Placement, "spec.placement")
	d.checkRollout(s.Rollout, "spec")
	d.checkServiceAccount(s.ServiceAccountName, "", "spec.serviceAccountName")
	d.checkFailover(s.Failover, "spec.failover")
	if s.Failover != nil && s.Failover.Application != nil && !s.PropagateDeps {
		d.warn("spec.failover.application", "add propagateDeps: true", "moves the objects of the policy without what they depend on")
	}
	d.checkClaiming(s)
	at := d.at("metadata.name")
	return propagationPolicy{
		document: d, kind: f.Kind, namespace: namespace, name: f.Metadata.Name, selectors: compileSelectors(s.ResourceSelectors),
		priority: s.Priority, dependentOverrides: s.DependentOverrides,
		app: App{
			Policy: nameOfPolicy(f.Kind, namespace, f.Metadata.Name), Placement: s.Placement,
			Rollout: s.Rollout, Failover: s.Failover, Source: Source{Position: at}, Position: at,
		},
	}
}

// checkClaiming checks the fields that concern how a policy gets its objects and
// how it is scheduled.
func (d *document) checkClaiming(s propagationSpec) {
	if s.Priority < -1<<31 || s.Priority > 1<<31-1 {
		d.refuse("spec.priority", "", "is %d, which is out of the range of 32 bits", s.Priority)
	}
	switch s.Preemption {
	case "":
	case "Never":
		d.warn("spec.preemption", "remove it, and order policies by priority",
			"has no effect: the objects of a commit belong to the policy that fits them best in that commit")
	case "Always":
		for i, selector := range s.ResourceSelectors {
			if selector.Name == "" {
				d.refuse(index("spec.resourceSelectors", i), "name the object", "has no name, and preemption is Always")
			}
		}
	default:
		d.oneOf(s.Preemption, "spec.preemption", "Always", "Never")
	}
	if s.SchedulerName != "" && s.SchedulerName != "default-scheduler" {
		d.refuse("spec.schedulerName", "remove it", "is %q, and the hub is the only scheduler", s.SchedulerName)
	}
	switch s.ActivationPreference {
	case "":
	case "Lazy":
		d.refuse("spec.activationPreference", "remove it",
			"is not supported: what clusters run is what the last commit says, policies included")
	default:
		d.oneOf(s.ActivationPreference, "spec.activationPreference", "Lazy")
	}
	if d.has("spec.schedulePriority") {
		d.warn("spec.schedulePriority", "remove it", "has no effect: the hub decides all apps at once, there is no queue")
	}
}

// overridePolicy checks a policy and makes the value.
func (d *document) overridePolicy(f karmadaForm[overrideSpec]) overridePolicy {
	s := f.Spec
	p := overridePolicy{document: d, kind: f.Kind, name: f.Metadata.Name}
	p.namespace = d.checkPolicyMetadata(f.Metadata, f.Kind == kindOverride)
	d.checkResourceSelectors(s.ResourceSelectors, "spec.resourceSelectors")
	p.selectors = compileSelectors(s.ResourceSelectors)
	add := func(target *ClusterAffinity, overriders Overriders, field, targetField, overridersField string) {
		d.checkAffinity(target, targetField)
		d.checkOverriders(overriders, overridersField)
		if overriders.empty() {
			d.lacks(field, "give it overriders", "changes nothing")
		}
		p.rules = append(p.rules, Override{TargetCluster: target, Overriders: overriders, Position: d.at(field)})
		p.fields = append(p.fields, targetField)
	}
	for i, rule := range s.OverrideRules {
		field := index("spec.overrideRules", i)
		add(rule.TargetCluster, rule.Overriders, field, field+".targetCluster", field+".overriders")
	}
	former := s.TargetCluster != nil || !s.Overriders.empty()
	switch {
	case former && len(s.OverrideRules) > 0:
		d.refuse("spec.overrideRules", "move targetCluster and overriders into a rule", "cannot stand beside spec.targetCluster and spec.overriders")
	case former:
		d.warn("spec.overriders", "write overrideRules: [{targetCluster: {…}, overriders: {…}}]",
			"is the way of former versions of Karmada to write one rule")
		add(s.TargetCluster, s.Overriders, "spec.overriders", "spec.targetCluster", "spec.overriders")
	case len(s.OverrideRules) == 0:
		d.missing("spec.overrideRules", overrideRulesHint)
	}
	return p
}

const overrideRulesHint = "write overrideRules: [{targetCluster: {clusterNames: [member1]}, overriders: {plaintext: […]}}]"
