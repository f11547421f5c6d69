package fleet

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// publish is what a hub publishes of what it decided.
func publish(f fleetCase, outcomes []Outcome, published Published) Published {
	desired := Published{}
	for _, o := range outcomes {
		for _, p := range o.Placed {
			d := desired[p.Cluster]
			d.Apps = append(d.Apps, DesiredApp{Name: o.App, Decided: o.Next.In(p.Cluster)})
			desired[p.Cluster] = d
		}
	}
	return Settle(f.Definition, outcomes, desired, published, "r")
}

// TestPublishedRemembers checks that a hub that knows no more than what is published
// knows what was decided.
func TestPublishedRemembers(t *testing.T) {
	cases(t, func(t *testing.T, _ *rand.Rand, f fleetCase) {
		var published Published
		for range 3 {
			outcomes := f.decide()
			published = publish(f, outcomes, published)
			f.State.Previous = PreviousOf(published)
			for _, o := range outcomes {
				if got := f.State.Previous[o.App]; len(o.Placed) > 0 && !got.equal(&o.Next) {
					t.Errorf("%s: forgotten (-decided +known):\n%s", o.App, cmp.Diff(o.Next, got))
				}
			}
		}
	})
}

// TestSpreadHolds checks that what spread constraints chose is what they admit, and that
// nothing is chosen twice.
func TestSpreadHolds(t *testing.T) {
	cases(t, func(t *testing.T, r *rand.Rand, f fleetCase) {
		f.Definition.Apps = slices.Clone(f.Definition.Apps)
		for i := range f.Definition.Apps {
			if p := &f.Definition.Apps[i].Placement; len(p.SpreadConstraints) > 0 && r.IntN(2) == 0 {
				p.SpreadConstraints = append(slices.Clip(p.SpreadConstraints),
					SpreadConstraint{SpreadByField: fieldProvider, MinGroups: int64(r.IntN(3))}, SpreadConstraint{SpreadByLabel: "gpu", MaxGroups: int64(r.IntN(2))})
			}
		}
		for range 2 {
			d := newDeciding(f.Definition, f.State)
			for i := range f.Definition.Apps {
				app := &f.Definition.Apps[i]
				s := d.schedule(app, f.Workloads[app.Name])
				names := namesOf(s.chosen)
				if slices.Sort(names); len(slices.Compact(names)) != len(s.chosen) {
					t.Errorf("%s: chosen twice: %v", app.Name, names)
				}
				if s.selects && s.problem == nil && !app.Placement.admits(s.chosen) {
					t.Errorf("%s: %v is not what %+v admit", app.Name, names, app.Placement.SpreadConstraints)
				}
			}
			f = f.after(f.decide())
		}
	})
}

// TestLostClusterGainsNothing loses a cluster and asks for more.
func TestLostClusterGainsNothing(t *testing.T) {
	cases(t, func(t *testing.T, r *rand.Rand, f fleetCase) {
		if len(f.Definition.Clusters) == 0 {
			return
		}
		before := f.decide()
		f = f.after(before)
		lost := f.Definition.Clusters[r.IntN(len(f.Definition.Clusters))].Name
		observed := map[ClusterName]Observed{}
		for name, o := range f.State.Observed {
			observed[name] = o
		}
		observed[lost] = Observed{Ready: ConditionUnknown, Since: noon}
		f.State.Observed = observed
		workloads := map[AppName][]Workload{}
		for app, list := range f.Workloads {
			workloads[app] = slices.Clone(list)
			for i := range workloads[app] {
				workloads[app][i].Replicas += int64(r.IntN(5))
			}
		}
		f.Workloads = workloads
		for i, o := range f.decide() {
			_, was := placedAt(before[i].Placed, lost)
			at, is := placedAt(o.Placed, lost)
			if is && !was {
				t.Errorf("%s came to %s, which is lost", o.App, lost)
			}
			for _, d := range o.Divisions {
				if had, known := replicasOf(before[i])[d.Workload]; is && known && d.Counts[at] > had[lost] {
					t.Errorf("%s: %s, which is lost, has %d replicas of %s, and had %d", o.App, lost, d.Counts[at], d.Workload, had[lost])
				}
			}
			p := &f.Definition.Apps[i].Placement
			if was && !is && !slices.Contains(o.Kept, lost) && p.WorkloadAffinity == nil && len(p.ClusterAffinities) == 0 && o.Problem == "" && len(before[i].Evicted) == 0 && ran(p, before[i], lost) {
				t.Errorf("%s left %s, and what is there would be removed: %+v", o.App, lost, o)
			}
		}
	})
}

// ran tells whether the app is on the cluster with replicas, or whole.
func ran(p *Placement, o Outcome, cluster ClusterName) bool {
	at, _ := placedAt(o.Placed, cluster)
	return !p.divided() || slices.ContainsFunc(o.Divisions, func(d Division) bool { return d.Counts[at] > 0 })
}

// TestChooseGroupsEqualsOracle compares the search for groups with a look at every
// subset.
func TestChooseGroupsEqualsOracle(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 23))
		groups := make([]spreadGroup, 1+r.IntN(7))
		for i := range groups {
			groups[i] = spreadGroup{name: fmt.Sprintf("g%d", i), score: int64(r.IntN(4) * 10), clusters: make([]candidate, 1+r.IntN(4))}
		}
		r.Shuffle(len(groups), func(i, j int) { groups[i], groups[j] = groups[j], groups[i] })
		fewest := 1 + r.IntN(3)
		most := min(len(groups), fewest+r.IntN(4))
		clusters := 1 + r.IntN(9)
		want := groupsByHand(groups, fewest, most, clusters)
		var got []string
		for _, g := range chooseGroups(slices.Clone(groups), fewest, most, clusters) {
			got = append(got, g.name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d: %d to %d of %v for %d clusters (-oracle +chosen):\n%s", seed, fewest, most, groups, clusters, diff)
		}
	}
}

// TestChooseGroupsEnds asks for what takes for ever to look through.
func TestChooseGroupsEnds(t *testing.T) {
	groups := func(n int) []spreadGroup {
		groups := make([]spreadGroup, n)
		for i := range groups {
			groups[i] = spreadGroup{name: fmt.Sprintf("g%05d", i), score: int64(i % 7), clusters: make([]candidate, 1+i%2)}
		}
		return groups
	}
	for name, test := range map[string]struct{ groups, fewest, most, clusters, want int }{
		"none will do":        {60, 1, 30, 61, 0},
		"few of many will":    {60, 1, 30, 60, 30},
		"thousands of groups": {10_000, 1, 10_000, 6_000, 4_000},
		"all of them":         {10_000, 10_000, 10_000, 1, 10_000},
	} {
		if got := len(chooseGroups(groups(test.groups), test.fewest, test.most, test.clusters)); got != test.want {
			t.Errorf("%s: %d groups, want %d", name, got, test.want)
		}
	}
}

// groupsByHand looks at every subset of groups. A subset suffices when it holds enough
// clusters, and does not when it would do without the last of its groups, smaller
// groups coming first.
func groupsByHand(groups []spreadGroup, fewest, most, clusters int) []string {
	groups = slices.Clone(groups)
	slices.SortFunc(groups, func(a, b spreadGroup) int {
		switch {
		case len(a.clusters) != len(b.clusters):
			return len(a.clusters) - len(b.clusters)
		case a.score != b.score:
			return int(b.score - a.score)
		}
		return int(a.name[1]) - int(b.name[1])
	})
	type subset struct {
		at              []int
		names           []string
		score, clusters int
	}
	enough := func(at []int) bool {
		held := 0
		for _, i := range at {
			held += len(groups[i].clusters)
		}
		return held >= clusters && len(at) >= fewest && len(at) <= most
	}
	var found []subset
	for mask := 1; mask < 1<<len(groups); mask++ {
		var s subset
		for i := range groups {
			if mask&(1<<i) != 0 {
				s.at = append(s.at, i)
				s.score += int(groups[i].score)
				s.clusters += len(groups[i].clusters)
			}
		}
		if !enough(s.at) || enough(s.at[:len(s.at)-1]) {
			continue
		}
		named := slices.Clone(s.at)
		slices.SortStableFunc(named, func(a, b int) int {
			if groups[a].score != groups[b].score {
				return int(groups[b].score - groups[a].score)
			}
			return int(groups[a].name[1]) - int(groups[b].name[1])
		})
		for _, i := range named {
			s.names = append(s.names, groups[i].name)
		}
		found = append(found, s)
	}
	if len(found) == 0 {
		return nil
	}
	slices.SortFunc(found, func(a, b subset) int {
		switch {
		case a.score != b.score:
			return b.score - a.score
		case a.clusters != b.clusters:
			return b.clusters - a.clusters
		}
		return slices.Compare(a.at, b.at)
	})
	best := found[0]
	for _, s := range found {
		if len(s.names) < len(best.names) && slices.Equal(best.names[:len(s.names)], s.names) {
			best = s
		}
	}
	return best.names
}
