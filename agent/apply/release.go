package apply

import (
	"context"
	"errors"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/navarch/navarch/fleet"
)

// The changes of an object's labels that make it nobody's, or nobody's that an app has
// left, or one that no app has left.
const (
	unlabelled = `{"metadata":{"labels":{"` + LabelApp + `":null}}}`
	notLeft    = `{"metadata":{"labels":{"` + LabelLeft + `":null}}}`
)

func leaving(app fleet.AppName) string {
	return fmt.Sprintf(`{"metadata":{"labels":{%q:null,%q:%q}}}`, LabelApp, LabelLeft, app)
}

// Release makes the objects of an app nobody's and leaves them in the cluster: they
// lose the app's label and stay as they are. It returns those for which that failed,
// with the errors.
func (c *Client) Release(ctx context.Context, app fleet.AppName, ids []fleet.ObjectID) (remaining []fleet.ObjectID, err error) {
	failures := make([]error, len(ids))
	var group sync.WaitGroup
	for n, id := range ids {
		group.Go(func() { failures[n] = c.release(ctx, app, id) })
	}
	group.Wait()
	for n, id := range ids {
		if failures[n] != nil {
			failures[n] = &ObjectError{id, failures[n]}
			remaining = append(remaining, id)
		}
	}
	return remaining, errors.Join(failures...)
}

func (c *Client) release(ctx context.Context, app fleet.AppName, id fleet.ObjectID) error {
	kind, err := c.Kind(id.Group, "", id.Kind)
	if meta.IsNoMatchError(err) {
		return nil // with its definition, the object is gone
	}
	if err != nil {
		return err
	}
	m, err := c.own().Look(ctx, kind, id) // as for pruning
	if apierrors.IsNotFound(err) || err == nil && m.Labels[LabelApp] != string(app) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = c.relabel(ctx, kind, id, unlabelled)
	return ignoreAbsent(err)
}

// relabel changes the labels of an object by a merge patch.
func (c *Client) relabel(ctx context.Context, kind Kind, id fleet.ObjectID, patch string) (metav1.ObjectMeta, error) {
	return c.send(ctx, c.rest.Patch(types.MergePatchType).
		AbsPath(kind.path(id.Namespace, id.Name)...).
		Param("fieldManager", FieldManager).
		Body([]byte(patch)))
}
