package access

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
)

// Means is how it is known who somebody is.
type Means string

// The means.
const (
	ByLoopback Means = "loopback"     // whoever is on the hub's machine, where nothing else is configured
	ByToken    Means = "access token" // signed with the hub's identity
	ByOIDC     Means = "oidc"         // an identity provider says so
	ByIdentity Means = "identity"     // a command signed with the hub's identity
)

// Person is who asks.
type Person struct {
	Name   string
	Groups []string // as the identity provider says; none by other means
	By     Means
}

// Grant gives a role, within a scope, to a person or to everybody of a group.
type Grant struct {
	User  string // name that the identity provider gives; or
	Group string
	Role  Role
	Scope
}

// Scope is the apps and the clusters that a grant is about, by their labels. The
// zero value is all of them.
type Scope struct {
	Apps, Clusters labels.Selector // nil: every one
}

// ParseScope reads a scope from two selectors in kubectl's form, as in
// "team=shop,env!=prod". An empty one selects everything.
func ParseScope(apps, clusters string) (Scope, error) {
	var s Scope
	for _, part := range []struct {
		what, text string
		to         *labels.Selector
	}{{"apps", apps, &s.Apps}, {"clusters", clusters, &s.Clusters}} {
		if part.text == "" {
			continue
		}
		selector, err := labels.Parse(part.text)
		if err != nil {
			return Scope{}, fmt.Errorf("selector of %s %q: %w", part.what, part.text, err)
		}
		*part.to = selector
	}
	return s, nil
}

func all(s labels.Selector) bool { return s == nil || s.Empty() }

func covers(s labels.Selector, set map[string]string) bool {
	return all(s) || s.Matches(labels.Set(set))
}

// Rights are what one person may do. The zero value is nothing.
type Rights struct {
	grants []Grant
}

// Decide returns what a person may do by some grants. Only an identity provider's
// word makes somebody the user or the member of a group that a grant names: a name
// that was come by otherwise is not that user's.
func Decide(p Person, grants []Grant) Rights {
	if p.By != ByOIDC {
		return Rights{}
	}
	var r Rights
	for _, g := range grants {
		if g.User != "" && g.User == p.Name || g.Group != "" && slices.Contains(p.Groups, g.Group) {
			r.grants = append(r.grants, g)
		}
	}
	return r
}

// Grants returns rights that are given without naming anybody.
func Grants(role Role, scope Scope) Rights {
	return Rights{grants: []Grant{{Role: role, Scope: scope}}}
}

// some tells whether a grant of at least a role is as asked.
func (r Rights) some(role Role, is func(Grant) bool) bool {
	return slices.ContainsFunc(r.grants, func(g Grant) bool { return g.Role >= role && is(g) })
}

// Role returns the highest role that the rights have anywhere.
func (r Rights) Role() Role {
	role := None
	for _, g := range r.grants {
		role = max(role, g.Role)
	}
	return role
}

// Whole tells whether the rights have a role for the whole fleet.
func (r Rights) Whole(role Role) bool {
	return r.some(role, func(g Grant) bool { return all(g.Apps) && all(g.Clusters) })
}

// Cell tells whether the rights have a role for an app on a cluster, by the labels of
// both.
func (r Rights) Cell(role Role, app, cluster map[string]string) bool {
	return r.some(role, func(g Grant) bool { return covers(g.Apps, app) && covers(g.Clusters, cluster) })
}

// App tells whether the rights have a role for an app on some clusters.
func (r Rights) App(role Role, app map[string]string) bool {
	return r.some(role, func(g Grant) bool { return covers(g.Apps, app) })
}

// Cluster tells whether the rights have a role for some apps of a cluster.
func (r Rights) Cluster(role Role, cluster map[string]string) bool {
	return r.some(role, func(g Grant) bool { return covers(g.Clusters, cluster) })
}

// WholeCluster tells whether the rights have a role for a cluster and every app on
// it, whatever the app's labels are.
func (r Rights) WholeCluster(role Role, cluster map[string]string) bool {
	return r.some(role, func(g Grant) bool { return all(g.Apps) && covers(g.Clusters, cluster) })
}

// String says the rights in words. Equal rights say the same.
func (r Rights) String() string {
	if len(r.grants) == 0 {
		return None.String()
	}
	var said []string
	for _, g := range r.grants {
		words := []string{g.Role.String()}
		for _, part := range []struct {
			what     string
			selector labels.Selector
		}{{"apps", g.Apps}, {"clusters", g.Clusters}} {
			if !all(part.selector) {
				words = append(words, "of", part.what, part.selector.String())
			}
		}
		said = append(said, strings.Join(words, " "))
	}
	slices.Sort(said)
	return strings.Join(slices.Compact(said), "; ")
}
