package apply

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// FuzzRecord reads what the inventory keeps of an app, from any text. What is read is the
// same after it was written again, however often, so that nothing is forgotten that would
// have to be pruned.
func FuzzRecord(f *testing.F) {
	record := Record{
		Overlay: fleet.DigestOf([]byte("o")), Base: fleet.DigestOf([]byte("b")), Revision: "main@sha1:4f0c", Partial: true,
		Objects: []Item{
			{ObjectID: fleet.ObjectID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}, Owned: "r1", Body: "x", Runs: "y"},
			{ObjectID: fleet.ObjectID{Kind: "Namespace", Name: "shop"}},
		},
	}
	for _, r := range []Record{{}, record} {
		content, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(content))
	}
	f.Add(`{"objects":[null,{},{"kind":"A"},{"kind":"A"}]}`)
	f.Add(`{"objects":"x"}`)
	f.Fuzz(func(t *testing.T, content string) {
		record, err := readRecord(content)
		if err != nil {
			return
		}
		record.Objects = sorted(record.Objects)
		i := &Inventory{records: map[fleet.AppName]Record{"shop": record}}
		var dirty [shards]bool
		dirty[shardOf("shop")] = true
		written := i.content(dirty)[shardOf("shop")]["shop"]
		again, err := readRecord(written)
		if diff := cmp.Diff(record, again, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("written and read again: %v (-before +after):\n%s", err, diff)
		}
		if len(again.IDs()) != len(record.IDs()) {
			t.Errorf("%d objects of %d", len(again.IDs()), len(record.IDs()))
		}
	})
}

// FuzzAccepted reads the remembered announcement from any text. What is refused changes
// nothing of what is remembered; what is read keeps every older one out, also after it was
// written again.
func FuzzAccepted(f *testing.F) {
	golden, err := os.ReadFile("../../wire/testdata/announcement.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(golden), uint64(1), uint64(1))
	accepted, err := json.Marshal(wire.Announcement{Version: 1, Cluster: "eu-1", Epoch: 7, Sequence: 42, Revision: "main@sha1:4f0c", Index: fleet.DigestOf(nil)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(accepted), uint64(7), uint64(41))
	f.Add("", uint64(0), uint64(0))
	f.Add(`{"epoch":-1}`, uint64(0), uint64(0))
	f.Add(`{"epoch":18446744073709551615,"sequence":18446744073709551615}`, uint64(1)<<63, uint64(3))
	f.Fuzz(func(t *testing.T, content string, epoch, sequence uint64) {
		a, err := readAccepted(map[string]string{"announcement": content})
		if err != nil {
			if a != (wire.Announcement{}) {
				t.Errorf("refused and yet %+v", a)
			}
			return
		}
		written, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		again, err := readAccepted(map[string]string{"announcement": string(written)})
		if err != nil || again != a {
			t.Errorf("written and read again: %+v, %v, want %+v", again, err, a)
		}
		other := wire.Announcement{Epoch: epoch, Sequence: sequence}
		if other.After(a.Epoch, a.Sequence) && again.After(epoch, sequence) {
			t.Errorf("%+v and %+v are each newer than the other", other, again)
		}
	})
}
