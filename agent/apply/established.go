package apply

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
)

// established waits until the API serves the definitions among objects that are
// there.
func (c *Client) established(ctx context.Context, objects []Object) error {
	for _, o := range objects {
		if o.ID.Kind != "CustomResourceDefinition" {
			continue
		}
		if err := c.awaitEstablished(ctx, o); err != nil {
			return &ObjectError{o.ID, err}
		}
	}
	return nil
}

func (c *Client) awaitEstablished(ctx context.Context, o Object) error {
	watcher, err := c.dynamic.Resource(o.Kind.Resource).Watch(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", o.ID.Name).String(),
	})
	if err != nil {
		return fmt.Errorf("watch it: %w", err)
	}
	defer watcher.Stop()
	for event := range watcher.ResultChan() {
		definition, ok := event.Object.(*unstructured.Unstructured)
		if !ok || event.Type == watch.Deleted {
			break
		}
		conditions, _, _ := unstructured.NestedSlice(definition.Object, "status", "conditions")
		for _, each := range conditions {
			condition, _ := each.(map[string]any)
			switch {
			case condition["type"] == "Established" && condition["status"] == "True":
				return nil
			case condition["type"] == "NamesAccepted" && condition["status"] == "False":
				return fmt.Errorf("its names are not accepted: %v", condition["message"])
			}
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.New("the API server stopped telling about it before it was served")
}
