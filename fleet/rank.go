package fleet

import "math"

// rank orders the candidates by preference.
func (s *schedule) rank() {
	most := s.mostReplicas()
	needs := make([]need, 0, len(s.workloads))
	for _, w := range s.workloads {
		if total := s.total(w); total > 0 {
			needs = append(needs, need{w, total, s.previous.counts(w.Object)})
		}
	}
	for i := range s.candidates {
		c := &s.candidates[i]
		if c.was >= 0 && !s.fresh {
			c.score = localityScore
		}
		c.score += s.preferred(c.Cluster)
		c.room, c.available = unlimited, unlimited
		for _, n := range needs {
			room := c.fits(n.workload, n.total)
			available := room
			switch {
			case c.was >= 0 && n.before != nil:
				available += n.before[c.was]
			case c.was >= 0 && !s.divided:
				available += n.total // each cluster runs all
			}
			if n.total != most { // how much of the app that is, in replicas of its largest workload
				room, available = scale(room, most, n.total), scale(available, most, n.total)
			}
			c.room, c.available = min(c.room, room), min(c.available, available)
		}
	}
	sortCandidates(s.candidates)
}

// need is what a workload needs, and the replicas that it has.
type need struct {
	workload Workload
	total    int64
	before   []int64 // beside the clusters of the previous decision
}

// scale returns n·by/of, without overflow.
func scale(n, by, of int64) int64 {
	return int64(min(math.Floor(float64(n)*float64(by)/float64(of)), unlimited))
}

// localityScore is what a cluster that runs the app has ahead of others, as in
// Karmada. Preferences add less than that: they order the others, and move nothing.
const localityScore = 100

// preferred is the score of a cluster by the placement's preferences.
func (s *schedule) preferred(c *Cluster) int64 {
	var sum, all int64
	for i := range s.preferences {
		p := &s.preferences[i]
		all += p.weight
		if p.targets.match(c).rule == "" {
			sum += p.weight
		}
	}
	if sum <= 0 {
		return 0
	}
	return max(1, (localityScore-1)*sum/all)
}
