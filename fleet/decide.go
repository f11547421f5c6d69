package fleet

import (
	"cmp"
	"slices"
)

// Decision places one app on one cluster.
type Decision struct {
	Cluster ClusterName `json:"cluster"`
	Because Because     `json:"because"`
}

// Because is the rule that put an app on a cluster, or kept it off.
type Because struct {
	Rule   string `json:"rule"`             // a stable word: one of the Rule constants
	Detail string `json:"detail,omitempty"` // what in the rule decided, for people
}

// Outcome is what was decided for one app.
type Outcome struct {
	App    AppName    `json:"app"`
	Placed []Decision `json:"placed"` // by cluster
}

// Verdict is what was decided for one app and one cluster, in or out.
type Verdict struct {
	Cluster ClusterName `json:"cluster"`
	Placed  bool        `json:"placed"`
	Because Because     `json:"because"`
}

// Decide places every app of a definition, in the order of the apps.
func Decide(def Definition) []Outcome {
	sites := sitesOf(def.Clusters)
	outcomes := make([]Outcome, len(def.Apps))
	var scratch []Decision // as long as the longest list so far
	for i, app := range def.Apps {
		scratch = place(app.Placement, sites, scratch[:0])
		outcomes[i] = Outcome{App: app.Name, Placed: append(make([]Decision, 0, len(scratch)), scratch...)}
	}
	return outcomes
}

// Explain says for every cluster, by name, why an app is placed there or is not.
func Explain(app App, clusters []Cluster) []Verdict {
	affinity := compileAffinity(app.Placement.ClusterAffinity)
	sites := sitesOf(clusters)
	verdicts := make([]Verdict, len(sites))
	for i, s := range sites {
		missed := affinity.match(s.Cluster)
		verdict := Verdict{Cluster: s.Name, Placed: missed.rule == "", Because: affinity.because(s.Cluster, missed)}
		if verdict.Placed {
			verdict.Because = s.because(verdict.Because)
			if taint, found := untolerated(s.Taints, app.Placement.ClusterTolerations); found {
				verdict.Placed, verdict.Because = false, Because{RuleTaint, taint.String() + " is not tolerated"}
			}
		}
		verdicts[i] = verdict
	}
	return verdicts
}

// site is a cluster made ready to be considered for many apps.
type site struct {
	*Cluster
	tainted   bool
	tolerated string // what an app that is placed here has to tolerate, for people
}

// sitesOf prepares clusters, by name.
func sitesOf(clusters []Cluster) []site {
	sites := make([]site, len(clusters))
	for i := range clusters {
		text := toleratedText(clusters[i].Taints)
		sites[i] = site{Cluster: &clusters[i], tainted: text != "", tolerated: text}
	}
	slices.SortFunc(sites, func(a, b site) int { return cmp.Compare(a.Name, b.Name) })
	return sites
}

// because adds to the reason for being here what had to be tolerated for it.
func (s site) because(b Because) Because {
	switch {
	case !s.tainted:
	case b.Detail == "":
		b.Detail = s.tolerated
	default:
		b.Detail += "; " + s.tolerated
	}
	return b
}

// place appends a decision for every site that a placement takes. Selectors are
// compiled once, and reasons share their text, since there may be ten thousand
// sites and a thousand apps.
func place(p Placement, sites []site, placed []Decision) []Decision {
	affinity := compileAffinity(p.ClusterAffinity)
	because := Because{Rule: affinity.rule, Detail: affinity.text}
	for i := range sites {
		s := &sites[i]
		if affinity.match(s.Cluster).rule != "" {
			continue
		}
		if s.tainted {
			if _, found := untolerated(s.Taints, p.ClusterTolerations); found {
				continue
			}
		}
		placed = append(placed, Decision{Cluster: s.Name, Because: s.because(because)})
	}
	return placed
}
