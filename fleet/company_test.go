package fleet

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCompany moves apps that stay together, or apart, as clusters come and go. The
// apps are web and zoo, of one group.
func TestCompany(t *testing.T) {
	together := &WorkloadAffinity{Affinity: &WorkloadGroup{"stack"}}
	apart := &WorkloadAffinity{AntiAffinity: &WorkloadGroup{"stack"}}
	// one makes each app choose one cluster.
	one := []SpreadConstraint{{SpreadByField: fieldCluster, MinGroups: 1, MaxGroups: 1}}
	send := func(w *world, web, zoo ClusterName) {
		for i, name := range []ClusterName{web, zoo} {
			to := named(name)
			w.def.Apps[i].Placement.ClusterAffinity = &to
		}
	}
	for name, test := range map[string]struct {
		affinity *WorkloadAffinity
		steps    []func(*world)
		want     []string // of web / zoo, after each step
	}{
		"together": {together, []func(*world){
			nothing,
			func(w *world) { w.lose("a") },
			func(w *world) { w.find("a") },
			func(w *world) { send(w, "c", "c") },
			func(w *world) { w.taint("c", effectNoExecute); send(w, "", "") },
		}, []string{"a / a", "b / b", "b / b", "c / c", "a / a"}},
		"apart": {apart, []func(*world){
			nothing,
			func(w *world) { w.lose("a") },
			func(w *world) { w.find("a"); send(w, "b", "c") },
			func(w *world) { send(w, "c", "b") },
			func(w *world) { send(w, "c", "c") },
		}, []string{"a / b", "c / b", "b / c", "c / b", "c / "}},
		"labels that differ": {apart, []func(*world){
			func(w *world) { w.def.Apps[1].Labels = map[string]string{"stack": "other"} },
			func(w *world) { w.def.Apps[1].Labels = nil },
			func(w *world) { w.def.Apps[1].Labels = w.def.Apps[0].Labels; w.def.Apps[1].Namespace = "far" },
		}, []string{"a / a", "a / a", "a / a"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(Placement{SpreadConstraints: one, WorkloadAffinity: test.affinity}, 1)
			w.def.Apps[0].Labels = map[string]string{"stack": "x"}
			w.def.Apps = append(w.def.Apps, w.def.Apps[0])
			w.def.Apps[1].Name = "zoo"
			var got []string
			for _, step := range test.steps {
				step(w)
				for i := range w.def.Apps {
					if a := w.def.Apps[i].Placement.ClusterAffinity; a != nil && a.ClusterNames[0] == "" {
						w.def.Apps[i].Placement.ClusterAffinity = nil
					}
				}
				w.decide()
				var both []string
				for _, o := range w.outcomes {
					both = append(both, placedText(o))
				}
				got = append(got, strings.Join(both, " / "))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func placedText(o Outcome) string {
	var names []string
	for _, p := range o.Placed {
		names = append(names, string(p.Cluster))
	}
	return strings.Join(names, " ")
}

// TestViolations guards where apps land.
func TestViolations(t *testing.T) {
	w := newWorld(Placement{}, 1)
	for i := range 7 {
		w.add(ClusterName(rune('d'+i)), 1)
	}
	w.app().Position = Position{File: "app.yaml", Line: 3}
	w.app().Constraints = []Constraint{{Within: named("a", "b")}, {Within: ClusterAffinity{}}, {Within: named("c"), Reason: "secret"}}
	tell := func(o ...Outcome) string {
		var lines []string
		for _, p := range Violations(w.def, o) {
			lines = append(lines, p.Error())
		}
		return strings.Join(lines, "\n")
	}
	w.app().Constraints[0].Reason = "customer data stays here"
	w.app().Constraints[2].Reason = "it is cold"
	for name, test := range map[string]struct {
		placed []ClusterName
		want   string
	}{
		"nowhere": {nil, ""},
		"within":  {[]ClusterName{"a"}, `app.yaml:3: spec.constraints[2]: app "web" would land on a, outside of where it must stay: it is cold (narrow the placement, or change the constraint with whoever asked for it)`},
		"many": {[]ClusterName{"b", "c", "d", "e", "f", "g", "h", "i"}, `app.yaml:3: spec.constraints[0]: app "web" would land on c, d, e, f, g and 2 more, outside of where it must stay: customer data stays here (narrow the placement, or change the constraint with whoever asked for it)
app.yaml:3: spec.constraints[2]: app "web" would land on b, d, e, f, g and 2 more, outside of where it must stay: it is cold (narrow the placement, or change the constraint with whoever asked for it)`},
		"gone from Git": {[]ClusterName{"zz"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var o Outcome
			for _, c := range test.placed {
				o.Placed = append(o.Placed, Decision{Cluster: c})
			}
			if diff := cmp.Diff(test.want, tell(o)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
