package agent

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// The reasons of Events. They are stable: people filter by them.
const (
	eventApplied       = "Applied"       // of an app: what has changed in Git is in the cluster
	eventFailed        = "ApplyFailed"   // of an app
	eventRemoved       = "Removed"       // of an app that has left the cluster
	eventKept          = "Kept"          // of an app: an object that stays, see [apply.Kept]
	eventDriftRepaired = "DriftRepaired" // of an object
	eventDrifted       = "Drifted"       // of an object that stays as somebody made it
)

const (
	// tellAfter is how long nothing has happened when Events are sent: they are a write
	// each, and in the way of what they tell of. tellMost is how long one waits at most.
	tellAfter = 250 * time.Millisecond
	tellMost  = time.Minute
)

// events tells the people of the cluster, who may not see the hub, what the agent
// does: as Kubernetes Events in the app's namespace, after the work and one after the
// other. What cannot be told is dropped. Only the reconciler touches it.
type events struct {
	recorder  record.EventRecorder
	namespace string   // for apps that have none, or one that the agent has no rights in
	within    []string // the namespaces that the agent has rights in; none: all
	untold    []event
	at, by    time.Time // when they are to be sent if nothing is being done, and in any case
}

// event is one that waits.
type event struct {
	about                 corev1.ObjectReference
	kind, reason, message string
}

// newEvents returns events that are sent until ctx ends.
func newEvents(ctx context.Context, c Config) (*events, error) {
	config := rest.CopyConfig(c.REST)
	config.QPS = -1
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("prepare Events: %w", err)
	}
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&corev1client.EventSinkImpl{Interface: clients.CoreV1().Events("")})
	context.AfterFunc(ctx, broadcaster.Shutdown)
	source := corev1.EventSource{Component: apply.FieldManager, Host: c.Identity}
	return &events{recorder: broadcaster.NewRecorder(scheme.Scheme, source), namespace: c.Namespace, within: c.Namespaces}, nil
}

// app tells of an app.
func (e *events) app(a *app, kind, reason, format string, args ...any) {
	namespace := a.desired.Namespace
	if namespace == "" || len(e.within) > 0 && !slices.Contains(e.within, namespace) {
		namespace = e.namespace
	}
	// Apps are not objects of the cluster, but are named like one.
	about := corev1.ObjectReference{APIVersion: fleet.APIVersion, Kind: "App", Namespace: namespace, Name: string(a.name)}
	e.later(about, kind, reason, fmt.Sprintf(format, args...))
}

func (e *events) later(about corev1.ObjectReference, kind, reason, message string) {
	now := time.Now()
	if len(e.untold) == 0 {
		e.by = now.Add(tellMost)
	}
	e.at = now.Add(tellAfter)
	e.untold = append(e.untold, event{about, kind, reason, message})
}

// due is when to call tell; zero: there is nothing to tell.
func (e *events) due(busy bool) time.Time {
	switch {
	case len(e.untold) == 0:
		return time.Time{}
	case busy || e.at.After(e.by):
		return e.by
	}
	return e.at
}

// tell sends what is due.
func (e *events) tell(now time.Time, busy bool) {
	if due := e.due(busy); due.IsZero() || now.Before(due) {
		return
	}
	for _, each := range e.untold {
		e.recorder.Event(&each.about, each.kind, each.reason, each.message)
	}
	e.untold = nil
}

// applied tells of an app that was applied whole.
func (e *events) applied(a *app, objects int) {
	e.app(a, corev1.EventTypeNormal, eventApplied, "%s: %d objects applied", a.record.Revision, objects)
}

// failed tells of an app that could not be applied.
func (e *events) failed(a *app, err error) {
	e.app(a, corev1.EventTypeWarning, eventFailed, "%s: %s", a.attempted.Revision, bounded(err))
}

// removed tells of an app that has left the cluster.
func (e *events) removed(a *app) {
	e.app(a, corev1.EventTypeNormal, eventRemoved, "the app has left the cluster")
}

// kept tells of an object that stays in the cluster although its app no longer has it.
func (e *events) kept(a *app, k apply.Kept) {
	e.app(a, corev1.EventTypeNormal, eventKept, "%s is left in the cluster as nobody's: %s", k.ID, k.Why)
}

// drifted tells of an object that somebody has changed or deleted.
func (e *events) drifted(a *app, apiVersion string, id fleet.ObjectID, d wire.Drift) {
	about := corev1.ObjectReference{APIVersion: apiVersion, Kind: id.Kind, Namespace: id.Namespace, Name: id.Name}
	if d.Repaired {
		e.later(about, corev1.EventTypeNormal, eventDriftRepaired, fmt.Sprintf("%s, applied again as app %s has it", d, a.name))
		return
	}
	e.later(about, corev1.EventTypeWarning, eventDrifted, fmt.Sprintf("%s, and app %s leaves it so", d, a.name))
}
