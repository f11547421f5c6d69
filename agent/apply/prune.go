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

// Pruned is what came of pruning an app's objects. What is in neither list is gone, or
// was not the app's any more.
type Pruned struct {
	// Remaining are still there: deleting takes a while, or, then with an error, failed.
	Remaining []fleet.ObjectID // by id
	// Kept stay in the cluster, as nobody's. Each is told once: afterwards it is not the
	// app's any more.
	Kept []Kept // by id
}

// Kept is an object that its app no longer has and that stays in the cluster.
type Kept struct {
	ID  fleet.ObjectID
	Why string // for people
}

// Prune deletes objects that an app no longer has, in the opposite order of their
// stages. Left alone are objects that do not carry the app's label any more. Those that
// ask to stay, and those that are precious where the app does not list their kind among
// what to prune also, become nobody's.
func (c *Client) Prune(ctx context.Context, app fleet.AppName, ids []fleet.ObjectID, also []string) (Pruned, error) {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b fleet.ObjectID) int {
		if d := stageOf(b) - stageOf(a); d != 0 {
			return d
		}
		return compareIDs(a, b)
	})
	var mu sync.Mutex
	var pruned Pruned
	var failures []error
	for begin := 0; begin < len(ids); {
		end := begin
		for end < len(ids) && stageOf(ids[end]) == stageOf(ids[begin]) {
			end++
		}
		var group sync.WaitGroup
		for _, id := range ids[begin:end] {
			group.Go(func() {
				is, why, err := c.prune(ctx, app, id, also)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					failures = append(failures, &ObjectError{id, err})
					pruned.Remaining = append(pruned.Remaining, id)
				case is == remains:
					pruned.Remaining = append(pruned.Remaining, id)
				case is == kept:
					pruned.Kept = append(pruned.Kept, Kept{id, why})
				}
			})
		}
		group.Wait()
		begin = end
	}
	slices.SortFunc(pruned.Remaining, compareIDs)
	slices.SortFunc(pruned.Kept, func(a, b Kept) int { return compareIDs(a.ID, b.ID) })
	return pruned, errors.Join(failures...)
}

// What became of an object that was to be pruned.
type fate int

const (
	gone fate = iota // or not the app's any more
	remains
	kept
)

func (c *Client) prune(ctx context.Context, app fleet.AppName, id fleet.ObjectID, also []string) (is fate, why string, err error) {
	kind, err := c.Kind(id.Group, "", id.Kind)
	if meta.IsNoMatchError(err) {
		return gone, "", nil // with its definition, the object is gone
	}
	if err != nil {
		return remains, "", err
	}
	if err := c.reaches(kind, id); err != nil {
		return remains, "", err
	}
	m, err := c.own().Look(ctx, kind, id) // an account may have no right to what it could never make
	switch {
	case apierrors.IsNotFound(err):
		return gone, "", nil
	case err != nil:
		return remains, "", err
	case m.Labels[LabelApp] != string(app):
		return gone, "", nil
	case m.DeletionTimestamp != nil:
		return remains, "", nil
	}
	switch is, why, err := c.stays(ctx, id, m, also); {
	case err != nil || is == remains:
		return remains, "", err
	case is == kept:
		_, err := c.relabel(ctx, kind, id, leaving(app))
		return kept, why, ignoreAbsent(err)
	}
	err = c.Delete(ctx, kind, id, m.UID)
	switch {
	case apierrors.IsNotFound(err):
		return gone, "", nil
	case apierrors.IsConflict(err): // it was made anew in between
		return remains, "", nil
	case err != nil:
		return remains, "", err
	case len(m.Finalizers) > 0 || id.Kind == "Namespace":
		return remains, "", nil
	}
	return gone, "", nil
}
