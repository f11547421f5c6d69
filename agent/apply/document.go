package apply

import (
	"context"
	"errors"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

// ErrSecondAgent means that somebody else writes what this agent remembers.
var ErrSecondAgent = errors.New("another agent writes the inventory of this cluster: stop one of the two")

// document is one ConfigMap that only this agent writes. It is written by one
// goroutine at a time.
type document struct {
	kept *corev1.ConfigMap // as last written or read; nil where there is none
	sent map[string]string // what was written last, also when no answer came
}

// attempts is how often a write that meets another's is tried.
const attempts = 3

// write makes data the content of the ConfigMap. It writes nothing when it is. A
// ConfigMap that was deleted is made again; one whose labels somebody has changed, or
// whose last write was never answered, is taken over. Data that is not this agent's is
// left alone: then the error is [ErrSecondAgent].
func (d *document) write(ctx context.Context, configMaps corev1client.ConfigMapInterface, name string, data map[string]string) error {
	var err error
	for range attempts {
		if d.kept != nil && maps.Equal(d.kept.Data, data) {
			return nil
		}
		if err = d.try(ctx, configMaps, name, data); err == nil {
			return nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) && (!apierrors.IsNotFound(err) || d.kept == nil) {
			return err
		}
		now, readErr := configMaps.Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(readErr):
			d.kept = nil
		case readErr != nil:
			return readErr
		case d.kept != nil && maps.Equal(now.Data, d.kept.Data), maps.Equal(now.Data, d.sent), maps.Equal(now.Data, data):
			d.kept = now
		default:
			return ErrSecondAgent
		}
	}
	return err
}

// try writes data over what is known to be there.
func (d *document) try(ctx context.Context, configMaps corev1client.ConfigMapInterface, name string, data map[string]string) error {
	var written *corev1.ConfigMap
	var err error
	if d.kept == nil {
		written, err = configMaps.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app.kubernetes.io/managed-by": "navarch"}},
			Data:       data,
		}, metav1.CreateOptions{FieldManager: FieldManager})
	} else {
		next := d.kept.DeepCopy()
		next.Data = data
		written, err = configMaps.Update(ctx, next, metav1.UpdateOptions{FieldManager: FieldManager})
	}
	if err != nil {
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			d.sent = data // it may have arrived
		}
		return err
	}
	d.kept, d.sent = written, data
	return nil
}
