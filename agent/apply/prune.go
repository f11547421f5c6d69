package apply

import (
	"context"
	"errors"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/navarch/navarch/fleet"
)

// Prune deletes objects that an app no longer has, in the opposite order of their
// stages. Objects that do not carry the app's label any more, or that ask to be
// kept, are left alone and count as gone. It returns those that are still there:
// because deleting takes a while, or, then with an error, because it failed.
func (c *Client) Prune(ctx context.Context, app fleet.AppName, ids []fleet.ObjectID) (remaining []fleet.ObjectID, err error) {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b fleet.ObjectID) int {
		if d := stageOf(b) - stageOf(a); d != 0 {
			return d
		}
		return compareIDs(a, b)
	})
	var mu sync.Mutex
	var failures []error
	for begin := 0; begin < len(ids); {
		end := begin
		for end < len(ids) && stageOf(ids[end]) == stageOf(ids[begin]) {
			end++
		}
		var group sync.WaitGroup
		for _, id := range ids[begin:end] {
			group.Go(func() {
				gone, err := c.prune(ctx, app, id)
				mu.Lock()
				defer mu.Unlock()
				if !gone {
					remaining = append(remaining, id)
				}
				if err != nil {
					failures = append(failures, &ObjectError{id, err})
				}
			})
		}
		group.Wait()
		begin = end
	}
	slices.SortFunc(remaining, compareIDs)
	return remaining, errors.Join(failures...)
}

func (c *Client) prune(ctx context.Context, app fleet.AppName, id fleet.ObjectID) (gone bool, err error) {
	kind, err := c.Kind(id.Group, "", id.Kind)
	if meta.IsNoMatchError(err) {
		return true, nil // with its definition, the object is gone
	}
	if err != nil {
		return false, err
	}
	m, err := c.Look(ctx, kind, id)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if m.Labels[LabelApp] != string(app) || m.Annotations[AnnotationPrune] == "disabled" {
		return true, nil
	}
	if m.DeletionTimestamp != nil {
		return false, nil
	}
	err = c.Delete(ctx, kind, id, m.UID)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return apierrors.IsNotFound(err), nil // a conflict: it was made anew in between
	}
	if err != nil {
		return false, err
	}
	return len(m.Finalizers) == 0 && id.Kind != "Namespace", nil
}
