package fleet

import (
	"fmt"
	"slices"
	"strings"
)

// Violations finds apps that were placed outside of what their constraints admit.
// Each is an error of the commit, at the app.
func Violations(def Definition, outcomes []Outcome) Problems {
	clusters := make(map[ClusterName]*Cluster, len(def.Clusters))
	for i := range def.Clusters {
		clusters[def.Clusters[i].Name] = &def.Clusters[i]
	}
	var problems Problems
	for i := range def.Apps {
		app := &def.Apps[i]
		for n, constraint := range app.Constraints {
			within := compileAffinity(&constraint.Within)
			var outside []string
			for _, placed := range outcomes[i].Placed {
				if c := clusters[placed.Cluster]; c != nil && within.match(c).rule != "" {
					outside = append(outside, string(c.Name))
				}
			}
			if len(outside) > 0 {
				problems = append(problems, violation(app, n, constraint, outside))
			}
		}
	}
	return problems.Sorted()
}

func violation(app *App, n int, c Constraint, outside []string) Problem {
	const most = 5
	slices.Sort(outside)
	named := strings.Join(outside[:min(most, len(outside))], ", ")
	if more := len(outside) - most; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return Problem{
		File: app.Position.File, Line: app.Position.Line, Field: index("spec.constraints", n),
		Message: fmt.Sprintf("app %q would land on %s, outside of where it must stay: %s", app.Name, named, c.Reason),
		Hint:    "narrow the placement, or change the constraint with whoever asked for it",
	}
}
