package fleet

import (
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
	wanted    map[reach][]*propagationPolicy
	editors   map[string][]*overridePolicy // by namespace, which may be none
	owned     map[*propagationPolicy][]*manifest
	edited    map[*overridePolicy]bool
	problems  Problems
}

func (c *claims) warn(d *document, field, hint, format string, args ...any) {
	p := d.problem(field, fmt.Sprintf(format, args...), hint)
	p.Warning = true
	c.problems = append(c.problems, p)
}

// claim decides which policy has which manifest.
func (c *claims) claim() {
	c.owned = map[*propagationPolicy][]*manifest{}
	c.edited = map[*overridePolicy]bool{}
	c.wanted = c.byReach()
	c.editors = c.byNamespace()
	tied := map[[2]*propagationPolicy]bool{}
	owners := map[ObjectID]*manifest{}
	for i := range c.manifests {
		m := &c.manifests[i]
		if m.items != nil {
			c.refuseList(m)
			continue
		}
		best := c.best(m)
		if len(best) == 0 {
			continue
		}
		owner := best[0].policy
		if len(best) > 1 && best[0].ties(best[1]) && !tied[[2]*propagationPolicy{owner, best[1].policy}] {
			tied[[2]*propagationPolicy{owner, best[1].policy}] = true
			c.warn(best[1].policy.document, "metadata.name", "give one of them a higher priority",
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

// reach is a kind in the namespace of a policy, which may be none.
type reach struct {
	kindOf
	namespace string
}

// byReach returns the policies that select some object of a kind.
func (c *claims) byReach() map[reach][]*propagationPolicy {
	wanted := map[reach][]*propagationPolicy{}
	for _, p := range c.policies {
		for _, s := range p.selectors {
			of := reach{kindOf{s.APIVersion, s.Kind}, p.namespace}
			if last := wanted[of]; len(last) == 0 || last[len(last)-1] != p {
				wanted[of] = append(last, p)
			}
		}
	}
	return wanted
}

// best returns the claims on a manifest by the policies of its namespace, or where
// there are none by those of the fleet, the best first.
func (c *claims) best(m *manifest) []claim {
	if reserved(m.namespace) {
		return nil
	}
	for _, namespace := range []string{m.namespace, ""} {
		var found []claim
		for _, p := range c.wanted[reach{kindOf{m.apiVersion, m.kind}, namespace}] {
			if fit := bestFit(p.selectors, m); fit != fitNone {
				found = append(found, claim{p, fit})
			}
		}
		if len(found) > 0 {
			slices.SortStableFunc(found, claim.before)
			return found
		}
	}
	return nil
}

// reserved tells whether a namespace is one that Karmada propagates nothing of.
func reserved(namespace string) bool {
	return namespace == "karmada-system" || namespace == "karmada-cluster" ||
		strings.HasPrefix(namespace, "karmada-es-") || strings.HasPrefix(namespace, "kube-")
}

// refuseList refuses a list with an object that a policy selects: a single object
// of it cannot be taken out.
func (c *claims) refuseList(list *manifest) {
	for i := range list.items {
		if best := c.best(&list.items[i]); len(best) > 0 {
			c.problems = append(c.problems, Problem{
				File: list.file, Line: list.line, Field: "items",
				Message: fmt.Sprintf("%s selects %s, which is in a %s", best[0].policy.app.Policy, &list.items[i], printable(list.kind)),
				Hint:    "write each object as a document of its own, with --- between them",
			})
			return
		}
	}
}

// share is what one app is made of.
type share struct {
	policy    *propagationPolicy
	manifests []*manifest
	name      AppName
	identity  string // that no other share has
}

// shares divides what a policy has among apps. All of it is one app, except where
// the policy groups workloads: each with a label that does so is placed by itself.
func (c *claims) shares(p *propagationPolicy) []share {
	whole := share{policy: p, name: appOfPolicy(p.kind, p.namespace, p.name), identity: p.app.Policy}
	shares := []share{whole}
	for _, m := range c.owned[p] {
		if !grouped(p.app.Placement.WorkloadAffinity, m) {
			shares[0].manifests = append(shares[0].manifests, m)
			continue
		}
		shares = append(shares, share{
			policy: p, manifests: []*manifest{m}, identity: p.app.Policy + " " + m.String(),
			name: appName(string(whole.name) + "-" + m.name),
		})
	}
	if len(shares[0].manifests) == 0 {
		return shares[1:]
	}
	return shares
}

// grouped tells whether a manifest is in a group of workloads.
func grouped(w *WorkloadAffinity, m *manifest) bool {
	if w == nil {
		return false
	}
	for _, group := range []*WorkloadGroup{w.Affinity, w.AntiAffinity} {
		if group == nil {
			continue
		}
		if _, has := m.labels[group.GroupByLabelKey]; has {
			return true
		}
	}
	return false
}

// apps makes the apps. The names in named are taken.
func (c *claims) apps(named map[AppName]parsedApp) []parsedApp {
	var apps []parsedApp
	for _, s := range c.named(named) {
		app := s.policy.app
		app.Name = s.name
		app.Namespace = commonNamespace(s.manifests)
		app.Labels = commonLabels(s.manifests)
		app.Source.Objects = make([]SourceObject, len(s.manifests))
		for i, m := range s.manifests { // by file and document, as the manifests are
			app.Source.Objects[i] = SourceObject{File: m.file, Document: m.document}
		}
		app.Overrides = c.rules(s.manifests)
		apps = append(apps, parsedApp{App: app, document: s.policy.document})
	}
	return apps
}

// named returns all shares with the names of their apps. A name depends on nothing
// but the policy, so that an app keeps it whatever else comes and goes; unless two
// would have the same name.
func (c *claims) named(named map[AppName]parsedApp) []share {
	var shares []share
	wanting := map[AppName]int{}
	for _, p := range c.policies {
		for _, s := range c.shares(p) {
			shares = append(shares, s)
			wanting[s.name]++
		}
	}
	for i := range shares {
		s := &shares[i]
		if _, taken := named[s.name]; taken || wanting[s.name] > 1 || checkName("app", string(s.name)) != nil {
			s.name = distinct(s.name, s.identity)
		}
	}
	return shares
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
	return appName(name)
}

// appName returns the name of an object as that of an app, which may be too long.
func appName(name string) AppName {
	return AppName(strings.Map(func(r rune) rune {
		if r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' {
			return r
		}
		return '-'
	}, strings.ToLower(name)))
}

// distinct returns a name with the hash of what is distinct about it.
func distinct(name AppName, identity string) AppName {
	return AppName(strings.Trim(string(name[:min(len(name), 54)]), "-")) + "-" + AppName(DigestOf([]byte(identity)).Hex()[:8])
}

// nameOfPolicy names a policy for people.
func nameOfPolicy(kind, namespace, name string) string {
	if namespace != "" {
		name = namespace + "/" + name
	}
	return kind + " " + name
}

// commonNamespace returns the namespace that all manifests go to, or "".
func commonNamespace(manifests []*manifest) string {
	namespace := manifests[0].namespace
	for _, m := range manifests {
		if m.namespace != namespace {
			return ""
		}
	}
	return namespace
}

// commonLabels returns the labels that all workloads among manifests have, or those
// of the only manifest.
func commonLabels(manifests []*manifest) map[string]string {
	if len(manifests) == 1 { // whatever it is
		return manifests[0].labels
	}
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
