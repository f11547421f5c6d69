package agent

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/agent/observe"
	"github.com/navarch/navarch/agent/sops"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// app is what the reconciler knows of one app.
type app struct {
	name     fleet.AppName
	desired  fleet.DesiredApp // what the index says; zero unless wanted
	revision string           // that brought desired
	wanted   bool             // the index names the app
	leaving  bool             // the index has a tombstone for it
	stone    fleet.Tombstone  // … this one

	record    apply.Record // as in the inventory
	attempted wire.Applied
	appliedAt time.Time
	failure   error     // of the last attempt; nil when it succeeded
	failures  int       // in a row
	retryAt   time.Time // when to try again; zero: not waiting

	work    *work                   // what is being done now; nil when nothing is
	drifted map[fleet.ObjectID]bool // seen to change, and not looked at yet
	// revisions are the resource versions of what this process applied, as of then.
	revisions map[fleet.ObjectID]uint64
	repairs   map[fleet.ObjectID]*repairCount // of objects that somebody keeps changing
	drifts    map[fleet.ObjectID]wire.Drift   // what was found since the app was applied
}

// content is what the index wants of the app.
func (a *app) content() fleet.Content { return a.desired.Content() }

// current tells whether what the index wants was applied whole.
func (a *app) current() bool {
	return a.wanted && !a.record.Partial && a.record.Overlay == a.desired.Overlay && a.record.Base == a.desired.Base
}

// orphaned tells whether the app is kept only because nobody said to remove it.
func (a *app) orphaned() bool { return !a.wanted && !a.leaving && len(a.record.Objects) > 0 }

// ready tells whether the app is current and all of its objects are well.
func (a *app) ready(state states) bool {
	if !a.current() || a.failure != nil {
		return false
	}
	return !slices.ContainsFunc(a.record.Objects, func(item apply.Item) bool {
		return a.since(item, state).Health != wire.Current
	})
}

// since is how an object does since it was applied: what was seen of a time before
// says neither that it is well nor that it has failed.
func (a *app) since(item apply.Item, state states) observe.State {
	s, there := state(item.ObjectID)
	switch {
	case !there && item.Spent():
		return observe.State{Health: wire.Current, Message: "it has run, and was deleted as its ttlSecondsAfterFinished says"}
	case !there:
		return observe.State{Health: wire.NotFound}
	case s.Revision != 0 && s.Revision < a.revisions[item.ObjectID]:
		return observe.State{Health: wire.InProgress, Message: "it was applied, and not seen since"}
	}
	return s
}

// states looks up objects as they were last seen.
type states func(fleet.ObjectID) (observe.State, bool)

// report is what to tell the hub of the app now.
func (a *app) report(cluster fleet.ClusterName, waitsFor []fleet.AppName, state states) wire.Report {
	r := wire.Report{
		Version:   wire.Version,
		Cluster:   cluster,
		App:       a.name,
		Attempted: a.attempted,
		Applied:   wire.Applied{Revision: a.record.Revision, Overlay: a.record.Overlay, Base: a.record.Base},
		AppliedAt: a.appliedAt,
		Removed:   a.leaving && len(a.record.Objects) == 0,
		Held:      a.orphaned(),
	}
	for _, item := range a.record.Objects {
		s := a.since(item, state)
		report := wire.ObjectReport{ObjectID: item.ObjectID, Health: s.Health, Message: s.Message, Replicas: s.Replicas}
		if drift, found := a.drifts[item.ObjectID]; found {
			report.Drift = &drift
		}
		r.Objects = append(r.Objects, report)
	}
	var failed *apply.ObjectError
	for _, err := range flatten(a.failure) {
		if !errors.As(err, &failed) {
			continue
		}
		for i := range r.Objects {
			if r.Objects[i].ObjectID == failed.ID {
				r.Objects[i].Health, r.Objects[i].Message = wire.Failed, err.Error()
			}
		}
	}
	r.Conditions = a.conditions(waitsFor, r.Objects)
	return r
}

// conditions are Ready, Reconciling and Stalled, in the order of their names.
func (a *app) conditions(waitsFor []fleet.AppName, objects []wire.ObjectReport) []wire.Condition {
	ready := wire.Condition{Type: wire.Ready, Status: "False"}
	reconciling := wire.Condition{Type: wire.Reconciling, Status: "True"}
	stalled := wire.Condition{Type: wire.Stalled, Status: "False", Reason: "Progressing"}
	unwell, broken := worst(objects)
	switch {
	case a.orphaned():
		ready.Reason, ready.Message = "Held", "the index names neither the app nor its removal: it is kept as it is"
		reconciling.Status = "False"
	case a.leaving:
		ready.Reason, ready.Message = "Removing", fmt.Sprintf("%d objects are still there", len(a.record.Objects))
		if a.failure != nil {
			ready.Message += ": " + bounded(a.failure)
		}
		if len(a.record.Objects) == 0 {
			ready.Reason, ready.Message = "Removed", "every object is gone"
			reconciling.Status = "False"
		}
	case a.failure != nil:
		ready.Reason, ready.Message = "ApplyFailed", bounded(a.failure)
		if permanent(a.failure) {
			reconciling.Status = "False"
			stalled = wire.Condition{Type: wire.Stalled, Status: "True", Reason: "ApplyFailed", Message: ready.Message}
		}
	case len(waitsFor) > 0 && !a.current():
		ready.Reason, ready.Message = "DependencyNotReady", "waits for "+join(waitsFor)
	case !a.current() || a.work != nil && a.work.kind == applies:
		ready.Reason, ready.Message = "Applying", "objects are being applied"
	case broken:
		ready.Reason, ready.Message = "Unhealthy", unwell
		reconciling.Status = "False"
		stalled = wire.Condition{Type: wire.Stalled, Status: "True", Reason: "Unhealthy", Message: unwell}
	case unwell != "":
		ready.Reason, ready.Message = "Progressing", unwell
	default:
		ready.Status, ready.Reason = "True", "Applied"
		reconciling.Status = "False"
		if drifted := a.drifting(); drifted != "" {
			ready.Reason, ready.Message = "Drifted", drifted
		}
		if fighting := a.fighting(); fighting != "" {
			ready.Message = fighting
		}
	}
	reconciling.Reason = ready.Reason
	if stalled.Status == "False" {
		stalled.Reason = ready.Reason
	}
	return []wire.Condition{ready, reconciling, stalled}
}

// worst returns what keeps the app from being well, and whether it failed.
func worst(objects []wire.ObjectReport) (message string, failed bool) {
	for _, o := range objects {
		if o.Health == wire.Current {
			continue
		}
		said := fmt.Sprintf("%s is %s", o.ObjectID, o.Health)
		if o.Message != "" {
			said += ": " + o.Message
		}
		if o.Health == wire.Failed {
			return said, true
		}
		message = cmp.Or(message, said)
	}
	return message, false
}

// permanent tells whether nothing will change before somebody does something.
func permanent(err error) bool {
	return slices.ContainsFunc(flatten(err), func(each error) bool { return apply.Permanent(each) || errors.Is(each, sops.ErrSealed) })
}

// flatten returns the errors that were joined into one.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var flat []error
		for _, each := range joined.Unwrap() {
			flat = append(flat, flatten(each)...)
		}
		return flat
	}
	return []error{err}
}

// bounded gives the first errors of many, on one line.
func bounded(err error) string {
	const most = 3
	all := flatten(err)
	words := make([]string, 0, most)
	for _, each := range all[:min(most, len(all))] {
		words = append(words, strings.ReplaceAll(each.Error(), "\n", " "))
	}
	if more := len(all) - most; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, "; ")
}

func join(names []fleet.AppName) string {
	words := make([]string, len(names))
	for i, name := range names {
		words[i] = string(name)
	}
	return strings.Join(words, ", ")
}
