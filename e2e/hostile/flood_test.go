package hostile

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// floodTime is how long each flood goes on; longer with NAVARCH_FLOOD.
func floodTime(t *testing.T) time.Duration {
	said := os.Getenv("NAVARCH_FLOOD")
	if said == "" {
		return 3 * time.Second
	}
	d, err := time.ParseDuration(said)
	check(t, err)
	return d
}

// mostGrowth is by how much an intruder may make the hub's memory grow: its quota, and
// what the server holds for its connections.
const mostGrowth = 512 << 20

// TestFloods has an enrolled agent send as much as it can. Meanwhile the neighbour
// reports, is announced to, and the dashboard answers; what the hub has in memory stays
// within bounds.
func TestFloods(t *testing.T) {
	s := newStage(t)
	s.announced(s.push(twoClusters("")))
	neighbour := s.join("us-1")
	i := s.join("eu-1")
	noise := make([]byte, 200<<10)
	for n := range noise {
		noise[n] = 'a' + byte(rand.N(26))
	}
	many, err := json.Marshal(wire.Report{Version: 1, Cluster: "eu-1", App: "mine", Objects: make([]wire.ObjectReport, 20_000)})
	check(t, err)
	report := func(app string) []byte {
		body, err := wire.EncodeReport(wire.Report{Version: 1, Cluster: "eu-1", App: fleet.AppName(app), Conditions: []wire.Condition{{Type: "Ready", Message: string(noise)}}})
		check(t, err)
		return body
	}
	floods := map[string]func(nc *nats.Conn, n int) error{
		"heartbeats": func(nc *nats.Conn, n int) error {
			return nc.Publish(wire.ClusterSubject("eu-1"), fmt.Appendf(nil, `{"version":1,"cluster":"eu-1","instance":"%d"}`, n))
		},
		"heartbeats of the future": func(nc *nats.Conn, n int) error {
			return nc.Publish(wire.ClusterSubject("eu-1"), fmt.Appendf(nil, `{"version":1,"cluster":"eu-1","epoch":%d,"sequence":%d}`, n+2, n))
		},
		"reports of ever more apps": func(nc *nats.Conn, n int) error {
			return nc.Publish(wire.ReportSubject("eu-1", fleet.AppName(fmt.Sprint("a", n))), fmt.Appendf(nil, `{"version":1,"cluster":"eu-1","app":"a%d","held":true}`, n))
		},
		"long reports of ever more apps": func(nc *nats.Conn, n int) error {
			app := fmt.Sprint("b", n)
			return nc.Publish(wire.ReportSubject("eu-1", fleet.AppName(app)), report(app))
		},
		"large reports of one app": func(nc *nats.Conn, _ int) error {
			return nc.Publish(wire.ReportSubject("eu-1", "mine"), many[:min(len(many), wire.MaxMessage-1)])
		},
		"garbage": func(nc *nats.Conn, n int) error {
			return nc.Publish(wire.ReportSubject("eu-1", "mine"), noise[:n%1000])
		},
		"refused subjects": func(nc *nats.Conn, n int) error { return nc.Publish(fmt.Sprint("fleet.v1.desired.us-", n), nil) },
		"questions": func(nc *nats.Conn, _ int) error {
			return nc.PublishRequest(wire.DirectGet(wire.StreamArtifacts, wire.AllArtifacts), wire.InboxPrefix("eu-1")+".x", nil)
		},
	}
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) {
			before := heap()
			logged := len(s.log.String())
			ctx, cancel := context.WithTimeout(t.Context(), floodTime(t))
			defer cancel()
			var sent atomic.Int64
			var senders sync.WaitGroup
			for range 4 {
				nc := i.connect(nats.CustomInboxPrefix(wire.InboxPrefix(i.cluster)))
				senders.Go(func() {
					for ctx.Err() == nil {
						if flood(nc, int(sent.Add(1))) != nil {
							return // cut off, which is as good
						}
					}
				})
			}
			rounds, slowest := 0, time.Duration(0)
			for ctx.Err() == nil || rounds == 0 {
				took := neighbour.isHeard(t)
				slowest, rounds = max(slowest, took), rounds+1
			}
			senders.Wait()
			grown := int64(heap()) - int64(before)
			lines := strings.Count(s.log.String()[logged:], "\n")
			t.Logf("%d messages; the neighbour was heard %d times, at worst after %s; memory grew by %d MiB, the log by %d lines",
				sent.Load(), rounds, slowest.Round(time.Millisecond), grown>>20, lines)
			if slowest > 20*time.Second {
				t.Errorf("the neighbour was heard after %s", slowest)
			}
			if grown > mostGrowth {
				t.Errorf("the hub's memory grew by %d MiB", grown>>20)
			}
			if lines > 200 {
				t.Errorf("the hub wrote %d lines into its log", lines)
			}
		})
	}
	revision := s.push(twoClusters("-after"))
	s.announced(revision)
	_, index := neighbour.index()
	if len(index.Apps) != 2 {
		t.Errorf("after the floods the neighbour should run %+v", index)
	}
}

// isHeard reports something new, and returns how long it took until the hub shows it.
func (i *intruder) isHeard(t *testing.T) time.Duration {
	t.Helper()
	begun := time.Now()
	word := fmt.Sprint("word-", begun.UnixNano())
	i.report(wire.Report{App: "canary-app", Conditions: []wire.Condition{{Type: wire.Ready, Status: "True", Message: word}}})
	i.until("the neighbour's report", func() bool { return i.shown(i.cluster, word) })
	return time.Since(begun)
}

// heap is what is in use, in the hub and this test together.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// mostConnections is how many connections of one key the hub's server lets be.
const mostConnections = 24

// TestThousandConnections opens a thousand connections with one agent's credentials, and
// asks on each for what it then does not read. The neighbour goes on.
func TestThousandConnections(t *testing.T) {
	s := newStage(t)
	s.announced(s.push(twoClusters("")))
	neighbour, i := s.join("us-1"), s.join("eu-1")
	wanted := 1000
	if testing.Short() {
		wanted = 200
	}
	before := heap()
	var open atomic.Int64
	for range wanted {
		nc, err := i.tryDial(credentials(i), nats.CustomInboxPrefix(wire.InboxPrefix(i.cluster)), nats.ClosedHandler(func(*nats.Conn) { open.Add(-1) }))
		if err != nil {
			break // the server takes no more, which is as good
		}
		t.Cleanup(nc.Close)
		open.Add(1)
	}
	took := neighbour.isHeard(t)
	t.Logf("%d connections opened; the neighbour is heard after %s; memory grew by %d MiB", wanted, took.Round(time.Millisecond), (int64(heap())-int64(before))>>20)
	if took > 20*time.Second {
		t.Error("the neighbour is not heard in time")
	}
	s.until("the crowd to be cut off", func() bool { return open.Load() <= mostConnections })
	if !neighbour.nc.IsConnected() {
		t.Error("the neighbour was cut off with it")
	}
	if nc, err := neighbour.tryDial(credentials(neighbour), nats.CustomInboxPrefix(wire.InboxPrefix("us-1"))); err != nil {
		t.Errorf("the neighbour cannot connect again: %v", err)
	} else {
		nc.Close()
	}
}

// TestSlowConsumer asks for large content and never reads. The server cuts it off before
// that costs much, and answers others.
func TestSlowConsumer(t *testing.T) {
	s := newStage(t)
	files := twoClusters("")
	blob := make([]byte, 700<<10) // of letters that do not compress well
	for n := range blob {
		blob[n] = 'a' + byte(rand.N(26))
	}
	files["apps/base-mine/a.yaml"] = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: large}\ndata: {word: " + string(blob) + "}\n"
	s.announced(s.push(files))
	neighbour, i := s.join("us-1"), s.join("eu-1")
	_, index := i.index()
	var large fleet.Digest
	for _, app := range index.Apps {
		if app.Name == "mine" {
			large = app.Base
		}
	}
	ask := wire.DirectGet(wire.StreamArtifacts, wire.ArtifactSubject(wire.AddressOf(large), 0))
	before := heap()
	for range 8 {
		stuck := i.stuck(t, ask, 2000)
		t.Cleanup(stuck)
	}
	took := neighbour.isHeard(t)
	grown := int64(heap()) - int64(before)
	t.Logf("8 connections asked for 1000 MiB and read none of it: memory grew by %d MiB, the neighbour is heard after %s", grown>>20, took.Round(time.Millisecond))
	if grown > mostGrowth || took > 20*time.Second {
		t.Error("that is too much")
	}
}

// stuck asks many times for something, and reads nothing from then on.
func (i *intruder) stuck(t *testing.T, ask string, times int) (end func()) {
	t.Helper()
	dialer := &deafDialer{}
	nc, err := i.tryDial(credentials(i), nats.CustomInboxPrefix(wire.InboxPrefix(i.cluster)), nats.SetCustomDialer(dialer))
	check(t, err)
	_, err = nc.Subscribe(wire.InboxPrefix(i.cluster)+".stuck", func(*nats.Msg) {})
	check(t, err)
	check(t, nc.Flush())
	dialer.deaf.Store(true)
	for range times {
		if nc.PublishRequest(ask, wire.InboxPrefix(i.cluster)+".stuck", nil) != nil {
			break // cut off already
		}
	}
	return func() {
		dialer.deaf.Store(false)
		nc.Close()
	}
}

// deafDialer makes connections that stop to read when they are told to.
type deafDialer struct{ deaf atomic.Bool }

func (d *deafDialer) Dial(network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(context.Background(), network, address)
	return &deafConn{Conn: conn, deaf: &d.deaf, closed: make(chan struct{})}, err
}

type deafConn struct {
	net.Conn
	deaf   *atomic.Bool
	closed chan struct{}
	once   sync.Once
}

func (c *deafConn) Read(p []byte) (int, error) {
	if c.deaf.Load() {
		<-c.closed
	}
	return c.Conn.Read(p)
}

func (c *deafConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
