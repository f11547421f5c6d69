package fleet

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// noon is when the properties are tried.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// fleetCase is all that decides.
type fleetCase struct {
	Definition Definition
	Workloads  map[AppName][]Workload
	State      State
}

func (f fleetCase) decide() []Outcome { return Decide(f.Definition, f.Workloads, f.State) }

// after is the case once what it decides is known.
func (f fleetCase) after(outcomes []Outcome) fleetCase {
	previous := map[AppName]Previous{}
	for _, o := range outcomes {
		previous[o.App] = o.Next
	}
	f.State.Previous = previous
	return f
}

// with is the case with another cluster list.
func (f fleetCase) with(clusters []Cluster) fleetCase {
	f.Definition.Clusters = clusters
	return f
}

// cases yields small fleets that divide, spread, overflow, fail over and remember.
func cases(t *testing.T, try func(t *testing.T, r *rand.Rand, f fleetCase)) {
	t.Helper()
	for seed := range uint64(5 * rounds) {
		r := rand.New(rand.NewPCG(seed, 7))
		f := someCase(r)
		before := encode(t, f)
		try(t, r, f)
		if diff := cmp.Diff(before, encode(t, f)); diff != "" {
			t.Errorf("what was given has changed:\n%s", diff)
		}
		if t.Failed() {
			t.Fatalf("seed %d: %s", seed, encode(t, f.Definition.Apps))
		}
	}
}

func someCase(r *rand.Rand) fleetCase {
	f := fleetCase{Definition: Definition{Clusters: someClusters(r)}, Workloads: map[AppName][]Workload{}}
	f.Definition.Settings.Failover.Cluster = r.IntN(2) == 0
	f.Definition.Apps = make([]App, 1+r.IntN(3))
	for i := range f.Definition.Apps {
		app := App{Name: AppName(fmt.Sprintf("a%d", i)), Placement: somePlacement(r), Labels: map[string]string{"stack": pick(r, "x", "y")}}
		if r.IntN(3) == 0 {
			app.Failover = someFailover(r)
		}
		f.Definition.Apps[i] = app
		f.Workloads[app.Name] = someWorkloads(r)
	}
	if r.IntN(4) == 0 {
		f.Definition.TaintPolicies = []TaintPolicy{{
			Name: "lost", TargetClusters: someAffinity(r), Taints: []Taint{{Key: "lost", Effect: pick(r, effects...)}},
			AddOnConditions:    []TaintCondition{{ConditionType: "Ready", Operator: operatorNotIn, StatusValues: []string{"True"}}},
			RemoveOnConditions: []TaintCondition{{ConditionType: "Ready", Operator: operatorIn, StatusValues: []string{"True"}}},
		}}
	}
	f.State = State{Now: noon, Observed: someObserved(r, f.Definition)}
	return f
}

func someWorkloads(r *rand.Rand) []Workload {
	workloads := make([]Workload, r.IntN(3))
	for i := range workloads {
		w := &workloads[i]
		w.Object = ObjectID{Group: "apps", Kind: "Deployment", Name: fmt.Sprintf("w%d", i)}
		w.Replicas = int64(r.IntN(14))
		if r.IntN(3) == 0 {
			w.Requests = Resources{"cpu": int64(100 * r.IntN(4))}
		}
		if r.IntN(5) == 0 {
			w.Object = ObjectID{Group: "batch", Kind: "Job", Name: fmt.Sprintf("w%d", i)}
			completions := int64(r.IntN(30))
			w.Completions = &completions
		}
	}
	return workloads
}

func someObserved(r *rand.Rand, def Definition) map[ClusterName]Observed {
	observed := map[ClusterName]Observed{}
	for _, c := range def.Clusters {
		if r.IntN(3) == 0 {
			continue // never heard of
		}
		o := Observed{Ready: pick(r, ConditionTrue, ConditionTrue, ConditionTrue, ConditionTrue, ConditionFalse, ConditionUnknown), Since: noon.Add(-time.Duration(r.IntN(20)) * time.Minute)}
		if r.IntN(3) > 0 {
			o.Nodes = []NodeGroup{{Count: int64(r.IntN(4)), Free: Resources{"cpu": int64(r.IntN(2000)), pods: int64(r.IntN(9))}}}
		}
		if r.IntN(6) == 0 {
			o.Kinds = []string{"apps/v1/Deployment"}
		}
		o.Apps = map[AppName]AppHealth{}
		for _, app := range def.Apps {
			o.Apps[app.Name] = AppHealth{Healthy: r.IntN(4) > 0, Since: noon.Add(-time.Duration(r.IntN(10)) * time.Minute)}
		}
		observed[c.Name] = o
	}
	return observed
}

func someFailover(r *rand.Rand) *Failover {
	f := &Failover{OnReturn: pick(r, "", ReturnAuto, ReturnManual, Return("10m"))}
	if r.IntN(2) == 0 {
		f.Cluster = &ClusterFailover{PurgeMode: pick(r, "", purgeDirectly, purgeGracefully)}
	}
	if r.IntN(2) == 0 {
		f.Application = &ApplicationFailover{PurgeMode: pick(r, "", purgeDirectly, purgeGracefully, purgeNever)}
	}
	return f
}

func somePlacement(r *rand.Rand) Placement {
	p := Placement{ClusterAffinity: someAffinity(r)}
	if r.IntN(3) == 0 {
		p.ClusterTolerations = []Toleration{{Key: pick(r, "edge", "slow", "lost"), Operator: operatorExists}}
		if r.IntN(2) == 0 {
			seconds := int64(r.IntN(900))
			p.ClusterTolerations[0].Effect, p.ClusterTolerations[0].TolerationSeconds = effectNoExecute, &seconds
		}
	}
	if r.IntN(4) == 0 {
		p.ClusterAffinity = nil
		p.ClusterAffinities = []AffinityGroup{{AffinityName: "one", ClusterAffinity: anAffinity(r)}, {AffinityName: "two", ClusterAffinity: anAffinity(r)}}
	}
	if r.IntN(4) == 0 {
		p.Preferences = []Preference{{TargetCluster: anAffinity(r), Weight: int64(1 + r.IntN(100))}, {TargetCluster: anAffinity(r), Weight: 10}}
	}
	if r.IntN(6) == 0 {
		group := &WorkloadGroup{GroupByLabelKey: "stack"}
		p.WorkloadAffinity = pick(r, &WorkloadAffinity{Affinity: group}, &WorkloadAffinity{AntiAffinity: group})
	}
	if p.ReplicaScheduling = someScheduling(r); p.ReplicaScheduling != nil && r.IntN(8) == 0 {
		p.ReplicaScheduling.RescheduleAt = noon.Add(time.Duration(r.IntN(20)-5) * time.Minute).Format(time.RFC3339)
	}
	if r.IntN(4) == 0 {
		p.SpreadConstraints = []SpreadConstraint{{SpreadByField: fieldCluster, MinGroups: int64(r.IntN(3)), MaxGroups: pick(r, int64(0), 2, 3)}}
		if r.IntN(2) == 0 {
			by := pick(r, SpreadConstraint{SpreadByField: fieldRegion}, SpreadConstraint{SpreadByField: fieldZone}, SpreadConstraint{SpreadByLabel: "env"})
			by.MinGroups, by.MaxGroups = int64(r.IntN(3)), pick(r, int64(0), 2)
			p.SpreadConstraints = append(p.SpreadConstraints, by)
		}
	}
	if s := p.ReplicaScheduling; overflows(s) && len(p.ClusterAffinities) > 0 && r.IntN(2) == 0 {
		p.ClusterAffinities[0].OverflowAffinities = []OverflowAffinity{{AffinityName: "more", ClusterAffinity: anAffinity(r)}}
	}
	return p
}

func anAffinity(r *rand.Rand) ClusterAffinity {
	if a := someAffinity(r); a != nil {
		return *a
	}
	return ClusterAffinity{}
}

func someScheduling(r *rand.Rand) *ReplicaScheduling {
	s := &ReplicaScheduling{ReplicaSchedulingType: scheduleDivided, ReplicaDivisionPreference: divideWeighted}
	switch r.IntN(7) {
	case 0:
		return nil
	case 1:
		return &ReplicaScheduling{ReplicaSchedulingType: scheduleDuplicated}
	case 2:
		s.ReplicaDivisionPreference = divideAggregated
	case 3:
		s.WeightPreference = &WeightPreference{DynamicWeight: weightAvailableReplicas}
	case 4, 5:
		s.WeightPreference = &WeightPreference{}
		for range 1 + r.IntN(3) {
			rule := StaticWeight{TargetCluster: anAffinity(r), Weight: int64(1 + r.IntN(3))}
			if r.IntN(2) == 0 {
				most := int64(1 + r.IntN(6))
				rule.MinReplicas, rule.MaxReplicas = int64(r.IntN(int(most)+1)), &most
			}
			s.WeightPreference.StaticWeightList = append(s.WeightPreference.StaticWeightList, rule)
		}
	case 6:
		return &ReplicaScheduling{ClusterReplicas: []ClusterReplicas{{TargetCluster: anAffinity(r), Replicas: int64(r.IntN(4))}}}
	}
	return s
}

// replicasOf gives the replicas of every divided workload by cluster.
func replicasOf(o Outcome) map[ObjectID]map[ClusterName]int64 {
	all := map[ObjectID]map[ClusterName]int64{}
	for _, d := range o.Divisions {
		counts := map[ClusterName]int64{}
		for i, p := range o.Placed {
			counts[p.Cluster] = d.Counts[i]
		}
		all[d.Workload] = counts
	}
	return all
}

func TestDecidingIsDeterministic(t *testing.T) {
	cases(t, func(t *testing.T, r *rand.Rand, f fleetCase) {
		f = f.after(f.decide())
		first := f.decide()
		clusters := slices.Clone(f.Definition.Clusters)
		r.Shuffle(len(clusters), func(i, j int) { clusters[i], clusters[j] = clusters[j], clusters[i] })
		if diff := cmp.Diff(first, f.with(clusters).decide()); diff != "" {
			t.Errorf("other order, other outcome:\n%s", diff)
		}
	})
}

// TestReplicasAddUp checks that every outcome is whole: the replicas are those that
// were asked for, or it is said what is lacking; bounds hold; and nothing is placed
// where it must not be.
func TestReplicasAddUp(t *testing.T) {
	cases(t, func(t *testing.T, _ *rand.Rand, f fleetCase) {
		for range 2 {
			outcomes := f.decide()
			for i, o := range outcomes {
				checkOutcome(t, f, &f.Definition.Apps[i], o)
			}
			f = f.after(outcomes)
		}
	})
}

func checkOutcome(t *testing.T, f fleetCase, app *App, o Outcome) {
	t.Helper()
	if !slices.IsSortedFunc(o.Placed, func(a, b Decision) int { return compareNames(a.Cluster, b.Cluster) }) {
		t.Errorf("%s: not sorted: %v", app.Name, o.Placed)
	}
	for _, p := range o.Placed {
		if _, out := o.Evicted[p.Cluster]; out {
			t.Errorf("%s is on %s, from where it was evicted", app.Name, p.Cluster)
		}
	}
	if len(o.Placed) == 0 && o.Problem == "" && !app.Placement.divided() {
		t.Errorf("%s is nowhere, and nobody says why", app.Name)
	}
	for _, w := range f.Workloads[app.Name] {
		if at := slices.IndexFunc(o.Divisions, func(d Division) bool { return d.Workload == w.Object }); at >= 0 {
			checkDivision(t, app, w, o, o.Divisions[at])
		} else if app.Placement.divided() && len(app.Placement.ReplicaScheduling.ClusterReplicas) == 0 && w.Replicas > 0 && o.Problem == "" {
			t.Errorf("%s: %s was not divided, and nobody says why", app.Name, w.Object)
		}
	}
}

func compareNames(a, b ClusterName) int {
	if a < b {
		return -1
	}
	return 1
}

func checkDivision(t *testing.T, app *App, w Workload, o Outcome, d Division) {
	t.Helper()
	var sum, completions int64
	for i, n := range d.Counts {
		sum += n
		if n < 0 {
			t.Errorf("%s: %d replicas", app.Name, n)
		}
		if d.Completions != nil {
			completions += d.Completions[i]
		}
	}
	if len(d.Counts) != len(o.Placed) || sum != d.Total {
		t.Errorf("%s: counts %v for %d clusters and a total of %d", app.Name, d.Counts, len(o.Placed), d.Total)
	}
	s := app.Placement.ReplicaScheduling
	if len(s.ClusterReplicas) == 0 && o.Problem == "" && sum != w.Replicas {
		t.Errorf("%s: %d of %d replicas, and nobody says why", app.Name, sum, w.Replicas)
	}
	if w.Completions != nil && sum > 0 && completions != *w.Completions {
		t.Errorf("%s: %d of %d completions", app.Name, completions, *w.Completions)
	}
}

// TestBoundsHold checks min and max of static weights.
func TestBoundsHold(t *testing.T) {
	cases(t, func(t *testing.T, _ *rand.Rand, f fleetCase) {
		for i, o := range f.decide() {
			app := &f.Definition.Apps[i]
			rules := compilePlacement(&app.Placement)
			if !rules.bounds() || !rules.weighs() {
				continue
			}
			for _, c := range f.Definition.Clusters {
				rule := rules.ruleFor(&c)
				for _, counts := range replicasOf(o) {
					n, placed := counts[c.Name]
					switch {
					case rule == nil && n > 0:
						t.Errorf("%s: %d in %s, for which there is no weight", app.Name, n, c.Name)
					case rule != nil && rule.MaxReplicas != nil && n > *rule.MaxReplicas:
						t.Errorf("%s: %d in %s, at most %d are admitted", app.Name, n, c.Name, *rule.MaxReplicas)
					case placed && o.Problem == "" && len(f.State.Observed) == 0 && n < rule.MinReplicas && sumOf(counts) >= atLeast(rules, f.Definition.Clusters):
						t.Errorf("%s: %d in %s, at least %d are wanted", app.Name, n, c.Name, rule.MinReplicas)
					}
				}
			}
		}
	})
}

func sumOf(counts map[ClusterName]int64) (sum int64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

// atLeast is what all minimums come to.
func atLeast(rules compiledPlacement, clusters []Cluster) (sum int64) {
	for i := range clusters {
		if rule := rules.ruleFor(&clusters[i]); rule != nil {
			sum += rule.MinReplicas
		}
	}
	return sum
}

// steadyApps tells whether what an app runs stays when something else comes: overflow
// tiers are left as soon as the tier before has room, and apps that go with others go
// where these go.
func steady(p Placement) bool {
	if p.WorkloadAffinity != nil {
		return false
	}
	return !slices.ContainsFunc(p.ClusterAffinities, func(g AffinityGroup) bool { return len(g.OverflowAffinities) > 0 })
}

// TestNewClusterMovesNoReplica adds a cluster to a fleet that runs.
func TestNewClusterMovesNoReplica(t *testing.T) {
	cases(t, func(t *testing.T, r *rand.Rand, f fleetCase) {
		before := f.decide()
		f = f.after(before)
		larger := append(slices.Clone(f.Definition.Clusters), someCluster(r, "c9"))
		for i, o := range f.with(larger).decide() {
			if before[i].Problem != "" || !steady(f.Definition.Apps[i].Placement) || len(before[i].Evicted)+len(o.Evicted) > 0 {
				continue
			}
			after := replicasOf(o)
			for workload, counts := range replicasOf(before[i]) {
				for cluster, n := range counts {
					if after[workload][cluster] < n {
						t.Errorf("%s: %s in %s has %d of %d replicas left: %+v\n%+v", o.App, workload, cluster, after[workload][cluster], n, before[i], o)
					}
				}
			}
			for _, p := range before[i].Placed {
				if _, still := placedAt(o.Placed, p.Cluster); !still {
					t.Errorf("%s left %s", o.App, p.Cluster)
				}
			}
		}
	})
}

// TestDecidingAgainMovesNothing decides twice about the same.
func TestDecidingAgainMovesNothing(t *testing.T) {
	cases(t, func(t *testing.T, _ *rand.Rand, f fleetCase) {
		before := f.decide()
		for i, o := range f.after(before).decide() {
			if before[i].Problem != "" || !steady(f.Definition.Apps[i].Placement) || len(before[i].Evicted)+len(o.Evicted) > 0 {
				continue
			}
			if diff := cmp.Diff(before[i].Next, o.Next); diff != "" {
				t.Errorf("%s moved (-before +after):\n%s", o.App, diff)
			}
		}
	})
}

// TestTaintedClusterGainsNothing taints a cluster, and asks for more.
func TestTaintedClusterGainsNothing(t *testing.T) {
	cases(t, func(t *testing.T, r *rand.Rand, f fleetCase) {
		if len(f.Definition.Clusters) == 0 {
			return
		}
		before := f.decide()
		f = f.after(before)
		clusters := slices.Clone(f.Definition.Clusters)
		at := &clusters[r.IntN(len(clusters))]
		at.Taints = append(slices.Clip(at.Taints), Taint{Key: "cordoned", Effect: effectNoSchedule})
		workloads := map[AppName][]Workload{}
		for app, list := range f.Workloads {
			workloads[app] = slices.Clone(list)
			for i := range workloads[app] {
				workloads[app][i].Replicas += int64(r.IntN(5))
			}
		}
		f.Workloads = workloads
		for i, o := range f.with(clusters).decide() {
			if _, tolerated := untolerated(at.Taints[len(at.Taints)-1:], f.Definition.Apps[i].Placement.ClusterTolerations); !tolerated {
				continue
			}
			ran := replicasOf(before[i])
			for workload, counts := range replicasOf(o) {
				if had, known := ran[workload]; known && counts[at.Name] > had[at.Name] {
					t.Errorf("%s: %s in %s has %d replicas, and had %d: %s", o.App, workload, at.Name, counts[at.Name], had[at.Name], o.Problem)
				}
			}
			_, was := placedAt(before[i].Placed, at.Name)
			if _, is := placedAt(o.Placed, at.Name); is && !was {
				t.Errorf("%s came to %s", o.App, at.Name)
			}
		}
	})
}

// TestScalingMovesTheFewest changes how many replicas are asked for.
func TestScalingMovesTheFewest(t *testing.T) {
	cases(t, func(t *testing.T, r *rand.Rand, f fleetCase) {
		before := f.decide()
		f = f.after(before)
		workloads := map[AppName][]Workload{}
		for app, list := range f.Workloads {
			workloads[app] = slices.Clone(list)
			for i := range workloads[app] {
				workloads[app][i].Replicas = max(0, workloads[app][i].Replicas+int64(r.IntN(9)-4))
			}
		}
		f.Workloads = workloads
		for i, o := range f.decide() {
			p := f.Definition.Apps[i].Placement
			rules := compilePlacement(&p)
			if before[i].Problem != "" || o.Problem != "" || !steady(p) || !rules.dynamic || rules.selects || len(o.Evicted) > 0 {
				continue
			}
			ran := replicasOf(before[i])
			for workload, counts := range replicasOf(o) {
				if ran[workload] == nil {
					continue
				}
				var moved int64
				for _, c := range f.Definition.Clusters {
					moved += max(counts[c.Name]-ran[workload][c.Name], ran[workload][c.Name]-counts[c.Name])
				}
				if fewest := sumOf(counts) - sumOf(ran[workload]); moved != max(fewest, -fewest) {
					t.Errorf("%s: %s changes %d replicas for %d", o.App, workload, moved, fewest)
				}
			}
		}
	})
}

// TestExplainSaysWhatDecideDoes compares the two, and that no verdict is empty.
func TestExplainSaysWhatDecideDoes(t *testing.T) {
	cases(t, func(t *testing.T, _ *rand.Rand, f fleetCase) {
		f = f.after(f.decide())
		for _, o := range f.decide() {
			e, found := Explain(f.Definition, o.App, f.Workloads, f.State)
			if !found || len(e.Verdicts) != len(f.Definition.Clusters) {
				t.Fatalf("%s: %d verdicts about %d clusters", o.App, len(e.Verdicts), len(f.Definition.Clusters))
			}
			var placed []ClusterName
			for _, v := range e.Verdicts {
				if v.Because.Rule == "" {
					t.Errorf("%s in %s: no reason", o.App, v.Cluster)
				}
				if !v.Placed {
					continue
				}
				placed = append(placed, v.Cluster)
				for _, share := range v.Shares {
					if want := replicasOf(o)[share.Workload][v.Cluster]; share.Count != want || share.How == "" {
						t.Errorf("%s in %s: %+v, decided %d", o.App, v.Cluster, share, want)
					}
				}
			}
			var want []ClusterName
			for _, p := range o.Placed {
				want = append(want, p.Cluster)
			}
			if diff := cmp.Diff(want, placed); diff != "" {
				t.Errorf("%s (-decided +explained):\n%s", o.App, diff)
			}
		}
	})
}
