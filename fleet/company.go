package fleet

import "slices"

// membership is a group of apps that stay together, or apart: those of one namespace
// with the same value under a label key.
type membership struct {
	namespace, key, value string
}

// membershipsOf returns the groups of an app.
func membershipsOf(app *App) []membership {
	w := app.Placement.WorkloadAffinity
	if w == nil {
		return nil
	}
	var found []membership
	for _, group := range []*WorkloadGroup{w.Affinity, w.AntiAffinity} {
		if m, ok := membershipOf(app, group); ok {
			found = append(found, m)
		}
	}
	return found
}

func membershipOf(app *App, group *WorkloadGroup) (membership, bool) {
	if group == nil {
		return membership{}, false
	}
	value, ok := app.Labels[group.GroupByLabelKey]
	return membership{app.Namespace, group.GroupByLabelKey, value}, ok
}

// company tells whether the app's group keeps it off a cluster: it goes where others
// of its group are, or where none of them is. The first of a group is free. Apps are
// decided by name; of those that come later, what was decided before counts.
func (s *schedule) company(at *site) refusal {
	w := s.app.Placement.WorkloadAffinity
	if w == nil {
		return refusal{}
	}
	if m, ok := membershipOf(s.app, w.Affinity); ok {
		if anywhere, here := s.others(m, at); anywhere && here == "" {
			return refusal{rule: RuleCompany, group: m}
		}
	}
	if m, ok := membershipOf(s.app, w.AntiAffinity); ok {
		if _, here := s.others(m, at); here != "" {
			return refusal{rule: RuleCompany, group: m, other: here}
		}
	}
	return refusal{}
}

// member is an app of a group.
type member struct {
	app    *App
	groups []affinityGroup
}

// stays tells whether the app will be on a site where it is, as far as that can be told
// before it is decided about.
func (m *member) stays(at *site) bool {
	return !at.lost && !at.drives(m.app.Placement.ClusterTolerations) &&
		slices.ContainsFunc(m.groups, func(g affinityGroup) bool { return g.tier(at.Cluster) >= 0 })
}

// others tells whether other members of a group are placed anywhere, and names one
// that is on a cluster. What was decided before does not count where who ran there has
// to move too.
func (s *schedule) others(m membership, at *site) (anywhere bool, here AppName) {
	for i := range s.members[m] {
		other := &s.members[m][i]
		name := other.app.Name
		if name == s.app.Name {
			continue
		}
		if placed, decided := s.placed[name]; decided {
			if _, on := placedAt(placed, at.Name); on {
				return true, name
			}
			anywhere = anywhere || len(placed) > 0
			continue
		}
		previous := s.state.Previous[name]
		if previous.has(at.Name) && other.stays(at) {
			return true, name
		}
		anywhere = anywhere || slices.ContainsFunc(previous.Clusters, func(name ClusterName) bool {
			elsewhere := siteAt(s.sites, name)
			return elsewhere != nil && other.stays(elsewhere)
		})
	}
	return anywhere, ""
}
