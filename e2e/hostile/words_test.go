package hostile

import (
	"bytes"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

const markup = `<script>alert("x")</script><img src=x onerror=alert(1)>` + "\x00\x1b[31m\u202e' OR 1=1 --"

// oddWords is what an agent could say of an app, by what is odd about it.
func oddWords(t *testing.T) map[string][]byte {
	encoder, err := zstd.NewWriter(nil)
	check(t, err)
	const head = `{"version":1,"cluster":"eu-1","app":"mine",`
	packed := func(text string) []byte { return encoder.EncodeAll([]byte(text), nil) }
	lies := append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, make([]byte, 100)...)
	return map[string][]byte{
		"nothing":             nil,
		"NULs":                make([]byte, 1000),
		"as long as can be":   bytes.Repeat([]byte("x"), wire.MaxMessage-1000),
		"deep":                []byte(head + `"objects":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}"),
		"deep, packed":        packed(head + `"x":` + strings.Repeat(`{"x":`, 1_000_000)),
		"a bomb of objects":   packed(head + `"objects":[` + strings.Repeat("{},", 5_000_000) + `{}]}`),
		"a bomb of nothing":   packed(strings.Repeat("\x00", 512<<20)),
		"a bomb in a bomb":    packed(string(packed(strings.Repeat("{", 16<<20)))),
		"a size that lies":    lies,
		"another's cluster":   []byte(`{"version":1,"cluster":"us-1","app":"canary-app"}`),
		"another version":     []byte(`{"version":99,"cluster":"eu-1","app":"mine"}`),
		"numbers out of all":  []byte(head + `"objects":[{"kind":"A","name":"b","replicas":{"wanted":1e400,"ready":-9223372036854775808}}]}`),
		"types mixed up":      []byte(head + `"conditions":{"a":1},"objects":"none","time":17}`),
		"no UTF-8":            []byte(head + "\"conditions\":[{\"type\":\"Ready\xff\xfe\",\"status\":\"\xc3\x28\",\"reason\":\"\xf0\x82\x82\xac\",\"message\":\"\xed\xa0\x80\"}]}"),
		"the end of time":     []byte(head + `"time":"9999-12-31T23:59:59.999999999Z","appliedAt":"0000-01-01T00:00:00Z","conditions":[]}`),
		"keys twice":          []byte(head + `"cluster":"us-1","app":"canary-app"}`),
		"digests of nowhere":  []byte(head + `"applied":{"overlay":"../../etc/passwd","base":"sha256:zz","revision":"` + strings.Repeat("r", 100_000) + `"}}`),
		"a thousand words":    []byte(head + `"conditions":[` + strings.TrimSuffix(strings.Repeat(`{"type":"Ready","status":"True"},`, 1000), ",") + `]}`),
		"a JSON of the proto": []byte(head + `"__proto__":{"held":true},"constructor":{"prototype":{}}}`),
	}
}

// reportsOddly says what no agent says, on the subjects that are its own. The hub takes
// it, shows it as text or refuses it, and goes on.
func (i *intruder) reportsOddly(t *testing.T) {
	for name, body := range oddWords(t) {
		for _, subject := range []string{wire.ReportSubject("eu-1", "mine"), wire.ClusterSubject("eu-1")} {
			if _, err := i.nc.Request(subject, body, 20*time.Second); err != nil {
				t.Fatalf("%s on %s: %v", name, subject, err)
			}
		}
	}
	for _, app := range []string{"UPPER", "us-1", "..", "-", "a_b", "%2e", "canary-app", strings.Repeat("a", 1000), "\u00e9"} {
		check(t, i.nc.Publish("fleet.v1.report.eu-1."+strings.Trim(app, ".")+"x", []byte("{}")))
	}
	ready := wire.Condition{Type: wire.Ready, Status: "True", Reason: markup, Message: markup}
	i.report(wire.Report{
		App: "mine", Conditions: []wire.Condition{ready, ready, {Type: markup, Status: markup}}, Attempted: wire.Applied{Revision: markup},
		Objects: []wire.ObjectReport{
			{ObjectID: fleet.ObjectID{Group: markup, Kind: markup, Namespace: markup, Name: markup}, Health: markup, Message: markup, Drift: &wire.Drift{Fields: []string{markup}, By: []string{markup}}},
			{ObjectID: fleet.ObjectID{Kind: "Deployment", Name: "a"}, Replicas: &wire.Replicas{Wanted: math.MinInt, Updated: math.MaxInt, Ready: -1, Available: math.MaxInt}},
		},
	})
	i.report(wire.Report{App: "stray", Held: true, Conditions: []wire.Condition{{Type: wire.Stalled, Status: "True", Message: markup}}})
	for _, h := range []wire.Heartbeat{
		{Epoch: math.MaxUint64, Sequence: math.MaxUint64, Index: "sha256:no"},
		{Facts: wire.Facts{
			Nodes: math.MinInt, NodesReady: math.MaxInt, Kubernetes: markup, Kinds: []string{markup, "apps/v1/Deployment"},
			Capacity: map[string]string{"cpu": "1e999", "memory": "-5", markup: markup, "pods": "NaN"}, Used: map[string]string{"cpu": "Inf"},
			Pods: map[string]int{markup: -1, "Running": math.MaxInt}, Room: []fleet.NodeGroup{{Count: math.MaxInt64, Free: fleet.Resources{"pods": math.MaxInt64, "cpu": math.MinInt64}}},
		}, Cost: wire.Cost{CPUSeconds: math.MaxFloat64, ResidentBytes: math.MinInt64, Requests: math.MaxUint64}, Refused: markup, Agent: markup, Revision: markup},
	} {
		h.Instance = markup
		i.beat(h)
	}
	const last = "the last word"
	i.beat(wire.Heartbeat{Instance: last})
	i.until("the hub to have heard all of it", func() bool {
		_, body := i.answer("/api/v1/clusters/eu-1")
		return bytes.Contains(body, []byte(last))
	})
	i.report(wire.Report{App: "mine", Conditions: []wire.Condition{ready}, Objects: []wire.ObjectReport{{ObjectID: fleet.ObjectID{Kind: markup, Name: markup}, Message: markup}}})
	i.beat(wire.Heartbeat{Instance: markup, Refused: markup, Agent: markup, Facts: wire.Facts{Kubernetes: markup, Pods: map[string]int{markup: 1}}})
	i.until("markup to be shown", func() bool {
		_, body := i.answer("/clusters/eu-1")
		return bytes.Contains(body, []byte("alert("))
	})
	for _, page := range []string{"/", "/clusters/eu-1", "/clusters/us-1", "/apps/mine", "/apps/both", "/metrics", "/healthz", "/readyz", "/api/v1/fleet", "/api/v1/clusters", "/api/v1/apps", "/api/v1/clusters/eu-1", "/api/v1/observed"} {
		status, body := i.answer(page)
		if status != http.StatusOK {
			t.Errorf("%s: %d %.200s", page, status, body)
		}
		if !strings.HasPrefix(page, "/metrics") && (bytes.Contains(body, []byte("<script>alert")) || bytes.Contains(body, []byte("<img src=x"))) {
			t.Errorf("%s: markup of an agent is not text there", page)
		}
	}
	if _, metrics := i.answer("/metrics"); !bytes.Contains(metrics, []byte(`cluster="us-1"`)) {
		t.Error("the neighbour has no metrics any more")
	}
}

// replays has an announcement of before, its own and well signed, and tries to make it
// the one that counts.
func (i *intruder) replays(t *testing.T, neighbour *intruder) {
	ask := wire.DirectGet(wire.StreamDesired, wire.DesiredSubject(i.cluster))
	old, err := i.nc.Request(ask, nil, 10*time.Second)
	check(t, err)
	theirs, err := neighbour.nc.Request(wire.DirectGet(wire.StreamDesired, wire.DesiredSubject("us-1")), nil, 10*time.Second)
	check(t, err)
	files := twoClusters("")
	files["apps/base-mine/a.yaml"] += "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n"
	i.announced(i.push(files))
	current, err := i.nc.Request(ask, nil, 10*time.Second)
	check(t, err)
	if bytes.Equal(old.Data, current.Data) {
		t.Fatal("the push changed nothing for this cluster")
	}
	for _, subject := range []string{wire.DesiredSubject(i.cluster), wire.DesiredSubject("us-1")} {
		for _, sealed := range [][]byte{old.Data, theirs.Data} {
			check(t, i.nc.Publish(subject, sealed))
			i.refused(t, subject)
		}
	}
	if after, err := i.nc.Request(ask, nil, 10*time.Second); err != nil || !bytes.Equal(after.Data, current.Data) {
		t.Errorf("what is announced has changed: %v", err)
	}
}
