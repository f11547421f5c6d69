package fleet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// app writes an app briefly, its content as a letter: "shop=a", or "shop=a<base" with what it waits for.
func app(s string) DesiredApp {
	name, rest, _ := strings.Cut(s, "=")
	letter, waits, _ := strings.Cut(rest, "<")
	a := DesiredApp{Name: AppName(name), Overlay: Digest(letter), Base: "base"}
	if waits != "" {
		a.DependsOn = []AppName{AppName(waits)}
	}
	return a
}

// desired is a list of apps, and of tombstones: "-shop@r1".
func desired(words ...string) Desired {
	var d Desired
	for _, word := range words {
		if name, ok := strings.CutPrefix(word, "-"); ok {
			name, revision, _ := strings.Cut(name, "@")
			d.Tombstones = append(d.Tombstones, Tombstone{App: AppName(name), Revision: revision})
			continue
		}
		d.Apps = append(d.Apps, app(word))
	}
	return d
}

// preserving is like desired; the objects of the first app stay when it goes.
func preserving(words ...string) Desired {
	d := desired(words...)
	d.Apps[0].Terms.Preserve = true
	return d
}

// pruning is like desired; all apps prune these kinds as well.
func pruning(kinds string, words ...string) Desired {
	d := desired(words...)
	for i := range d.Apps {
		d.Apps[i].Terms.PruneAlso = strings.Fields(kinds)
	}
	return d
}

func configMap(name string) ObjectID {
	return ObjectID{Kind: "ConfigMap", Namespace: "shop", Name: name}
}

func configMaps(prefix string, n int) []ObjectID {
	ids := make([]ObjectID, n)
	for i := range ids {
		ids[i] = configMap(fmt.Sprintf("%s%d", prefix, i))
	}
	return ids
}

// contents knows these contents, by their letter.
var contents = Contents{
	{"a", "base"}: {configMap("a"), configMap("common")},
	{"b", "base"}: {configMap("b"), configMap("common")},
	{"e", "base"}: {},
	{"t", "base"}: configMaps("t", 10),
	{"u", "base"}: configMaps("t", 8), // two less
	{"v", "base"}: configMaps("t", 7), // three less
	{"n", "base"}: {{Kind: "Namespace", Name: "shop"}},
	{"p", "base"}: {{Kind: "PersistentVolumeClaim", Namespace: "shop", Name: "data"}, {Group: "example.com", Kind: "Namespace", Name: "other"}},
	{"c", "base"}: {{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition", Name: "shops.example.com"}},
}

// clustersNamed is a definition with these clusters and one app.
func clustersNamed(names ...ClusterName) Definition {
	def := Definition{Apps: []App{{Name: "shop"}}}
	for _, name := range names {
		def.Clusters = append(def.Clusters, Cluster{Name: name})
	}
	return def
}

func TestDiff(t *testing.T) {
	for name, test := range map[string]struct {
		published, wanted Published
		definition        Definition
		want              Plan
	}{
		"nothing at all": {},
		"nothing changes": {
			published:  Published{"eu": desired("shop=a<base", "base=b", "-old@r0")},
			wanted:     Published{"eu": desired("shop=a<base", "base=b")},
			definition: clustersNamed("eu"),
		},
		"a new cluster, even without apps": {
			wanted:     Published{"us": desired("base=b", "shop=a")},
			definition: clustersNamed("eu", "us"),
			want: Plan{Changes: []Change{
				{Cluster: "eu"},
				{Cluster: "us", Added: []AppName{"base", "shop"}, Desired: desired("base=b", "shop=a")},
			}},
		},
		"one app changes in one cluster": {
			published:  Published{"eu": desired("base=e", "shop=a"), "us": desired("base=e", "shop=a")},
			wanted:     Published{"eu": desired("base=e", "shop=b"), "us": desired("base=e", "shop=a")},
			definition: clustersNamed("eu", "us"),
			want: Plan{Changes: []Change{{
				Cluster: "eu", Changed: []AppName{"shop"}, Deleted: []ObjectID{configMap("a")}, Desired: desired("base=e", "shop=b"),
			}}},
		},
		"what it waits for changes": {
			published:  Published{"eu": desired("base=e", "shop=a")},
			wanted:     Published{"eu": desired("base=e", "shop=a<base")},
			definition: clustersNamed("eu"),
			want:       Plan{Changes: []Change{{Cluster: "eu", Changed: []AppName{"shop"}, Desired: desired("base=e", "shop=a<base")}}},
		},
		"an app goes: a tombstone beside those that stand": {
			published:  Published{"eu": desired("base=e", "shop=a", "-old@r0", "-zoo@r0")},
			wanted:     Published{"eu": desired("base=e")},
			definition: clustersNamed("eu"),
			want: Plan{Changes: []Change{{
				Cluster: "eu", Removed: []AppName{"shop"}, Deleted: []ObjectID{configMap("a"), configMap("common")},
				Desired: desired("base=e", "-old@r0", "-shop@r1", "-zoo@r0"),
			}}},
		},
		"the last app goes, and the cluster is not among what is wanted": {
			published:  Published{"eu": desired("shop=e")},
			definition: clustersNamed("eu"),
			want:       Plan{Changes: []Change{{Cluster: "eu", Removed: []AppName{"shop"}, Desired: desired("-shop@r1")}}},
		},
		"an app comes back: its tombstone goes": {
			published:  Published{"eu": desired("-old@r0", "-shop@r0")},
			wanted:     Published{"eu": desired("shop=a")},
			definition: clustersNamed("eu"),
			want:       Plan{Changes: []Change{{Cluster: "eu", Added: []AppName{"shop"}, Desired: desired("shop=a", "-old@r0")}}},
		},
		"an object moves to another app, the rest of it goes": {
			published:  Published{"eu": desired("shop=a")},
			wanted:     Published{"eu": desired("store=b")},
			definition: clustersNamed("eu"),
			want: Plan{Changes: []Change{{
				Cluster: "eu", Added: []AppName{"store"}, Removed: []AppName{"shop"}, Deleted: []ObjectID{configMap("a")},
				Desired: desired("store=b", "-shop@r1"),
			}}},
		},
		"an app whose objects stay": {
			published:  Published{"eu": preserving("area=n", "base=b")},
			wanted:     Published{"eu": desired("base=b")},
			definition: clustersNamed("eu"),
			want: Plan{Changes: []Change{{
				Cluster: "eu", Removed: []AppName{"area"},
				Desired: Desired{Apps: desired("base=b").Apps, Tombstones: []Tombstone{{App: "area", Revision: "r1", Preserve: true}}},
			}}},
		},
		"what is precious stays when its app goes": {
			published:  Published{"eu": desired("area=n", "base=p", "shop=c")},
			wanted:     Published{"eu": desired("shop=e")},
			definition: clustersNamed("eu"),
			want: Plan{Changes: []Change{{
				Cluster: "eu", Removed: []AppName{"area", "base"}, Changed: []AppName{"shop"},
				Deleted: []ObjectID{{Group: "example.com", Kind: "Namespace", Name: "other"}},
				Kept: []ObjectID{
					{Kind: "Namespace", Name: "shop"}, {Kind: "PersistentVolumeClaim", Namespace: "shop", Name: "data"},
					{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition", Name: "shops.example.com"},
				},
				Desired: desired("shop=e", "-area@r1", "-base@r1"),
			}}},
		},
		"what is precious goes when its app goes and says so": {
			published:  Published{"eu": pruning("Namespace", "area=n", "base=p")},
			definition: clustersNamed("eu"),
			want: Plan{
				Changes: []Change{{
					Cluster: "eu", Removed: []AppName{"area", "base"},
					Deleted: []ObjectID{{Kind: "Namespace", Name: "shop"}, {Group: "example.com", Kind: "Namespace", Name: "other"}},
					Kept:    []ObjectID{{Kind: "PersistentVolumeClaim", Namespace: "shop", Name: "data"}},
					Desired: Desired{Tombstones: []Tombstone{
						{App: "area", Revision: "r1", PruneAlso: []string{"Namespace"}}, {App: "base", Revision: "r1", PruneAlso: []string{"Namespace"}},
					}},
				}},
				Holds: []Hold{{"eu", "would delete Namespace shop: that always needs a person"}},
			},
		},
		"an app that stays decides by what it says from now on": {
			published:  Published{"eu": desired("area=n", "shop=p")},
			wanted:     Published{"eu": pruning("Namespace", "area=e", "shop=e")},
			definition: clustersNamed("eu"),
			want: Plan{
				Changes: []Change{{
					Cluster: "eu", Changed: []AppName{"area", "shop"},
					Deleted: []ObjectID{{Kind: "Namespace", Name: "shop"}, {Group: "example.com", Kind: "Namespace", Name: "other"}},
					Kept:    []ObjectID{{Kind: "PersistentVolumeClaim", Namespace: "shop", Name: "data"}},
					Desired: pruning("Namespace", "area=e", "shop=e"),
				}},
				Holds: []Hold{{"eu", "would delete Namespace shop: that always needs a person"}},
			},
		},
		"an app goes that had an account": {
			published:  Published{"eu": Desired{Apps: []DesiredApp{{Name: "shop", Namespace: "shop", Overlay: "e", Base: "base", Terms: Terms{ServiceAccount: "deployer"}}}}},
			definition: clustersNamed("eu"),
			want: Plan{Changes: []Change{{
				Cluster: "eu", Removed: []AppName{"shop"},
				Desired: Desired{Tombstones: []Tombstone{{App: "shop", Revision: "r1", Namespace: "shop", ServiceAccount: "deployer"}}},
			}}},
		},
		"only the terms change": {
			published:  Published{"eu": desired("shop=a")},
			wanted:     Published{"eu": preserving("shop=a")},
			definition: clustersNamed("eu"),
			want:       Plan{Changes: []Change{{Cluster: "eu", Changed: []AppName{"shop"}, Desired: preserving("shop=a")}}},
		},
		"a tombstone that a person agreed to": {
			published:  Published{"eu": desired("shop=a", "-old@r0")},
			wanted:     Published{"eu": desired("shop=a", "-lost@r1", "-old@r1", "-shop@r1")},
			definition: clustersNamed("eu"),
			want:       Plan{Changes: []Change{{Cluster: "eu", Desired: desired("shop=a", "-lost@r1", "-old@r0")}}},
		},
		"a cluster that is no longer in Git is left alone": {
			published:  Published{"eu": desired("shop=n"), "us": desired("shop=a"), "zz": desired()},
			wanted:     Published{"us": desired("shop=a"), "eu": desired()},
			definition: clustersNamed("us"),
			want:       Plan{Left: []ClusterName{"eu", "zz"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Diff(test.published, Wanted{Revision: "r1", Definition: test.definition, Desired: test.wanted, Contents: contents})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHolds(t *testing.T) {
	share := func(n int) Bound { return Bound{Count: n, Percent: true, Set: true} }
	count := func(n int) Bound { return Bound{Count: n, Set: true} }
	for name, test := range map[string]struct {
		budget            DeletionBudget
		published, wanted Published
		definition        Definition
		want              []Hold
	}{
		"as many objects as the share": {
			budget:     DeletionBudget{Objects: share(20)},
			published:  Published{"eu": desired("shop=t")},
			wanted:     Published{"eu": desired("shop=u")},
			definition: clustersNamed("eu"),
		},
		"one object more than the share": {
			budget:     DeletionBudget{Objects: share(20)},
			published:  Published{"eu": desired("shop=t")},
			wanted:     Published{"eu": desired("shop=v")},
			definition: clustersNamed("eu"),
			want:       []Hold{{"eu", "would delete 3 of 10 objects: the deletion budget is 20%"}},
		},
		"the share is of the whole cluster": {
			budget:     DeletionBudget{Objects: share(20)},
			published:  Published{"eu": desired("base=a", "shop=t", "zoo=b")},
			wanted:     Published{"eu": desired("base=a", "shop=u", "zoo=e")},
			definition: clustersNamed("eu"),
			want:       []Hold{{"eu", "would delete 4 of 13 objects: the deletion budget is 20%"}},
		},
		"as many objects as the count": {
			budget:     DeletionBudget{Objects: count(3)},
			published:  Published{"eu": desired("shop=t")},
			wanted:     Published{"eu": desired("shop=v")},
			definition: clustersNamed("eu"),
		},
		"no object may go": {
			budget:     DeletionBudget{Objects: count(0)},
			published:  Published{"eu": desired("shop=t"), "us": desired("shop=u")},
			wanted:     Published{"eu": desired("shop=u"), "us": desired("shop=u")},
			definition: clustersNamed("eu", "us"),
			want:       []Hold{{"eu", "would delete 2 of 10 objects: the deletion budget is 0"}},
		},
		"what is precious stays, and is not held": {
			budget:     DeletionBudget{Objects: count(1)},
			published:  Published{"eu": desired("a=n", "b=p", "c=c", "shop=e")},
			wanted:     Published{"eu": desired("shop=e")},
			definition: clustersNamed("eu"),
		},
		"what is precious goes with a person's go, where the app says so": {
			published:  Published{"eu": pruning("Namespace PersistentVolumeClaim CustomResourceDefinition", "a=n", "b=p", "c=c", "shop=e")},
			wanted:     Published{"eu": desired("shop=e")},
			definition: clustersNamed("eu"),
			want: []Hold{{"eu", "would delete Namespace shop, PersistentVolumeClaim shop/data, " +
				"CustomResourceDefinition.apiextensions.k8s.io shops.example.com: that always needs a person"}},
		},
		"apps of a cluster": {
			budget:     DeletionBudget{Apps: count(1)},
			published:  Published{"eu": desired("a=e", "b=e", "c=e"), "us": desired("a=e", "b=e")},
			wanted:     Published{"eu": desired("a=e"), "us": desired("a=e")},
			definition: clustersNamed("eu", "us"),
			want:       []Hold{{"eu", "would remove 2 of 3 apps: the deletion budget is 1"}},
		},
		"clusters that lose an app or are gone from Git": {
			budget:     DeletionBudget{Clusters: share(50)},
			published:  Published{"eu": desired("a=e"), "us": desired("a=e"), "zz": desired("a=e"), "yy": desired("a=e")},
			wanted:     Published{"eu": desired(), "us": desired("a=e")},
			definition: clustersNamed("eu", "us"),
			want:       []Hold{{"", "would take something from 3 of 4 clusters: the deletion budget is 50%"}},
		},
		"the emptied repository": {
			published:  Published{"eu": desired("a=e")},
			definition: Definition{Clusters: []Cluster{{Name: "eu"}}},
			want:       []Hold{{"", "the repository defines no app any more: that always needs a person"}},
		},
		"the emptied repository, its clusters gone too": {
			published: Published{"eu": desired("a=e")},
			want:      []Hold{{"", "the repository defines no app any more: that always needs a person"}},
		},
		"an empty repository where nothing ran": {
			published:  Published{"eu": desired()},
			definition: Definition{Clusters: []Cluster{{Name: "eu"}}},
		},
		"what is not known cannot be counted": {
			published:  Published{"eu": desired("a=?", "b=?", "c=?")},
			wanted:     Published{"eu": desired("b=e", "c=?")},
			definition: clustersNamed("eu"),
			want:       []Hold{{"eu", "what the cluster runs of a, b is not known any more, so what this deletes cannot be counted"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.definition.Settings.DeletionBudget = test.budget
			got := Diff(test.published, Wanted{Revision: "r1", Definition: test.definition, Desired: test.wanted, Contents: contents})
			if diff := cmp.Diff(test.want, got.Holds); diff != "" {
				t.Errorf("holds (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConfirm(t *testing.T) {
	published := Published{
		"eu": desired("shop=a", "-a@r0", "-b@r0"),
		"us": desired("-a@r0"),
	}
	removed := map[ClusterName]map[AppName]bool{
		"eu":   {"a": true, "b": false, "shop": true},
		"gone": {"a": true},
	}
	want := Published{"eu": desired("shop=a", "-b@r0"), "us": desired("-a@r0")}
	if diff := cmp.Diff(want, Confirm(published, removed)); diff != "" {
		t.Errorf("confirmed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(desired("shop=a", "-a@r0", "-b@r0"), published["eu"]); diff != "" {
		t.Errorf("what was given has changed:\n%s", diff)
	}
}

func TestBury(t *testing.T) {
	wanted := Published{"eu": desired("shop=a", "-old@r0")}
	kept := map[ClusterName]map[AppName]bool{
		"eu": {"lost": true, "shop": true, "old": true, "not": false},
		"us": {"lost": true},
	}
	want := Published{"eu": desired("shop=a", "-lost@r1", "-old@r0"), "us": desired("-lost@r1")}
	if diff := cmp.Diff(want, Bury(wanted, kept, "r1")); diff != "" {
		t.Errorf("buried (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Published{"eu": desired("shop=a", "-old@r0")}, wanted); diff != "" {
		t.Errorf("what was given has changed:\n%s", diff)
	}
}

func TestBuryWhereNothingIsWanted(t *testing.T) {
	want := Published{"eu": desired("-lost@r1")}
	if diff := cmp.Diff(want, Bury(nil, map[ClusterName]map[AppName]bool{"eu": {"lost": true}}, "r1")); diff != "" {
		t.Errorf("buried (-want +got):\n%s", diff)
	}
}

func TestConflicts(t *testing.T) {
	def := Definition{Apps: []App{
		{Name: "shop", Position: Position{"shop/app.yaml", 3}},
		{Name: "store", Position: Position{"store/app.yaml", 5}},
		{Name: "zoo", Position: Position{"zoo.yaml", 9}},
	}}
	for name, test := range map[string]struct {
		desired Published
		want    []string
	}{
		"none": {Published{"eu": desired("shop=a", "zoo=e"), "us": desired("store=b")}, nil},
		"in some clusters": {
			Published{"eu": desired("shop=a", "store=b"), "us": desired("shop=a", "store=b"), "ap": desired("shop=a")},
			[]string{`store/app.yaml:5: metadata.name: apps "shop" (shop/app.yaml:3) and "store" both have ConfigMap shop/common in cluster "eu" and 1 more ` +
				`(an object belongs to one app: remove it from the other, or give one of them another namespace or name)`},
		},
		"one content twice": {
			Published{"eu": desired("shop=n", "store=n", "zoo=n")},
			[]string{
				`store/app.yaml:5: metadata.name: apps "shop" (shop/app.yaml:3) and "store" both have Namespace shop in cluster "eu" ` +
					`(an object belongs to one app: remove it from the other, or give one of them another namespace or name)`,
				`zoo.yaml:9: metadata.name: apps "shop" (shop/app.yaml:3) and "zoo" both have Namespace shop in cluster "eu" ` +
					`(an object belongs to one app: remove it from the other, or give one of them another namespace or name)`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, p := range Conflicts(test.desired, contents, def) {
				got = append(got, p.Error())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("conflicts (-want +got):\n%s", diff)
			}
		})
	}
}
