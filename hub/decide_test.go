package hub

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

func TestBehind(t *testing.T) {
	index := fleet.DigestOf([]byte("index"))
	told := announcer{
		sequence: 9, epochs: map[fleet.ClusterName]uint64{"eu-1": 3},
		told: map[fleet.ClusterName]wire.Announcement{"eu-1": {Epoch: 3, Sequence: 5, Index: index}},
	}
	for name, test := range map[string]struct {
		cluster fleet.ClusterName
		seen    wire.Heartbeat
		want    bool
	}{
		"it has accepted nothing yet":       {"eu-1", wire.Heartbeat{}, false},
		"it has accepted the last":          {"eu-1", wire.Heartbeat{Epoch: 3, Sequence: 5, Index: index}, false},
		"it has accepted an older one":      {"eu-1", wire.Heartbeat{Epoch: 3, Sequence: 4, Index: "other"}, false},
		"one of an epoch before":            {"eu-1", wire.Heartbeat{Epoch: 2, Sequence: 99}, false},
		"the last, of other content":        {"eu-1", wire.Heartbeat{Epoch: 3, Sequence: 5, Index: "other"}, true},
		"one that was made for another":     {"eu-1", wire.Heartbeat{Epoch: 3, Sequence: 6}, true},
		"one of an epoch above":             {"eu-1", wire.Heartbeat{Epoch: 4, Sequence: 1}, true},
		"unknown, and has accepted nothing": {"us-1", wire.Heartbeat{}, false},
		"unknown, and below what comes":     {"us-1", wire.Heartbeat{Epoch: 1, Sequence: 9}, false},
		"unknown, and above":                {"us-1", wire.Heartbeat{Epoch: 1, Sequence: 10}, true},
		"unknown, of an epoch above":        {"us-1", wire.Heartbeat{Epoch: 2}, true},
	} {
		test.seen.Cluster = test.cluster
		if got := told.behind(test.seen); got != test.want {
			t.Errorf("%s: behind is %v", name, got)
		}
	}
}

// TestRise: the next announcement is above what was seen, of this cluster only, and
// once is enough.
func TestRise(t *testing.T) {
	published := fleet.Published{"eu-1": {}, "us-1": {}}
	a := announcer{
		sequence: 9, epochs: map[fleet.ClusterName]uint64{}, published: published,
		told: map[fleet.ClusterName]wire.Announcement{"eu-1": {Epoch: 1, Sequence: 5}, "us-1": {Epoch: 1, Sequence: 5}},
	}
	seen := wire.Heartbeat{Cluster: "eu-1", Epoch: 4, Sequence: 80}
	a.rise("eu-1", seen.Epoch)
	next := wire.Announcement{Epoch: a.epoch("eu-1"), Sequence: a.sequence + 1}
	if !next.After(seen.Epoch, seen.Sequence) || a.behind(seen) {
		t.Errorf("the next is %+v, behind is %v", next, a.behind(seen))
	}
	if a.epoch("us-1") != 1 || len(a.told) != 1 {
		t.Errorf("another cluster is in epoch %d, told %v", a.epoch("us-1"), a.told)
	}
	if diff := cmp.Diff(fleet.Published{"us-1": {}}, a.published); diff != "" {
		t.Error(diff)
	}
	if len(published) != 2 {
		t.Error("it has changed what others read")
	}
}

// TestOrphansOf: what is held is what agents keep, less what is wanted, has a
// tombstone, or was agreed to; always in the same order.
func TestOrphansOf(t *testing.T) {
	d := newDeployer(discard, nil, nil, nil)
	desired := fleet.Published{"eu-1": {Apps: []fleet.DesiredApp{{Name: "wanted"}}}}
	d.announcer.published = fleet.Published{"eu-1": {Tombstones: []fleet.Tombstone{{App: "buried"}}}}
	d.buried = orphans{"us-1": {"agreed": true}}
	for _, cluster := range []fleet.ClusterName{"us-1", "eu-1"} {
		for _, app := range []fleet.AppName{"wanted", "buried", "agreed", "kept", "gone"} {
			mark(d.heard.orphans, cluster, app, true)
		}
		mark(d.heard.orphans, cluster, "gone", false)
	}
	for range 10 {
		var got []string
		for _, hold := range holdsFor(d.orphans(desired)) {
			got = append(got, string(hold.Cluster)+": "+hold.Message)
		}
		said := func(cluster, app string) string {
			return cluster + `: the agent keeps app "` + app + `", which Git does not name and no commit known to this hub took away: agree to remove it`
		}
		want := []string{
			said("eu-1", "agreed"), said("eu-1", "kept"),
			said("us-1", "buried"), said("us-1", "kept"), said("us-1", "wanted"),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	}
}
