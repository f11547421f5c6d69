package fleet

import (
	"slices"
	"strings"
)

// The kinds that are precious.
const (
	kindNamespace  = "Namespace"
	kindClaim      = "PersistentVolumeClaim"
	kindDefinition = "CustomResourceDefinition"
)

// Precious tells whether other things go when the object goes, which nobody can bring
// back: it stays in the cluster when its app no longer has it, unless the app says
// otherwise ([Terms.PruneAlso]).
func (id ObjectID) Precious() bool {
	switch id.Group {
	case "":
		return id.Kind == kindNamespace || id.Kind == kindClaim
	case "apiextensions.k8s.io":
		return id.Kind == kindDefinition
	}
	return false
}

// Kept tells whether the object stays in the cluster when its app, which says what to
// prune also, no longer has it.
func (id ObjectID) Kept(pruneAlso []string) bool {
	return id.Precious() && !slices.Contains(pruneAlso, id.Kind)
}

// asksToStay are the labels and annotations by which an object says that it stays when
// its app no longer has it: our own, and Flux's, which means the same.
var asksToStay = []string{"navarch.dev/prune", "kustomize.toolkit.fluxcd.io/prune"}

// argoOptions is the annotation in which Argo CD reads the same.
const argoOptions = "argocd.argoproj.io/sync-options"

// AsksToStay tells by which label or annotation, such as "navarch.dev/prune: disabled",
// an object says that it stays in the cluster when its app no longer has it. Empty: it
// does not.
func AsksToStay(labels, annotations map[string]string) string {
	for _, key := range asksToStay {
		if labels[key] == "disabled" || annotations[key] == "disabled" {
			return key + ": disabled"
		}
	}
	for option := range strings.SplitSeq(annotations[argoOptions], ",") {
		if strings.TrimSpace(option) == "Prune=false" {
			return argoOptions + ": Prune=false"
		}
	}
	return ""
}
