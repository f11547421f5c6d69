package observe_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/navarch/navarch/agent/observe"
	"github.com/navarch/navarch/e2e/env"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// member is a cluster for the tests of this package; nil where there are no parts
// to make one of.
var member *env.Member

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard()) // what the API clients of these tests say helps nobody
	os.Exit(run(m))
}

func run(m *testing.M) int {
	tools := env.Tools{Localcluster: os.Getenv("NAVARCH_LOCALCLUSTER")}
	if tools.Localcluster == "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "navarch-observe-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	members, err := env.StartMembers(ctx, tools, dir, "observe")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer members[0].Stop() //nolint:errcheck // the tests have said what they found
	member = members[0]
	return m.Run()
}

const labelApp = "navarch.dev/app"

var (
	configMaps  = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	deployments = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
)

// bed is a watcher that follows ConfigMaps and Deployments, and a namespace of the
// test's own.
type bed struct {
	*env.Member
	t         *testing.T
	watcher   *observe.Watcher
	namespace string
	taken     map[observe.Change]bool // changes since they were looked at last
}

func newBed(t *testing.T) *bed {
	t.Helper()
	if testing.Short() {
		t.Skip("needs an API server: run it with make test")
	}
	if member == nil {
		t.Skip("NAVARCH_LOCALCLUSTER is not set: run it with make test")
	}
	w := newWatcher(t)
	b := &bed{Member: member, t: t, watcher: w, namespace: "t-" + strings.ToLower(rand.Text()[:10]), taken: map[observe.Change]bool{}}
	check(t, member.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.namespace}}))
	w.Follow(configMaps, configMaps.GroupVersion().WithResource("configmaps"))
	w.Follow(deployments, deployments.GroupVersion().WithResource("deployments"))
	b.until("everything to be seen", func() bool {
		return w.Synced("", "ConfigMap") && w.Synced("apps", "Deployment") && !w.Synced("", "Secret")
	})
	return b
}

// newWatcher returns a watcher to which generations and a note are what is owned.
func newWatcher(t *testing.T) *observe.Watcher {
	t.Helper()
	w, err := observe.NewWatcher(t.Context(), observe.WatcherConfig{
		REST: member.Config, Label: labelApp, Log: slog.New(slog.DiscardHandler),
		Owned: func(o metav1.Object) string {
			return strconv.FormatInt(o.GetGeneration(), 10) + o.GetAnnotations()["note"]
		},
	})
	check(t, err)
	return w
}

func (b *bed) create(manifest string) *unstructured.Unstructured {
	b.t.Helper()
	o := &unstructured.Unstructured{}
	check(b.t, yaml.Unmarshal([]byte(strings.ReplaceAll(manifest, "NS", b.namespace)), &o.Object))
	check(b.t, b.Client.Create(b.t.Context(), o))
	return o
}

// patch changes an object as somebody else does.
func (b *bed) patch(o *unstructured.Unstructured, patch string) {
	b.t.Helper()
	check(b.t, b.Client.Patch(b.t.Context(), o, client.RawPatch("application/merge-patch+json", []byte(patch))))
}

func (b *bed) until(what string, holds func() bool) {
	b.t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			b.t.Fatalf("waiting for %s", what)
		}
	}
}

// told waits until the watcher tells of a change, and forgets what it told before.
func (b *bed) told(id fleet.ObjectID, app fleet.AppName) {
	b.t.Helper()
	b.until(fmt.Sprintf("word that %s of %s has changed", id, app), func() bool {
		for _, change := range b.watcher.Take() {
			b.taken[change] = true
		}
		return b.taken[observe.Change{ID: id, App: app}]
	})
	clear(b.taken)
}

func (b *bed) id(kind schema.GroupVersionKind, name string) fleet.ObjectID {
	return fleet.ObjectID{Group: kind.Group, Kind: kind.Kind, Namespace: b.namespace, Name: name}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: NS, labels: {navarch.dev/app: shop}}\ndata: {word: one}\n"

const web = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NS, labels: {navarch.dev/app: shop}}
spec:
  replicas: 2
  paused: true
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "example.com/web:1"}]}
`

// TestDrift: whatever somebody does to an object of an app is told to that app.
func TestDrift(t *testing.T) {
	b := newBed(t)
	id := b.id(configMaps, "settings")
	o := b.create(settings)
	b.told(id, "shop")
	state, there := b.watcher.State(id)
	if !there || state.Health != wire.Current || state.Owned != "0" || state.Deleting {
		t.Errorf("made: %+v, %v", state, there)
	}
	b.patch(o, `{"data":{"word":"two"}}`)
	b.told(id, "shop")
	b.patch(o, `{"metadata":{"annotations":{"note":"x"}}}`)
	b.told(id, "shop")
	if now, _ := b.watcher.State(id); now.Owned != "0x" {
		t.Errorf("annotated: %+v", now)
	}
	b.patch(o, `{"metadata":{"labels":{"navarch.dev/app":"blog"}}}`)
	b.told(id, "shop")
	b.patch(o, `{"metadata":{"labels":{"navarch.dev/app":null}}}`)
	b.told(id, "blog")
	if _, there := b.watcher.State(id); there {
		t.Error("an object of no app is still known")
	}
	b.patch(o, `{"metadata":{"labels":{"navarch.dev/app":"shop"},"finalizers":["example.com/slow"]}}`)
	b.told(id, "shop")
	check(t, b.Client.Delete(t.Context(), o))
	b.until("it to be about to go", func() bool { s, _ := b.watcher.State(id); return s.Deleting && s.Health == wire.Terminating })
	b.patch(o, `{"metadata":{"finalizers":null}}`)
	b.until("it to be gone", func() bool { _, there := b.watcher.State(id); return !there })
	b.told(id, "shop")
}

// TestHealth follows a Deployment from its beginning to its end. Its status does not
// look like somebody's edit.
func TestHealth(t *testing.T) {
	b := newBed(t)
	id := b.id(deployments, "web")
	o := b.create(web)
	b.told(id, "shop")
	if s, _ := b.watcher.State(id); s.Health != wire.InProgress || s.Message == "" || s.Owned != "1" {
		t.Errorf("at the beginning %+v", s)
	}
	b.patch(o, `{"spec":{"paused":false}}`)
	b.until("it to be well", func() bool { s, _ := b.watcher.State(id); return s.Health == wire.Current && s.Message == "" })
	if s, _ := b.watcher.State(id); s.Owned != "2" {
		t.Errorf("its status changed what is owned to %s", s.Owned)
	}
	b.patch(o, `{"spec":{"template":{"spec":{"nodeSelector":{"no":"node"}}}}}`)
	b.until("it to be in progress", func() bool { s, _ := b.watcher.State(id); return s.Health == wire.InProgress })
	check(t, b.Client.Delete(t.Context(), o))
	b.until("it to be gone", func() bool { _, there := b.watcher.State(id); return !there })
}

// TestHealthFails: a Deployment whose pods find no node has failed in the end.
func TestHealthFails(t *testing.T) {
	b := newBed(t)
	id := b.id(deployments, "web")
	stuck := strings.Replace(web, "paused: true", "progressDeadlineSeconds: 1", 1)
	b.create(strings.Replace(stuck, "{containers:", "{nodeSelector: {no: node}, containers:", 1))
	b.until("it to have failed", func() bool { s, _ := b.watcher.State(id); return s.Health == wire.Failed && s.Message != "" })
}

// TestFollow: what is of no app is not looked at, and who begins to watch is told
// when everything of a kind was seen.
func TestFollow(t *testing.T) {
	b := newBed(t)
	b.create(strings.Replace(settings, "navarch.dev/app: shop", "team: a", 1))
	b.create(strings.Replace(settings, "name: settings", "name: ours", 1))
	late := newWatcher(t)
	resource := configMaps.GroupVersion().WithResource("configmaps")
	late.Follow(configMaps, resource)
	late.Follow(configMaps, resource)
	got := map[observe.Change]bool{}
	b.until("the end of the first look", func() bool {
		for _, change := range late.Take() {
			got[change] = true
		}
		return got[observe.Change{ID: fleet.ObjectID{Kind: "ConfigMap"}}]
	})
	for change := range got {
		if change.ID.Namespace != b.namespace && change.ID.Name != "" {
			delete(got, change) // of another test
		}
	}
	want := map[observe.Change]bool{{ID: fleet.ObjectID{Kind: "ConfigMap"}}: true, {ID: b.id(configMaps, "ours"), App: "shop"}: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestSynced: what is in the cluster when a kind is followed is known at the moment
// in which everything is said to be seen. Else all of it would be taken for deleted.
func TestSynced(t *testing.T) {
	b := newBed(t)
	const objects = 200
	for i := range objects {
		b.create(strings.Replace(settings, "name: settings", fmt.Sprintf("name: s-%d", i), 1))
	}
	for range 5 {
		late := newWatcher(t)
		late.Follow(configMaps, configMaps.GroupVersion().WithResource("configmaps"))
		deadline := time.Now().Add(30 * time.Second)
		for !late.Synced("", "ConfigMap") {
			if time.Now().After(deadline) {
				t.Fatal("never synced")
			}
			runtime.Gosched()
		}
		for i := range objects {
			if _, there := late.State(b.id(configMaps, fmt.Sprintf("s-%d", i))); !there {
				t.Fatalf("object %d is not known", i)
			}
		}
	}
}

// TestFacts: nodes, pods and namespaces are counted as they come and go.
func TestFacts(t *testing.T) {
	b := newBed(t)
	c, err := observe.WatchCluster(t.Context(), b.Config, slog.New(slog.DiscardHandler))
	check(t, err)
	before := c.Facts()
	if before.Nodes != 3 || before.NodesReady != 3 || !strings.HasPrefix(before.Kubernetes, "v1.") || before.Capacity["cpu"] == "" || before.Allocatable["pods"] == "" {
		t.Errorf("facts %+v", before)
	}
	if !c.HasNamespace(b.namespace) || c.HasNamespace("nowhere") {
		t.Error("namespaces are not what they are")
	}
	pod := b.create("apiVersion: v1\nkind: Pod\nmetadata: {name: one, namespace: NS}\nspec: {nodeSelector: {no: node}, containers: [{name: a, image: a}]}\n")
	// Only this pod is in a phase that nobody gives to pods of their own accord.
	check(t, b.Client.Status().Patch(t.Context(), pod, client.RawPatch("application/merge-patch+json", []byte(`{"status":{"phase":"Unknown"}}`))))
	b.until("the pod to be counted", func() bool { return c.Facts().Pods["Unknown"] == 1 })
	select {
	case <-c.Dirty():
	case <-time.After(10 * time.Second):
		t.Error("nobody is told")
	}
	check(t, b.Client.Delete(t.Context(), pod, client.GracePeriodSeconds(0)))
	b.until("the pod to be gone", func() bool { return c.Facts().Pods["Unknown"] == 0 })
	node := b.create("apiVersion: v1\nkind: Node\nmetadata: {name: NS}\n")
	b.until("the node to be counted", func() bool { f := c.Facts(); return f.Nodes == 4 && f.NodesReady == 4 })
	check(t, b.Client.Delete(t.Context(), node))
	b.until("the node to be gone", func() bool { return c.Facts().Nodes == 3 })
	check(t, b.Client.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.namespace}}))
	b.until("the namespace not to count", func() bool { return !c.HasNamespace(b.namespace) })
}

// TestJudge: objects are judged by the expressions of their app that hold now, and
// again when those change, also of kinds that have no status.
func TestJudge(t *testing.T) {
	b := newBed(t)
	id, other := b.id(configMaps, "settings"), b.id(configMaps, "others")
	o := b.create(settings)
	b.create(strings.NewReplacer("shop", "blog", "settings", "others").Replace(settings))
	is := func(id fleet.ObjectID, health wire.Health) func() bool {
		return func() bool {
			s, there := b.watcher.State(id)
			return there && s.Health == health
		}
	}
	word := func(word string) map[fleet.AppName][]fleet.HealthCheckExpr {
		return map[fleet.AppName][]fleet.HealthCheckExpr{"blog": nil, "shop": {
			{APIVersion: "v1", Kind: "ConfigMap", Current: "data.word == '" + word + "'", Failed: "data.word == 'none'"},
		}}
	}
	b.until("both to be seen", func() bool { return is(id, wire.Current)() && is(other, wire.Current)() })
	b.watcher.Judge(word("two"))
	if is(id, wire.Current)() {
		t.Error("well by expressions that no longer hold")
	}
	b.until("it to be judged anew", func() bool {
		return b.watcher.Synced("", "ConfigMap") && is(id, wire.InProgress)()
	})
	if !is(other, wire.Current)() {
		t.Error("the expressions of one app judge another's object")
	}
	b.patch(o, `{"data":{"word":"two"}}`)
	b.until("it to be well", is(id, wire.Current))
	b.patch(o, `{"data":{"word":"none"}}`)
	b.until("it to fail", is(id, wire.Failed))
	b.told(id, "shop")

	b.watcher.Judge(nil)
	b.until("nobody to judge it", is(id, wire.Current))
	b.told(id, "shop")
	check(t, b.Client.Delete(t.Context(), o))
	b.told(id, "shop")
	if _, there := b.watcher.State(id); there {
		t.Error("what is gone is still known")
	}
}

// TestJudgeAndLose: what goes from one watch of a kind to the next is not kept.
func TestJudgeAndLose(t *testing.T) {
	b := newBed(t)
	id := b.id(configMaps, "settings")
	o := b.create(settings)
	b.told(id, "shop")
	check(t, b.Client.Delete(t.Context(), o))
	b.watcher.Judge(map[fleet.AppName][]fleet.HealthCheckExpr{"shop": {{APIVersion: "v1", Kind: "ConfigMap", Current: "true"}}})
	b.until("it to be forgotten", func() bool {
		_, there := b.watcher.State(id)
		return !there
	})
}
