package fleet

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// The rules that a [Because] names.
const (
	RuleEverywhere    = "everywhere"      // in: the placement names no clusters
	RuleAffinity      = "clusterAffinity" // in: every part of the affinity holds
	RuleExclude       = "exclude"         // out: the affinity excludes the cluster
	RuleLabelSelector = "labelSelector"   // out: the labels do not match
	RuleFieldSelector = "fieldSelector"   // out: provider, region or zone do not match
	RuleClusterNames  = "clusterNames"    // out: the cluster is not in the list
	RuleTaint         = "taint"           // out: the cluster has a taint that is not tolerated
	RuleKind          = "kind"            // out: the cluster does not serve a kind of the app's workloads
	RuleEvicted       = "evicted"         // out: the cluster, or the app in it, has failed
	RuleSpread        = "spread"          // out: the spread constraints leave the cluster out
	RuleCompany       = "company"         // out: because of where other apps of its group are
	RuleNoReplicas    = "noReplicas"      // out: the division gives the cluster none
	RuleFollows       = "follows"         // in: an app that is there needs it
	RuleKept          = "kept"            // in, for now: what runs there stays until the cluster, or the app elsewhere, is well
	RuleProblem       = "problem"         // out: the app's replicas cannot be divided, or its clusters not be chosen
	RuleBefore        = "before"          // in: the app runs there, and nothing better could be decided
)

// The keys and operators of a [FieldExpression].
const (
	fieldProvider = "provider"
	fieldRegion   = "region"
	fieldZone     = "zone"
	operatorIn    = "In"
	operatorNotIn = "NotIn"
)

// affinity is a [ClusterAffinity] made ready to be matched with many clusters.
type affinity struct {
	rule    string // of the clusters that it takes
	text    string // what it demands, for people
	labels  []labels.Requirement
	fields  []FieldExpression
	names   map[ClusterName]bool // nil: every name
	exclude map[ClusterName]bool
	err     error // why it selects nothing
}

func compileAffinity(a *ClusterAffinity) affinity {
	if a == nil {
		return affinity{rule: RuleEverywhere}
	}
	c := affinity{rule: RuleAffinity, names: set(a.ClusterNames), exclude: set(a.Exclude)}
	var demands []string
	if a.LabelSelector != nil {
		c.labels, c.err = requirements(a.LabelSelector)
		for _, r := range c.labels {
			demands = append(demands, r.String())
		}
	}
	if a.FieldSelector != nil {
		c.fields = a.FieldSelector.MatchExpressions
		for _, e := range c.fields {
			demands = append(demands, e.String())
		}
	}
	if len(c.names) > 0 {
		demands = append(demands, "in clusterNames")
	}
	if len(c.exclude) > 0 {
		demands = append(demands, "not in exclude")
	}
	if len(demands) == 0 {
		c.rule = RuleEverywhere
	}
	c.text = strings.Join(demands, "; ")
	return c
}

func set[K comparable](keys []K) map[K]bool {
	if len(keys) == 0 {
		return nil
	}
	all := make(map[K]bool, len(keys))
	for _, key := range keys {
		all[key] = true
	}
	return all
}

// requirements returns the parts of a label selector: the labels by key, then the
// expressions in their order.
func requirements(s *metav1.LabelSelector) ([]labels.Requirement, error) {
	parts := make([]labels.Requirement, 0, len(s.MatchLabels)+len(s.MatchExpressions))
	for _, key := range slices.Sorted(maps.Keys(s.MatchLabels)) {
		r, err := labels.NewRequirement(key, selection.Equals, []string{s.MatchLabels[key]})
		if err != nil {
			return nil, err
		}
		parts = append(parts, *r)
	}
	for _, e := range s.MatchExpressions {
		r, err := requirement(e)
		if err != nil {
			return nil, err
		}
		parts = append(parts, *r)
	}
	return parts, nil
}

func requirement(e metav1.LabelSelectorRequirement) (*labels.Requirement, error) {
	operators := map[metav1.LabelSelectorOperator]selection.Operator{
		metav1.LabelSelectorOpIn:           selection.In,
		metav1.LabelSelectorOpNotIn:        selection.NotIn,
		metav1.LabelSelectorOpExists:       selection.Exists,
		metav1.LabelSelectorOpDoesNotExist: selection.DoesNotExist,
	}
	operator, ok := operators[e.Operator]
	if !ok {
		return nil, fmt.Errorf("operator %q is none of a label selector", e.Operator)
	}
	return labels.NewRequirement(e.Key, operator, slices.Clone(e.Values))
}

// miss is the part of an affinity that keeps a cluster out.
type miss struct {
	rule string // "" when nothing does
	part int    // of the labels or fields
}

// match returns what keeps a cluster out. It makes no text: it runs for every app
// and cluster.
func (a *affinity) match(c *Cluster) miss {
	if a.exclude[c.Name] {
		return miss{rule: RuleExclude}
	}
	if a.err != nil {
		return miss{rule: RuleLabelSelector}
	}
	for i := range a.labels {
		if !a.labels[i].Matches(labels.Set(c.Labels)) {
			return miss{RuleLabelSelector, i}
		}
	}
	for i := range a.fields {
		if !a.fields[i].matches(c) {
			return miss{RuleFieldSelector, i}
		}
	}
	if a.names != nil && !a.names[c.Name] {
		return miss{rule: RuleClusterNames}
	}
	return miss{}
}

// because says for people what match found.
func (a *affinity) because(c *Cluster, m miss) Because {
	switch {
	case m.rule == "":
		return Because{Rule: a.rule, Detail: a.text}
	case m.rule == RuleExclude:
		return Because{m.rule, "the cluster is in exclude"}
	case m.rule == RuleClusterNames:
		return Because{m.rule, "the cluster is not in clusterNames"}
	case a.err != nil:
		return Because{m.rule, "the selector is not valid: " + oneLine(a.err.Error())}
	case m.rule == RuleFieldSelector:
		e := a.fields[m.part]
		return Because{m.rule, e.String() + ": the cluster has " + e.found(c)}
	}
	r := a.labels[m.part]
	found := "no label " + r.Key()
	if value, ok := c.Labels[r.Key()]; ok {
		found = r.Key() + "=" + value
	}
	return Because{m.rule, r.String() + ": the cluster has " + found}
}

// matches tells whether the expression holds for a cluster. A provider or region
// that is not set is in no list.
func (e *FieldExpression) matches(c *Cluster) bool {
	var listed bool
	switch e.Key {
	case fieldProvider:
		listed = c.Provider != "" && slices.Contains(e.Values, c.Provider)
	case fieldRegion:
		listed = c.Region != "" && slices.Contains(e.Values, c.Region)
	case fieldZone:
		listed = slices.ContainsFunc(c.Zones, func(zone string) bool { return slices.Contains(e.Values, zone) })
	default:
		return false
	}
	switch e.Operator {
	case operatorIn:
		return listed
	case operatorNotIn:
		return !listed
	}
	return false
}

// String gives "region in (eu,us)", as a label selector would say it.
func (e *FieldExpression) String() string {
	return e.Key + " " + strings.ToLower(e.Operator) + " (" + strings.Join(e.Values, ",") + ")"
}

// found says what a cluster has in the field.
func (e *FieldExpression) found(c *Cluster) string {
	values := c.Zones
	switch e.Key {
	case fieldProvider:
		values = []string{c.Provider}
	case fieldRegion:
		values = []string{c.Region}
	}
	if text := strings.Join(values, ","); text != "" {
		return e.Key + " " + text
	}
	return "no " + e.Key
}
