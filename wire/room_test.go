package wire

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
)

// TestNoRoomIsNotUnknown sends facts of clusters with room, with none, and with
// none known: no room must not read as no bound.
func TestNoRoomIsNotUnknown(t *testing.T) {
	for name, room := range map[string][]fleet.NodeGroup{
		"some": {{Count: 1, Free: fleet.Resources{"pods": 1}}}, "none": {}, "unknown": nil,
	} {
		content, err := json.Marshal(Facts{Room: room})
		if err != nil {
			t.Fatal(err)
		}
		var got Facts
		if err := json.Unmarshal(content, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(room, got.Room); diff != "" {
			t.Errorf("%s (-sent +received):\n%s", name, diff)
		}
		content, err = json.Marshal(fleet.Observed{Nodes: room})
		if err != nil {
			t.Fatal(err)
		}
		var observed fleet.Observed
		if err := json.Unmarshal(content, &observed); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(room, observed.Nodes); diff != "" {
			t.Errorf("%s, from a file (-written +read):\n%s", name, diff)
		}
	}
}
