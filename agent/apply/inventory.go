package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// shards is how many ConfigMaps hold the inventory. It never changes: an app's
// shard follows from its name.
const shards = 8

// Record is what the inventory says of one app.
type Record struct {
	// Overlay, Base and Revision are what was applied whole; empty before the first time.
	Overlay  fleet.Digest `json:"overlay,omitempty"`
	Base     fleet.Digest `json:"base,omitempty"`
	Revision string       `json:"revision,omitempty"`
	// Partial: since then something else was set out to be applied, or objects were
	// removed, so that the objects in the cluster may be a mixture.
	Partial bool `json:"partial,omitempty"`
	// Objects are all that may be in the cluster because of the app. They are written
	// before the first of them is applied.
	Objects []Item `json:"objects"` // by id
}

// Item is one object of a record.
type Item struct {
	fleet.ObjectID
	// Owned tells whether the object is still as it was applied; see [Owned]. Empty
	// before it was.
	Owned string `json:"owned,omitempty"`
	// Body identifies what was sent; see [Object.Hash]. Empty before anything was.
	Body string `json:"body,omitempty"`
	// Runs is [Object.Runs] of what was sent.
	Runs string `json:"runs,omitempty"`
}

// IDs returns the ids of a record's objects.
func (r Record) IDs() []fleet.ObjectID {
	ids := make([]fleet.ObjectID, len(r.Objects))
	for i, item := range r.Objects {
		ids[i] = item.ObjectID
	}
	return ids
}

// Inventory is what the agent has put into the cluster, app by app. Only what it
// names is ever pruned. It lives in ConfigMaps, which are written by as few
// requests as come together: while one write is on its way, others wait and share
// the next, which does not begin until the API server has had time for something
// else. It is for any number of goroutines.
type Inventory struct {
	maps corev1client.ConfigMapInterface

	mu      sync.Mutex
	records map[fleet.AppName]Record
	kept    [shards]document
	dirty   [shards]bool
	unsaved map[fleet.AppName]int // how often each has reserved objects that no write has brought yet
	flying  bool                  // writes are being made
	flight  *flight               // the write that is on its way; nil when none is
	next    *flight               // the one that comes after it
	rested  time.Time             // when the next write may begin

	accepted      wire.Announcement // see Accept
	acceptedMap   document
	acceptedDirty bool
}

// A large inventory costs the API server more to write than the objects of an app, and
// in a large change there is always something to write. So writes take a ninth of the
// time, or more where they would otherwise rest for longer than restMost.
const (
	restTimes = 8
	restMost  = time.Second
)

// flight is one write of all dirty shards that several callers wait for.
type flight struct {
	done chan struct{}
	err  error
}

// OpenInventory reads the inventory in a namespace.
func OpenInventory(ctx context.Context, config *rest.Config, namespace string) (*Inventory, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	i := &Inventory{maps: clients.CoreV1().ConfigMaps(namespace), records: map[fleet.AppName]Record{}, unsaved: map[fleet.AppName]int{}}
	for shard := range shards {
		kept, err := i.maps.Get(ctx, shardName(shard), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the inventory in namespace %q: %w", namespace, err)
		}
		i.kept[shard].kept = kept
		for app, content := range kept.Data {
			record, err := readRecord(content)
			if err != nil {
				return nil, fmt.Errorf("read the inventory of app %q in ConfigMap %q: %w (restore it: without it nothing of the app is ever pruned)", app, kept.Name, err)
			}
			i.records[fleet.AppName(app)] = record
		}
	}
	return i, nil
}

func readRecord(content string) (record Record, err error) {
	err = json.Unmarshal([]byte(content), &record)
	return record, err
}

func shardName(shard int) string { return "navarch-inventory-" + strconv.Itoa(shard) }

func shardOf(app fleet.AppName) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(app)) // a hash takes everything
	return int(h.Sum32() % shards)
}

// Records returns what is recorded of every app.
func (i *Inventory) Records() map[fleet.AppName]Record {
	i.mu.Lock()
	defer i.mu.Unlock()
	return maps.Clone(i.records)
}

// Record returns what is recorded of an app.
func (i *Inventory) Record(app fleet.AppName) Record {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.records[app]
}

// Reserve adds objects to an app's record, which is partial from then on, and
// returns when that is written. It writes nothing when they are in there: versions
// then tell what was applied.
func (i *Inventory) Reserve(ctx context.Context, app fleet.AppName, ids []fleet.ObjectID) error {
	i.mu.Lock()
	record, known := i.records[app]
	have := make(map[fleet.ObjectID]bool, len(record.Objects))
	for _, item := range record.Objects {
		have[item.ObjectID] = true
	}
	items := slices.Clone(record.Objects)
	for _, id := range ids {
		if !have[id] {
			items = append(items, Item{ObjectID: id})
		}
	}
	if !known || len(items) > len(record.Objects) {
		i.unsaved[app]++
		i.dirty[shardOf(app)] = true
	}
	record.Objects, record.Partial = sorted(items), true
	i.records[app] = record
	if i.unsaved[app] == 0 {
		i.mu.Unlock()
		return nil
	}
	i.mu.Unlock()
	return i.Flush(ctx)
}

// Set replaces an app's record. It is written with the next [Inventory.Flush].
func (i *Inventory) Set(app fleet.AppName, record Record) {
	i.mu.Lock()
	defer i.mu.Unlock()
	record.Objects = sorted(record.Objects)
	i.records[app] = record
	i.dirty[shardOf(app)] = true
}

// Forget removes an app's record. It is written with the next [Inventory.Flush].
func (i *Inventory) Forget(app fleet.AppName) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if _, known := i.records[app]; known {
		delete(i.records, app)
		delete(i.unsaved, app)
		i.dirty[shardOf(app)] = true
	}
}

// Flush returns when everything that was recorded before is written.
func (i *Inventory) Flush(ctx context.Context) error {
	i.mu.Lock()
	if !slices.Contains(i.dirty[:], true) && !i.acceptedDirty && i.flight == nil {
		i.mu.Unlock()
		return nil
	}
	if i.next == nil {
		i.next = &flight{done: make(chan struct{})}
	}
	mine := i.next
	if !i.flying {
		i.flying = true
		go i.fly(context.WithoutCancel(ctx))
	}
	i.mu.Unlock()
	select {
	case <-mine.done:
		return mine.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fly makes one write after the other until nobody waits for another.
func (i *Inventory) fly(ctx context.Context) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for i.next != nil {
		rest := time.Until(i.rested)
		i.mu.Unlock()
		<-time.After(rest)
		i.mu.Lock()
		i.flight, i.next = i.next, nil
		i.depart(ctx, i.flight)
		i.flight = nil
	}
	i.flying = false
}

// depart makes one write. The caller holds the lock, which is let go meanwhile.
func (i *Inventory) depart(ctx context.Context, now *flight) {
	dirty, saves := i.dirty, maps.Clone(i.unsaved)
	i.dirty = [shards]bool{}
	wanted := i.content(dirty)
	accepting, accepted := i.acceptedDirty, i.accepted
	i.acceptedDirty = false
	i.mu.Unlock()
	begun := time.Now()
	now.err = i.write(ctx, wanted)
	if accepting && now.err == nil {
		now.err = i.writeAccepted(ctx, accepted)
	}
	i.mu.Lock()
	ended := time.Now()
	i.rested = ended.Add(min(restMost, restTimes*ended.Sub(begun)))
	if now.err == nil {
		maps.DeleteFunc(i.unsaved, func(app fleet.AppName, times int) bool { return saves[app] == times })
	} else {
		i.acceptedDirty = i.acceptedDirty || accepting
		for shard := range dirty {
			i.dirty[shard] = i.dirty[shard] || dirty[shard]
		}
	}
	close(now.done)
}

// content encodes the dirty shards. The caller holds the lock.
func (i *Inventory) content(dirty [shards]bool) map[int]map[string]string {
	content := map[int]map[string]string{}
	for shard, is := range dirty {
		if is {
			content[shard] = map[string]string{}
		}
	}
	for app, record := range i.records {
		if apps, ok := content[shardOf(app)]; ok {
			encoded, _ := json.Marshal(record) // strings only
			apps[string(app)] = string(encoded)
		}
	}
	return content
}

func (i *Inventory) write(ctx context.Context, content map[int]map[string]string) error {
	group, ctx := errgroup.WithContext(ctx)
	for shard, apps := range content {
		group.Go(func() error {
			if err := i.kept[shard].write(ctx, i.maps, shardName(shard), apps); err != nil {
				return fmt.Errorf("write the inventory: %w", err)
			}
			return nil
		})
	}
	return group.Wait()
}

func sorted(items []Item) []Item {
	items = slices.Clone(items)
	slices.SortFunc(items, func(a, b Item) int { return compareIDs(a.ObjectID, b.ObjectID) })
	return items
}
