package fleet

import (
	"cmp"
	"slices"
	"strings"
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
	taints    []Taint // those of Git, and after them those of its conditions
	tainted   bool    // some of taints keep apps off
	expels    bool    // some of taints drive apps out
	tolerated string  // what an app that is placed here has to tolerate, for people
	lost      bool    // its agent is silent, or says that it is not ready
	heard     bool    // observed says something
	observed  Observed
	kinds     map[kind]bool // nil: not known
}

// kind is what a cluster may serve, in any version.
type kind struct{ group, kind string }

// sitesOf prepares clusters, by name.
func sitesOf(def Definition, state State) []site {
	rules := taintRules(def.TaintPolicies)
	kinds := map[string]map[kind]bool{}
	sites := make([]site, len(def.Clusters))
	for i := range def.Clusters {
		sites[i] = siteOf(&def.Clusters[i], state.Observed, rules, kinds)
	}
	if !slices.IsSortedFunc(sites, compareSites) {
		slices.SortFunc(sites, compareSites)
	}
	return sites
}

func compareSites(a, b site) int { return cmp.Compare(a.Name, b.Name) }

// siteOf prepares one cluster. Kinds is what sites share that serve the same.
func siteOf(c *Cluster, observed map[ClusterName]Observed, rules []taintRule, kinds map[string]map[kind]bool) site {
	s := site{Cluster: c, taints: c.Taints}
	if s.observed, s.heard = observed[c.Name]; s.heard {
		s.lost = s.observed.Ready != ConditionTrue
		s.taints = s.conditionTaints(rules)
		s.kinds = kindsOf(s.observed.Kinds, kinds)
	}
	s.tolerated = toleratedText(s.taints)
	s.tainted = s.tolerated != ""
	s.expels = slices.ContainsFunc(s.taints, func(t Taint) bool { return t.Effect == effectNoExecute })
	return s
}

func kindsOf(served []string, known map[string]map[kind]bool) map[kind]bool {
	if served == nil {
		return nil
	}
	key := strings.Join(served, " ")
	kinds, ok := known[key]
	if ok {
		return kinds
	}
	kinds = make(map[kind]bool, len(served))
	for _, text := range served {
		group, rest, _ := strings.Cut(text, "/")
		_, name, _ := strings.Cut(rest, "/")
		kinds[kind{group, name}] = true
	}
	known[key] = kinds
	return kinds
}

// siteAt returns the site of a cluster, or nil where there is none.
func siteAt(sites []site, name ClusterName) *site {
	at, found := slices.BinarySearchFunc(sites, name, func(s site, name ClusterName) int { return cmp.Compare(s.Name, name) })
	if !found {
		return nil
	}
	return &sites[at]
}

// taintRule is a policy made ready to be matched.
type taintRule struct {
	*TaintPolicy
	targets affinity
}

func taintRules(policies []TaintPolicy) []taintRule {
	rules := make([]taintRule, len(policies))
	for i := range policies {
		rules[i] = taintRule{&policies[i], compileAffinity(policies[i].TargetClusters)}
	}
	return rules
}

// conditionTaints adds to the taints of Git those that come of conditions.
func (s *site) conditionTaints(rules []taintRule) []Taint {
	taints := slices.Clip(s.taints)
	switch s.observed.Ready {
	case ConditionFalse:
		taints = append(taints, Taint{Key: taintNotReady, Effect: effectNoSchedule})
	case ConditionUnknown:
		taints = append(taints, Taint{Key: taintUnreachable, Effect: effectNoSchedule})
	}
	for _, p := range rules {
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
		if c.ConditionType != "Ready" || slices.Contains(c.StatusValues, string(o.Ready)) != (c.Operator == operatorIn) {
			return false
		}
	}
	return len(conditions) > 0
}

// expulsion is what the NoExecute taints of a cluster do to an app.
type expulsion struct {
	out   bool
	taint Taint     // which drives the app out
	next  time.Time // when a taint that is tolerated for a while drives the app out; zero: never
	since time.Time // from when the while counts; zero where there is none
}

// expel tells what the taints do to an app with these tolerations at a time. A taint
// that comes of a condition counts from when the condition changed; one of Git from
// when it was first met, which is now unless before says otherwise.
func (s *site) expel(tolerations []Toleration, before, now time.Time) expulsion {
	var e expulsion
	if before.IsZero() {
		before = now
	}
	for i, taint := range s.taints {
		if taint.Effect != effectNoExecute {
			continue
		}
		since := before
		if i >= len(s.Taints) && !s.observed.Since.IsZero() {
			since = s.observed.Since
		}
		seconds, tolerated := toleratedFor(taint, tolerations)
		if !tolerated {
			return expulsion{out: true, taint: taint}
		}
		if seconds == nil {
			continue
		}
		until := since.Add(time.Duration(*seconds) * time.Second)
		if !now.Before(until) {
			return expulsion{out: true, taint: taint}
		}
		e.next, e.since = earlier(e.next, until), before
	}
	return e
}

// toleratedFor tells whether a taint is tolerated, and for how many seconds: of
// several tolerations the shortest counts, as in Kubernetes. Nil: for ever.
func toleratedFor(taint Taint, tolerations []Toleration) (seconds *int64, tolerated bool) {
	for i := range tolerations {
		t := &tolerations[i]
		if !t.tolerates(taint) {
			continue
		}
		tolerated = true
		if t.TolerationSeconds != nil && (seconds == nil || *t.TolerationSeconds < *seconds) {
			seconds = t.TolerationSeconds
		}
	}
	return seconds, tolerated
}

// earlier returns the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
