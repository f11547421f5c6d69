package view

import (
	"slices"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/access"
)

// Narrow returns what rights let somebody see of the fleet: the same snapshot for
// who sees all of it. Labels are those that Git gives; what Git does not name has
// none. What a commit says of itself is everybody's, but not its problems, which
// name files and apps of others.
func (s *Snapshot) Narrow(rights access.Rights) *Snapshot {
	if rights.Whole(access.Viewer) {
		return s
	}
	sight := sight{rights: rights, apps: make(map[fleet.AppName]map[string]string, len(s.Apps)), clusters: make(map[fleet.ClusterName]map[string]string, len(s.Clusters))}
	for _, app := range s.Apps {
		sight.apps[app.Name] = app.Labels
	}
	for _, c := range s.Clusters {
		sight.clusters[c.Name] = c.Labels
	}
	n := &Snapshot{
		Version: s.Version, At: s.At, Repository: s.Repository,
		Latest: s.Latest.narrow(), Accepted: s.Accepted.narrow(), Announced: s.Announced.narrow(),
		Hold: sight.hold(s.Hold), Clusters: sight.narrow(s.Clusters), Unmanaged: sight.narrow(s.Unmanaged),
	}
	if rights.Role() == access.None {
		n.Repository = Repository{}
	}
	for _, c := range n.Clusters {
		n.Counts.add(c)
	}
	for _, app := range s.Apps {
		if !rights.App(access.Viewer, app.Labels) {
			continue
		}
		seen := *app
		seen.Counts, seen.Behind = Counts{}, 0
		for _, cell := range n.Cells(app.Name) {
			seen.Counts[cell.Health]++
			if cell.Behind {
				seen.Behind++
			}
		}
		seen.DependsOn = slices.DeleteFunc(slices.Clone(app.DependsOn), func(name fleet.AppName) bool {
			return !rights.App(access.Viewer, sight.apps[name])
		})
		n.Counts.Apps[seen.Counts.Worst()]++
		n.Apps = append(n.Apps, &seen)
	}
	for _, m := range s.Members {
		if rights.WholeCluster(access.Viewer, sight.clusters[m.Name]) {
			n.Members = append(n.Members, m)
		}
	}
	return n
}

// sight is what somebody sees, with the labels that decide it by name.
type sight struct {
	rights   access.Rights
	apps     map[fleet.AppName]map[string]string
	clusters map[fleet.ClusterName]map[string]string
}

func (v sight) cell(app fleet.AppName, cluster fleet.ClusterName) bool {
	return v.rights.Cell(access.Viewer, v.apps[app], v.clusters[cluster])
}

// narrow returns the clusters that are seen, each with the cells that are.
func (v sight) narrow(clusters []*Cluster) []*Cluster {
	seen := make([]*Cluster, 0, len(clusters))
	for _, c := range clusters {
		if !v.rights.Cluster(access.Viewer, c.Labels) {
			continue
		}
		if v.rights.WholeCluster(access.Viewer, c.Labels) {
			seen = append(seen, c)
			continue
		}
		part := *c
		part.Cells, part.Counts, part.Behind, part.BehindSince = nil, Counts{}, false, time.Time{}
		for _, cell := range c.Cells {
			if v.cell(cell.App, c.Name) {
				part.Cells = append(part.Cells, cell)
				part.count(cell)
			}
		}
		if part.Health != NotHeard && part.Heartbeat.Refused == "" {
			part.Health = part.Counts.Worst()
		}
		seen = append(seen, &part)
	}
	return seen
}

// hold returns what is seen of a commit that waits.
func (v sight) hold(h *Hold) *Hold {
	if h == nil {
		return nil
	}
	seen := &Hold{Revision: h.Revision, Announced: h.Announced}
	for _, reason := range h.Reasons {
		if reason.Cluster != "" && v.rights.WholeCluster(access.Viewer, v.clusters[reason.Cluster]) {
			seen.Reasons = append(seen.Reasons, reason)
			continue
		}
		seen.Hidden = true
	}
	for _, change := range h.Changes {
		part := v.change(change)
		if !sameChange(part, change) {
			seen.Hidden = true
		}
		if len(part.Added)+len(part.Changed)+len(part.Removed)+len(part.Deleted)+len(part.Kept) > 0 {
			seen.Changes = append(seen.Changes, part)
		}
		seen.Deleted += len(part.Deleted)
	}
	return seen
}

// change returns what is seen of a change. Objects do not say whose they are: only
// who sees a whole cluster sees which of its objects go.
func (v sight) change(c fleet.Change) fleet.Change {
	if v.rights.WholeCluster(access.Viewer, v.clusters[c.Cluster]) {
		return c
	}
	only := func(apps []fleet.AppName) []fleet.AppName {
		return slices.DeleteFunc(slices.Clone(apps), func(app fleet.AppName) bool { return !v.cell(app, c.Cluster) })
	}
	return fleet.Change{Cluster: c.Cluster, Added: only(c.Added), Changed: only(c.Changed), Removed: only(c.Removed)}
}

func sameChange(a, b fleet.Change) bool {
	return len(a.Added) == len(b.Added) && len(a.Changed) == len(b.Changed) && len(a.Removed) == len(b.Removed) &&
		len(a.Deleted) == len(b.Deleted) && len(a.Kept) == len(b.Kept)
}

// narrow returns the commit without what it says of files.
func (c *Commit) narrow() *Commit {
	if c == nil || len(c.Problems) == 0 {
		return c
	}
	seen := *c
	seen.Problems = fleet.Problems{{
		Message: "the commit has problems, in files that may be about what you do not see",
		Hint:    "ask somebody who sees the whole fleet",
		Warning: c.Accepted,
	}}
	return &seen
}
