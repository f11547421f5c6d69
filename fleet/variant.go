package fleet

import (
	"slices"
	"strconv"
	"strings"
)

// Variant is the clusters of one app in which the same differs: the overrides that
// apply, and the replicas. They share one overlay, so that it is rendered once.
type Variant struct {
	// Key is the same for the same differences of the same app.
	Key string
	// Rules are the overrides that apply, as indexes into the app's, ascending: later
	// ones are applied after earlier ones.
	Rules    []int
	Replicas []Replicas    // of the workloads that were divided, by workload
	Clusters []ClusterName // sorted
}

// Replicas is what one cluster runs of a workload.
type Replicas struct {
	Workload    ObjectID
	Count       int64  // 0: the workload is not in the cluster
	Completions *int64 // of a Job; nil where it does not have any
}

// Variants groups the clusters where an app is placed by what differs there. Clusters
// are sorted by name, as in a [Definition]. The variants are in the order of their
// rules, and then of their replicas.
func Variants(app App, clusters []Cluster, outcome Outcome) []Variant {
	targets := make([]affinity, len(app.Overrides))
	for i, rule := range app.Overrides {
		targets[i] = compileAffinity(rule.TargetCluster)
	}
	var variants []Variant
	known := map[string]int{} // what differs -> index of the variant
	key := make([]byte, len(targets), len(targets)+16)
	for at := range outcome.Placed {
		name := outcome.Placed[at].Cluster
		for len(clusters) > 0 && clusters[0].Name < name {
			clusters = clusters[1:]
		}
		if len(clusters) == 0 || clusters[0].Name != name {
			continue // a decision about a cluster that is gone
		}
		key = key[:len(targets)]
		for i := range targets {
			key[i] = 0
			if targets[i].match(&clusters[0]).rule == "" {
				key[i] = 1
			}
		}
		for _, d := range outcome.Divisions {
			key = append(strconv.AppendInt(key, d.Counts[at], 10), '/')
			if d.Completions != nil {
				key = append(strconv.AppendInt(key, d.Completions[at], 10), '/')
			}
		}
		i, ok := known[string(key)]
		if !ok {
			i = len(variants)
			known[string(key)] = i
			variants = append(variants, newVariant(key[:len(targets)], outcome.Divisions, at))
		}
		variants[i].Clusters = append(variants[i].Clusters, name)
	}
	slices.SortFunc(variants, compareVariants)
	return variants
}

func compareVariants(a, b Variant) int {
	if d := slices.Compare(a.Rules, b.Rules); d != 0 {
		return d
	}
	return slices.CompareFunc(a.Replicas, b.Replicas, func(x, y Replicas) int {
		switch {
		case x.Count != y.Count:
			return int(x.Count - y.Count)
		case x.Completions != nil && y.Completions != nil:
			return int(*x.Completions - *y.Completions)
		}
		return 0
	})
}

func newVariant(applies []byte, divisions []Division, at int) Variant {
	var v Variant
	var numbers []string
	for i, yes := range applies {
		if yes == 1 {
			v.Rules = append(v.Rules, i)
			numbers = append(numbers, strconv.Itoa(i))
		}
	}
	v.Key = strings.Join(numbers, ",")
	for _, d := range divisions {
		r := Replicas{Workload: d.Workload, Count: d.Counts[at]}
		v.Key += " " + d.Workload.String() + "=" + strconv.FormatInt(r.Count, 10)
		if d.Completions != nil {
			r.Completions = &d.Completions[at]
			v.Key += "/" + strconv.FormatInt(*r.Completions, 10)
		}
		v.Replicas = append(v.Replicas, r)
	}
	return v
}
