package fleet

import (
	"cmp"
	"slices"
	"time"
)

// The taints that a cluster has while it is not ready, as in Karmada.
const (
	taintNotReady    = "cluster.karmada.io/not-ready"
	taintUnreachable = "cluster.karmada.io/unreachable"
)

// site is a cluster made ready to be considered for many apps.
type site struct {
	*Cluster
	taints    []Taint // those of Git and those of its conditions
	tainted   bool    // some of taints keep apps off
	tolerated string  // what an app that is placed here has to tolerate, for people
	lost      bool    // its agent is silent, or says that it is not ready
	observed  Observed
	known     bool // observed says something
}

// sitesOf prepares clusters, by name.
func sitesOf(def Definition, state State) []site {
	policies := make([]taintRule, len(def.TaintPolicies))
	for i := range def.TaintPolicies {
		policies[i] = taintRule{&def.TaintPolicies[i], compileAffinity(def.TaintPolicies[i].TargetClusters)}
	}
	sites := make([]site, len(def.Clusters))
	for i := range def.Clusters {
		s := site{Cluster: &def.Clusters[i], taints: def.Clusters[i].Taints}
		if s.observed, s.known = state.Observed[s.Name]; s.known {
			s.lost = s.observed.Ready != ConditionTrue
			s.taints = s.conditionTaints(policies)
		}
		s.tolerated = toleratedText(s.taints)
		s.tainted = s.tolerated != ""
		sites[i] = s
	}
	slices.SortFunc(sites, func(a, b site) int { return cmp.Compare(a.Name, b.Name) })
	return sites
}

// taintRule is a policy made ready to be matched.
type taintRule struct {
	*TaintPolicy
	targets affinity
}

// conditionTaints adds to the taints of Git those that come of conditions.
func (s *site) conditionTaints(policies []taintRule) []Taint {
	taints := slices.Clip(s.taints)
	switch s.observed.Ready {
	case ConditionFalse:
		taints = append(taints, Taint{Key: taintNotReady, Effect: effectNoSchedule})
	case ConditionUnknown:
		taints = append(taints, Taint{Key: taintUnreachable, Effect: effectNoSchedule})
	}
	for _, p := range policies {
		if p.targets.match(s.Cluster).rule == "" && hold(p.AddOnConditions, s.observed) && !hold(p.RemoveOnConditions, s.observed) {
			taints = append(taints, p.Taints...)
		}
	}
	return taints
}

// hold tells whether all of some conditions hold; none never do. Ready is the only
// condition that is observed.
func hold(conditions []TaintCondition, o Observed) bool {
	for _, c := range conditions {
		if c.ConditionType != "Ready" || slices.Contains(c.StatusValues, string(o.Ready)) != (c.Operator == "In") {
			return false
		}
	}
	return len(conditions) > 0
}

// expelled tells whether a NoExecute taint drives an app with these tolerations out
// at a time, and when one will that is tolerated for a while; zero: never. A taint
// counts from when the cluster's condition last changed.
func (s *site) expelled(tolerations []Toleration, now time.Time) (out bool, next time.Time) {
	for _, taint := range s.taints {
		if taint.Effect != effectNoExecute {
			continue
		}
		until, tolerated := toleratedUntil(taint, tolerations, s.observed.Since)
		switch {
		case !tolerated, !until.IsZero() && !now.Before(until):
			return true, time.Time{}
		case !until.IsZero():
			next = earlier(next, until)
		}
	}
	return false, next
}

// toleratedUntil tells whether a taint is tolerated, and until when: of several
// tolerations the shortest counts, as in Kubernetes. Zero: for ever.
func toleratedUntil(taint Taint, tolerations []Toleration, since time.Time) (until time.Time, tolerated bool) {
	for _, t := range tolerations {
		if !t.tolerates(taint) {
			continue
		}
		tolerated = true
		if t.TolerationSeconds != nil {
			until = earlier(until, since.Add(time.Duration(*t.TolerationSeconds)*time.Second))
		}
	}
	return until, tolerated
}

// earlier returns the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// because adds to the reason for being here what had to be tolerated for it.
func (s site) because(b Because) Because {
	switch {
	case !s.tainted:
	case b.Detail == "":
		b.Detail = s.tolerated
	default:
		b.Detail += "; " + s.tolerated
	}
	return b
}
