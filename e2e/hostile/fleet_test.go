package hostile

import (
	"fmt"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/overlays"
)

// The canaries: words that stand in what belongs to the neighbour, and nowhere else. An
// intruder who sees one of them has read what is not his.
var canaries = []string{"canary-app", "canary-content", "canary-difference", "canary-report", "canary-instance"}

// ours is a word of the intruder's own content: whoever looks for canaries finds it.
const ours = "our-own-content"

// twoClusters is a fleet in which eu-1 is the intruder's and us-1 the neighbour's. Both
// run one app with a base in common, and each one of its own.
func twoClusters(mark string) map[string]string {
	app := func(name, cluster, rest string) string {
		return fmt.Sprintf("apiVersion: fleet.navarch.dev/v1alpha1\nkind: App\nmetadata: {name: %s, namespace: shop}\nspec:\n  source: {path: base-%s}\n  placement: {clusterAffinity: {clusterNames: [%s]}}\n%s", name, name, cluster, rest)
	}
	settings := func(name, word string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {word: %q}\n", name, word+mark)
	}
	return map[string]string{
		"clusters.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: Cluster\nmetadata: {name: eu-1}\n---\napiVersion: fleet.navarch.dev/v1alpha1\nkind: Cluster\nmetadata: {name: us-1}\n",
		"apps/both.yaml": app("both", "eu-1, us-1", `  overrides:
  - targetCluster: {clusterNames: [us-1]}
    overriders: {annotationsOverrider: [{operator: add, value: {note: canary-difference`+mark+`}}]}
`),
		"apps/base-both/a.yaml":       settings("both", "in-common"),
		"apps/mine.yaml":              app("mine", "eu-1", ""),
		"apps/base-mine/a.yaml":       settings("mine", ours),
		"apps/canary-app.yaml":        app("canary-app", "us-1", ""),
		"apps/base-canary-app/a.yaml": settings("theirs", "canary-content"),
	}
}

// objectsOf builds an app of an index from content that was read.
func objectsOf(app fleet.DesiredApp, read func(fleet.Digest) []byte) (int, error) {
	base, err := overlays.Unpack(read(app.Base))
	if err != nil {
		return 0, err
	}
	overlay, err := overlays.Unpack(read(app.Overlay))
	if err != nil {
		return 0, err
	}
	objects, err := overlays.Build(app.Name, base, overlay)
	return len(objects), err
}
