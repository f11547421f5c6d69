package wire_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	overlay = fleet.DigestOf([]byte("overlay"))
	base    = fleet.DigestOf([]byte("base"))
	index   = fleet.DigestOf([]byte("index"))
	noon    = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
)

// messages is every message with every field, and with none that may be absent.
var messages = map[string]any{
	"announcement": announcement(),
	"index": wire.Index{
		Version: 1,
		Cluster: "eu-1",
		Desired: fleet.Desired{
			Apps: []fleet.DesiredApp{
				{Name: "database", Overlay: overlay, Base: base},
				{Name: "shop", Namespace: "shop", Overlay: overlay, Base: base, DependsOn: []fleet.AppName{"database"}},
			},
			Tombstones: []fleet.Tombstone{{App: "old", Revision: "main@sha1:4f0c", PruneAlso: []string{"Namespace"}, Namespace: "old", ServiceAccount: "deployer"}},
		},
	},
	"index-empty": wire.Index{Version: 1, Cluster: "eu-1", Desired: fleet.Desired{Apps: []fleet.DesiredApp{}}},
	"report":      report(),
	"report-first": wire.Report{
		Version: 1, Cluster: "eu-1", App: "shop", Time: noon,
		Conditions: []wire.Condition{{Type: wire.Ready, Status: "Unknown", Reason: "Pending"}},
	},
	"report-removed": wire.Report{Version: 1, Cluster: "eu-1", App: "old", Time: noon, Conditions: []wire.Condition{}, Removed: true},
	"report-held":    wire.Report{Version: 1, Cluster: "eu-1", App: "lost", Time: noon, Conditions: []wire.Condition{}, Held: true},
	"enrol-request":  wire.EnrolRequest{Version: 1, Cluster: "eu-1", Key: "UA", Nonce: "n", Token: "nvp1.a.b.c", JWT: "ey"},
	"enrol-again":    wire.EnrolRequest{Version: 1, Cluster: "eu-1", Key: "UA", Nonce: "n"},
	"enrol-admitted": wire.EnrolAnswer{Version: 1, Cluster: "eu-1", Nonce: "n", JWT: "ey"},
	"enrol-refused":  wire.EnrolAnswer{Version: 1, Cluster: "eu-1", Nonce: "n", Refusal: wire.RefusedKey, Message: "a hint"},
	"enrol-exchange": wire.EnrolRequest{Version: 1, Cluster: "eu-1", Key: "UB", Nonce: "n", JWT: "ey", Former: "UA"},
	"enrol-wanted":   wire.EnrolAnswer{Version: 1, Cluster: "eu-1", Nonce: "n", JWT: "ey", Exchange: true},
	"succession": wire.Succession{
		Steps:     []wire.SealedStep{{Step: []byte("{}"), ByOld: []byte("old"), ByNew: []byte("new")}},
		Authority: &wire.SealedAuthority{Authority: []byte("{}"), Signature: []byte("key")},
	},
	"succession-step": wire.Step{Number: 1, Old: []byte("old"), New: []byte("new"), Since: noon},
	"authority":       wire.Authority{Number: 2, Certificates: [][]byte{[]byte("der")}, Retired: []string{"0011223344556677"}},
	"heartbeat-pins": wire.Heartbeat{
		Version: 1, Cluster: "eu-1", Instance: "agent-0", Agent: "v0.1.0", Time: noon,
		Pins: wire.Pins{Signing: "0011223344556677", Authorities: []string{"8899aabbccddeeff"}},
	},
	"heartbeat": heartbeat(),
	"heartbeat-namespaces": wire.Heartbeat{
		Version: 1, Cluster: "eu-1", Instance: "agent-0", Agent: "v0.1.0", Time: noon,
		Facts: wire.Facts{Kubernetes: "v1.36.3", Namespaces: []string{"blog", "shop"}, Pods: map[string]int{"Running": 2}},
	},
	"heartbeat-first": wire.Heartbeat{
		Version: 1, Cluster: "eu-1", Instance: "agent-0", Agent: "v0.1.0", Time: noon,
		Refused: "the announcement is not signed by the hub's key",
	},
}

func announcement() wire.Announcement {
	return wire.Announcement{Version: 1, Cluster: "eu-1", Epoch: 2, Sequence: 7, Revision: "main@sha1:4f0c", Index: index}
}

func report() wire.Report {
	return wire.Report{
		Version: 1, Cluster: "eu-1", App: "shop", Time: noon,
		Attempted:  wire.Applied{Revision: "main@sha1:4f0c", Overlay: overlay, Base: base},
		Applied:    wire.Applied{Revision: "main@sha1:11aa", Overlay: base, Base: base},
		AppliedAt:  noon.Add(-time.Hour),
		Conditions: []wire.Condition{{Type: wire.Ready, Status: "False", Reason: "ObjectFailed", Message: "Deployment shop/web: no image"}},
		Objects: []wire.ObjectReport{
			{ObjectID: fleet.ObjectID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}, Health: wire.Failed, Message: "no image",
				Replicas: &wire.Replicas{Wanted: 5, Updated: 3, Ready: 2, Available: 2}},
			{ObjectID: fleet.ObjectID{Kind: "Namespace", Name: "shop"}, Health: wire.Current},
		},
	}
}

func heartbeat() wire.Heartbeat {
	return wire.Heartbeat{
		Version: 1, Cluster: "eu-1", Instance: "agent-0", Agent: "v0.1.0", Time: noon,
		Epoch: 2, Sequence: 7, Revision: "main@sha1:4f0c", Index: index,
		Facts: wire.Facts{
			Kubernetes: "v1.36.3", Nodes: 3, NodesReady: 2,
			Capacity:    map[string]string{"cpu": "96", "memory": "384Gi", "pods": "330"},
			Allocatable: map[string]string{"cpu": "95", "memory": "380Gi", "pods": "330"},
			Requested:   map[string]string{"cpu": "41500m", "memory": "83Gi", "pods": "42"},
			Used:        map[string]string{"cpu": "12250m", "memory": "60Gi"},
			Pods:        map[string]int{"Running": 41, "Pending": 1},
		},
		Cost:      wire.Cost{CPUSeconds: 12.5, ResidentBytes: 50 << 20, Requests: 420, Applied: 100, Repaired: 3, Failures: 1},
		Recipient: "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
	}
}

// TestMessages holds the JSON of every message still: an agent of last year reads
// it, and a hub of next year reads what that agent says.
func TestMessages(t *testing.T) {
	for name, message := range messages {
		t.Run(name, func(t *testing.T) {
			got, err := json.MarshalIndent(message, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			file := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Error(diff)
			}
			back := reflect.New(reflect.TypeOf(message))
			decoder := json.NewDecoder(bytes.NewReader(want))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(back.Interface()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(message, back.Elem().Interface()); diff != "" {
				t.Errorf("after reading it back: %s", diff)
			}
		})
	}
}

// TestHeartbeatOfYesterday reads what an agent says that knows fewer fields: it says
// nothing of what it does not know.
func TestHeartbeatOfYesterday(t *testing.T) {
	const said = `{"version":1,"cluster":"eu-1","instance":"agent-0","agent":"v0.1.0","time":"2026-11-02T12:00:00Z","epoch":2,"sequence":7,` +
		`"facts":{"nodes":3,"nodesReady":2,"capacity":{"cpu":"96"},"pods":{"Running":41}}}`
	got, err := wire.DecodeHeartbeat([]byte(said), "eu-1")
	if err != nil {
		t.Fatal(err)
	}
	want := wire.Heartbeat{
		Version: 1, Cluster: "eu-1", Instance: "agent-0", Agent: "v0.1.0", Time: noon, Epoch: 2, Sequence: 7,
		Facts: wire.Facts{Nodes: 3, NodesReady: 2, Capacity: map[string]string{"cpu": "96"}, Pods: map[string]int{"Running": 41}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
