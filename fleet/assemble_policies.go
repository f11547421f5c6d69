package fleet

import (
	"fmt"
	"maps"
	"slices"
)

// addPolicies takes in the policies of one file. Of two with one name the first
// stays.
func (a *assembly) addPolicies(p Parsed) {
	for i := range p.policies {
		policy := &p.policies[i]
		if first, twice := a.policies[policy.app.Policy]; twice {
			a.twice(policy.document, "metadata.name", policy.app.Policy, first.app.Position)
			continue
		}
		a.policies[policy.app.Policy] = policy
	}
	for i := range p.overrides {
		policy := &p.overrides[i]
		name := nameOfPolicy(policy.kind, policy.namespace, policy.name)
		if first, twice := a.overrides[name]; twice {
			a.twice(policy.document, "metadata.name", name, first.at("metadata.name"))
			continue
		}
		a.overrides[name] = policy
	}
	for _, policy := range p.taints {
		if first, twice := a.taints[policy.Name]; twice {
			a.twice(policy.document, "metadata.name", nameOfPolicy(kindTaint, "", policy.Name), first)
			continue
		}
		a.taints[policy.Name] = policy.Position
		a.def.TaintPolicies = append(a.def.TaintPolicies, policy.TaintPolicy)
		a.checkAffinity(policy.document, policy.TargetClusters, "spec.targetClusters")
	}
}

// claim makes apps of Karmada's policies and the manifests that they claim.
func (a *assembly) claim(parsed []Parsed) {
	if len(a.policies)+len(a.overrides) == 0 && !propagates(a.def.Apps) {
		return
	}
	c := claims{
		policies:  slices.SortedFunc(maps.Values(a.policies), comparePolicies),
		overrides: slices.SortedFunc(maps.Values(a.overrides), compareOverridePolicies),
		takenBy:   map[string]string{},
	}
	ground := groundOf(parsed, a.def.Apps)
	scopes := scopesOf(parsed)
	for _, p := range parsed {
		by, taken := ground.takenBy(p.file)
		switch {
		case taken:
			c.takenBy[p.file] = by
			c.taken = append(c.taken, placed(p.manifests, scopes)...)
			continue
		case p.broken != nil && len(c.policies) > 0:
			broken := p.broken.problem()
			broken.Hint = "policies may claim what is in it"
			a.problems = append(a.problems, broken)
		}
		c.manifests = append(c.manifests, placed(p.manifests, scopes)...)
	}
	c.claim()
	for _, app := range c.apps(a.apps) {
		if first, twice := a.apps[app.Name]; twice {
			a.twice(app.document, "metadata.name", fmt.Sprintf("app %q", app.Name), first.Position)
			continue
		}
		a.apps[app.Name] = app
		a.def.Apps = append(a.def.Apps, app.App)
	}
	if propagates(a.def.Apps) {
		a.def.Loose = c.loose(a.apps)
	}
	c.lint()
	a.problems = append(a.problems, c.problems...)
	a.checkPolicies(&c)
}

// propagates tells whether some app takes what it needs with it.
func propagates(apps []App) bool {
	return slices.ContainsFunc(apps, func(a App) bool { return a.Rollout.PropagateDeps })
}

// checkPolicies checks what policies say of clusters and of each other.
func (a *assembly) checkPolicies(c *claims) {
	for _, p := range c.policies {
		if len(c.owned[p]) == 0 {
			a.checkPlacement(p.document, p.app.Placement)
		}
		kind := kindOverride
		if p.namespace == "" {
			kind = kindClusterOverride
		}
		for i, name := range p.dependentOverrides {
			if _, there := a.overrides[nameOfPolicy(kind, p.namespace, name)]; there {
				continue
			}
			var known []string
			for _, o := range c.overrides {
				if o.kind == kind && o.namespace == p.namespace {
					known = append(known, o.name)
				}
			}
			c := p.problem(index("spec.dependentOverrides", i),
				fmt.Sprintf("no %s is in the repository", nameOfPolicy(kind, p.namespace, name)), didYouMean(name, known))
			a.problems = append(a.problems, c)
		}
	}
	for _, p := range c.overrides {
		for i, rule := range p.rules {
			a.checkAffinity(p.document, rule.TargetCluster, p.fields[i])
		}
	}
}

// scopesOf tells of kinds whether they have no namespace: those of Kubernetes, and
// those that the repository itself defines.
func scopesOf(parsed []Parsed) map[groupKind]bool {
	scopes := maps.Clone(clusterScoped)
	for _, p := range parsed {
		for _, m := range p.manifests {
			if m.defines != nil {
				scopes[m.defines.groupKind] = m.defines.clusterScoped
			}
		}
	}
	return scopes
}

// placed returns manifests with the namespaces where their objects go.
func placed(manifests []manifest, scopes map[groupKind]bool) []manifest {
	placedHere := slices.Clone(manifests)
	for i := range placedHere {
		m := &placedHere[i]
		m.items = placed(m.items, scopes)
		switch {
		case scopes[m.groupKind()]:
		case m.written == "":
			m.namespace = defaultNamespace
		default:
			m.namespace = m.written
		}
	}
	return placedHere
}
