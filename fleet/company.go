package fleet

import (
	"fmt"
	"slices"
)

// membership is a group of apps that stay together, or apart: those of one namespace
// with the same value under a label key.
type membership struct {
	namespace, key, value string
}

// membershipsOf returns the groups of an app.
func membershipsOf(app App) []membership {
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

func membershipOf(app App, group *WorkloadGroup) (membership, bool) {
	if group == nil {
		return membership{}, false
	}
	value, ok := app.Labels[group.GroupByLabelKey]
	return membership{app.Namespace, group.GroupByLabelKey, value}, ok
}

// company tells whether the app's group keeps it off a cluster: it goes where others
// of its group are, or where none of them is. The first of a group is free. Apps are
// decided by name; of those that come later, what was decided before counts.
func (s *schedule) company(at *site) (Because, bool) {
	w := s.app.Placement.WorkloadAffinity
	if w == nil {
		return Because{}, false
	}
	if m, ok := membershipOf(*s.app, w.Affinity); ok {
		if anywhere, here := s.others(m, at.Name); anywhere && here == "" {
			return Because{RuleCompany, fmt.Sprintf("the other apps with %s=%s are elsewhere", m.key, m.value)}, true
		}
	}
	if m, ok := membershipOf(*s.app, w.AntiAffinity); ok {
		if _, here := s.others(m, at.Name); here != "" {
			return Because{RuleCompany, fmt.Sprintf("app %q with %s=%s is here", here, m.key, m.value)}, true
		}
	}
	return Because{}, false
}

// others tells whether other members of a group are placed anywhere, and names one
// that is on a cluster.
func (s *schedule) others(m membership, cluster ClusterName) (anywhere bool, here AppName) {
	for _, name := range s.members[m] {
		if name == s.app.Name {
			continue
		}
		if placed, decided := s.placed[name]; decided {
			anywhere = anywhere || len(placed) > 0
			if slices.ContainsFunc(placed, func(p Decision) bool { return p.Cluster == cluster }) {
				return true, name
			}
			continue
		}
		clusters := s.state.Previous[name].Clusters
		anywhere = anywhere || len(clusters) > 0
		if _, on := clusters[cluster]; on {
			return true, name
		}
	}
	return anywhere, ""
}
