package fleet

import (
	"cmp"
	"slices"
)

// ObjectID identifies an object in a cluster, whatever the version of its API.
type ObjectID struct {
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"` // empty: cluster-scoped, or not said
	Name      string `json:"name"`
}

func compareObjects(a, b ObjectID) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// String gives "Kind.group namespace/name", without the parts that are empty.
func (id ObjectID) String() string {
	s := id.Kind
	if id.Group != "" {
		s += "." + id.Group
	}
	s += " "
	if id.Namespace != "" {
		s += id.Namespace + "/"
	}
	return s + id.Name
}

// Desired is what one cluster should run.
type Desired struct {
	Apps       []DesiredApp `json:"apps"`                 // by name, each once
	Tombstones []Tombstone  `json:"tombstones,omitempty"` // by app, each once and not in Apps
}

// DesiredApp is one app of a cluster by its content: the same digests mean the
// same objects, in whichever cluster.
type DesiredApp struct {
	Name      AppName   `json:"name"`
	Namespace string    `json:"namespace,omitempty"` // created where absent; see [App]
	Overlay   Digest    `json:"overlay"`
	Base      Digest    `json:"base"`
	DependsOn []AppName `json:"dependsOn,omitempty"` // only apps of the same cluster; sorted
	Terms     Terms     `json:"terms,omitzero"`
	Decided   Decided   `json:"decided,omitzero"`
}

// Terms are how an agent treats an app's objects, beside what they are.
type Terms struct {
	// Adopt takes over objects that exist and that no agent made. Without it such an
	// object is left alone and the app fails.
	Adopt bool `json:"adopt,omitempty"`
	// Preserve leaves the objects in the cluster when the app leaves it.
	Preserve bool `json:"preserve,omitempty"`
	// Ignore names fields that the cluster may change for itself.
	Ignore []IgnoredDifference `json:"ignore,omitempty"`
	// Drift is what to do where an object is not as it was applied; empty: correct it.
	Drift Drift `json:"drift,omitempty"`
	// Atomic applies everything or nothing.
	Atomic bool `json:"atomic,omitempty"`
	// Force makes objects again where a field that cannot change has changed.
	Force bool `json:"force,omitempty"`
	// ServiceAccount, of the app's namespace, is whose rights are used; empty: the agent's.
	ServiceAccount string `json:"serviceAccount,omitempty"`
	// PruneAlso names the precious kinds that are deleted like any other; sorted.
	PruneAlso []string `json:"pruneAlso,omitempty"`
	// Health tells how objects of custom kinds do.
	Health []HealthCheckExpr `json:"health,omitempty"`
}

// Terms returns how agents treat the app.
func (r Rollout) Terms() Terms {
	t := Terms{
		Adopt: r.ConflictResolution == conflictOverwrite, Preserve: r.PreserveResourcesOnDeletion, Ignore: r.IgnoreDifferences,
		Drift: r.Drift, Atomic: r.Atomic, Force: r.Force, ServiceAccount: r.ServiceAccountName,
		PruneAlso: slices.Compact(slices.Sorted(slices.Values(r.PruneAlso))), Health: r.HealthCheckExprs,
	}
	if t.Drift == DriftCorrect {
		t.Drift = "" // the default, however it is written
	}
	return t
}

func (t Terms) equal(u Terms) bool {
	return t.Adopt == u.Adopt && t.Preserve == u.Preserve && t.Drift == u.Drift && t.Atomic == u.Atomic && t.Force == u.Force &&
		t.ServiceAccount == u.ServiceAccount && slices.Equal(t.PruneAlso, u.PruneAlso) && slices.Equal(t.Health, u.Health) &&
		slices.EqualFunc(t.Ignore, u.Ignore, IgnoredDifference.equal)
}

func (d IgnoredDifference) equal(e IgnoredDifference) bool {
	return d.Group == e.Group && d.Kind == e.Kind && d.Namespace == e.Namespace && d.Name == e.Name && slices.Equal(d.JSONPointers, e.JSONPointers)
}

// Covers tells whether the rule is about an object.
func (d IgnoredDifference) Covers(id ObjectID) bool {
	return d.Group == id.Group && d.Kind == id.Kind && (d.Namespace == "" || d.Namespace == id.Namespace) && (d.Name == "" || d.Name == id.Name)
}

// Tombstone says that an app left a cluster on purpose. Without one, an agent
// keeps an app that its index does not name.
type Tombstone struct {
	App      AppName `json:"app"`
	Revision string  `json:"revision"` // the commit that took the app away
	// Preserve leaves the objects in the cluster; they are nobody's from then on.
	Preserve bool `json:"preserve,omitempty"`
	// PruneAlso and ServiceAccount, of Namespace, are what the app said last; see
	// [Terms]. An app that is removed because an agent keeps it though no index names it
	// has none.
	PruneAlso      []string `json:"pruneAlso,omitempty"`
	Namespace      string   `json:"namespace,omitempty"`
	ServiceAccount string   `json:"serviceAccount,omitempty"`
	// Evicted is set where the app left because the cluster, or the app in it, failed.
	Evicted *Eviction `json:"evicted,omitempty"`
}

// Published is what the hub has announced to each cluster.
type Published map[ClusterName]Desired

// Content identifies what an app deploys to a cluster: equal contents are the same
// objects.
type Content struct {
	Overlay Digest
	Base    Digest
}

// Content returns the content of a.
func (a DesiredApp) Content() Content { return Content{Overlay: a.Overlay, Base: a.Base} }

// Contents knows the objects of every content that matters to a decision. A content
// without objects has an empty list; one that is absent is not known.
type Contents map[Content][]ObjectID

// Wanted is what a commit says that the fleet should run.
type Wanted struct {
	Revision   string
	Definition Definition
	// Desired holds the apps of each cluster of the definition, by name. A cluster
	// that is absent should run nothing. Tombstones in it are those that a person
	// agreed to beside the commit: see [Bury].
	Desired Published
	// Contents knows the objects of everything that is wanted or published.
	Contents Contents
}

// Plan is what a commit changes: see [Diff].
type Plan struct {
	Changes []Change `json:"changes"` // by cluster; clusters that stay as they are have none
	// Left names clusters that are no longer in Git. They hear nothing and keep what
	// they run, and count against the budget for clusters for as long as they are
	// among what is published. Sorted.
	Left []ClusterName `json:"left,omitempty"`
	// Holds says why a person has to agree before anything is announced. Empty: go.
	Holds []Hold `json:"holds,omitempty"`
}

// Change is what becomes of one cluster. One that was never announced to has a
// change even when it should run nothing, so that its agent learns so.
type Change struct {
	Cluster ClusterName `json:"cluster"`
	Added   []AppName   `json:"added,omitempty"`
	Changed []AppName   `json:"changed,omitempty"`
	Removed []AppName   `json:"removed,omitempty"`
	// Deleted is every object that the change takes away from the cluster, by id. An
	// object that moves to another app is not deleted.
	Deleted []ObjectID `json:"deleted,omitempty"`
	// Kept is every object that leaves its app and stays in the cluster, by id, because
	// it is precious; a definition without any object of its kind goes all the same. The
	// objects of an app that preserves all of them are not listed.
	Kept []ObjectID `json:"kept,omitempty"`
	// Desired is what to announce.
	Desired Desired `json:"-"`
}

// Hold is one reason to wait for a person.
type Hold struct {
	Cluster ClusterName `json:"cluster,omitempty"` // empty: the whole fleet
	Message string      `json:"message"`
}
