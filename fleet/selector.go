package fleet

import (
	"cmp"

	"k8s.io/apimachinery/pkg/labels"
)

const defaultNamespace = "default"

// fit says how closely a selector describes a manifest: Karmada's implicit
// priority. (karmada pkg/util/selector.go)
type fit int

const (
	fitNone   fit = iota
	fitAll        // by apiVersion, kind and namespace only
	fitLabels     // by labels too
	fitName       // by name too
)

// selector is a [ResourceSelector] made ready to be matched with many manifests.
type selector struct {
	ResourceSelector
	labels []labels.Requirement
	err    error // why it selects nothing
}

func compileSelectors(written []ResourceSelector) []selector {
	compiled := make([]selector, len(written))
	for i, s := range written {
		compiled[i].ResourceSelector = s
		if s.LabelSelector != nil {
			compiled[i].labels, compiled[i].err = requirements(s.LabelSelector)
		}
	}
	return compiled
}

// fit returns how closely s describes a manifest.
func (s *selector) fit(m *manifest) fit {
	if s.APIVersion != m.apiVersion || s.Kind != m.kind || s.Namespace != "" && s.Namespace != m.namespace {
		return fitNone
	}
	switch {
	case s.Name != "" && s.Name == m.name:
		return fitName
	case s.Name != "" || s.err != nil:
		return fitNone
	case s.LabelSelector == nil:
		return fitAll
	}
	for i := range s.labels {
		if !s.labels[i].Matches(labels.Set(m.labels)) {
			return fitNone
		}
	}
	return fitLabels
}

// bestFit returns the closest fit of several selectors.
func bestFit(selectors []selector, m *manifest) fit {
	best := fitNone
	for i := range selectors {
		best = max(best, selectors[i].fit(m))
	}
	return best
}

// claim is a policy that selects a manifest.
type claim struct {
	policy *propagationPolicy
	fit    fit
}

// before orders claims on one manifest by policies of one kind: the first has it.
// (karmada pkg/detector/compare.go)
func (c claim) before(other claim) int {
	return cmp.Or(
		cmp.Compare(other.policy.priority, c.policy.priority),
		cmp.Compare(other.fit, c.fit),
		cmp.Compare(c.policy.name, other.policy.name),
	)
}

// ties tells whether only the names of the policies decide between two claims.
func (c claim) ties(other claim) bool {
	return c.policy.priority == other.policy.priority && c.fit == other.fit
}
