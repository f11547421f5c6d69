package fleet

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// claims gives the free manifests of a repository to Karmada's policies, and makes
// an app of each policy that has some.
//
// A manifest belongs to the policy that fits it best in this commit: one of its own
// namespace before any ClusterPropagationPolicy, then by priority, then by how
// closely a selector describes it, then by name. (karmada pkg/detector/policy.go)
type claims struct {
	policies  []*propagationPolicy // by kind, namespace and name
	overrides []*overridePolicy    // likewise
	manifests []manifest           // free, by file and document
	taken     []manifest           // not free
	takenBy   map[string]string    // file -> by what, for people
	owned     map[*propagationPolicy][]*manifest
	edited    map[*overridePolicy]bool
	problems  Problems
}

func (c *claims) report(d *document, field, hint string, warning bool, format string, args ...any) {
	p := d.problem(field, fmt.Sprintf(format, args...), hint)
	p.Warning = warning
	c.problems = append(c.problems, p)
}

// claim decides which policy has which manifest.
func (c *claims) claim() {
	c.owned = map[*propagationPolicy][]*manifest{}
	c.edited = map[*overridePolicy]bool{}
	wanted := c.byKind()
	tied := map[[2]*propagationPolicy]bool{}
	owners := map[ObjectID]*manifest{}
	for i := range c.manifests {
		m := &c.manifests[i]
		if m.items != nil {
			c.refuseList(m, wanted)
			continue
		}
		best := c.best(m, wanted)
		if len(best) == 0 {
			continue
		}
		owner := best[0].policy
		if len(best) > 1 && best[0].ties(best[1]) && !tied[[2]*propagationPolicy{owner, best[1].policy}] {
			tied[[2]*propagationPolicy{owner, best[1].policy}] = true
			c.report(best[1].policy.document, "metadata.name", "give one of them a higher priority", true,
				"policies %q and %q want %s equally: the first by name has it", owner.name, best[1].policy.name, m)
		}
		if first, twice := owners[m.id()]; twice {
			c.problems = append(c.problems, Problem{
				File: m.file, Line: m.line,
				Message: fmt.Sprintf("%s is there twice, first in %s:%d, and %s claims it", m, first.file, first.line, owner.app.Policy),
				Hint:    "remove or rename one of them",
			})
			continue
		}
		owners[m.id()] = m
		c.owned[owner] = append(c.owned[owner], m)
	}
}

// kindOf is what selectors always name.
type kindOf struct{ apiVersion, kind string }

// byKind returns the policies that select some object of a kind.
func (c *claims) byKind() map[kindOf][]*propagationPolicy {
	wanted := map[kindOf][]*propagationPolicy{}
	for _, p := range c.policies {
		for _, s := range p.selectors {
			of := kindOf{s.APIVersion, s.Kind}
			if last := wanted[of]; len(last) == 0 || last[len(last)-1] != p {
				wanted[of] = append(last, p)
			}
		}
	}
	return wanted
}

// best returns the claims on a manifest by the policies of its namespace, or where
// there are none by those of the fleet, the best first.
func (c *claims) best(m *manifest, wanted map[kindOf][]*propagationPolicy) []claim {
	if reserved(m.namespace) {
		return nil
	}
	var near, far []claim
	for _, p := range wanted[kindOf{m.apiVersion, m.kind}] {
		if p.namespace != "" && p.namespace != m.namespace {
			continue
		}
		fit := bestFit(p.selectors, m)
		switch {
		case fit == fitNone:
		case p.namespace != "":
			near = append(near, claim{p, fit})
		default:
			far = append(far, claim{p, fit})
		}
	}
	if len(near) == 0 {
		near = far
	}
	slices.SortStableFunc(near, claim.before)
	return near
}

// reserved tells whether a namespace is one that Karmada propagates nothing of.
func reserved(namespace string) bool {
	return namespace == "karmada-system" || namespace == "karmada-cluster" ||
		strings.HasPrefix(namespace, "karmada-es-") || strings.HasPrefix(namespace, "kube-")
}

// refuseList refuses a list with an object that a policy selects: a single object
// of it cannot be taken out.
func (c *claims) refuseList(list *manifest, wanted map[kindOf][]*propagationPolicy) {
	for i := range list.items {
		if best := c.best(&list.items[i], wanted); len(best) > 0 {
			c.problems = append(c.problems, Problem{
				File: list.file, Line: list.line, Field: "items",
				Message: fmt.Sprintf("%s selects %s, which is in a %s", best[0].policy.app.Policy, &list.items[i], printable(list.kind)),
				Hint:    "write each object as a document of its own, with --- between them",
			})
			return
		}
	}
}

// apps makes the apps. The names in named are taken.
func (c *claims) apps(named map[AppName]parsedApp) []parsedApp {
	names := c.names(named)
	var apps []parsedApp
	for _, p := range c.policies {
		owned := c.owned[p]
		if len(owned) == 0 {
			continue
		}
		app := p.app
		app.Name = names[p]
		app.Labels = commonLabels(owned)
		app.Source.Objects = make([]SourceObject, len(owned))
		for i, m := range owned { // by file and document, as the manifests are
			app.Source.Objects[i] = SourceObject{File: m.file, Document: m.document}
		}
		app.Overrides = c.rules(owned)
		apps = append(apps, parsedApp{App: app, document: p.document})
	}
	return apps
}

// names gives each policy that has manifests the name of its app. It depends on
// nothing but the policy, so that an app keeps its name whatever else comes and
// goes; unless two would have the same name.
func (c *claims) names(named map[AppName]parsedApp) map[*propagationPolicy]AppName {
	wanting := map[AppName][]*propagationPolicy{}
	for _, p := range c.policies {
		if len(c.owned[p]) > 0 {
			name := appOfPolicy(p.kind, p.namespace, p.name)
			wanting[name] = append(wanting[name], p)
		}
	}
	names := make(map[*propagationPolicy]AppName, len(c.policies))
	for name, policies := range wanting {
		_, taken := named[name]
		for _, p := range policies {
			names[p] = name
			if taken || len(policies) > 1 || len(name) > 63 {
				names[p] = distinct(name, p.app.Policy)
			}
		}
	}
	return names
}

// appOfPolicy returns the name of the app that a policy is: the policy's, after its
// namespace unless that is default, or after "cluster" when it has none.
func appOfPolicy(kind, namespace, name string) AppName {
	switch {
	case kind == kindClusterPropagation:
		name = "cluster-" + name
	case namespace != defaultNamespace:
		name = namespace + "-" + name
	}
	return AppName(strings.ReplaceAll(name, ".", "-"))
}

// distinct returns a name with the hash of what is distinct about it.
func distinct(name AppName, identity string) AppName {
	return AppName(strings.TrimRight(string(name[:min(len(name), 54)]), "-")) + "-" + AppName(DigestOf([]byte(identity)).Hex()[:8])
}

// nameOfPolicy names a policy for people.
func nameOfPolicy(kind, namespace, name string) string {
	if namespace != "" {
		name = namespace + "/" + name
	}
	return kind + " " + name
}

// commonLabels returns the labels that all workloads among manifests have.
func commonLabels(manifests []*manifest) map[string]string {
	var common map[string]string
	first := true
	for _, m := range manifests {
		switch {
		case !workloads[m.groupKind()]:
		case first:
			common, first = maps.Clone(m.labels), false
		default:
			maps.DeleteFunc(common, func(key, value string) bool {
				other, has := m.labels[key]
				return !has || other != value
			})
		}
	}
	if len(common) == 0 {
		return nil
	}
	return common
}

// rules returns the overrides of an app with these manifests, in Karmada's order:
// those of the fleet before those of a namespace, then those that describe an
// object more closely after those that do so less, then by name. How closely is a
// matter of each object, so a policy may be there more than once, each time for
// other objects. (karmada pkg/util/overridemanager)
func (c *claims) rules(owned []*manifest) []Override {
	var rules []Override
	for _, namespaced := range []bool{false, true} {
		for fit := fitAll; fit <= fitName; fit++ {
			for _, p := range c.overrides { // by name within a namespace; objects have one
				if (p.namespace != "") != namespaced {
					continue
				}
				rules = append(rules, c.rulesOf(p, fit, owned)...)
			}
		}
	}
	return rules
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
