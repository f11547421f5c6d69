package apply

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/navarch/navarch/fleet"
)

// ErrExists means that an object is in the cluster already and no agent made it.
var ErrExists = errors.New("it exists already and Navarch did not make it")

// Annotations of an object that decide whether it may be taken over, against what
// its app says: value "overwrite" or "abort".
const (
	AnnotationConflict        = "navarch.dev/conflict-resolution"
	annotationConflictKarmada = "work.karmada.io/conflict-resolution"
)

// foreignSelector finds what no agent made: neither an app's object nor a namespace
// that an agent created for apps.
const foreignSelector = "!" + LabelApp + "," + labelCreatedBy + "!=" + createdBy

// What a namespace carries that an agent created.
const (
	labelCreatedBy = "app.kubernetes.io/created-by"
	createdBy      = "navarch"
)

const (
	// foreignFor is how long a list of foreign objects serves: the apps of one commit
	// are installed side by side, into the same namespaces.
	foreignFor = time.Second
	// foreignMost is how many objects a list has at most. Where there are more, each
	// object is looked up by itself.
	foreignMost = 500
)

// foreign knows which objects were in the cluster before an app came. It is for any
// number of goroutines.
type foreign struct {
	mu    sync.Mutex
	lists map[place]*foreignList
}

// place is where objects of one kind live.
type place struct {
	Kind
	namespace string
}

// foreignList is one list that several callers share.
type foreignList struct {
	ready chan struct{} // closed when the rest is set
	until time.Time
	names map[string]fleet.AppName // and the app that left it, if any
	whole bool                     // names are all; otherwise there are more
	err   error
}

// free returns [ErrExists] where an object that was never applied before is in the
// cluster already, no agent made it, and neither it nor its app says that it is taken
// over.
func (c *Client) free(ctx context.Context, o Object, way Way) error {
	if !way.New(o.ID) || o.adopt(way.Adopt) {
		return nil
	}
	exists, err := c.isForeign(ctx, o)
	if err != nil {
		return fmt.Errorf("look whether it exists: %w", err)
	}
	if exists {
		return ErrExists
	}
	return nil
}

// adopt tells whether an object may be taken over; otherwise is what its app says.
func (o Object) adopt(otherwise bool) bool {
	for _, annotation := range []string{AnnotationConflict, annotationConflictKarmada} {
		switch o.Annotations[annotation] {
		case "overwrite":
			return true
		case "abort":
			return false
		}
	}
	return otherwise
}

func (c *Client) isForeign(ctx context.Context, o Object) (bool, error) {
	if c.user == "" { // an account that may make an object need not have the right to list all
		list := c.foreignList(ctx, place{o.Kind, o.ID.Namespace})
		if list.err != nil {
			return false, list.err
		}
		if left, exists := list.names[o.ID.Name]; exists || list.whole {
			return exists && !o.leftBy(left), nil
		}
	}
	m, err := c.Look(ctx, o.Kind, o.ID)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil && m.Labels[LabelApp] == "" && m.Labels[labelCreatedBy] != createdBy && !o.leftBy(fleet.AppName(m.Labels[LabelLeft])), err
}

// leftBy tells whether an app that left an object is the one that has it now.
func (o Object) leftBy(app fleet.AppName) bool { return app != "" && o.Labels[LabelApp] == string(app) }

// foreignList returns a list that is not older than foreignFor.
func (c *Client) foreignList(ctx context.Context, at place) *foreignList {
	f := c.foreign
	f.mu.Lock()
	list, now := f.lists[at], time.Now()
	if list != nil && now.Before(list.until) {
		f.mu.Unlock()
		<-list.ready
		return list
	}
	for old, l := range f.lists {
		if !now.Before(l.until) {
			delete(f.lists, old)
		}
	}
	list = &foreignList{ready: make(chan struct{}), until: now.Add(foreignFor)}
	f.lists[at] = list
	f.mu.Unlock()
	list.names, list.whole, list.err = c.listForeign(ctx, at)
	if list.err != nil {
		f.mu.Lock()
		if f.lists[at] == list {
			delete(f.lists, at)
		}
		f.mu.Unlock()
	}
	close(list.ready)
	return list
}

func (c *Client) listForeign(ctx context.Context, at place) (names map[string]fleet.AppName, whole bool, err error) {
	var answer metav1.PartialObjectMetadataList
	err = c.read(ctx, c.rest.Get().AbsPath(at.path(at.namespace, "")...).
		Param("labelSelector", foreignSelector).
		Param("limit", strconv.Itoa(foreignMost)), metadataListOnly, &answer)
	if err != nil {
		return nil, false, err
	}
	names = make(map[string]fleet.AppName, len(answer.Items))
	for _, item := range answer.Items {
		names[item.Name] = fleet.AppName(item.Labels[LabelLeft])
	}
	return names, answer.Continue == "", nil
}
