package fleet

import (
	"fmt"
	"slices"
	"strings"
)

// lint warns of policies that do nothing, and of Karmada's documents that nothing
// reads.
func (c *claims) lint() {
	free, taken := ofKind(c.manifests), ofKind(c.taken)
	for _, p := range c.policies {
		for i := range p.selectors {
			s := &p.selectors[i]
			of := kindOf{s.APIVersion, s.Kind}
			if len(c.owned[p]) == 0 {
				c.warn(p.document, "spec.resourceSelectors", c.whyNothing(p, of, free, taken),
					"%s has no manifest", p.app.Policy)
				break
			}
			if !slices.ContainsFunc(free[of], func(m *manifest) bool { return s.fit(m) != fitNone }) {
				c.warn(p.document, index("spec.resourceSelectors", i), c.whyNothing(p, of, free, taken), "matches no manifest")
			}
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
		c.warn(p.document, field, hint, "%s edits no manifest that a policy claims", nameOfPolicy(p.kind, p.namespace, p.name))
	}
	for i := range c.manifests {
		m := &c.manifests[i]
		found := m.groupKind().group
		if strings.HasSuffix(found, "."+karmadaDomain) && len(c.best(m)) == 0 {
			c.problems = append(c.problems, Problem{
				File: m.file, Line: m.line, Field: "kind", Warning: true,
				Message: fmt.Sprintf("a %s of %s is not read", printable(m.kind), printable(found)),
				Hint:    "read are " + strings.Join(karmadaKinds[policyGroup], ", ") + " and " + kindCluster,
			})
		}
	}
}

// ofKind gives manifests by their kind.
func ofKind(manifests []manifest) map[kindOf][]*manifest {
	kinds := map[kindOf][]*manifest{}
	for i := range manifests {
		m := &manifests[i]
		of := kindOf{m.apiVersion, m.kind}
		kinds[of] = append(kinds[of], m)
	}
	return kinds
}

// whyNothing says why a policy may have no manifest of a kind.
func (c *claims) whyNothing(p *propagationPolicy, of kindOf, free, taken map[kindOf][]*manifest) string {
	selects := func(m *manifest) bool {
		return (p.namespace == "" || p.namespace == m.namespace) && bestFit(p.selectors, m) != fitNone
	}
	for _, m := range free[of] {
		if !selects(m) {
			continue
		}
		if best := c.best(m); len(best) > 0 && best[0].policy != p {
			return fmt.Sprintf("%s in %s belongs to %s", m, m.file, best[0].policy.app.Policy)
		}
		if reserved(m.namespace) {
			return fmt.Sprintf("nothing is propagated of namespace %q", m.namespace)
		}
	}
	for _, m := range taken[of] {
		if selects(m) {
			return fmt.Sprintf("%s in %s is taken by %s", m, m.file, c.takenBy[m.file])
		}
	}
	for _, m := range free[of] {
		switch {
		case p.namespace != "" && m.namespace == "":
			return fmt.Sprintf("a %s has no namespace: write a ClusterPropagationPolicy", printable(m.kind))
		case p.namespace != "" && m.namespace != p.namespace:
			return fmt.Sprintf("%s in %s is in another namespace than the policy, %q", m, m.file, p.namespace)
		}
	}
	return "put manifests of its objects into the repository, and compare apiVersion, kind, name and labels"
}
