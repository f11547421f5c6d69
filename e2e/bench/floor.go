package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/navarch/navarch/e2e/env"
)

// inFlight is how many patches the bare client has on their way to one member.
const inFlight = 16

// bare sends patches to one member and does nothing else: the floor.
type bare struct {
	client  dynamic.Interface
	watcher *watcher
}

func newBare(ctx context.Context, m *env.Member, w *watcher) (*bare, error) {
	config := rest.CopyConfig(m.Config)
	config.QPS = -1
	c, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	err = m.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: floorNamespace}})
	if client.IgnoreAlreadyExists(err) != nil {
		return nil, err
	}
	return &bare{client: c, watcher: w}, nil
}

// patch is one object as it is sent.
type patch struct {
	kind int // index into kinds
	name string
	body []byte
}

// patches returns what it takes to have the named apps at mark.
func patches(names []string, mark string) ([]patch, error) {
	var all []patch
	for _, name := range names {
		objects, err := objectsOf(name, mark, floorNamespace)
		if err != nil {
			return nil, err
		}
		for kind, object := range objects {
			body, err := json.Marshal(object)
			if err != nil {
				return nil, err
			}
			all = append(all, patch{kind: kind, name: name, body: body})
		}
	}
	return all, nil
}

// objectsOf returns the objects of an app, in the order of kinds.
func objectsOf(name, mark, namespace string) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(objectsYAML(name, mark)), 4096)
	var objects []*unstructured.Unstructured
	for range kinds {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); err != nil {
			return nil, err
		}
		object.SetNamespace(namespace)
		objects = append(objects, object)
	}
	return objects, nil
}

// floor sends the patches to every member at once and returns how long it took
// until the watchers have seen all of them.
func (b *bench) floor(ctx context.Context, names []string, mark string) (time.Duration, error) {
	all, err := patches(names, mark)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for _, member := range b.bare {
		group.Go(func() error {
			if err := member.send(ctx, all); err != nil {
				return err
			}
			_, err := member.watcher.all(ctx, floorNamespace, names, mark)
			return err
		})
	}
	err = group.Wait()
	return time.Since(begin), err
}

func (b *bare) send(ctx context.Context, all []patch) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	force := true
	for _, p := range all {
		group.Go(func() error {
			_, err := b.client.Resource(kinds[p.kind]).Namespace(floorNamespace).Patch(ctx, p.name, types.ApplyPatchType, p.body,
				metav1.PatchOptions{FieldManager: "floor", Force: &force})
			if err != nil {
				return fmt.Errorf("patch %s %q: %w", kinds[p.kind].Resource, p.name, err)
			}
			return nil
		})
	}
	return group.Wait()
}
