package broker_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/navarch/navarch/hub/broker"
	"github.com/navarch/navarch/wire"
)

// streamOf is a stream of the last message on each subject, as the hub makes them.
func streamOf(name string, subjects []string) jetstream.StreamConfig {
	return jetstream.StreamConfig{Name: name, Subjects: subjects, MaxMsgsPerSubject: 1, AllowDirect: true}
}

// listening returns how many TCP ports this process listens on.
func listening(t *testing.T) int {
	t.Helper()
	ours := map[string]bool{}
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(links) == 0 {
		t.Skip("this system does not say what a process listens on")
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, "socket:[") {
			ours[strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")] = true
		}
	}
	count := 0
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		file, err := os.Open(table)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if fields := strings.Fields(lines.Text()); len(fields) > 9 && fields[3] == "0A" && ours[fields[9]] {
				count++
			}
		}
		_ = file.Close()
	}
	return count
}

// TestListens: a server listens where it is told to and nowhere else.
func TestListens(t *testing.T) {
	tests := map[string]struct {
		webSocket, monitor string
		want               int
	}{
		"as it is by default":        {want: 1},
		"with WebSocket":             {webSocket: "127.0.0.1:0", want: 2},
		"with WebSocket and monitor": {webSocket: "127.0.0.1:0", monitor: "127.0.0.1:0", want: 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := config(t, newIdentity(t))
			c.WebSocket, c.Monitor = test.webSocket, test.monitor
			before := listening(t)
			b := start(t, c)
			if got := listening(t) - before; got != test.want {
				t.Errorf("it listens on %d ports, want %d", got, test.want)
			}
			v, err := b.Server().Varz(nil)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]any{
				"mqtt": v.MQTT.Port, "leaf nodes": v.LeafNode.Port, "gateways": v.Gateway.Port, "routes": v.Cluster.Port,
				"websocket": v.Websocket.Port != 0, "monitor": v.HTTPPort != 0, "monitor by TLS": v.HTTPSPort,
				"TLS required": v.TLSRequired, "certificates admit": v.TLSVerify || v.Websocket.TLSMap || v.MQTT.TLSMap,
				"a user without a name": v.Websocket.NoAuthUser + v.MQTT.NoAuthUser, "WebSocket compresses": v.Websocket.Compression,
			}
			want := map[string]any{
				"mqtt": 0, "leaf nodes": 0, "gateways": 0, "routes": 0,
				"websocket": test.webSocket != "", "monitor": test.monitor != "", "monitor by TLS": 0,
				"TLS required": true, "certificates admit": false,
				"a user without a name": "", "WebSocket compresses": false,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestLimitsOf holds still what a running server says of its limits.
func TestLimitsOf(t *testing.T) {
	b := start(t, config(t, newIdentity(t)))
	v, err := b.Server().Varz(nil)
	if err != nil {
		t.Fatal(err)
	}
	got := []any{v.MaxConn, v.MaxSubs, v.MaxPayload, v.MaxPending, v.AuthTimeout, v.TLSTimeout, v.WriteDeadline, v.MaxControlLine}
	want := []any{
		broker.DefaultMaxConnections, broker.MaxSubscriptions, wire.MaxMessage, int64(broker.MaxPending),
		float64(broker.AuthTimeout), float64(broker.TLSTimeout), 10 * time.Second, int32(server.MAX_CONTROL_LINE_SIZE),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestMonitorIsOfThisMachine: who is connected is told to this machine only.
func TestMonitorIsOfThisMachine(t *testing.T) {
	for _, address := range []string{"0.0.0.0:8222", "[::]:8222", ":8222", "192.0.2.1:8222", "localhost:8222", "127.0.0.1"} {
		c := config(t, newIdentity(t))
		c.Monitor = address
		b, err := broker.Start(c)
		if err == nil {
			b.Shutdown()
			t.Errorf("it is monitored on %s", address)
			continue
		}
		if !strings.Contains(err.Error(), "say --nats-monitor 127.0.0.1:PORT") {
			t.Error(err)
		}
	}
	y := newYard(t)
	if body := y.monitor(t, "/varz"); !strings.Contains(body, `"server_name": "navarch-hub"`) {
		t.Error(body)
	}
}

func (y *yard) monitor(t *testing.T, path string) string {
	t.Helper()
	response, err := http.Get("http://" + y.Server().MonitorAddr().String() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestMaxConnections: one more is refused, and a place that is free again is taken.
func TestMaxConnections(t *testing.T) {
	y := newYard(t, func(c *broker.Config) { c.MaxConnections = 4 }) // the hub has one
	var connected []*nats.Conn
	for range 3 {
		connected = append(connected, y.agent(t, "eu-1", nats.NoReconnect()))
	}
	k, err := net.Dial("tcp", strings.TrimPrefix(y.ClientURL(), "tls://"))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	_ = k.SetDeadline(time.Now().Add(10 * time.Second))
	if said, _ := io.ReadAll(k); !strings.Contains(string(said), "maximum connections exceeded") {
		t.Errorf("the fifth connection hears %q", said)
	}
	connected[0].Close()
	wait(t, func() bool { return y.Connections() == 3 })
	y.agent(t, "eu-1")
}

// TestAuthTimeout: who does not say who it is, is cut, on both ports.
func TestAuthTimeout(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	begun := time.Now()
	plain := y.dial(t)
	webSocket, status := y.upgrade(t, "/")
	if status != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", status)
	}
	if said := plain.hear(""); !strings.Contains(said, "Authentication Timeout") {
		t.Errorf("it hears %q", said)
	}
	if said := webSocket.hear(""); !strings.Contains(said, "Authentication Timeout") {
		t.Errorf("over WebSocket it hears %q", said)
	}
	if took := time.Since(begun); took > 2*broker.AuthTimeout*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestSlowConsumer: who does not read what it asked for is cut, and keeps nobody else
// from what it gets.
func TestSlowConsumer(t *testing.T) {
	y := newYard(t)
	hub := y.hub(t)
	key, token := y.agentKey(t, "eu-1", time.Hour)
	slow := y.dial(t)
	slow.connect(key, token, nil)
	slow.hear("PONG")
	slow.say("SUB %s 1\r\nPING\r\n", wire.DesiredSubject("eu-1"))
	slow.hear("PONG")
	other, err := y.agent(t, "us-1").SubscribeSync(wire.DesiredSubject("us-1"))
	if err != nil {
		t.Fatal(err)
	}
	payload := make([]byte, wire.MaxMessage)
	for range 3 * broker.MaxPending / wire.MaxMessage { // more than the server and the network hold
		if err := hub.Publish(wire.DesiredSubject("eu-1"), payload); err != nil {
			t.Fatal(err)
		}
	}
	if err := hub.Publish(wire.DesiredSubject("us-1"), []byte("for another")); err != nil {
		t.Fatal(err)
	}
	if message, err := other.NextMsg(20 * time.Second); err != nil || string(message.Data) != "for another" {
		t.Error(message, err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for y.Server().NumSlowConsumers() == 0 && time.Now().Before(deadline) {
		if err := hub.Publish(wire.DesiredSubject("eu-1"), payload); err != nil {
			t.Fatal(err)
		}
		if err := hub.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if y.Server().NumSlowConsumers() == 0 {
		t.Error("who does not read is not cut")
	}
	y.works(t)
}

// guard guards the server until the test ends.
func (y *yard) guard(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- y.Guard(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestCrowd: one key has so many connections and no more, and who floods is cut.
func TestCrowd(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.guard(t)
	key, token := y.agentKey(t, "eu-1", time.Hour)
	theirs, theirToken := y.agentKey(t, "us-2", time.Hour)
	neighbour := y.dial(t)
	neighbour.connect(theirs, theirToken, nil)
	neighbour.hear("PONG")
	public, err := theirs.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	var many []*talk
	for n := range broker.MaxSame + 3 {
		k := y.dial(t)
		// What it says of itself beside its JWT neither hides it nor harms who has that key.
		k.connect(key, token, []map[string]any{nil, {"user": fmt.Sprint("user-", n)}, {"nkey": public}}[n%3])
		k.hear("PONG")
		many = append(many, k)
	}
	other := y.agent(t, "us-1", nats.NoReconnect())
	many[0].hear("") // until it hangs up
	many[2].hear("")
	newest := many[len(many)-1]
	newest.say("PING\r\n")
	if said := newest.hear("PONG"); !strings.Contains(said, "PONG") {
		t.Errorf("the newest connection was cut: %q", said)
	}
	neighbour.say("PING\r\n")
	if said := neighbour.hear("PONG"); !strings.Contains(said, "PONG") {
		t.Errorf("the neighbour was cut: %q", said)
	}

	flood := y.agent(t, "eu-2", nats.NoReconnect())
	for !flood.IsClosed() && t.Context().Err() == nil {
		if err := flood.Publish(wire.ClusterSubject("eu-2"), []byte("{}")); err != nil {
			break
		}
	}
	if !other.IsConnected() {
		t.Error("another agent was cut")
	}
	y.works(t)
}

// TestOneAgentsLimits: what one agent may send and listen to is in what the hub signed.
func TestOneAgentsLimits(t *testing.T) {
	y := newYard(t)
	for name, test := range map[string]struct{ say, want string }{
		"a large message":    {fmt.Sprintf("PUB %s %d\r\n", wire.ClusterSubject("eu-1"), wire.MaxMessage+1), "maximum payload violation"},
		"a huge message":     {fmt.Sprintf("PUB %s 99999999999\r\n", wire.ClusterSubject("eu-1")), ""},
		"many subscriptions": {subscriptions(20), "maximum subscriptions exceeded"},
		"a long line":        {"SUB " + strings.Repeat("a", 1<<16) + " 1\r\n", "maximum control line exceeded"},
		"a deep subject":     {"SUB " + strings.Repeat("a.", 40) + "a 1\r\n", "violation"},
	} {
		t.Run(name, func(t *testing.T) {
			key, token := y.agentKey(t, "eu-1", time.Hour)
			k := y.dial(t)
			k.connect(key, token, nil)
			k.hear("PONG")
			k.say("%s", test.say)
			if said := k.hear("-ERR '"); !strings.Contains(strings.ToLower(said), test.want) {
				t.Errorf("it hears %q", said)
			}
		})
	}
	y.works(t)
}

// subscriptions asks for so many.
func subscriptions(count int) string {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, "SUB %s %d\r\n", wire.DesiredSubject("eu-1"), i+2)
	}
	return b.String()
}

// TestRevokedLate: a connection that the server did not cut when its key was taken back,
// since it was just being made, is cut soon after.
func TestRevokedLate(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	key, token := y.agentKey(t, "eu-1", time.Hour)
	public, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	k, other := y.dial(t), y.agent(t, "us-1", nats.NoReconnect())
	k.connect(key, token, nil)
	k.hear("PONG")
	accounts, err := y.identity.AccountJWTsWithout(map[string]time.Time{public: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for account, token := range accounts { // and the server looks at no connection
		if err := y.Server().AccountResolver().Store(account, token); err != nil {
			t.Fatal(err)
		}
	}
	y.guard(t)
	k.hear("") // until it hangs up
	if !other.IsConnected() {
		t.Error("another agent was cut")
	}
}
