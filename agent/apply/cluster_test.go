package apply_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/e2e/env"
	"github.com/navarch/navarch/fleet"
)

// member is the cluster that the tests of this package share. It starts with the
// first test that needs it.
var member = sync.OnceValues(func() (*env.Member, error) {
	dir, err := os.MkdirTemp("", "navarch-apply-")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	tools := env.Tools{Localcluster: os.Getenv("NAVARCH_LOCALCLUSTER")}
	members, err := env.StartMembers(ctx, tools, dir, "apply")
	if err != nil {
		return nil, err
	}
	started = func() error { return errors.Join(members[0].Stop(), os.RemoveAll(dir)) }
	return members[0], nil
})

// started ends the cluster, where it was started.
var started = func() error { return nil }

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard()) // what the API clients of these tests say helps nobody
	code := m.Run()
	if err := started(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// bed is the shared cluster with a namespace of the test's own.
type bed struct {
	*env.Member
	t         *testing.T
	client    *apply.Client
	namespace string
}

func newBed(t *testing.T) *bed {
	t.Helper()
	if testing.Short() {
		t.Skip("needs an API server: run it with make test")
	}
	if os.Getenv("NAVARCH_LOCALCLUSTER") == "" {
		t.Skip("NAVARCH_LOCALCLUSTER is not set: run it with make test")
	}
	m, err := member()
	check(t, err)
	c, err := apply.NewClient(m.Config)
	check(t, err)
	b := &bed{Member: m, t: t, client: c, namespace: "t-" + strings.ToLower(rand.Text()[:10])}
	check(t, c.CreateNamespace(t.Context(), b.namespace))
	return b
}

// objects reads a stream of YAML. NS in it is the test's namespace.
func (b *bed) objects(manifests string) []*unstructured.Unstructured {
	b.t.Helper()
	var objects []*unstructured.Unstructured
	for document := range strings.SplitSeq(strings.ReplaceAll(manifests, "NS", b.namespace), "\n---\n") {
		o := &unstructured.Unstructured{}
		check(b.t, yaml.Unmarshal([]byte(document), &o.Object))
		objects = append(objects, o)
	}
	return objects
}

// anew is how objects are applied that are nobody else's.
var anew = apply.Way{There: func(apply.Object) bool { return false }, New: never}

func never(fleet.ObjectID) bool { return false }

// apply applies manifests, and is done within a time in which nothing hangs.
func (b *bed) apply(manifests string) ([]apply.Applied, error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	return b.client.ApplyAll(ctx, b.objects(manifests), anew)
}

// must applies manifests that are right.
func (b *bed) must(manifests string) []apply.Applied {
	b.t.Helper()
	applied, err := b.apply(manifests)
	check(b.t, err)
	return applied
}

// get reads an object of the test's namespace, or returns nil where there is none.
func (b *bed) get(apiVersion, kind, name string) *unstructured.Unstructured {
	b.t.Helper()
	return b.getIn(b.namespace, apiVersion, kind, name)
}

func (b *bed) getIn(namespace, apiVersion, kind, name string) *unstructured.Unstructured {
	b.t.Helper()
	o, err := b.Object(b.t.Context(), apiVersion, kind, namespace, name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	check(b.t, err)
	return o
}

// edit changes an object as somebody else does.
func (b *bed) edit(o *unstructured.Unstructured, change func(*unstructured.Unstructured)) {
	b.t.Helper()
	check(b.t, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if err := b.Client.Get(b.t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		change(o)
		return b.Client.Update(b.t.Context(), o, client.FieldOwner("somebody"))
	}))
}

// until waits for a condition.
func (b *bed) until(what string, holds func() bool) {
	b.t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			b.t.Fatalf("waiting for %s", what)
		}
	}
}

func (b *bed) configMap(name string) fleet.ObjectID {
	return fleet.ObjectID{Kind: "ConfigMap", Namespace: b.namespace, Name: name}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
