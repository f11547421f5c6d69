package fleet

import (
	"cmp"
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

// graceDefault is how long the old copy of an app that failed stays at most, where
// the failover does not say.
const graceDefault = 600 * time.Second

// String says for people why a cluster is out.
func (e Eviction) String() string {
	why := map[string]string{
		EvictedCluster: "the cluster was lost", EvictedApp: "the app stayed unhealthy there", EvictedTaint: "a NoExecute taint drove it out",
	}[e.Reason]
	text := fmt.Sprintf("%s at %s", why, e.Since.UTC().Format(time.RFC3339))
	if !e.Back.IsZero() {
		text += ", and it is well again since " + e.Back.UTC().Format(time.RFC3339)
	}
	return text
}

// evict finds out from which clusters the app is taken away, and which of those that
// it was taken from may have it again. It asks for a fresh division when one may.
func (s *schedule) evict() {
	s.evicted = map[ClusterName]Eviction{}
	for i := range s.sites {
		at := &s.sites[i]
		before, out := s.previous.Evicted[at.Name]
		_, placed := s.previous.Clusters[at.Name]
		switch {
		case out && !s.fresh:
			if after, still := s.stays(before, at); still {
				s.evicted[at.Name] = after
			} else {
				s.fresh = true
			}
		case placed:
			if reason, fails := s.fails(at); fails {
				s.evicted[at.Name] = Eviction{Reason: reason, Since: s.state.Now}
			}
		}
	}
	s.spare()
	if len(s.evicted) == 0 {
		s.evicted = nil
	}
}

// fails tells whether the app is to be taken away from a cluster now.
func (s *schedule) fails(at *site) (reason string, fails bool) {
	if at.lost && s.leavesLost() {
		return EvictedCluster, true
	}
	out, next := at.expelled(s.app.Placement.ClusterTolerations, s.state.Now)
	s.again = earlier(s.again, next)
	if out {
		return EvictedTaint, true
	}
	if s.app.Failover == nil || s.app.Failover.Application == nil || at.lost {
		return "", false
	}
	health, known := at.observed.Apps[s.app.Name]
	if !known || health.Healthy {
		return "", false
	}
	tolerated := int64(300)
	if t := s.app.Failover.Application.DecisionConditions.TolerationSeconds; t != nil {
		tolerated = *t
	}
	until := health.Since.Add(time.Duration(tolerated) * time.Second)
	if s.state.Now.Before(until) {
		s.again = earlier(s.again, until)
		return "", false
	}
	return EvictedApp, true
}

// leavesLost tells whether the app leaves clusters that are lost.
func (s *schedule) leavesLost() bool {
	return s.app.Failover != nil && s.app.Failover.Cluster != nil || s.def.Settings.Failover.Cluster
}

// stays tells whether a cluster that the app was taken from stays out.
func (s *schedule) stays(e Eviction, at *site) (Eviction, bool) {
	well := !at.lost
	if out, _ := at.expelled(s.app.Placement.ClusterTolerations, s.state.Now); out {
		well = false
	}
	if !well {
		e.Back = time.Time{}
		return e, true
	}
	if e.Back.IsZero() {
		e.Back = s.state.Now
	}
	var onReturn Return
	if s.app.Failover != nil {
		onReturn = s.app.Failover.OnReturn
	}
	after, returns := onReturn.After()
	if e.Reason == EvictedApp && onReturn != "" && after == 0 || e.Reason == EvictedApp && onReturn == "" {
		returns = false // what failed once would go back and forth
	}
	if !returns {
		return e, true
	}
	back := e.Back.Add(after)
	if s.state.Now.Before(back) {
		s.again = earlier(s.again, back)
		return e, true
	}
	return e, false
}

// spare takes back the eviction of an unhealthy app where nobody else would run it: a
// copy that fails is better than none.
func (s *schedule) spare() {
	if s.app.Placement.divided() || s.app.Placement.selects() {
		return
	}
	for name, e := range s.evicted {
		if e.Reason == EvictedApp {
			delete(s.evicted, name)
		}
	}
}

// kept returns the clusters where what is published stays though the app is not
// placed there: those that are lost, where nothing can be done, and those that it was
// taken from gracefully, until it is well where it went.
func (s *schedule) kept(o Outcome) []ClusterName {
	var kept []ClusterName
	for _, name := range slices.Sorted(maps.Keys(s.evicted)) {
		e := s.evicted[name]
		at, there := slices.BinarySearchFunc(s.sites, name, func(at site, name ClusterName) int { return cmp.Compare(at.Name, name) })
		if there && (s.sites[at].lost || e.Reason == EvictedApp && s.lingers(e, o)) {
			kept = append(kept, name)
		}
	}
	return kept
}

// lingers tells whether the copy of an app that failed stays for now.
func (s *schedule) lingers(e Eviction, o Outcome) bool {
	f := s.app.Failover.Application
	switch f.PurgeMode {
	case "Directly":
		return false
	case "Never":
		return true
	}
	grace := graceDefault
	if f.GracePeriodSeconds != nil {
		grace = time.Duration(*f.GracePeriodSeconds) * time.Second
	}
	until := e.Since.Add(grace)
	if !s.state.Now.Before(until) || s.wellSince(e.Since, o) {
		return false
	}
	s.again = earlier(s.again, until)
	return true
}

// wellSince tells whether the app is healthy wherever it is placed, as reported after
// a time.
func (s *schedule) wellSince(since time.Time, o Outcome) bool {
	for _, p := range o.Placed {
		health, known := s.state.Observed[p.Cluster].Apps[s.app.Name]
		_, ran := s.previous.Clusters[p.Cluster]
		if !known || !health.Healthy || !ran && health.Since.Before(since) {
			return false
		}
	}
	return len(o.Placed) > 0
}
