// Package manifests holds what is installed before the first git push can travel
// its fifteen steps: the objects of an agent, those of a hub, and a systemd unit
// for a hub without a cluster.
//
// The folders agent, namespace and hub are kustomize bases that the stock kustomize builds.
// They are embedded here, and [Agent], [Hub] and [Unit] turn them into the one
// manifest that a person applies. The same configuration gives the same bytes.
//
// The folder grafana has a dashboard of the hub's metrics, to be imported as it is.
package manifests
