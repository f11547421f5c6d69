package fleet

// outcome is what was decided.
func (s *schedule) outcome() Outcome {
	o := Outcome{App: s.app.Name, Affinity: s.group.name, Rescheduled: s.previous.Rescheduled, Evicted: s.evicted}
	switch {
	case s.problem == nil:
		s.place(&o)
		if s.lacking != nil {
			o.Problem = s.lacking.Error()
		}
	case s.infeasible || !s.decided:
		o.Problem, o.Placed = s.problem.Error(), []Decision{}
		o.Affinity = s.previous.Affinity
	default:
		o.Problem = s.problem.Error()
		s.repeat(&o)
	}
	s.tolerate(o.Placed)
	o.Kept = s.kept(o.Placed)
	o.Again = s.again
	o.Next = s.next(&o)
	return o
}

// place places the app on the chosen clusters that have a replica of anything.
func (s *schedule) place(o *Outcome) {
	used := make([]int, 0, len(s.chosen))
	for i := range s.chosen {
		if s.runsIn(i) {
			used = append(used, i)
		}
	}
	o.Placed = make([]Decision, len(used))
	for n, i := range used {
		c := &s.chosen[i]
		o.Placed[n] = Decision{Cluster: c.Name, Because: c.because(s.group.in[c.tier])}
	}
	for w, counts := range s.counts {
		if counts == nil {
			continue
		}
		if len(used) < len(counts) {
			counts = make([]int64, len(used))
			for n, i := range used {
				counts[n] = s.counts[w][i]
			}
		}
		o.Divisions = append(o.Divisions, divisionOf(s.workloads[w], counts, o.Placed))
	}
}

// runsIn tells whether the chosen cluster at a place has a replica of anything that
// was divided. Where nothing was, it runs the app.
func (s *schedule) runsIn(at int) bool {
	divided := false
	for _, counts := range s.counts {
		switch {
		case counts == nil:
			return true // a workload that is not divided is everywhere
		case counts[at] > 0:
			return true
		}
		divided = true
	}
	return !divided
}

// repeat repeats the decision before, without clusters that are gone or evicted.
func (s *schedule) repeat(o *Outcome) {
	o.Affinity, s.settled = s.previous.Affinity, s.previous.Settled
	because := Because{RuleBefore, "it runs there, and " + o.Problem}
	o.Placed = []Decision{}
	var kept []int
	for i, was := range s.was {
		if was < 0 {
			continue
		}
		if _, out := s.evicted[s.sites[i].Name]; !out {
			o.Placed = append(o.Placed, Decision{Cluster: s.sites[i].Name, Because: because})
			kept = append(kept, was)
		}
	}
	for _, w := range s.workloads {
		before := s.previous.counts(w.Object)
		if before == nil {
			continue
		}
		counts := make([]int64, len(kept))
		for n, was := range kept {
			counts[n] = before[was]
		}
		o.Divisions = append(o.Divisions, divisionOf(w, counts, o.Placed))
	}
}
