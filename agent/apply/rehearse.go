package apply

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ErrRefused comes before the errors of [Client.Rehearse]: nothing was changed.
var ErrRefused = errors.New("nothing of the app was changed: it is atomic, and the cluster would not take all of it")

// ErrHalfway comes before the errors of an atomic app that passed the rehearsal and
// was not taken whole all the same.
var ErrHalfway = errors.New("a part of the app was changed although it is atomic: the cluster refused the rest only when it was applied")

// Rehearse asks the cluster whether it would take every object that [Client.ApplyAll]
// would apply, and changes nothing. What cannot be asked is left out: objects of a kind
// that the app itself defines or defines anew, objects of a namespace that is not there
// yet, and what comes after an object was deleted to be made again. It returns the
// errors of the rest joined after [ErrRefused], each an [ObjectError].
func (c *Client) Rehearse(ctx context.Context, built []*unstructured.Unstructured, way Way) error {
	ready, unknown, failures := c.prepareAll(built, way)
	defined := defines(ready)
	for _, u := range unknown {
		if !defined[u.built.GroupVersionKind().GroupKind()] {
			failures = append(failures, &ObjectError{IDOf(u.built), u.err})
		}
	}
	ready = slices.DeleteFunc(ready, func(o Object) bool { return defined[o.Kind.GroupKind()] })
	refused := make([]error, len(ready))
	var group sync.WaitGroup
	for n, o := range ready {
		group.Go(func() {
			if err := c.rehearse(ctx, o, way); err != nil {
				refused[n] = &ObjectError{o.ID, err}
			}
		})
	}
	group.Wait()
	if err := errors.Join(append(failures, refused...)...); err != nil {
		return errors.Join(ErrRefused, err)
	}
	return nil
}

// rehearse asks whether the cluster would take one object.
func (c *Client) rehearse(ctx context.Context, o Object, way Way) error {
	if err := c.free(ctx, o, way); err != nil {
		return err
	}
	o, err := c.localise(ctx, o, way.Ignore)
	if err != nil {
		return err
	}
	_, err = c.dryRun(ctx, o)
	switch {
	case noNamespace(err):
		return nil
	case immutable(err) && o.replaceable(way.Terms):
		m, err := c.Look(ctx, o.Kind, o.ID)
		if err == nil && m.Labels[LabelApp] != o.Labels[LabelApp] {
			return ErrForeign
		}
		return ignoreAbsent(err)
	}
	return err
}

// noNamespace tells whether an object could not be made because its namespace is not
// there.
func noNamespace(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	return status.Status().Details.Kind == "namespaces"
}

// defines returns the kinds that are defined by those objects that are to be applied.
func defines(ready []Object) map[schema.GroupKind]bool {
	kinds := map[schema.GroupKind]bool{}
	for _, o := range ready {
		if o.ID.Kind != "CustomResourceDefinition" {
			continue
		}
		var definition struct {
			Spec struct {
				Group string
				Names struct{ Kind string }
			}
		}
		if json.Unmarshal(o.Body, &definition) == nil { // otherwise the API server says what is wrong
			kinds[schema.GroupKind{Group: definition.Spec.Group, Kind: definition.Spec.Names.Kind}] = true
		}
	}
	return kinds
}
