package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/compile"
)

// marks stand before what happens.
var marks = map[string]string{compile.AppAdded: "+", compile.AppChanged: "~", compile.AppRemoved: "-"}

// planText writes a preview for a terminal.
func planText(p compile.Preview) string {
	var b strings.Builder
	for _, app := range p.Apps {
		fmt.Fprintf(&b, "%s\n", app.App)
		if app.Moves != nil {
			fmt.Fprintf(&b, "  moves from %s to %s\n", clusterList(app.Moves.From), clusterList(app.Moves.To))
		}
		for _, effect := range app.Effects {
			fmt.Fprintf(&b, "  %s %s\n", marks[effect.Action], effectLine(effect))
			for _, object := range effect.Objects {
				b.WriteString("      " + strings.ReplaceAll(object.String(), "\n", "\n      ") + "\n")
			}
		}
		for _, r := range app.Replicas {
			fmt.Fprintf(&b, "  replicas of %s: %s\n", r.Workload, arithmetic(r))
		}
		b.WriteString("\n")
	}
	b.WriteString(planSummary(p) + "\n")
	for _, hold := range p.Holds {
		fmt.Fprintf(&b, "would be held: %s\n", holdLine(hold))
	}
	return b.String()
}

// planMarkdown writes a preview for a merge request.
func planMarkdown(p compile.Preview) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Plan\n\n%s\n", planSummary(p))
	for _, hold := range p.Holds {
		fmt.Fprintf(&b, "\n> **Would be held:** %s\n", holdLine(hold))
	}
	if len(p.Apps) > 0 {
		b.WriteString("\n| app | clusters | what happens |\n|---|---|---|\n")
	}
	for _, app := range p.Apps {
		for _, effect := range app.Effects {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", app.App, clusterList(effect.Clusters), effect.Action+", "+plural(len(effect.Objects), "object"))
		}
	}
	for _, app := range p.Apps {
		fmt.Fprintf(&b, "\n<details><summary><code>%s</code></summary>\n", app.App)
		if app.Moves != nil {
			fmt.Fprintf(&b, "\nMoves from %s to %s.\n", clusterList(app.Moves.From), clusterList(app.Moves.To))
		}
		for _, r := range app.Replicas {
			fmt.Fprintf(&b, "\nReplicas of `%s`: %s.\n", r.Workload, arithmetic(r))
		}
		for _, effect := range app.Effects {
			fmt.Fprintf(&b, "\n%s\n", effectLine(effect))
			lines := make([]string, len(effect.Objects))
			for i, object := range effect.Objects {
				lines[i] = object.String()
			}
			if len(lines) > 0 {
				fence := fenceFor(lines)
				fmt.Fprintf(&b, "\n%sdiff\n%s\n%s\n", fence, strings.Join(lines, "\n"), fence)
			}
		}
		b.WriteString("\n</details>\n")
	}
	return b.String()
}

// fenceFor returns a fence that no line can end.
func fenceFor(lines []string) string {
	fence := "```"
	for strings.Contains(strings.Join(lines, "\n"), fence) {
		fence += "`"
	}
	return fence
}

func effectLine(e compile.Effect) string {
	line := clusterList(e.Clusters) + ": " + e.Action
	switch {
	case e.Preserved:
		return line + "; its objects stay"
	case e.Action == compile.AppChanged && len(e.Objects) == 0:
		return line + "; its objects stay as they are"
	}
	return line
}

// clusterList lists clusters, and counts them where there are many.
func clusterList(clusters []fleet.ClusterName) string {
	const most = 8
	words := make([]string, 0, most)
	for _, cluster := range clusters[:min(most, len(clusters))] {
		words = append(words, string(cluster))
	}
	if more := len(clusters) - most; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, ", ")
}

// arithmetic writes how replicas go from before to after, cluster by cluster.
func arithmetic(r compile.ReplicaPreview) string {
	clusters := map[fleet.ClusterName]bool{}
	var before, after int64
	for cluster, n := range r.Before {
		clusters[cluster] = true
		before += n
	}
	for cluster, n := range r.After {
		clusters[cluster] = true
		after += n
	}
	var words []string
	for _, cluster := range slices.Sorted(maps.Keys(clusters)) {
		was, is := r.Before[cluster], r.After[cluster]
		if was == is {
			words = append(words, fmt.Sprintf("%s %d", cluster, is))
			continue
		}
		words = append(words, fmt.Sprintf("%s %d -> %d", cluster, was, is))
	}
	total := fmt.Sprintf("total %d", after)
	if before != after {
		total = fmt.Sprintf("total %d -> %d", before, after)
	}
	return strings.Join(words, ", ") + " (" + total + ")"
}

// planSummary says it in one line.
func planSummary(p compile.Preview) string {
	if len(p.Apps)+len(p.Left) == 0 {
		return "Nothing changes in any cluster."
	}
	clusters := map[fleet.ClusterName]bool{}
	for _, app := range p.Apps {
		for _, effect := range app.Effects {
			for _, cluster := range effect.Clusters {
				clusters[cluster] = true
			}
		}
	}
	said := fmt.Sprintf("%s in %s: %s added, %d changed, %d deleted.",
		plural(len(p.Apps), "app"), plural(len(clusters), "cluster"), plural(p.Objects.Added, "object"), p.Objects.Changed, p.Objects.Deleted)
	if p.Objects.Kept > 0 {
		said += fmt.Sprintf(" %s left in the cluster.", plural(p.Objects.Kept, "object"))
	}
	if len(p.Left) > 0 {
		said += fmt.Sprintf(" No longer in Git, and left alone: %s.", clusterList(p.Left))
	}
	return said
}
