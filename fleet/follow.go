package fleet

import (
	"cmp"
	"slices"
	"strings"
)

// Loose is a manifest that no policy claims and that workloads can name: it runs
// where an app needs it that has propagateDeps.
type Loose struct {
	Object ObjectID `json:"object"`
	// App is what the manifest is then: an app of its own, without a placement.
	App App `json:"app"`
}

// looseKinds are the kinds that workloads name.
var looseKinds = map[groupKind]bool{
	{"", "ConfigMap"}: true, {"", "Secret"}: true, {"", "PersistentVolumeClaim"}: true, {"", "ServiceAccount"}: true,
}

// loose returns the manifests that nothing claims and that apps may need.
func (c *claims) loose(named map[AppName]parsedApp) []Loose {
	claimed := map[*manifest]bool{}
	for _, owned := range c.owned {
		for _, m := range owned {
			claimed[m] = true
		}
	}
	var found []Loose
	for i := range c.manifests {
		m := &c.manifests[i]
		if !looseKinds[m.groupKind()] || claimed[m] || reserved(m.namespace) {
			continue
		}
		name := appName(m.name + "-" + strings.ToLower(m.kind))
		if m.namespace != defaultNamespace {
			name = appName(m.namespace + "-" + string(name))
		}
		if _, taken := named[name]; taken || checkName("app", string(name)) != nil {
			name = distinct(name, m.String())
		}
		found = append(found, Loose{Object: m.id(), App: App{
			Name: name, Namespace: m.namespace, Labels: m.labels, Policy: "dependency " + m.String(),
			Source:    Source{Objects: []SourceObject{{File: m.file, Document: m.document}}},
			Overrides: c.rules([]*manifest{m}),
			Position:  Position{File: m.file, Line: m.line},
		}})
	}
	slices.SortFunc(found, func(a, b Loose) int { return compareObjects(a.Object, b.Object) })
	return found
}

// Followers returns the loose manifests that apps with propagateDeps need, as apps
// that follow those that need them. Needs are the objects that each app names, with
// their namespaces. (karmada pkg/dependenciesdistributor)
func Followers(def Definition, needs map[AppName][]ObjectID) []App {
	needed := map[ObjectID][]AppName{}
	for i := range def.Apps {
		if def.Apps[i].Rollout.PropagateDeps {
			for _, id := range needs[def.Apps[i].Name] {
				needed[id] = append(needed[id], def.Apps[i].Name)
			}
		}
	}
	var followers []App
	for _, loose := range def.Loose {
		if by := needed[loose.Object]; len(by) > 0 {
			app := loose.App
			app.Follows = slices.Compact(by)
			followers = append(followers, app)
		}
	}
	return followers
}

// Follow adds followers to a definition and to what was decided about it: each is
// placed wherever one of the apps is that it follows, and stays where one of them
// stays.
func Follow(def Definition, outcomes []Outcome, followers []App) (Definition, []Outcome) {
	if len(followers) == 0 {
		return def, outcomes
	}
	decided := make(map[AppName]*Outcome, len(outcomes))
	for i := range outcomes {
		decided[outcomes[i].App] = &outcomes[i]
	}
	def.Apps = slices.Concat(def.Apps, followers)
	outcomes = slices.Clone(outcomes)
	for _, app := range followers {
		outcomes = append(outcomes, follow(app, decided))
	}
	slices.SortFunc(def.Apps, func(a, b App) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(outcomes, func(a, b Outcome) int { return cmp.Compare(a.App, b.App) })
	return def, outcomes
}

func follow(app App, decided map[AppName]*Outcome) Outcome {
	o := Outcome{App: app.Name, Placed: []Decision{}}
	placed := map[ClusterName]bool{}
	for _, name := range app.Follows {
		for _, p := range decided[name].Placed {
			if !placed[p.Cluster] {
				placed[p.Cluster] = true
				o.Placed = append(o.Placed, Decision{p.Cluster, Because{RuleFollows, "app " + string(name) + " needs it"}})
			}
		}
	}
	for _, name := range app.Follows {
		for _, cluster := range decided[name].Kept {
			if !placed[cluster] && !slices.Contains(o.Kept, cluster) {
				o.Kept = append(o.Kept, cluster)
			}
		}
	}
	slices.SortFunc(o.Placed, func(a, b Decision) int { return cmp.Compare(a.Cluster, b.Cluster) })
	slices.Sort(o.Kept)
	return o
}
