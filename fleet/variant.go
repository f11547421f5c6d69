package fleet

import (
	"slices"
	"strconv"
	"strings"
)

// Variant is the clusters of one app in which the same overrides apply. They share
// one overlay, so that it is rendered once.
type Variant struct {
	// Key is the same for the same rules of the same app: their numbers, as in "0,2".
	Key string
	// Rules are the overrides that apply, as indexes into the app's, ascending: later
	// ones are applied after earlier ones.
	Rules    []int
	Clusters []ClusterName // sorted
}

// Variants groups the clusters where an app is placed by the overrides that apply
// there. Clusters and placed are sorted by name, as in a [Definition] and an
// [Outcome]. The variants are in the order of their rules.
func Variants(app App, clusters []Cluster, placed []Decision) []Variant {
	targets := make([]affinity, len(app.Overrides))
	for i, rule := range app.Overrides {
		targets[i] = compileAffinity(rule.TargetCluster)
	}
	var variants []Variant
	known := map[string]int{}             // rules that apply -> index of the variant
	applies := make([]byte, len(targets)) // one byte a rule: it applies, or not
	for len(placed) > 0 && len(clusters) > 0 {
		cluster := &clusters[0]
		if cluster.Name < placed[0].Cluster {
			clusters = clusters[1:]
			continue
		}
		if cluster.Name > placed[0].Cluster { // a decision about a cluster that is gone
			placed = placed[1:]
			continue
		}
		for i := range targets {
			applies[i] = 0
			if targets[i].match(cluster).rule == "" {
				applies[i] = 1
			}
		}
		at, ok := known[string(applies)]
		if !ok {
			at = len(variants)
			known[string(applies)] = at
			variants = append(variants, newVariant(applies))
		}
		variants[at].Clusters = append(variants[at].Clusters, cluster.Name)
		clusters, placed = clusters[1:], placed[1:]
	}
	slices.SortFunc(variants, func(a, b Variant) int { return slices.Compare(a.Rules, b.Rules) })
	return variants
}

func newVariant(applies []byte) Variant {
	var v Variant
	var numbers []string
	for i, yes := range applies {
		if yes == 1 {
			v.Rules = append(v.Rules, i)
			numbers = append(numbers, strconv.Itoa(i))
		}
	}
	v.Key = strings.Join(numbers, ",")
	return v
}
