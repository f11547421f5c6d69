package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// namespace is where all apps of the fleet are.
const namespace = "chaos"

// placed is one app of the repository.
type placed struct {
	clusters []string // sorted
	mark     int      // changes its objects
}

// repository is the fleet's definition, and what commits make of it.
type repository struct {
	random *rand.Rand
	apps   map[string]placed
	made   int // apps, ever
	mark   int // the last
	// arrivals counts how often an app came to a cluster, by "cluster/app".
	arrivals map[string]int
}

// newRepository has one app everywhere, which stays, and some that come and go.
func newRepository(random *rand.Rand) *repository {
	r := &repository{random: random, apps: map[string]placed{}, arrivals: map[string]int{}}
	r.place("anchor", memberNames)
	for range 8 {
		r.add()
	}
	return r
}

// step is one commit; it returns its message.
func (r *repository) step() string {
	what := r.random.IntN(10)
	if len(r.apps) < 4 {
		return r.add()
	}
	switch {
	case what < 2:
		return r.add()
	case what < 4:
		name := r.any()
		if name == "anchor" {
			return r.change(name)
		}
		delete(r.apps, name)
		return "remove " + name
	case what < 6:
		name := r.any()
		if name == "anchor" {
			return r.change(name)
		}
		r.place(name, r.subset())
		return "move " + name
	}
	return r.change(r.any())
}

func (r *repository) add() string {
	name := fmt.Sprintf("app-%03d", r.made)
	r.made++
	r.place(name, r.subset())
	return "add " + name
}

func (r *repository) change(name string) string {
	r.place(name, r.apps[name].clusters)
	return "change " + name
}

// place makes an app run in clusters, with other objects than before.
func (r *repository) place(name string, clusters []string) {
	r.mark++
	for _, cluster := range clusters {
		if !slices.Contains(r.apps[name].clusters, cluster) {
			r.arrivals[cluster+"/"+name]++
		}
	}
	r.apps[name] = placed{clusters: clusters, mark: r.mark}
}

func (r *repository) any() string {
	names := slices.Sorted(maps.Keys(r.apps))
	return names[r.random.IntN(len(names))]
}

// subset is at least one cluster.
func (r *repository) subset() []string {
	names := slices.Clone(memberNames)
	r.random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	names = names[:1+r.random.IntN(len(names))]
	slices.Sort(names)
	return names
}

// files are what the repository holds now.
func (r *repository) files() map[string]string {
	files := map[string]string{
		"fleet.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: Fleet\nspec: {deletionBudget: {objects: 100%}}\n",
	}
	for _, name := range memberNames {
		files["clusters/"+name+".yaml"] = "apiVersion: fleet.navarch.dev/v1alpha1\nkind: Cluster\nmetadata: {name: " + name + "}\n"
	}
	for name, app := range r.apps {
		files["apps/"+name+"/app.yaml"] = fmt.Sprintf(`apiVersion: fleet.navarch.dev/v1alpha1
kind: App
metadata: {name: %s, namespace: %s}
spec:
  source: {path: objects.yaml}
  placement: {clusterAffinity: {clusterNames: [%s]}}
`, name, namespace, strings.Join(app.clusters, ", "))
		files["apps/"+name+"/objects.yaml"] = objectsYAML(name, app.mark)
	}
	return files
}

// objectsYAML returns the objects of an app. Only the anchor defines a kind.
func objectsYAML(name string, mark int) string {
	objects := fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata: {name: %[1]s}
data: {mark: "%[2]d"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: 1
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec: {containers: [{name: main, image: "registry.example/%[1]s:%[2]d"}]}
`, name, mark)
	if name != "anchor" {
		return objects
	}
	return objects + fmt.Sprintf(`---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.chaos.example}
spec:
  group: chaos.example
  scope: Namespaced
  names: {kind: Boat, plural: boats}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: chaos.example/v1
kind: Boat
metadata: {name: anchor}
spec: {mark: %d}
`, mark)
}
