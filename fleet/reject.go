package fleet

import (
	"fmt"
	"strings"
)

// refusal is what keeps an app off a cluster that its affinity takes. It makes no
// text: it is found for every app and cluster.
type refusal struct {
	rule  string // "" when nothing does
	taint Taint
	group membership
	other AppName // of the group, which is there
	part  int     // of the workloads or spread constraints
}

// rejects finds what keeps the app off a cluster, in this order: that it was evicted,
// the cluster's taints, kinds that it does not serve, what it lacks to be spread over,
// and other apps of its groups. Taints and kinds keep nothing off that is there already.
func (s *schedule) rejects(at *site, was int) refusal {
	if len(s.evicted) > 0 {
		if _, out := s.evicted[at.Name]; out {
			return refusal{rule: RuleEvicted}
		}
	}
	if was < 0 && at.tainted {
		if taint, found := untolerated(at.taints, s.app.Placement.ClusterTolerations); found {
			return refusal{rule: RuleTaint, taint: taint}
		}
		if at.expels { // what would be driven out again at once does not come
			if e := s.expel(at); e.out {
				return refusal{rule: RuleTaint, taint: e.taint}
			}
		}
	}
	if was < 0 && at.kinds != nil {
		for i := range s.workloads {
			if id := &s.workloads[i].Object; !at.kinds[kind{id.Group, id.Kind}] {
				return refusal{rule: RuleKind, part: i}
			}
		}
	}
	for i := range s.app.Placement.SpreadConstraints {
		if c := &s.app.Placement.SpreadConstraints[i]; !c.byCluster() && !c.has(at.Cluster) {
			return refusal{rule: RuleSpread, part: i}
		}
	}
	return s.company(at)
}

// because says for people why the app was refused a cluster.
func (s *schedule) because(at *site, r refusal) Because {
	b := Because{Rule: r.rule}
	switch r.rule {
	case RuleTaint:
		b.Detail = r.taint.String() + " is not tolerated"
	case RuleKind:
		id := s.workloads[r.part].Object
		b.Detail = "the cluster does not serve " + strings.TrimPrefix(id.Group+" "+id.Kind, " ")
	case RuleSpread:
		b.Detail = "the cluster has no " + s.app.Placement.SpreadConstraints[r.part].one() + " to spread over"
	case RuleEvicted:
		b.Detail = s.evicted[at.Name].String()
	case RuleCompany:
		b.Detail = fmt.Sprintf("the other apps with %s=%s are elsewhere", r.group.key, r.group.value)
		if r.other != "" {
			b.Detail = fmt.Sprintf("app %q with %s=%s is here", r.other, r.group.key, r.group.value)
		}
	}
	return b
}

// reasonAt says why the site at a place is not feasible in the group that was tried
// last.
func (s *schedule) reasonAt(i int) Because {
	at := &s.sites[i]
	if s.group.tier(at.Cluster) < 0 {
		first := &s.group.tiers[0]
		return s.group.named(first.because(at.Cluster, first.match(at.Cluster)))
	}
	return s.because(at, s.rejects(at, s.was[i]))
}
