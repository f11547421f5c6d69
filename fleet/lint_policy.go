package fleet

import (
	"fmt"
	"strings"
)

// lint warns of policies that do nothing, and of Karmada's documents that nothing
// reads.
func (c *claims) lint() {
	wanted := c.byKind()
	for _, p := range c.policies {
		if len(c.owned[p]) == 0 {
			hint := c.whyNothing(p, wanted)
			c.report(p.document, "spec.resourceSelectors", hint, true, "%s matches no manifest", p.app.Policy)
		}
	}
	for _, p := range c.overrides {
		if c.edited[p] {
			continue
		}
		field, hint := "spec.resourceSelectors", "it edits what a propagation policy claims, not the objects of apps"
		if len(p.selectors) == 0 {
			field = "metadata.name"
		}
		for _, s := range p.selectors {
			if p.namespace != "" && s.Namespace != "" && s.Namespace != p.namespace {
				hint = "it reaches objects of its own namespace only"
			}
		}
		c.report(p.document, field, hint, true, "%s edits no manifest that a policy claims", nameOfPolicy(p.kind, p.namespace, p.name))
	}
	for i := range c.manifests {
		m := &c.manifests[i]
		found := m.groupKind().group
		if strings.HasSuffix(found, "."+karmadaDomain) && len(c.best(m, wanted)) == 0 {
			c.problems = append(c.problems, Problem{
				File: m.file, Line: m.line, Field: "kind", Warning: true,
				Message: fmt.Sprintf("a %s of %s is not read", printable(m.kind), printable(found)),
				Hint:    "read are " + strings.Join(karmadaKinds[policyGroup], ", ") + " and " + kindCluster,
			})
		}
	}
}

// whyNothing says why a policy may have no manifest.
func (c *claims) whyNothing(p *propagationPolicy, wanted map[kindOf][]*propagationPolicy) string {
	selects := func(m *manifest) bool {
		return (p.namespace == "" || p.namespace == m.namespace) && bestFit(p.selectors, m) != fitNone
	}
	for i := range c.manifests {
		m := &c.manifests[i]
		if !selects(m) {
			continue
		}
		if best := c.best(m, wanted); len(best) > 0 {
			return fmt.Sprintf("%s in %s belongs to %s", m, m.file, best[0].policy.app.Policy)
		}
		return fmt.Sprintf("nothing is propagated of namespace %q", m.namespace)
	}
	for i := range c.taken {
		if m := &c.taken[i]; selects(m) {
			return fmt.Sprintf("%s in %s is taken by %s", m, m.file, c.takenBy[m.file])
		}
	}
	for i := range c.manifests {
		m := &c.manifests[i]
		for j := range p.selectors {
			if s := &p.selectors[j]; s.Name != "" && s.Name == m.name && s.Kind == m.kind {
				return fmt.Sprintf("%s in %s has apiVersion %s and namespace %q", m, m.file, printable(m.apiVersion), m.namespace)
			}
		}
	}
	return "put the manifests of its objects into the repository"
}
