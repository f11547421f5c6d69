package apply

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/navarch/navarch/fleet"
)

// LabelLeft names the app that left an object in the cluster, as nobody's. Should that
// app have the object again, it takes it over without being told to.
const LabelLeft = "navarch.dev/left-by"

// stays tells whether an object that its app no longer has is kept, and why; remains:
// that shows when others are gone; gone: it may go.
func (c *Client) stays(ctx context.Context, id fleet.ObjectID, m metav1.ObjectMeta, also []string) (is fate, why string, err error) {
	if asks := fleet.AsksToStay(m.Labels, m.Annotations); asks != "" {
		return kept, "it says " + asks, nil
	}
	if !id.Kept(also) {
		return gone, "", nil
	}
	if id.Kind == "CustomResourceDefinition" {
		return c.inUse(ctx, id)
	}
	return kept, fmt.Sprintf("the app does not list %s under pruneAlso", id.Kind), nil
}

// someInstances is how many objects of a kind are looked at: one that is not about to
// go is enough to keep the definition.
const someInstances = "100"

// inUse tells whether there are objects of the kind that a definition defines. It looks
// with the agent's own rights, since they are not the app's.
func (c *Client) inUse(ctx context.Context, definition fleet.ObjectID) (is fate, why string, err error) {
	plural, group, _ := strings.Cut(definition.Name, ".")
	resource, err := c.mapper.ResourceFor(schema.GroupVersionResource{Group: group, Resource: plural})
	if meta.IsNoMatchError(err) {
		return kept, "the API does not serve its kind, so nobody knows whether there are objects of it", nil
	}
	if err != nil {
		return remains, "", err
	}
	var instances metav1.PartialObjectMetadataList
	err = c.own().read(ctx, c.rest.Get().AbsPath("/apis", resource.Group, resource.Version, resource.Resource).Param("limit", someInstances), metadataListOnly, &instances)
	if err != nil {
		return remains, "", fmt.Errorf("look for objects of its kind: %w", err)
	}
	for _, instance := range instances.Items {
		if instance.DeletionTimestamp == nil {
			return kept, "there are objects of its kind, and the app does not list CustomResourceDefinition under pruneAlso", nil
		}
	}
	if len(instances.Items) > 0 {
		return remains, "", nil // they are about to go
	}
	return gone, "", nil
}
