package fleet

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Why an app was taken away from a cluster.
const (
	EvictedCluster = "cluster" // the cluster was lost
	EvictedApp     = "app"     // the app stayed unhealthy there
	EvictedTaint   = "taint"   // a NoExecute taint
)

const (
	// graceDefault is how long the old copy of an app stays at most where it is evicted
	// gracefully, and unhealthyDefault how long an app may be unhealthy, where the failover
	// does not say.
	graceDefault     = 600 * time.Second
	unhealthyDefault = 300 * time.Second
)

// String says for people why a cluster is out.
func (e Eviction) String() string {
	why := map[string]string{
		EvictedCluster: "the cluster was lost", EvictedApp: "the app stayed unhealthy there", EvictedTaint: "a NoExecute taint drove it out",
	}[e.Reason]
	text := fmt.Sprintf("%s at %s", why, e.Since.UTC().Format(time.RFC3339))
	if e.Reason != EvictedApp && !e.Back.IsZero() {
		text += ", and it is well again since " + e.Back.UTC().Format(time.RFC3339)
	}
	return text
}

// evict finds out from which clusters the app is taken away, and which of those that
// it was taken from may have it again. Where one may, everything is divided afresh.
func (s *schedule) evict() {
	evicted := map[ClusterName]Eviction{}
	for _, name := range slices.Sorted(maps.Keys(s.previous.Evicted)) {
		at := siteAt(s.sites, name)
		if at == nil || !s.matches(at.Cluster) {
			continue // gone from Git, or from the placement
		}
		if after, stays := s.stays(s.previous.Evicted[name], at); stays {
			evicted[name] = after
		} else {
			s.fresh = s.decided
		}
	}
	for i, was := range s.was {
		if at := &s.sites[i]; was >= 0 {
			if reason := s.fails(at); reason != "" && s.matches(at.Cluster) {
				evicted[at.Name] = Eviction{Reason: reason, Since: s.state.Now}
			}
		}
	}
	for name, e := range evicted {
		if e.Reason == EvictedApp && e.Back.IsZero() {
			evicted[name] = s.failed(e)
		}
	}
	if len(evicted) > 0 {
		s.evicted = evicted
	}
}

// failed notes that the cluster is well from which an app that failed is taken away, so
// that the time until it may return counts from now.
func (s *schedule) failed(e Eviction) Eviction {
	e.Back = s.state.Now
	if after, returns := s.returns(e); returns {
		s.again = earlier(s.again, e.Back.Add(after))
	}
	return e
}

// fails tells why the app is to be taken away from a cluster now; "" when it is not.
func (s *schedule) fails(at *site) (reason string) {
	if at.lost && s.leavesLost() {
		return EvictedCluster
	}
	if at.expels && s.expel(at).out {
		return EvictedTaint
	}
	if s.unhealthy(at) {
		return EvictedApp
	}
	return ""
}

// expel tells what the taints of a cluster do to the app.
func (s *schedule) expel(at *site) expulsion {
	return at.expel(s.app.Placement.ClusterTolerations, s.previous.Tolerating[at.Name], s.state.Now)
}

// tolerate notes where a taint is tolerated for a while only, and until when.
func (s *schedule) tolerate(placed []Decision) {
	if !slices.ContainsFunc(s.app.Placement.ClusterTolerations, func(t Toleration) bool { return t.TolerationSeconds != nil }) {
		return
	}
	for i := range placed {
		at := siteAt(s.sites, placed[i].Cluster)
		if !at.expels {
			continue
		}
		if e := s.expel(at); !e.next.IsZero() {
			s.again = earlier(s.again, e.next)
			if s.tolerating == nil {
				s.tolerating = map[ClusterName]time.Time{}
			}
			s.tolerating[at.Name] = e.since
		}
	}
}

// leavesLost tells whether the app leaves clusters that are lost. One that every
// feasible cluster runs whole leaves none unless it says so: nobody would run it
// instead.
func (s *schedule) leavesLost() bool {
	if f := s.app.Failover; f != nil && f.Cluster != nil {
		return true
	}
	return s.settings.Failover.Cluster && s.moves()
}

// moves tells whether another cluster may take over what one loses.
func (s *schedule) moves() bool {
	return s.divided && s.fixed == nil || s.selects || len(s.groups) > 1
}

// spare takes back the evictions of an app that failed, those of now or all, where it
// cannot be had without these clusters: a copy that fails is better than none. It tells
// whether there were any.
func (s *schedule) spare(all bool) (spared bool) {
	evicted := map[ClusterName]Eviction{}
	for name, e := range s.evicted {
		if e.Reason == EvictedApp && (all || e.Since.Equal(s.state.Now)) {
			spared = true
		} else {
			evicted[name] = e
		}
	}
	if s.evicted = evicted; len(evicted) == 0 {
		s.evicted = nil
	}
	return spared
}

// unhealthy tells whether the app was unhealthy in a cluster for too long. It only
// counts where another cluster may take over.
func (s *schedule) unhealthy(at *site) bool {
	if s.app.Failover == nil || s.app.Failover.Application == nil || at.lost || !s.moves() {
		return false
	}
	health, known := at.observed.Apps[s.app.Name]
	if !known || health.Healthy {
		return false
	}
	tolerated := unhealthyDefault
	if t := s.app.Failover.Application.DecisionConditions.TolerationSeconds; t != nil {
		tolerated = time.Duration(*t) * time.Second
	}
	until := health.Since.Add(tolerated)
	if s.state.Now.Before(until) {
		s.again = earlier(s.again, until)
		return false
	}
	return true
}

// stays tells whether a cluster that the app was taken from stays out.
func (s *schedule) stays(e Eviction, at *site) (Eviction, bool) {
	if at.lost || at.awaited(e) || at.drives(s.app.Placement.ClusterTolerations) {
		e.Back = time.Time{}
		return e, true
	}
	if s.fresh {
		return e, false
	}
	if e.Back.IsZero() {
		e.Back = s.state.Now
	}
	after, returns := s.returns(e)
	if !returns {
		return e, true
	}
	if back := e.Back.Add(after); s.state.Now.Before(back) {
		s.again = earlier(s.again, back)
		return e, true
	}
	return e, false
}

// awaited tells whether a cluster that was lost has not been heard of since the hub
// started, which says nothing of how it is.
func (s *site) awaited(e Eviction) bool {
	return e.Reason == EvictedCluster && s.observed.Ready == ""
}

// returns tells how long a cluster has to be well before the app goes back. An app
// that failed in a cluster does not go back by itself unless a time is said: it would
// go back and forth.
func (s *schedule) returns(e Eviction) (after time.Duration, returns bool) {
	var r Return
	if s.app.Failover != nil {
		r = s.app.Failover.OnReturn
	}
	after, returns = r.After()
	return after, returns && (e.Reason != EvictedApp || after > 0)
}

// drives tells whether a NoExecute taint drives the app out, now or after a while.
func (s *site) drives(tolerations []Toleration) bool {
	return s.expels && slices.ContainsFunc(s.taints, func(t Taint) bool {
		if t.Effect != effectNoExecute {
			return false
		}
		seconds, tolerated := toleratedFor(t, tolerations)
		return !tolerated || seconds != nil
	})
}

// kept returns the clusters where what is published stays though the app is not
// placed there: those that are lost, where nothing can be done, and those that it was
// taken from gracefully, until it is well where it went.
func (s *schedule) kept(placed []Decision) []ClusterName {
	var kept []ClusterName
	for _, name := range slices.Sorted(maps.Keys(s.evicted)) {
		if at := siteAt(s.sites, name); at.lost || at.awaited(s.evicted[name]) || s.lingers(s.evicted[name], placed) {
			kept = append(kept, name)
		}
	}
	return kept
}

// lingers tells whether the old copy of an app stays for now.
func (s *schedule) lingers(e Eviction, placed []Decision) bool {
	mode, grace := s.purge(e)
	switch mode {
	case purgeDirectly:
		return false
	case purgeNever:
		return true
	}
	until := e.Since.Add(grace)
	switch {
	case !s.state.Now.Before(until):
		return false
	case e.Since.Equal(s.state.Now) && s.moves(): // what was said until now is not about what comes
	case s.wellSince(e.Since, placed):
		return false
	}
	s.again = earlier(s.again, until)
	return true
}

// purge returns how the old copy is taken away, and how long it may stay.
func (s *schedule) purge(e Eviction) (mode string, grace time.Duration) {
	f := s.app.Failover
	switch {
	case f == nil:
	case e.Reason == EvictedApp && f.Application != nil:
		mode = f.Application.PurgeMode
		if seconds := f.Application.GracePeriodSeconds; seconds != nil {
			return mode, time.Duration(*seconds) * time.Second
		}
	case f.Cluster != nil:
		mode = f.Cluster.PurgeMode
	}
	return mode, graceDefault
}

// wellSince tells whether the app is healthy wherever it is placed. Where it did not
// run before, what was said before a time does not count.
func (s *schedule) wellSince(since time.Time, placed []Decision) bool {
	for _, p := range placed {
		health, known := s.state.Observed[p.Cluster].Apps[s.app.Name]
		if !known || !health.Healthy || !s.previous.has(p.Cluster) && health.Since.Before(since) {
			return false
		}
	}
	return len(placed) > 0
}
