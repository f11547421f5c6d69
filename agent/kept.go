package agent

import "github.com/navarch/navarch/agent/apply"

// tellKept says of the objects that an app no longer has which of them stay in the
// cluster. From now on they are nobody's, so it is said once.
func (r *reconciler) tellKept(a *app, kept []apply.Kept) {
	for _, k := range kept {
		r.log.Info("object left in the cluster: it is nobody's now", "app", a.name, "object", k.ID, "why", k.Why)
		r.events.kept(a, k)
	}
}
