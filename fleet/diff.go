package fleet

import (
	"cmp"
	"iter"
	"maps"
	"slices"
)

// Diff compares what was announced with what a commit wants: what to announce to
// which cluster, and whether a person has to agree to what that deletes.
//
// A cluster that is no longer in Git is left alone. Everything else that should no
// longer run gets a tombstone, which stays until [Confirm] takes it away or the app
// is wanted again.
func Diff(published Published, wanted Wanted) Plan {
	d := comparison{contents: wanted.Contents, budget: wanted.Definition.Settings.DeletionBudget}
	named := make(map[ClusterName]bool, len(wanted.Definition.Clusters))
	for _, c := range wanted.Definition.Clusters {
		named[c.Name] = true
		before, known := published[c.Name]
		change := d.change(c.Name, before, wanted.Desired[c.Name], wanted.Revision)
		if known && change.empty(before) {
			continue
		}
		d.plan.Changes = append(d.plan.Changes, change)
		d.holdCluster(before, change)
	}
	slices.SortFunc(d.plan.Changes, func(a, b Change) int { return cmp.Compare(a.Cluster, b.Cluster) })
	for _, name := range slices.Sorted(maps.Keys(published)) {
		if !named[name] {
			d.plan.Left = append(d.plan.Left, name)
		}
	}
	d.holdFleet(published, wanted)
	slices.SortFunc(d.plan.Holds, func(a, b Hold) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Message, b.Message))
	})
	return d.plan
}

// comparison is a plan that is being made.
type comparison struct {
	contents Contents
	budget   DeletionBudget
	plan     Plan
}

// change compares one cluster.
func (d *comparison) change(cluster ClusterName, before, after Desired, revision string) Change {
	c := Change{Cluster: cluster}
	var gone, come []DesiredApp // whose objects may go, or come; what goes has the terms it goes by
	removed, failed := map[AppName]DesiredApp{}, map[AppName]bool{}
	for _, stone := range after.Tombstones {
		failed[stone.App] = stone.Evicted != nil
	}
	for was, is := range pairs(before.Apps, after.Apps) {
		switch {
		case was == nil:
			c.Added = append(c.Added, is.Name)
			come = append(come, *is)
		case is == nil:
			c.Removed = append(c.Removed, was.Name)
			removed[was.Name] = *was
			if was.Terms.Preserve || failed[was.Name] {
				continue // it stays; or no commit took it away: it runs elsewhere
			}
			gone = append(gone, *was)
		case !was.equal(*is):
			c.Changed = append(c.Changed, is.Name)
			leaves := *was
			leaves.Terms = is.Terms
			gone, come = append(gone, leaves), append(come, *is)
		}
	}
	c.Deleted, c.Kept = d.deleted(gone, come)
	c.Desired = Desired{Apps: slices.Concat(after.Apps), Tombstones: c.tombstones(before, after, revision, removed)}
	return c
}

// empty tells whether a cluster that was announced to stays as it is.
func (c Change) empty(before Desired) bool {
	return len(c.Added)+len(c.Changed)+len(c.Removed) == 0 && slices.EqualFunc(c.Desired.Tombstones, before.Tombstones, Tombstone.equal)
}

// tombstones are those that stood, those that a person agreed to, and those of the
// apps that the change removes, without those of apps that are wanted.
func (c Change) tombstones(before, after Desired, revision string, removed map[AppName]DesiredApp) []Tombstone {
	stones := make(map[AppName]Tombstone, len(before.Tombstones))
	for _, t := range before.Tombstones {
		t.Evicted = nil // what is wanted says whether that still holds
		stones[t.App] = t
	}
	for _, app := range c.Removed {
		stones[app] = removed[app].tombstone(revision)
	}
	for _, t := range after.Tombstones {
		if standing, stands := stones[t.App]; stands {
			standing.Evicted = t.Evicted
			t = standing
		}
		stones[t.App] = t
	}
	for _, app := range after.Apps {
		delete(stones, app.Name)
	}
	return sortedStones(stones)
}

// tombstone is that of an app that leaves a cluster.
func (a DesiredApp) tombstone(revision string) Tombstone {
	t := Tombstone{App: a.Name, Revision: revision, Preserve: a.Terms.Preserve, PruneAlso: a.Terms.PruneAlso}
	if a.Terms.ServiceAccount != "" {
		t.Namespace, t.ServiceAccount = a.Namespace, a.Terms.ServiceAccount
	}
	return t
}

func sortedStones(stones map[AppName]Tombstone) []Tombstone {
	return slices.SortedFunc(maps.Values(stones), func(a, b Tombstone) int { return cmp.Compare(a.App, b.App) })
}

// deleted lists the objects of the apps that go which no app that comes has, and
// apart from them those that stay in the cluster all the same.
func (d *comparison) deleted(gone, come []DesiredApp) (deleted, kept []ObjectID) {
	if len(gone) == 0 {
		return nil, nil
	}
	stays := map[ObjectID]bool{}
	for _, app := range come {
		for _, id := range d.contents[app.Content()] {
			stays[id] = true
		}
	}
	for _, app := range gone {
		for _, id := range d.contents[app.Content()] {
			switch {
			case stays[id]:
			case id.Kept(app.Terms.PruneAlso):
				kept = append(kept, id)
			default:
				deleted = append(deleted, id)
			}
		}
	}
	slices.SortFunc(deleted, compareObjects)
	slices.SortFunc(kept, compareObjects)
	return slices.Compact(deleted), slices.Compact(kept)
}

func (a DesiredApp) equal(b DesiredApp) bool {
	return a.Namespace == b.Namespace && a.Content() == b.Content() && slices.Equal(a.DependsOn, b.DependsOn) && a.Terms.equal(b.Terms) && a.Decided.equal(b.Decided)
}

// pairs yields the apps of two lists that are sorted by name, those with one name
// together. One of the two is nil where a list lacks the app.
func pairs(before, after []DesiredApp) iter.Seq2[*DesiredApp, *DesiredApp] {
	return func(yield func(was, is *DesiredApp) bool) {
		for len(before) > 0 || len(after) > 0 {
			var was, is *DesiredApp
			if len(after) == 0 || len(before) > 0 && before[0].Name <= after[0].Name {
				was = &before[0]
			}
			if len(before) == 0 || len(after) > 0 && after[0].Name <= before[0].Name {
				is = &after[0]
			}
			if was != nil {
				before = before[1:]
			}
			if is != nil {
				after = after[1:]
			}
			if !yield(was, is) {
				return
			}
		}
	}
}

// Confirm returns what is published without the tombstones of apps that agents
// have removed, but for those that remember a failure. It is announced with the cluster's next change: a tombstone that
// stays a while does no harm.
func Confirm(published Published, removed map[ClusterName]map[AppName]bool) Published {
	confirmed := maps.Clone(published)
	for cluster, apps := range removed {
		desired, ok := published[cluster]
		if !ok {
			continue
		}
		desired.Tombstones = slices.DeleteFunc(slices.Clone(desired.Tombstones), func(t Tombstone) bool { return apps[t.App] && t.Evicted == nil })
		confirmed[cluster] = desired
	}
	return confirmed
}

// Bury returns what is desired with a tombstone for each of the given apps that a
// cluster does not run. It is for apps that an agent keeps though nobody wants
// them, once a person has agreed that they go.
func Bury(desired Published, apps map[ClusterName]map[AppName]bool, revision string) Published {
	buried := make(Published, len(desired))
	maps.Copy(buried, desired)
	for cluster, names := range apps {
		d := desired[cluster]
		stones := map[AppName]Tombstone{}
		for name, yes := range names {
			if yes {
				stones[name] = Tombstone{App: name, Revision: revision}
			}
		}
		for _, t := range d.Tombstones {
			stones[t.App] = t
		}
		for _, app := range d.Apps {
			delete(stones, app.Name)
		}
		d.Tombstones = sortedStones(stones)
		buried[cluster] = d
	}
	return buried
}
