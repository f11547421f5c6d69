package fleet

import (
	"cmp"
	"slices"
)

// rules returns the overrides of an app with these manifests, in Karmada's order:
// those of the fleet before those of a namespace, then those that describe an
// object more closely after those that do so less, then by name. How closely is a
// matter of each object, so a policy may be there more than once, each time for
// other objects. (karmada pkg/util/overridemanager)
func (c *claims) rules(owned []*manifest) []Override {
	fleetWide, namespaced := c.editors[""], []*overridePolicy(nil)
	seen := map[string]bool{"": true}
	for _, m := range owned {
		if !seen[m.namespace] {
			seen[m.namespace] = true
			namespaced = append(namespaced, c.editors[m.namespace]...)
		}
	}
	var rules []Override
	for _, policies := range [][]*overridePolicy{fleetWide, namespaced} {
		for fit := fitAll; fit <= fitName; fit++ {
			for _, p := range policies { // by name within a namespace, and an object has one
				rules = append(rules, c.rulesOf(p, fit, owned)...)
			}
		}
	}
	return rules
}

// byNamespace returns the override policies of each namespace.
func (c *claims) byNamespace() map[string][]*overridePolicy {
	editors := map[string][]*overridePolicy{}
	for _, p := range c.overrides {
		editors[p.namespace] = append(editors[p.namespace], p)
	}
	return editors
}

// rulesOf returns the rules of a policy for the manifests that it describes so
// closely.
func (c *claims) rulesOf(p *overridePolicy, fit fit, owned []*manifest) []Override {
	var edits []*manifest
	for _, m := range owned {
		if p.fit(m) == fit {
			edits = append(edits, m)
		}
	}
	if len(edits) == 0 {
		return nil
	}
	c.edited[p] = true
	var selectors []ResourceSelector
	if len(edits) < len(owned) {
		selectors = exactly(edits)
	}
	rules := slices.Clone(p.rules)
	for i := range rules {
		rules[i].ResourceSelectors = selectors
	}
	return rules
}

// fit returns how closely an override policy describes a manifest.
func (p *overridePolicy) fit(m *manifest) fit {
	switch {
	case p.namespace != "" && p.namespace != m.namespace:
		return fitNone
	case len(p.selectors) == 0:
		return fitAll
	}
	return bestFit(p.selectors, m)
}

// exactly selects these manifests and no others.
func exactly(manifests []*manifest) []ResourceSelector {
	selectors := make([]ResourceSelector, len(manifests))
	for i, m := range manifests {
		selectors[i] = ResourceSelector{APIVersion: m.apiVersion, Kind: m.kind, Namespace: m.written, Name: m.name}
	}
	return selectors
}

func comparePolicies(a, b *propagationPolicy) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
}

func compareOverridePolicies(a, b *overridePolicy) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
}
