package overlays

import (
	"path"
	"slices"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/navarch/navarch/fleet"
)

// Placed is an app as one cluster runs it.
type Placed struct {
	App     fleet.AppName
	Base    Files
	Overlay Files
}

// Tree lays out clusters so that the stock kustomize can build them:
// bases/<app>/…, clusters/<cluster>/<app>/… and, listing the apps,
// clusters/<cluster>/kustomization.yaml. An app has the same base everywhere.
func Tree(clusters map[fleet.ClusterName][]Placed) Files {
	tree := Files{}
	for name, apps := range clusters {
		dir := path.Join("clusters", string(name))
		k := kustomizationFile{APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind}
		for _, placed := range apps {
			tree.place(path.Join("bases", string(placed.App)), placed.Base)
			tree.place(path.Join(dir, string(placed.App)), placed.Overlay)
			k.Resources = append(k.Resources, string(placed.App))
		}
		slices.Sort(k.Resources)
		tree[path.Join(dir, konfig.DefaultKustomizationFileName())] = k.encode()
	}
	return tree
}
