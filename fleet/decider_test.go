package fleet

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// next is the case after something has happened.
func (f fleetCase) next(r *rand.Rand) fleetCase {
	def := &f.Definition
	clusters := slices.Clone(def.Clusters)
	observed := maps.Clone(f.State.Observed)
	f.State.Observed = observed
	switch what := r.IntN(11); {
	case what == 0:
		f.State.Now = f.State.Now.Add(time.Duration(r.IntN(700)) * time.Second)
	case what == 1:
		def.Apps = slices.Clone(def.Apps)
		def.Apps[r.IntN(len(def.Apps))].Placement = somePlacement(r)
	case what == 2:
		f.Workloads = maps.Clone(f.Workloads)
		f.Workloads[def.Apps[r.IntN(len(def.Apps))].Name] = someWorkloads(r)
	case what == 3:
		def.Apps = append(slices.Clone(def.Apps), App{Name: AppName(fmt.Sprintf("a%d", len(def.Apps))), Placement: somePlacement(r)})
	case what == 4 && len(def.Apps) > 1:
		def.Apps = def.Apps[1:]
	case what == 5:
		name := ClusterName("c" + strconv.Itoa(r.IntN(9)))
		if !slices.ContainsFunc(clusters, func(c Cluster) bool { return c.Name == name }) {
			clusters = append(clusters, someCluster(r, name))
			slices.SortFunc(clusters, func(a, b Cluster) int { return compareText(a.Name, b.Name) })
		}
	case len(clusters) == 0:
	case what == 6:
		at := r.IntN(len(clusters))
		clusters = slices.Delete(clusters, at, at+1)
	case what == 7:
		c := &clusters[r.IntN(len(clusters))]
		*c = someCluster(r, c.Name)
	default:
		name := clusters[r.IntN(len(clusters))].Name
		delete(observed, name)
		if o, heard := someObserved(r, Definition{Clusters: []Cluster{{Name: name}}, Apps: def.Apps})[name]; heard {
			o.Since = f.State.Now
			observed[name] = o
		}
	}
	def.Clusters = clusters
	if r.IntN(5) == 0 { // as after reading it anew
		for i := range clusters {
			clusters[i].Labels = maps.Clone(clusters[i].Labels)
		}
		def.Apps = slices.Clone(def.Apps)
	}
	return f
}

// TestDeciderEqualsDecide lets much happen to a fleet.
func TestDeciderEqualsDecide(t *testing.T) {
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 23))
		f := someCase(r)
		var d Decider
		for step := range 30 {
			before := encode(t, f)
			got := d.Decide(f.Definition, f.Workloads, f.State)
			if diff := cmp.Diff(f.decide(), got); diff != "" {
				t.Fatalf("seed %d, step %d (-decide +decider):\n%s\n%s", seed, step, diff, before)
			}
			if after := encode(t, f); after != before {
				t.Fatalf("seed %d: what was given has changed", seed)
			}
			if r.IntN(4) > 0 {
				f = f.after(got)
			}
			if r.IntN(4) > 0 {
				f = f.next(r)
			}
		}
	}
}
