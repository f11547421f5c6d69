package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/navarch/navarch/fleet"
)

// What an object may say of itself.
const (
	// LabelApp names the app that an object belongs to. Its overlay puts it there.
	LabelApp = "navarch.dev/app"
	// AnnotationForce lets the agent delete the object and make it again when a field
	// that cannot change has changed: value "enabled". Flux's means the same.
	AnnotationForce     = "navarch.dev/force"
	annotationForceFlux = "kustomize.toolkit.fluxcd.io/force"
)

// ErrForeign means that an object would have to be deleted and made again, and does
// not carry the label of the app that wants it.
var ErrForeign = errors.New("it does not belong to the app, so it is not deleted to be made again")

// errLingers means that an object was deleted to be made again and is still there.
var errLingers = errors.New("it was deleted to be made again, and is still there")

// ObjectError is why one object could not be applied.
type ObjectError struct {
	ID  fleet.ObjectID
	Err error
}

// Error gives the object and the API server's words.
func (e *ObjectError) Error() string { return fmt.Sprintf("%s: %v%s", e.ID, e.Err, hint(e.ID, e.Err)) }

// Unwrap returns the API server's error.
func (e *ObjectError) Unwrap() error { return e.Err }

func hint(id fleet.ObjectID, err error) string {
	switch {
	case meta.IsNoMatchError(err):
		return " (the cluster does not know this kind: install its CustomResourceDefinition first, or list the app that does under dependsOn)"
	case errors.Is(err, ErrExists):
		return " (set conflictResolution: Overwrite in the app's spec, or annotate the object with " + AnnotationConflict + ": overwrite, to take it over)"
	case terminating(err):
		return " (it is made again when it is gone)"
	case noNamespace(err):
		return " (its namespace is not there, and the agent makes none in this cluster: create it)"
	case errors.Is(err, ErrForeign):
		return " (delete it yourself, or give the app's object another name)"
	case immutable(err) && id.Precious():
		return " (a field of it cannot be changed: annotate the object with " + AnnotationForce + ": enabled to have it deleted, with all that it holds, and made again)"
	case immutable(err):
		return " (a field of it cannot be changed: set force: true in the app's spec, or annotate the object with " + AnnotationForce + ": enabled, to have it deleted and made again)"
	case errors.Is(err, errLingers):
		return " (its finalizers, or what uses it, keep it: it is made again when it is gone)"
	case apierrors.IsForbidden(err):
		return " (the ServiceAccount that it is applied with, the agent's or the one that the app names, has no right to this, or a policy of the cluster refuses it)"
	}
	return ""
}

// immutableWords are in the API server's answer to a change of what cannot change.
// It has no code of its own.
var immutableWords = []string{"immutable", "updates to statefulset spec for fields other than", "cannot change roleRef", "may not change once set"}

func immutable(err error) bool {
	return apierrors.IsInvalid(err) && slices.ContainsFunc(immutableWords, func(words string) bool { return strings.Contains(err.Error(), words) })
}

// terminating tells whether an object could not be made because its namespace is
// about to go.
func terminating(err error) bool {
	return apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// Applied is one object that is in the cluster as it should be.
type Applied struct {
	ID   fleet.ObjectID
	Hash string // of what was sent
	Runs string // see [Object.Runs]
	Meta metav1.ObjectMeta
}

// Apply applies one object. Where a field that cannot change has changed and the
// object or its app allows it, the object is deleted and made again, and so is a Job.
func (c *Client) Apply(ctx context.Context, o Object, terms fleet.Terms) (metav1.ObjectMeta, error) {
	m, err := c.patch(ctx, o)
	if err == nil || !immutable(err) || !o.replaceable(terms) {
		return m, err
	}
	if err := c.replace(ctx, o); err != nil {
		return m, err
	}
	return c.patch(ctx, o)
}

// replaceable tells whether an object may be deleted to be made again. What other
// things go with is not meant by an app that says so of all its objects.
func (o Object) replaceable(terms fleet.Terms) bool {
	return isJob(o.ID) || o.Annotations[AnnotationForce] == "enabled" || o.Annotations[annotationForceFlux] == "enabled" ||
		terms.Force && !o.ID.Kept(terms.PruneAlso)
}

// lingersAtMost is how long to wait until a deleted object is gone.
const lingersAtMost = 30 * time.Second

// replace deletes an object of the same app and waits until it is gone.
func (c *Client) replace(ctx context.Context, o Object) error {
	m, err := c.Look(ctx, o.Kind, o.ID)
	if err != nil {
		return ignoreAbsent(err)
	}
	if m.Labels[LabelApp] != o.Labels[LabelApp] {
		return ErrForeign
	}
	if err := c.Delete(ctx, o.Kind, o.ID, m.UID); ignoreAbsent(err) != nil {
		return err
	}
	wait, cancel := context.WithTimeoutCause(ctx, lingersAtMost, errLingers)
	defer cancel()
	return c.until(wait, func() (bool, error) {
		now, err := c.Look(ctx, o.Kind, o.ID)
		return apierrors.IsNotFound(err) || err == nil && now.UID != m.UID, ignoreAbsent(err)
	})
}

// ignoreAbsent returns err without the one that says that nothing is there.
func ignoreAbsent(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// until asks again, ten times a second, until the answer is yes, an error, or ctx ends.
func (c *Client) until(ctx context.Context, ask func() (bool, error)) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if yes, err := ask(); yes || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// Way says how the objects of an app are applied.
type Way struct {
	fleet.Terms
	// There tells whether an object is in the cluster already as it should be.
	There func(Object) bool
	// New tells whether an object was never applied before.
	New func(fleet.ObjectID) bool
	// DryRun asks the API server what would become of the objects, and changes nothing.
	DryRun bool
	// Opened has the plain form of each object that is encrypted and not There, or why
	// there is none, by what [IDOf] says of it as it was built.
	Opened map[fleet.ObjectID]Opened
}

// ApplyAll applies what was built, stage by stage, but for the objects that are
// there already as they should be. What is wrong with one object does not hold back
// its siblings. It returns what was applied, and the errors of the rest joined, each
// an [ObjectError].
func (c *Client) ApplyAll(ctx context.Context, built []*unstructured.Unstructured, way Way) ([]Applied, error) {
	ready, unknown, failures := c.prepareAll(built, way)
	var applied []Applied
	for _, stage := range Stages(ready) {
		done, err := c.applyStage(ctx, stage, way)
		applied = append(applied, done...)
		failures = append(failures, err)
		if err := c.established(ctx, slices.DeleteFunc(stage, func(o Object) bool { return !has(done, o.ID) })); err != nil {
			failures = append(failures, err)
		}
		if ctx.Err() != nil {
			return applied, ctx.Err()
		}
	}
	served := slices.DeleteFunc(ready, func(o Object) bool { return o.ID.Kind != "CustomResourceDefinition" || !has(applied, o.ID) })
	done, err := c.applyLate(ctx, unknown, defines(served), way)
	return append(applied, done...), errors.Join(append(failures, err)...)
}

// stranger is an object of a kind that the API does not serve.
type stranger struct {
	built *unstructured.Unstructured
	err   error
}

// prepareAll prepares those objects that are not there as they should be.
func (c *Client) prepareAll(built []*unstructured.Unstructured, way Way) (ready []Object, unknown []stranger, failures []error) {
	for _, b := range built {
		o, err := c.Prepare(b)
		if err == nil {
			err = c.reaches(o.Kind, o.ID)
		}
		if err == nil && way.There(o) {
			continue
		}
		if err == nil {
			o, err = c.open(o, way.Opened[IDOf(b)])
		}
		switch {
		case err == nil:
			ready = append(ready, o)
		case meta.IsNoMatchError(err):
			unknown = append(unknown, stranger{b, err})
		default:
			failures = append(failures, &ObjectError{o.ID, err})
		}
	}
	return ready, unknown, failures
}

// servedAtMost is how long to wait until discovery tells of a kind whose definition is
// established.
const servedAtMost = 10 * time.Second

// applyLate applies objects whose kind was unknown. The API server may take a moment
// to serve those that the app itself has defined by now; for others nothing is asked
// again.
func (c *Client) applyLate(ctx context.Context, unknown []stranger, defined map[schema.GroupKind]bool, way Way) ([]Applied, error) {
	if len(unknown) == 0 {
		return nil, nil
	}
	var late []Object
	var failures []error
	wait, cancel := context.WithTimeout(ctx, servedAtMost)
	defer cancel()
	for _, u := range unknown {
		o, err := Object{ID: IDOf(u.built)}, u.err
		if defined[u.built.GroupVersionKind().GroupKind()] {
			_ = c.until(wait, func() (bool, error) { // its own error says more than that time is up
				o, err = c.Prepare(u.built)
				return err == nil || !meta.IsNoMatchError(err), nil
			})
		}
		if err == nil {
			o, err = c.open(o, way.Opened[IDOf(u.built)])
		}
		if err != nil {
			failures = append(failures, &ObjectError{o.ID, err})
			continue
		}
		late = append(late, o)
	}
	applied, err := c.applyStage(ctx, late, way)
	return applied, errors.Join(append(failures, err)...)
}

func has(applied []Applied, id fleet.ObjectID) bool {
	return slices.ContainsFunc(applied, func(a Applied) bool { return a.ID == id })
}

// applyStage applies objects side by side.
func (c *Client) applyStage(ctx context.Context, stage []Object, way Way) ([]Applied, error) {
	metas := make([]metav1.ObjectMeta, len(stage))
	failures := make([]error, len(stage))
	var group sync.WaitGroup
	for n, o := range stage {
		group.Go(func() {
			var err error
			if metas[n], err = c.bring(ctx, o, way); err != nil {
				failures[n] = &ObjectError{o.ID, err}
			}
		})
	}
	group.Wait()
	var applied []Applied
	for n, o := range stage {
		if failures[n] == nil {
			applied = append(applied, Applied{o.ID, o.Hash(), o.Runs, metas[n]})
		}
	}
	return applied, errors.Join(failures...)
}

// bring applies one object of an app, unless it is somebody else's.
func (c *Client) bring(ctx context.Context, o Object, way Way) (metav1.ObjectMeta, error) {
	if err := c.free(ctx, o, way); err != nil {
		return metav1.ObjectMeta{}, err
	}
	o, err := c.localise(ctx, o, way.Ignore)
	if err != nil {
		return metav1.ObjectMeta{}, err
	}
	if way.DryRun {
		return c.dryRun(ctx, o)
	}
	m, err := c.Apply(ctx, o, way.Terms)
	if err == nil && m.Labels[LabelLeft] != o.Labels[LabelLeft] {
		return c.relabel(ctx, o.Kind, o.ID, notLeft) // the app has it again
	}
	return m, err
}
