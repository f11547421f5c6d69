package env

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/navarch/navarch/fleet"
)

// inventory reads what the agent says that it has put into the cluster.
func (m *Member) inventory(ctx context.Context) (map[fleet.ObjectID]bool, error) {
	var kept corev1.ConfigMapList
	if err := m.Client.List(ctx, &kept, client.InNamespace("navarch-system")); err != nil {
		return nil, err
	}
	ids := map[fleet.ObjectID]bool{}
	for _, shard := range kept.Items {
		if !strings.HasPrefix(shard.Name, "navarch-inventory-") {
			continue
		}
		for app, content := range shard.Data {
			var record struct{ Objects []fleet.ObjectID }
			if err := json.Unmarshal([]byte(content), &record); err != nil {
				return nil, fmt.Errorf("read the inventory of app %q: %w", app, err)
			}
			for _, id := range record.Objects {
				ids[id] = true
			}
		}
	}
	return ids, nil
}

// Kind is a kind of object, as its manifest says it.
type Kind struct{ APIVersion, Kind string }

// orphanKinds are the kinds that Orphans always looks at: those that stories use.
var orphanKinds = []Kind{
	{"v1", "ConfigMap"}, {"v1", "Service"}, {"v1", "ServiceAccount"}, {"apps/v1", "Deployment"},
}

// Orphans fails when an object carries an app's label and is in no inventory, or is
// in the inventory and not there. It looks at further kinds where they are given.
func (m *Member) Orphans(ctx context.Context, further ...Kind) error {
	recorded, err := m.inventory(ctx)
	if err != nil {
		return err
	}
	found := map[fleet.ObjectID]bool{}
	for _, k := range slices.Concat(orphanKinds, further) {
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion(k.APIVersion)
		list.SetKind(k.Kind + "List")
		if err := m.Client.List(ctx, list, client.HasLabels{"navarch.dev/app"}); err != nil {
			return err
		}
		for _, o := range list.Items {
			gvk := o.GroupVersionKind()
			found[fleet.ObjectID{Group: gvk.Group, Kind: k.Kind, Namespace: o.GetNamespace(), Name: o.GetName()}] = true
		}
	}
	if maps.Equal(found, recorded) {
		return nil
	}
	return fmt.Errorf("cluster %q has %d objects of apps, its inventory names %d", m.Name, len(found), len(recorded))
}

// RunsWhatStockBuilds fails unless every object that the stock kustomize builds in
// dir is in the cluster, with every field as built.
func (m *Member) RunsWhatStockBuilds(ctx context.Context, kustomize, dir string) error {
	var stderr bytes.Buffer
	build := exec.CommandContext(ctx, kustomize, "build", dir)
	build.Stderr = &stderr
	built, err := build.Output()
	if err != nil {
		return fmt.Errorf("kustomize build %s: %w\n%s", dir, err, stderr.String())
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(built), 4096)
	recorded, err := m.inventory(ctx)
	if err != nil {
		return err
	}
	for {
		want := &unstructured.Unstructured{}
		if err := decoder.Decode(want); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		gvk := want.GroupVersionKind()
		got, err := m.Object(ctx, want.GetAPIVersion(), want.GetKind(), want.GetNamespace(), want.GetName())
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("%s %s/%s is built and not in cluster %q", gvk.Kind, want.GetNamespace(), want.GetName(), m.Name)
		}
		if err != nil {
			return err
		}
		if path := missing(want.Object, got.Object, ""); path != "" {
			return fmt.Errorf("%s %s/%s in cluster %q differs from what is built at %s", gvk.Kind, want.GetNamespace(), want.GetName(), m.Name, path)
		}
		delete(recorded, fleet.ObjectID{Group: gvk.Group, Kind: gvk.Kind, Namespace: want.GetNamespace(), Name: want.GetName()})
	}
	if len(recorded) > 0 {
		return fmt.Errorf("cluster %q has more than is built: %v", m.Name, slices.Collect(maps.Keys(recorded)))
	}
	return nil
}

// missing returns the path of the first field that want has and got does not, or
// not equally; got may have more.
func missing(want, got any, path string) string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return path
		}
		for _, key := range slices.Sorted(maps.Keys(w)) {
			if at := missing(w[key], g[key], path+"."+key); at != "" {
				return at
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return path
		}
		for i := range w {
			if at := missing(w[i], g[i], fmt.Sprintf("%s[%d]", path, i)); at != "" {
				return at
			}
		}
		return ""
	}
	if !reflect.DeepEqual(want, got) {
		return path
	}
	return ""
}
