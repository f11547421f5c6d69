package observe

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// checks are the health checks of one app, by the kind that each is about.
type checks map[schema.GroupKind]check

// check is a health check and what it was made of.
type check struct {
	*fleet.HealthCheck
	fleet.HealthCheckExpr
	err error // why it cannot be asked
}

// Judge says by which expressions the objects of each app are judged from now on. An
// object that none covers, by its group and kind, is judged by what kstatus says.
// Kinds for which an app's expressions differ from before are seen anew, for nothing
// is kept of an object that could be judged again; until then its objects are in
// progress.
func (w *Watcher) Judge(apps map[fleet.AppName][]fleet.HealthCheckExpr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	compiled := map[fleet.HealthCheckExpr]check{}
	for _, of := range w.checks {
		for _, c := range of {
			compiled[c.HealthCheckExpr] = c
		}
	}
	next := make(map[fleet.AppName]checks, len(apps))
	for app, exprs := range apps {
		for _, expr := range exprs {
			c, known := compiled[expr]
			if !known {
				c = compile(expr)
				compiled[expr] = c
			}
			if next[app] == nil {
				next[app] = checks{}
			}
			gk := schema.FromAPIVersionAndKind(expr.APIVersion, expr.Kind).GroupKind()
			if _, twice := next[app][gk]; !twice {
				next[app][gk] = c
			}
		}
	}
	before := w.checks
	w.checks = next
	for gk, k := range w.kinds {
		if apps := differ(before, next, gk); len(apps) > 0 {
			w.unsure(gk, apps)
			w.follow(k.GroupVersionKind, k.resource)
		}
	}
}

// differ returns the apps that judge objects of a kind in another way than before.
func differ(before, next map[fleet.AppName]checks, gk schema.GroupKind) map[fleet.AppName]bool {
	apps := map[fleet.AppName]bool{}
	for _, either := range []map[fleet.AppName]checks{before, next} {
		for app := range either {
			if before[app][gk].HealthCheckExpr != next[app][gk].HealthCheckExpr {
				apps[app] = true
			}
		}
	}
	return apps
}

// unsure forgets how the objects of a kind do that apps have. The lock is held.
func (w *Watcher) unsure(gk schema.GroupKind, apps map[fleet.AppName]bool) {
	for id, s := range w.states {
		if id.Group == gk.Group && id.Kind == gk.Kind && apps[s.App] && !s.Deleting {
			s.Health, s.Message = wire.InProgress, "its health is looked at anew"
			w.states[id] = s
		}
	}
}

func compile(expr fleet.HealthCheckExpr) check {
	c := check{HealthCheckExpr: expr}
	var mistakes map[string]error
	c.HealthCheck, mistakes = expr.Compile()
	for _, name := range slices.Sorted(maps.Keys(mistakes)) {
		c.err = fmt.Errorf("the health expression %q %w", name, mistakes[name])
		break
	}
	return c
}

// check returns how objects of a kind are judged for an app; nil: by kstatus.
func (w *Watcher) check(app fleet.AppName, gk schema.GroupKind) *check {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c, ok := w.checks[app][gk]; ok {
		return &c
	}
	return nil
}

// judged tells whether some app has expressions for a kind. The lock is held.
func (w *Watcher) judged(gk schema.GroupKind) bool {
	for _, of := range w.checks {
		if _, ok := of[gk]; ok {
			return true
		}
	}
	return false
}

// health is how an object does, and why where it is not well.
func health(o *unstructured.Unstructured, by *check) (wire.Health, string) {
	if by == nil || o.GetDeletionTimestamp() != nil {
		return standard(o)
	}
	if by.err != nil {
		return wire.Unknown, by.err.Error()
	}
	verdict, err := by.Judge(o.Object)
	switch {
	case err != nil:
		return wire.Unknown, err.Error()
	case verdict == fleet.HealthCurrent:
		return wire.Current, ""
	}
	if verdict == fleet.HealthInProgress && stale(o) {
		return wire.InProgress, "its controller has not seen the newest generation yet"
	}
	return wire.Health(verdict), cmp.Or(trouble(o), said(o))
}

// standard is what kstatus says of an object.
func standard(o *unstructured.Unstructured) (wire.Health, string) {
	result, err := status.Compute(o)
	if err != nil {
		return wire.Unknown, err.Error()
	}
	h := wire.Health(result.Status)
	if h == wire.Current && !running(o) {
		return h, ""
	}
	if h == wire.Current {
		return wire.InProgress, result.Message
	}
	message := result.Message
	if why := trouble(o); why != "" && h != wire.Terminating && !stale(o) && !strings.Contains(message, why) {
		if !strings.Contains(why, message) {
			why = message + "; " + why
		}
		message = why
	}
	return h, message
}

// running tells whether an object is a Job that has not come to its end. To kstatus one
// that has begun is well; who depends on it waits for what it does, as with Flux.
func running(o *unstructured.Unstructured) bool {
	if gk := o.GroupVersionKind().GroupKind(); gk.Group != "batch" || gk.Kind != "Job" {
		return false
	}
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions") // none: it runs
	return !slices.ContainsFunc(conditions, func(each any) bool {
		c, _ := each.(map[string]any)
		return c["type"] == "Complete" && c["status"] == "True"
	})
}

// stale tells whether the status of an object is of an older generation.
func stale(o *unstructured.Unstructured) bool {
	observed, known := number(o, "status", "observedGeneration")
	return known && observed < o.GetGeneration()
}

// troubles are the conditions that say why an object does not get on, the most
// telling first.
var troubles = []struct{ kind, status string }{
	{"ReplicaFailure", "True"}, // no pod can be made: a quota, an admission webhook, a missing account
	{"Stalled", "True"},
	{"Failed", "True"},
	{"Degraded", "True"},
	{"Progressing", "False"},
	{"Ready", "False"},
	{"Available", "False"},
}

// trouble returns what the most telling condition of an object says, "" where none
// does.
func trouble(o *unstructured.Unstructured) string {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions") // what is none says nothing
	for _, t := range troubles {
		for _, each := range conditions {
			c, _ := each.(map[string]any)
			if c["type"] != t.kind || c["status"] != t.status {
				continue
			}
			message, _ := c["message"].(string)
			reason, _ := c["reason"].(string)
			if message = cmp.Or(message, reason); message != "" {
				return message
			}
		}
	}
	return ""
}

// said returns what an object without conditions says of itself.
func said(o *unstructured.Unstructured) string {
	for _, field := range []string{"message", "reason"} {
		if words, _, _ := unstructured.NestedString(o.Object, "status", field); words != "" {
			return words
		}
	}
	return ""
}

// hasStatus tells whether objects of a kind can be anything but Current.
func hasStatus(gk schema.GroupKind) bool {
	switch gk.Group {
	case "rbac.authorization.k8s.io", "admissionregistration.k8s.io", "scheduling.k8s.io", "storage.k8s.io", "coordination.k8s.io", "discovery.k8s.io":
		return false
	case "networking.k8s.io":
		return gk.Kind != "NetworkPolicy" && gk.Kind != "IngressClass"
	case "":
		switch gk.Kind {
		case "ConfigMap", "Secret", "ServiceAccount", "LimitRange", "Endpoints", "Event", "PodTemplate":
			return false
		}
	}
	return true
}
