package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/navarch/navarch/e2e/env"
)

// bystander is somebody with rights in a member who knows nothing of the fleet.
type bystander struct {
	member *env.Member
	random *rand.Rand
	own    map[string]stamp // ConfigMaps, as they were written last
	made   int
}

// stamp tells whether an object was touched.
type stamp struct {
	uid     types.UID
	version string
}

func stampOf(o client.Object) stamp { return stamp{uid: o.GetUID(), version: o.GetResourceVersion()} }

func newBystander(m *env.Member, random *rand.Rand) *bystander {
	return &bystander{member: m, random: random, own: map[string]stamp{}}
}

// do does one thing. An API server that is away keeps the bystander from it.
func (b *bystander) do(ctx context.Context, kind string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	switch kind {
	case "edit":
		if o := b.ours(ctx); o != nil {
			_ = b.member.Client.Patch(ctx, o, client.RawPatch(types.MergePatchType, []byte(`{"data":{"mark":"by hand"}}`)))
		}
	case "delete":
		if o := b.ours(ctx); o != nil {
			_ = b.member.Client.Delete(ctx, o)
		}
	case "own":
		name := fmt.Sprintf("bystander-%d", b.made)
		b.made++
		o := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		if b.member.Client.Create(ctx, o) == nil {
			b.own[name] = stampOf(o)
		}
	case "own-changed":
		name := fmt.Sprintf("bystander-%d", b.random.IntN(max(1, b.made)))
		if _, ok := b.own[name]; !ok {
			return
		}
		o := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		patch := fmt.Appendf(nil, `{"data":{"word":"%d"}}`, b.random.IntN(1000))
		delete(b.own, name) // who gets no answer does not know what is there
		if b.member.Client.Patch(ctx, o, client.RawPatch(types.MergePatchType, patch)) == nil {
			b.own[name] = stampOf(o)
		}
	}
}

// ours is any ConfigMap of the fleet, nil when none is to be seen.
func (b *bystander) ours(ctx context.Context) *corev1.ConfigMap {
	var list corev1.ConfigMapList
	if err := b.member.Client.List(ctx, &list, client.InNamespace(namespace), client.HasLabels{"navarch.dev/app"}); err != nil || len(list.Items) == 0 {
		return nil
	}
	return &list.Items[b.random.IntN(len(list.Items))]
}

// touched returns what became of objects of the bystander's that it did not do.
func (b *bystander) touched(ctx context.Context) ([]string, error) {
	var list corev1.ConfigMapList
	if err := b.member.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	found := map[string]stamp{}
	for _, o := range list.Items {
		found[o.Name] = stampOf(&o)
	}
	var touched []string
	for name, stamp := range b.own {
		if now, there := found[name]; now != stamp {
			touched = append(touched, fmt.Sprintf("the bystander's ConfigMap %q in %q was touched: it is there: %t, was %v, is %v", name, b.member.Name, there, stamp, now))
		}
	}
	return touched, nil
}
