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

// others tells whether other members of a group are placed anywhere, and names one
// that is on a cluster. What was decided before about a cluster that is lost does not
// count: who ran there will have to move too.
func (s *schedule) others(m membership, at *site) (anywhere bool, here AppName) {
	for _, name := range s.members[m] {
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
		if !at.lost && previous.has(at.Name) {
			return true, name
		}
		anywhere = anywhere || slices.ContainsFunc(previous.Clusters, func(name ClusterName) bool {
			other := siteAt(s.sites, name)
			return other != nil && !other.lost
		})
	}
	return anywhere, ""
}
