package agent

import (
	"log/slog"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/navarch/navarch/fleet"
)

// newReconcilerOf is a reconciler that knows of these apps and has no cluster: its
// decisions can be tried, and nothing can be done.
func newReconcilerOf(names ...fleet.AppName) *reconciler {
	r := &reconciler{cluster: "eu-1", hands: &hands{}, reports: newReporter(nil, slog.New(slog.DiscardHandler)), apps: map[fleet.AppName]*app{}}
	for _, name := range names {
		r.app(name)
	}
	return r
}

var appsResource = schema.GroupResource{Group: "apps", Resource: "deployments"}
