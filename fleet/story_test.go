package fleet

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// world is a fleet that lives: what is decided is published, and what is published is
// what the next decision knows of the one before.
type world struct {
	def       Definition
	workloads map[AppName][]Workload
	observed  map[ClusterName]Observed
	now       time.Time
	published Published
	outcomes  []Outcome
	decider   Decider // which has to decide the same
}

// newWorld has one app, web, with one Deployment, and clusters a, b, c with room for
// ten pods each.
func newWorld(p Placement, replicas int64) *world {
	w := &world{now: noon, workloads: map[AppName][]Workload{}, observed: map[ClusterName]Observed{}, published: Published{}}
	w.def.Settings.Failover.Cluster = true
	w.def.Apps = []App{{Name: "web", Placement: p}}
	w.workloads["web"] = []Workload{{Object: ObjectID{Group: "apps", Kind: "Deployment", Name: "web"}, Replicas: replicas}}
	for _, name := range []ClusterName{"a", "b", "c"} {
		w.add(name, 10)
	}
	return w
}

func (w *world) add(name ClusterName, room int64) {
	w.def.Clusters = append(w.def.Clusters, Cluster{Name: name})
	slices.SortFunc(w.def.Clusters, func(a, b Cluster) int { return strings.Compare(string(a.Name), string(b.Name)) })
	w.observed[name] = Observed{Ready: ConditionTrue, Since: noon, Nodes: nodesFor(room), Apps: map[AppName]AppHealth{}}
}

func (w *world) cluster(name ClusterName) *Cluster {
	return &w.def.Clusters[slices.IndexFunc(w.def.Clusters, func(c Cluster) bool { return c.Name == name })]
}

func (w *world) observe(name ClusterName, see func(*Observed)) {
	o := w.observed[name]
	o.Apps = maps.Clone(o.Apps)
	see(&o)
	w.observed[name] = o
}

func (w *world) app() *App          { return &w.def.Apps[0] }
func (w *world) scale(n int64)      { w.workloads["web"][0].Replicas = n }
func (w *world) pass(d string)      { p, _ := time.ParseDuration(d); w.now = w.now.Add(p) }
func (w *world) lose(n ClusterName) { w.ready(n, ConditionUnknown) }
func (w *world) find(n ClusterName) { w.ready(n, ConditionTrue) }

func (w *world) ready(name ClusterName, status ConditionStatus) {
	w.observe(name, func(o *Observed) { o.Ready, o.Since = status, w.now })
}

func (w *world) room(name ClusterName, n int64) {
	w.observe(name, func(o *Observed) { o.Nodes = nodesFor(n) })
}

func (w *world) healthy(name ClusterName, yes bool) {
	w.observe(name, func(o *Observed) { o.Apps["web"] = AppHealth{Healthy: yes, Since: w.now} })
}

func (w *world) taint(name ClusterName, effect string) {
	w.cluster(name).Taints = []Taint{{Key: "care", Effect: effect}}
}

// decide decides, publishes, and tells what became of the first app.
func (w *world) decide() string {
	state := State{Now: w.now, Observed: maps.Clone(w.observed), Previous: PreviousOf(w.published)}
	def := Definition{Settings: w.def.Settings, TaintPolicies: w.def.TaintPolicies}
	def.Clusters, def.Apps = slices.Clone(w.def.Clusters), slices.Clone(w.def.Apps)
	for i := range def.Apps {
		if p := &def.Apps[i].Placement; p.ReplicaScheduling != nil {
			p.ReplicaScheduling = ptr(*p.ReplicaScheduling)
		}
		def.Apps[i].Placement.ClusterAffinities = slices.Clone(def.Apps[i].Placement.ClusterAffinities)
	}
	workloads := maps.Clone(w.workloads)
	for app := range workloads {
		workloads[app] = slices.Clone(workloads[app])
	}
	w.outcomes = Decide(def, workloads, state)
	if diff := cmp.Diff(w.outcomes, w.decider.Decide(def, workloads, state)); diff != "" {
		return "a Decider decides otherwise: " + diff
	}
	desired := Published{}
	for i, o := range w.outcomes {
		for n, p := range o.Placed {
			d := desired[p.Cluster]
			var replicas []string
			for _, division := range o.Divisions {
				replicas = append(replicas, strconv.FormatInt(division.Counts[n], 10))
			}
			d.Apps = append(d.Apps, DesiredApp{
				Name: w.def.Apps[i].Name, Overlay: Digest(strings.Join(replicas, "+")), Decided: o.Next.In(p.Cluster),
			})
			desired[p.Cluster] = d
		}
	}
	desired = Settle(w.def, w.outcomes, desired, w.published, "r")
	w.published = maps.Clone(w.published)
	for _, change := range Diff(w.published, Wanted{Revision: "r", Definition: w.def, Desired: desired}).Changes {
		w.published[change.Cluster] = change.Desired
	}
	return w.tell(w.outcomes[0])
}

// tell gives an outcome as in "a:3 b:2; kept c; out c lost; again 10m".
func (w *world) tell(o Outcome) string {
	var placed, parts []string
	for i, p := range o.Placed {
		var counts []string
		for _, d := range o.Divisions {
			text := strconv.FormatInt(d.Counts[i], 10)
			if d.Completions != nil {
				text += fmt.Sprintf("(%d)", d.Completions[i])
			}
			counts = append(counts, text)
		}
		placed = append(placed, strings.TrimSuffix(string(p.Cluster)+":"+strings.Join(counts, "+"), ":"))
	}
	parts = append(parts, strings.Join(placed, " "))
	if o.Affinity != "" {
		parts = append(parts, "group "+o.Affinity)
	}
	if len(o.Kept) > 0 {
		parts = append(parts, strings.Trim(fmt.Sprint("kept ", o.Kept), "[]"))
		parts[len(parts)-1] = strings.ReplaceAll(parts[len(parts)-1], "[", "")
	}
	for _, name := range slices.Sorted(maps.Keys(o.Evicted)) {
		parts = append(parts, fmt.Sprintf("out %s by %s", name, o.Evicted[name].Reason))
	}
	if !o.Again.IsZero() {
		parts = append(parts, "again in "+Duration(o.Again.Sub(w.now)).String())
	}
	if o.Problem != "" {
		parts = append(parts, "but "+o.Problem)
	}
	return strings.Join(parts, "; ")
}

// runs tells what the index of each cluster says of the app: its replicas, "-" where it
// has a tombstone.
func (w *world) runs() string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(w.published)) {
		d := w.published[name]
		for _, app := range d.Apps {
			words = append(words, strings.TrimSuffix(string(name)+":"+string(app.Overlay), ":"))
		}
		for range d.Tombstones {
			words = append(words, string(name)+":-")
		}
	}
	return strings.Join(words, " ")
}

// step is what happens, and what is then decided.
type step struct {
	do   func(*world)
	want string
	runs string // what the clusters are told; not compared where it is empty
}

func nothing(*world) {}

func play(t *testing.T, w *world, steps []step) {
	t.Helper()
	for i, s := range steps {
		s.do(w)
		if diff := cmp.Diff(s.want, w.decide()); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
		if got := w.runs(); s.runs != "" && got != s.runs {
			t.Errorf("step %d: the clusters are told %q, want %q", i, got, s.runs)
		}
	}
}

func divided(preference string, weights *WeightPreference) Placement {
	return Placement{ReplicaScheduling: &ReplicaScheduling{
		ReplicaSchedulingType: scheduleDivided, ReplicaDivisionPreference: preference, WeightPreference: weights,
	}}
}

func byRoom() Placement {
	return divided(divideWeighted, &WeightPreference{DynamicWeight: weightAvailableReplicas})
}
func gathered() Placement                        { return divided(divideAggregated, nil) }
func evenly() Placement                          { return divided(divideWeighted, nil) }
func named(names ...ClusterName) ClusterAffinity { return ClusterAffinity{ClusterNames: names} }
func ptr[T any](v T) *T                          { return &v }

func (p Placement) tolerating(seconds *int64, effect string) Placement {
	p.ClusterTolerations = []Toleration{{Key: "care", Operator: operatorExists, Effect: effect, TolerationSeconds: seconds}}
	return p
}

func weights(numbers map[ClusterName]int64) Placement {
	var list []StaticWeight
	for _, name := range slices.Sorted(maps.Keys(numbers)) {
		list = append(list, StaticWeight{TargetCluster: named(name), Weight: numbers[name]})
	}
	return divided(divideWeighted, &WeightPreference{StaticWeightList: list})
}

// TestStories tells how what runs changes as the world does.
func TestStories(t *testing.T) {
	for name, story := range map[string]struct {
		world *world
		steps []step
	}{
		"replicas that come go where there is room, those that go are taken evenly": {newWorld(byRoom(), 6), []step{
			{nothing, "a:2 b:2 c:2", "a:2 b:2 c:2"},
			{func(w *world) { w.room("b", 0); w.scale(9) }, "a:4 b:2 c:3", ""},
			{func(w *world) { w.scale(4) }, "a:2 b:1 c:1", ""},
			{func(w *world) { w.scale(0) }, "a b c", ""},
		}},
		"aggregated replicas fill the roomiest": {newWorld(gathered(), 6), []step{
			{nothing, "a:6", "a:6"},
			{func(w *world) { w.room("a", 4); w.scale(9) }, "a:9", ""},
			{func(w *world) { w.room("a", 0); w.scale(12) }, "a:9 b:3", "a:9 b:3"},
			{func(w *world) { w.scale(5) }, "a:5", "a:5 b:-"},
		}},
		"a new cluster moves nothing until it is asked for": {newWorld(byRoom(), 6), []step{
			{nothing, "a:2 b:2 c:2", ""},
			{func(w *world) { w.add("d", 100) }, "a:2 b:2 c:2", ""},
			{func(w *world) { w.app().Placement.ReplicaScheduling.RescheduleAt = "2026-11-23T12:05:00Z" }, "a:2 b:2 c:2; again in 5m", ""},
			{func(w *world) { w.pass("5m") }, "a:1 b:1 d:4", "a:1 b:1 c:- d:4"},
			{func(w *world) { w.add("e", 100) }, "a:1 b:1 d:4", ""},
			{func(w *world) { w.app().Placement.ReplicaScheduling.RescheduleAt = "" }, "a:1 b:1 d:4", ""},
		}},
		"static weights": {newWorld(weights(map[ClusterName]int64{"a": 1, "b": 2}), 9), []step{
			{nothing, "a:3 b:6", ""},
			{func(w *world) { w.scale(10) }, "a:3 b:7", ""},
			{func(w *world) { w.lose("b") }, "a:10; kept b; out b by cluster", "a:10 b:7"},
			{func(w *world) { w.find("b") }, "a:3 b:7", "a:3 b:7"},
		}},
		"a cluster that is lost, and comes back": {newWorld(byRoom(), 6), []step{
			{nothing, "a:2 b:2 c:2", ""},
			{func(w *world) { w.lose("c") }, "a:3 b:3; kept c; out c by cluster", "a:3 b:3 c:2"},
			{func(w *world) { w.pass("1h") }, "a:3 b:3; kept c; out c by cluster", "a:3 b:3 c:2"},
			{func(w *world) { w.find("c") }, "a:2 b:2 c:2", "a:2 b:2 c:2"},
		}},
		"a cluster that comes back gets nothing before a person says so": {newWorld(byRoom(), 6), []step{
			{func(w *world) {
				w.app().Failover = &Failover{OnReturn: ReturnManual, Cluster: &ClusterFailover{PurgeMode: purgeDirectly}}
			}, "a:2 b:2 c:2", ""},
			{func(w *world) { w.lose("c") }, "a:3 b:3; kept c; out c by cluster", "a:3 b:3 c:2"},
			{func(w *world) { w.find("c"); w.pass("1h") }, "a:3 b:3; out c by cluster", "a:3 b:3 c:-"},
			{func(w *world) { w.scale(8) }, "a:4 b:4; out c by cluster", "a:4 b:4 c:-"},
			{func(w *world) { w.app().Placement.ReplicaScheduling.RescheduleAt = "2026-11-23T12:05:00Z" }, "a:3 b:3 c:2", "a:3 b:3 c:2"},
		}},
		"a cluster that comes back has to be well for a while": {newWorld(byRoom(), 6), []step{
			{func(w *world) {
				w.app().Failover = &Failover{OnReturn: "10m", Cluster: &ClusterFailover{PurgeMode: purgeDirectly}}
			}, "a:2 b:2 c:2", ""},
			{func(w *world) { w.lose("c") }, "a:3 b:3; kept c; out c by cluster", ""},
			{func(w *world) { w.pass("1h"); w.find("c") }, "a:3 b:3; out c by cluster; again in 10m", "a:3 b:3 c:-"},
			{func(w *world) { w.pass("6m") }, "a:3 b:3; out c by cluster; again in 4m", ""},
			{func(w *world) { w.lose("c") }, "a:3 b:3; kept c; out c by cluster", "a:3 b:3 c:-"},
			{func(w *world) { w.find("c") }, "a:3 b:3; out c by cluster; again in 10m", ""},
			{func(w *world) { w.pass("10m") }, "a:2 b:2 c:2", "a:2 b:2 c:2"},
		}},
		"with nowhere else to go everything stays": {newWorld(byRoom(), 3), []step{
			{func(w *world) { a := named("a"); w.app().Placement.ClusterAffinity = &a }, "a:3", "a:3"},
			{func(w *world) { w.lose("a") }, "; kept a; out a by cluster; but none of 3 clusters is feasible: 2 by clusterNames, 1 by evicted", "a:3"},
			{func(w *world) { w.pass("1h") }, "; kept a; out a by cluster; but none of 3 clusters is feasible: 2 by clusterNames, 1 by evicted", "a:3"},
			{func(w *world) { w.find("a") }, "a:3", "a:3"},
		}},
		"what does not fit elsewhere stays where it is": {newWorld(byRoom(), 24), []step{
			{nothing, "a:8 b:8 c:8", ""},
			{
				func(w *world) { w.room("a", 2); w.room("b", 2); w.lose("c") },
				"a:8 b:8; kept c; out c by cluster; but Deployment.apps web: 24 replicas are asked for and 20 fit", "a:8 b:8 c:8",
			},
			{func(w *world) { w.room("a", 6) }, "a:14 b:10; kept c; out c by cluster", "a:14 b:10 c:8"},
		}},
		"an app that every cluster runs leaves none that is lost": {newWorld(Placement{}, 3), []step{
			{nothing, "a b c", ""},
			{func(w *world) { w.lose("c") }, "a b c", "a b c"},
			{func(w *world) { w.find("c") }, "a b c", "a b c"},
		}},
		"unless it says so": {newWorld(Placement{}, 3), []step{
			{func(w *world) { w.app().Failover = &Failover{Cluster: &ClusterFailover{}} }, "a b c", ""},
			{func(w *world) { w.lose("c") }, "a b; kept c; out c by cluster", "a b c"},
			{func(w *world) { w.find("c") }, "a b c", "a b c"},
		}},
		"a fleet that does not fail over": {newWorld(byRoom(), 6), []step{
			{func(w *world) { w.def.Settings.Failover.Cluster = false }, "a:2 b:2 c:2", ""},
			{func(w *world) { w.lose("c") }, "a:2 b:2 c:2", ""},
			{func(w *world) { w.scale(10) }, "a:4 b:4 c:2", ""},
		}},
		"a taint keeps off what is not there, and moves nothing": {newWorld(byRoom(), 6), []step{
			{func(w *world) { w.taint("b", effectNoSchedule) }, "a:3 c:3", ""},
			{func(w *world) { w.taint("c", effectNoSchedule); w.scale(8) }, "a:5 c:3", ""},
			{func(w *world) { w.cluster("c").Taints = nil; w.scale(12) }, "a:7 c:5", ""},
		}},
		"NoExecute drives out, at once or after a while": {newWorld(byRoom().tolerating(ptr(int64(120)), effectNoExecute), 6), []step{
			{nothing, "a:2 b:2 c:2", ""},
			{func(w *world) { w.taint("c", effectNoExecute) }, "a:2 b:2 c:2; again in 2m", ""},
			{func(w *world) { w.pass("90s") }, "a:2 b:2 c:2; again in 30s", ""},
			{func(w *world) { w.pass("30s") }, "a:3 b:3; kept c; out c by taint; again in 10m", "a:3 b:3 c:2"},
			{func(w *world) { w.pass("10s"); w.healthy("a", true); w.healthy("b", true) }, "a:3 b:3; out c by taint", "a:3 b:3 c:-"},
			{func(w *world) { w.taint("c", effectPreferNoSchedule) }, "a:2 b:2 c:2", "a:2 b:2 c:2"},
		}},
		"clusters are tainted by their condition": {newWorld(byRoom(), 6), []step{
			{func(w *world) {
				w.def.Settings.Failover.Cluster = false
				w.def.TaintPolicies = []TaintPolicy{{
					Name:            "lost",
					AddOnConditions: []TaintCondition{{ConditionType: "Ready", Operator: operatorNotIn, StatusValues: []string{"True"}}},
					Taints:          []Taint{{Key: "lost", Effect: effectNoExecute}},
				}}
			}, "a:2 b:2 c:2", ""},
			{func(w *world) { w.ready("c", ConditionFalse) }, "a:3 b:3; kept c; out c by taint", "a:3 b:3 c:2"},
			{func(w *world) { w.find("c") }, "a:2 b:2 c:2", ""},
		}},
		"a cluster that is not ready gets nothing new": {newWorld(Placement{}, 6), []step{
			{func(w *world) { w.ready("b", ConditionFalse) }, "a c", ""},
			{func(w *world) { w.find("b") }, "a b c", ""},
			{func(w *world) { w.ready("b", ConditionFalse) }, "a b c", ""},
		}},
		"an app that does not get well moves": {newWorld(byRoom(), 6), []step{
			{func(w *world) {
				w.app().Failover = &Failover{Application: &ApplicationFailover{DecisionConditions: DecisionConditions{TolerationSeconds: ptr(int64(60))}}}
			}, "a:2 b:2 c:2", ""},
			{func(w *world) { w.healthy("a", true); w.healthy("b", true); w.healthy("c", false) }, "a:2 b:2 c:2; again in 1m", ""},
			{func(w *world) { w.healthy("a", false); w.pass("1m") }, "b:6; kept a c; out a by app; out c by app; again in 10m", "a:2 b:6 c:2"},
			{func(w *world) { w.healthy("b", false); w.pass("30s") }, "b:6; kept a c; out a by app; out c by app; again in 30s", ""},
			{func(w *world) { w.healthy("b", true) }, "b:6; out a by app; out c by app", "a:- b:6 c:-"},
			{func(w *world) { w.healthy("c", true); w.pass("5h") }, "b:6; out a by app; out c by app", "a:- b:6 c:-"},
		}},
		"a copy that fails is better than none": {newWorld(byRoom(), 6), []step{
			{func(w *world) {
				w.app().Failover = &Failover{Application: &ApplicationFailover{PurgeMode: purgeDirectly}}
				a := named("a")
				w.app().Placement.ClusterAffinity = &a
			}, "a:6", ""},
			{func(w *world) { w.healthy("a", false); w.pass("1h") }, "a:6", "a:6"},
		}},
		"an app that fails is purged directly": {newWorld(byRoom(), 6), []step{
			{func(w *world) {
				w.app().Failover = &Failover{OnReturn: "5m", Application: &ApplicationFailover{PurgeMode: purgeDirectly}}
			}, "a:2 b:2 c:2", ""},
			{func(w *world) { w.healthy("c", false); w.pass("5m") }, "a:3 b:3; out c by app; again in 5m", "a:3 b:3 c:-"},
			{func(w *world) { w.healthy("c", true); w.pass("5m") }, "a:2 b:2 c:2", "a:2 b:2 c:2"},
		}},
		"or never": {newWorld(byRoom(), 6), []step{
			{func(w *world) { w.app().Failover = &Failover{Application: &ApplicationFailover{PurgeMode: purgeNever}} }, "a:2 b:2 c:2", ""},
			{func(w *world) { w.healthy("c", false); w.pass("5m") }, "a:3 b:3; kept c; out c by app", "a:3 b:3 c:2"},
			{func(w *world) { w.healthy("a", true); w.healthy("b", true); w.pass("5h") }, "a:3 b:3; kept c; out c by app", "a:3 b:3 c:2"},
		}},
		"groups are left forward, and gone back to only afresh": {newWorld(byRoom(), 6), []step{
			{func(w *world) {
				w.app().Placement.ClusterAffinities = []AffinityGroup{{AffinityName: "near", ClusterAffinity: named("a")}, {AffinityName: "far", ClusterAffinity: named("b", "c")}}
			}, "a:6; group near", ""},
			{func(w *world) { w.scale(17); w.room("a", 4) }, "b:9 c:8; group far", "a:- b:9 c:8"},
			{func(w *world) { w.room("a", 100) }, "b:9 c:8; group far", ""},
			{func(w *world) { w.scale(6) }, "b:3 c:3; group far", ""},
			{func(w *world) { w.app().Placement.ReplicaScheduling.RescheduleAt = "2026-11-23T12:00:00Z" }, "a:6; group near", ""},
			{func(w *world) { w.lose("a") }, "b:3 c:3; group far; kept a; out a by cluster", "a:6 b:3 c:3"},
			{func(w *world) { w.scale(8) }, "b:4 c:4; group far; kept a; out a by cluster", "a:6 b:4 c:4"},
			{func(w *world) { w.find("a") }, "a:8; group near", ""},
		}},
		"a group that is gone": {newWorld(Placement{}, 6), []step{
			{func(w *world) {
				w.app().Placement.ClusterAffinities = []AffinityGroup{{AffinityName: "near", ClusterAffinity: named("x")}, {AffinityName: "far", ClusterAffinity: named("b")}}
			}, "b; group far", ""},
			{func(w *world) {
				w.app().Placement.ClusterAffinities = []AffinityGroup{{AffinityName: "new", ClusterAffinity: named("a")}}
			}, "a; group new", ""},
			{func(w *world) { w.app().Placement.ClusterAffinities[0].ClusterNames = []ClusterName{"x"} },
				"; group new; but none of 3 clusters is feasible: 3 by clusterNames", "a:- b:-"},
		}},
		"what does not fit overflows": {newWorld(byRoom(), 6), []step{
			{func(w *world) {
				w.app().Placement.ClusterAffinities = []AffinityGroup{{AffinityName: "own", ClusterAffinity: named("a"), OverflowAffinities: []OverflowAffinity{
					{AffinityName: "rent", ClusterAffinity: named("b")}, {AffinityName: "beg", ClusterAffinity: named("c")},
				}}}
			}, "a:6; group own", ""},
			{func(w *world) { w.room("a", 4); w.scale(14) }, "a:10 b:4; group own", ""},
			{func(w *world) { w.room("a", 0); w.room("b", 6); w.scale(24) }, "a:10 b:10 c:4; group own", ""},
			{func(w *world) { w.room("b", 0); w.room("c", 6); w.scale(12) }, "a:10 b:2; group own", ""},
			{func(w *world) { w.scale(40) },
				"a:10 b:2; group own; but Deployment.apps web: 40 replicas are asked for and 18 fit", ""},
		}},
		"preferences order, and move nothing": {newWorld(gathered(), 6), []step{
			{func(w *world) {
				p := &w.app().Placement
				p.SpreadConstraints = []SpreadConstraint{{SpreadByField: fieldCluster, MinGroups: 1, MaxGroups: 1}}
				p.Preferences = []Preference{{TargetCluster: named("b"), Weight: 50}}
			}, "b:6", ""},
			{func(w *world) { w.app().Placement.Preferences = []Preference{{TargetCluster: named("c"), Weight: 100}} }, "b:6", ""},
			{func(w *world) { w.lose("b") }, "c:6; kept b; out b by cluster", ""},
		}},
		"replicas that are fixed": {newWorld(Placement{ReplicaScheduling: &ReplicaScheduling{ClusterReplicas: []ClusterReplicas{
			{TargetCluster: named("a"), Replicas: 3}, {TargetCluster: named("a", "b"), Replicas: 1}, {TargetCluster: named("c")},
		}}}, 6), []step{
			{nothing, "a:3 b:1", ""},
			{func(w *world) { w.scale(0) }, "a:3 b:1", ""},
			{func(w *world) { w.lose("a") }, "a:3 b:1", ""},
		}},
		"a total in place of the manifest's": {newWorld(byRoom(), 6), []step{
			{func(w *world) { w.app().Placement.ReplicaScheduling.Replicas = ptr(int64(9)) }, "a:3 b:3 c:3", ""},
			{func(w *world) { w.app().Placement.ReplicaScheduling.Replicas = ptr(int64(0)) }, "a b c", ""},
			{func(w *world) {
				w.workloads["web"] = append(w.workloads["web"], Workload{Object: ObjectID{Group: "apps", Kind: "Deployment", Name: "zoo"}, Replicas: 1})
			}, "a:2+1 b:2+0 c:2+0; but replicaScheduling.replicas is the total of one workload, and the app has 2: each has what its manifest says", ""},
		}},
		"between bounds": {newWorld(divided(divideWeighted, &WeightPreference{StaticWeightList: []StaticWeight{
			{TargetCluster: named("a"), Weight: 1, MaxReplicas: ptr(int64(2))}, {TargetCluster: named("b"), Weight: 1, MinReplicas: 3}, {TargetCluster: named("c"), Weight: 2},
		}}), 8), []step{
			{nothing, "b:5 c:3", ""},
			{func(w *world) { w.scale(12) }, "a:2 b:5 c:5", ""},
			{func(w *world) { w.scale(40) }, "a:2 b:15 c:15; but Deployment.apps web: 40 replicas are asked for and 32 fit", ""},
			{func(w *world) { w.scale(2) }, "b:2", ""},
		}},
		"a Job's completions go where its pods are": {newWorld(byRoom(), 4), []step{
			{func(w *world) {
				w.workloads["web"] = []Workload{{Object: ObjectID{Group: "batch", Kind: "Job", Name: "sum"}, Replicas: 5, Completions: ptr(int64(20))}}
			}, "a:2(8) b:2(8) c:1(4)", ""},
			{func(w *world) { w.workloads["web"][0].Completions = ptr(int64(1)) }, "a:2(1) b:2(0) c:1(0)", ""},
			{func(w *world) { w.workloads["web"][0].Completions = ptr(int64(0)) }, "a:2(0) b:2(0) c:1(0)", ""},
		}},
		"several workloads, each by itself": {newWorld(evenly(), 4), []step{
			{func(w *world) {
				w.workloads["web"] = append(w.workloads["web"], Workload{Object: ObjectID{Group: "apps", Kind: "Deployment", Name: "zoo"}, Replicas: 1})
			}, "a:2+1 b:1+0 c:1+0", ""},
			{func(w *world) { w.scale(0) }, "a:1 b:0 c:0", ""},
			{func(w *world) { w.workloads["web"] = nil }, "a b c", ""},
		}},
		"nothing is known of what fits": {newWorld(byRoom(), 6), []step{
			{func(w *world) { w.observed = nil }, "a:2 b:2 c:2", ""},
			{func(w *world) { w.scale(7) }, "a:3 b:2 c:2", ""},
		}},
		"no clusters": {newWorld(byRoom(), 6), []step{
			{func(w *world) { w.def.Clusters = nil }, "; but there are no clusters", ""},
		}},
		"a cluster that leaves Git": {newWorld(byRoom(), 6), []step{
			{nothing, "a:2 b:2 c:2", ""},
			{func(w *world) { w.def.Clusters = w.def.Clusters[:2] }, "a:3 b:3", "a:3 b:3 c:2"},
			{func(w *world) { w.lose("b"); w.def.Clusters = w.def.Clusters[:1] }, "a:6", ""},
			{func(w *world) { w.add("c", 10) }, "a:4 c:2", ""},
		}},
		"the selection is narrowed": {newWorld(byRoom(), 6), []step{
			{nothing, "a:2 b:2 c:2", ""},
			{func(w *world) { a := named("a", "b"); w.app().Placement.ClusterAffinity = &a }, "a:3 b:3", "a:3 b:3 c:-"},
			{func(w *world) { w.lose("b"); a := named("a"); w.app().Placement.ClusterAffinity = &a }, "a:6", ""},
		}},
		"spread over regions": {newWorld(Placement{SpreadConstraints: []SpreadConstraint{
			{SpreadByField: fieldRegion, MinGroups: 2, MaxGroups: 2}, {SpreadByField: fieldCluster, MinGroups: 2, MaxGroups: 2},
		}}, 3), []step{
			{func(w *world) { w.cluster("a").Region, w.cluster("b").Region, w.cluster("c").Region = "x", "x", "y" }, "a c", ""},
			{func(w *world) { w.lose("a") }, "b c; kept a; out a by cluster", "a b c"},
			{func(w *world) { w.find("a"); w.room("b", 7) }, "a c", "a b:- c"},
			{func(w *world) { w.add("d", 10); w.cluster("d").Region = "z" }, "a c", ""},
			{func(w *world) { w.cluster("c").Region = "x" }, "a d", ""},
			{func(w *world) { w.cluster("d").Region = "" }, "a d; but the spread wants 2 regions or more, and feasible are 1", "a b:- c:- d"},
		}},
		"spread over regions and racks": {newWorld(Placement{SpreadConstraints: []SpreadConstraint{
			{SpreadByLabel: "rack", MinGroups: 2, MaxGroups: 2}, {SpreadByField: fieldRegion, MinGroups: 2}, {SpreadByField: fieldCluster, MinGroups: 2, MaxGroups: 2},
		}}, 3), []step{
			{func(w *world) {
				for name, at := range map[ClusterName][2]string{"a": {"x", "1"}, "b": {"x", "1"}, "c": {"y", "2"}} {
					w.cluster(name).Region, w.cluster(name).Labels = at[0], map[string]string{"rack": at[1]}
				}
			}, "a c", ""},
			{func(w *world) { w.cluster("c").Region = "x" }, "a c; but the spread wants 2 regions or more, and feasible are 1", ""},
			{func(w *world) {
				w.cluster("c").Region, w.cluster("c").Labels = "y", map[string]string{"rack": "1"}
				w.cluster("b").Labels = map[string]string{"rack": "2"}
			}, "b c", ""},
		}},
		"in two zones at once": {newWorld(Placement{SpreadConstraints: []SpreadConstraint{
			{SpreadByField: fieldZone, MinGroups: 1}, {SpreadByField: fieldCluster, MinGroups: 2},
		}}, 3), []step{
			{func(w *world) { w.cluster("a").Zones, w.cluster("c").Zones = []string{"1", "2"}, []string{"3"} }, "a c", ""},
			{func(w *world) { w.cluster("c").Zones = nil }, "a c; but no choice of zones has the 2 clusters that the spread wants", ""},
		}},
		"what fails everywhere does not go back and forth": {newWorld(gathered(), 6), []step{
			{func(w *world) {
				w.app().Failover = &Failover{Application: &ApplicationFailover{PurgeMode: purgeDirectly}}
				ab := named("a", "b")
				w.app().Placement.ClusterAffinity = &ab
			}, "a:6", ""},
			{func(w *world) { w.healthy("a", false); w.pass("5m") }, "b:6; out a by app", "a:- b:6"},
			{func(w *world) { w.healthy("b", false); w.pass("5m") }, "b:6; out a by app", "a:- b:6"},
			{func(w *world) { w.pass("1h") }, "b:6; out a by app", "a:- b:6"},
			{func(w *world) { w.lose("b") }, "a:6; kept b; out b by cluster", "a:6 b:6"},
		}},
		"what does not help is not taken back": {newWorld(byRoom(), 12), []step{
			{func(w *world) {
				w.app().Failover = &Failover{Application: &ApplicationFailover{PurgeMode: purgeNever}}
				for _, name := range []ClusterName{"a", "b", "c"} {
					w.room(name, 4)
				}
			}, "a:4 b:4 c:4", ""},
			{func(w *world) { w.room("b", 2); w.room("c", 2); w.healthy("a", false); w.pass("5m") }, "b:6 c:6; kept a; out a by app", "a:4 b:6 c:6"},
			{
				func(w *world) { w.room("a", 0); w.lose("b"); w.pass("1m") },
				"c:6; kept a b; out a by app; out b by cluster; but Deployment.apps web: 12 replicas are asked for and 8 fit", "a:4 b:6 c:6",
			},
		}},
	} {
		t.Run(name, func(t *testing.T) { play(t, story.world, story.steps) })
	}
}
