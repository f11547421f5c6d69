package apply_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// meddler is a transport that counts what is written, and loses answers.
type meddler struct {
	next   http.RoundTripper
	writes atomic.Int64
	lose   atomic.Bool // the answers of writes do not arrive
}

func (m *meddler) wrap(next http.RoundTripper) http.RoundTripper {
	m.next = next
	return m
}

func (m *meddler) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := m.next.RoundTrip(r)
	if r.Method == http.MethodGet || err != nil {
		return response, err
	}
	m.writes.Add(1)
	if m.lose.Load() {
		return nil, errors.Join(errors.New("the line was cut"), response.Body.Close())
	}
	return response, nil
}

// inventory opens the inventory of the test's namespace, as an agent that starts.
func (b *bed) inventory() (*apply.Inventory, *meddler) {
	b.t.Helper()
	m := &meddler{}
	config := rest.CopyConfig(b.Config)
	config.Wrap(m.wrap)
	i, err := apply.OpenInventory(b.t.Context(), config, b.namespace)
	check(b.t, err)
	return i, m
}

func (b *bed) record(i *apply.Inventory, app fleet.AppName, objects ...string) apply.Record {
	record := apply.Record{Overlay: fleet.DigestOf([]byte("o")), Base: fleet.DigestOf([]byte("b")), Revision: "main@sha1:1"}
	for _, name := range objects {
		record.Objects = append(record.Objects, apply.Item{ObjectID: b.configMap(name), Owned: "r1", Body: "x"})
	}
	i.Set(app, record)
	return record
}

// TestInventory: what was written is read again by the next agent, and nothing is
// written twice.
func TestInventory(t *testing.T) {
	b := newBed(t)
	i, m := b.inventory()
	if records := i.Records(); len(records) != 0 {
		t.Fatalf("at the start %v", records)
	}
	want := map[fleet.AppName]apply.Record{}
	for n := range 40 {
		app := fleet.AppName(fmt.Sprintf("app-%d", n))
		want[app] = b.record(i, app, "a", "b")
	}
	check(t, i.Flush(t.Context()))
	if writes := m.writes.Load(); writes > 8 {
		t.Errorf("%d writes for 8 shards", writes)
	}
	again, m := b.inventory()
	if diff := cmp.Diff(want, again.Records()); diff != "" {
		t.Error(diff)
	}
	check(t, again.Flush(t.Context()))
	again.Set("app-1", want["app-1"])
	check(t, again.Flush(t.Context()))
	check(t, again.Reserve(t.Context(), "app-1", want["app-1"].IDs()))
	if writes := m.writes.Load(); writes != 0 {
		t.Errorf("%d writes of what is there", writes)
	}
	again.Forget("app-1")
	again.Forget("never-there")
	check(t, again.Flush(t.Context()))
	if writes := m.writes.Load(); writes != 1 {
		t.Errorf("%d writes to forget one app", writes)
	}
	last, _ := b.inventory()
	delete(want, "app-1")
	if diff := cmp.Diff(want, last.Records()); diff != "" {
		t.Error(diff)
	}
}

// TestReserve: before it returns, every object is written down beside those that
// were there, and the app is known to be no longer whole.
func TestReserve(t *testing.T) {
	b := newBed(t)
	i, _ := b.inventory()
	record := b.record(i, "shop", "m")
	check(t, i.Flush(t.Context()))
	check(t, i.Reserve(t.Context(), "shop", []fleet.ObjectID{b.configMap("z"), b.configMap("m"), b.configMap("a")}))
	record.Partial = true
	record.Objects = []apply.Item{{ObjectID: b.configMap("a")}, record.Objects[0], {ObjectID: b.configMap("z")}}
	read, _ := b.inventory()
	if diff := cmp.Diff(record, read.Record("shop")); diff != "" {
		t.Error(diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := i.Reserve(ctx, "blog", []fleet.ObjectID{b.configMap("q")}); !errors.Is(err, context.Canceled) {
		t.Errorf("cut off: %v", err)
	}
}

// TestInventoryTogether: many apps at once share few writes, and none is lost.
func TestInventoryTogether(t *testing.T) {
	b := newBed(t)
	i, m := b.inventory()
	const apps = 100
	done := make(chan error, apps)
	for n := range apps {
		go func() {
			done <- i.Reserve(t.Context(), fleet.AppName(fmt.Sprintf("app-%d", n)), []fleet.ObjectID{b.configMap("x")})
		}()
	}
	for range apps {
		check(t, <-done)
	}
	if writes := m.writes.Load(); writes > apps/2 {
		t.Errorf("%d writes for %d apps", writes, apps)
	}
	read, _ := b.inventory()
	if got := len(read.Records()); got != apps {
		t.Errorf("%d apps of %d were written", got, apps)
	}
}

// TestInventoryGoesOn: what happens to the ConfigMaps does not stop the only agent
// of a cluster, and a second one is noticed.
func TestInventoryGoesOn(t *testing.T) {
	for name, test := range map[string]struct {
		meddle func(b *bed, i *apply.Inventory, m *meddler, names []string)
		want   error
	}{
		"nothing": {func(*bed, *apply.Inventory, *meddler, []string) {}, nil},
		"somebody labels them": {func(b *bed, _ *apply.Inventory, _ *meddler, names []string) {
			for _, name := range names {
				b.edit(b.get("v1", "ConfigMap", name), func(o *unstructured.Unstructured) { o.SetLabels(map[string]string{"team": "a"}) })
			}
		}, nil},
		"somebody deletes them": {func(b *bed, _ *apply.Inventory, _ *meddler, names []string) {
			for _, name := range names {
				check(b.t, b.Client.Delete(b.t.Context(), b.get("v1", "ConfigMap", name)))
			}
		}, nil},
		"an answer is lost": {func(b *bed, i *apply.Inventory, m *meddler, _ []string) {
			b.record(i, "shop", "lost")
			i.Accept(wire.Announcement{Epoch: 1, Sequence: 2})
			m.lose.Store(true)
			if err := i.Flush(b.t.Context()); err == nil {
				b.t.Error("no error of a lost answer")
			}
			m.lose.Store(false)
		}, nil},
		"another agent writes": {func(b *bed, _ *apply.Inventory, _ *meddler, _ []string) {
			other, _ := b.inventory()
			b.record(other, "shop", "theirs")
			check(b.t, other.Flush(b.t.Context()))
		}, apply.ErrSecondAgent},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			i, m := b.inventory()
			b.record(i, "shop", "one")
			i.Accept(wire.Announcement{Epoch: 1, Sequence: 1})
			check(t, i.Flush(t.Context()))
			test.meddle(b, i, m, b.configMaps())
			want := b.record(i, "shop", "two")
			i.Accept(wire.Announcement{Epoch: 1, Sequence: 3})
			if err := i.Flush(t.Context()); !errors.Is(err, test.want) {
				t.Fatalf("%v, want %v", err, test.want)
			}
			if test.want != nil {
				return
			}
			read, _ := b.inventory()
			if diff := cmp.Diff(want, read.Record("shop")); diff != "" {
				t.Error(diff)
			}
			if accepted, err := read.Accepted(t.Context()); err != nil || accepted.Sequence != 3 {
				t.Errorf("accepted %+v, %v", accepted, err)
			}
		})
	}
}

// configMaps are the names of those that the agent wrote.
func (b *bed) configMaps() []string {
	b.t.Helper()
	var found unstructured.UnstructuredList
	found.SetAPIVersion("v1")
	found.SetKind("ConfigMapList")
	check(b.t, b.Client.List(b.t.Context(), &found, client.InNamespace(b.namespace)))
	var names []string
	for _, o := range found.Items {
		if strings.HasPrefix(o.GetName(), "navarch-") {
			names = append(names, o.GetName())
		}
	}
	return names
}

// TestAccepted: the announcement that was accepted is known after a restart.
func TestAccepted(t *testing.T) {
	b := newBed(t)
	i, m := b.inventory()
	if accepted, err := i.Accepted(t.Context()); err != nil || accepted != (wire.Announcement{}) {
		t.Fatalf("at the start %+v, %v", accepted, err)
	}
	want := wire.Announcement{Version: 1, Cluster: "eu-1", Epoch: 2, Sequence: 3, Revision: "main@sha1:1", Index: fleet.DigestOf(nil)}
	i.Accept(want)
	check(t, i.Flush(t.Context()))
	i.Accept(want)
	check(t, i.Flush(t.Context()))
	if writes := m.writes.Load(); writes != 1 {
		t.Errorf("%d writes of one announcement", writes)
	}
	read, _ := b.inventory()
	if got, err := read.Accepted(t.Context()); err != nil || got != want {
		t.Errorf("read %+v, %v", got, err)
	}
}

// TestInventoryUnreadable: an agent does not start with an inventory that it cannot
// read, and says what to do.
func TestInventoryUnreadable(t *testing.T) {
	for name, test := range map[string]struct{ configMap, key, says string }{
		"the inventory":    {"navarch-inventory-3", "shop", "restore it"},
		"the announcement": {"navarch-accepted", "announcement", "delete the ConfigMap"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.must("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + test.configMap + ", namespace: NS}\ndata: {" + test.key + ": '{'}\n")
			i, err := apply.OpenInventory(t.Context(), b.Config, b.namespace)
			if err == nil {
				_, err = i.Accepted(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), test.configMap) || !strings.Contains(err.Error(), test.says) {
				t.Error(err)
			}
		})
	}
}
