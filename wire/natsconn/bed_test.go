package natsconn_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/broker"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// bed is a hub's side of NATS: an identity, a real server or several, a connection with
// the streams made.
type bed struct {
	t        testing.TB
	identity *enrol.Identity
	config   broker.Config  // of the server in the hub
	broker   *broker.Broker // nil: the servers are not in the hub
	servers  *external      // nil: the server is in the hub
	url      string         // of all servers
	ca       []byte         // that agents trust
	hub      *natsconn.Conn
}

// places are the servers that a hub can have, and the ways to them.
var places = map[string]func(testing.TB) *bed{
	"in the hub":               newBed,
	"in the hub, by WebSocket": newWebSocketBed,
	"one server":               func(t testing.TB) *bed { return newExternalBed(t, 1) },
	"three servers":            func(t testing.TB) *bed { return newExternalBed(t, 3) },
}

// everywhere runs a test against every kind of servers.
func everywhere(t *testing.T, test func(*testing.T, *bed)) {
	t.Helper()
	for place, make := range places {
		t.Run(place, func(t *testing.T) {
			if testing.Short() && strings.Contains(place, "server") {
				t.Skip("stock servers have to be built")
			}
			test(t, make(t))
		})
	}
}

// newBed is a bed with the server in the hub.
func newBed(t testing.TB) *bed {
	t.Helper()
	b := prepare(t)
	b.begin()
	return b
}

// newWebSocketBed is the same, whose agents come over WebSocket.
func newWebSocketBed(t testing.TB) *bed {
	t.Helper()
	b := prepare(t)
	b.config.WebSocket = "127.0.0.1:0"
	b.begin()
	return b
}

func prepare(t testing.TB) *bed {
	t.Helper()
	identity, err := enrol.Open(t.TempDir())
	check(t, err)
	security, err := identity.ServerTLS([]string{"hub.navarch.test"})
	check(t, err)
	operator, err := identity.OperatorJWT()
	check(t, err)
	accounts, err := identity.AccountJWTs()
	check(t, err)
	return &bed{t: t, identity: identity, ca: identity.CA(), config: broker.Config{
		Dir: t.TempDir(), Listen: "127.0.0.1:0", TLS: security, Operator: operator, Accounts: accounts, Log: quiet(t),
	}}
}

func (b *bed) begin() {
	b.t.Helper()
	b.start()
	b.t.Cleanup(func() { b.stop() })
	b.hub = b.dialHub(true)
	check(b.t, b.hub.EnsureStreams(b.t.Context(), 0))
}

// newExternalBed is a bed with servers that are processes of their own.
func newExternalBed(t testing.TB, nodes int) *bed {
	t.Helper()
	servers := externals(t, nodes)
	b := &bed{t: t, identity: servers.identity, servers: servers, ca: servers.cluster.CA, url: servers.cluster.URLs()}
	t.Cleanup(func() {
		if t.Failed() && testing.Verbose() {
			for _, node := range servers.cluster.Nodes {
				t.Logf("%s says:\n%s", node.Name, node.Log())
			}
		}
	})
	check(t, servers.cluster.Start(within(t, 30*time.Second)))
	b.hub = b.dialHub(false)
	_, js := b.streams()
	for _, name := range []string{wire.StreamDesired, wire.StreamArtifacts, wire.StreamReports} {
		until(t, func() bool {
			err := js.DeleteStream(within(t, 10*time.Second), name)
			return err == nil || errors.Is(err, jetstream.ErrStreamNotFound)
		})
	}
	b.ensure()
	for _, node := range servers.cluster.Nodes {
		b.settle(node.URL)
	}
	return b
}

// settle waits until a server knows where to bring what goes to the streams: who leads
// them tells the others, and not before it leads.
func (b *bed) settle(url string) {
	b.t.Helper()
	nc, _ := b.streamsAt(url)
	for _, subject := range []string{wire.DesiredSubject("nobody"), wire.ArtifactSubject(wire.AddressOf("nothing"), 0), wire.ClusterSubject("nobody")} {
		question := nats.NewMsg(subject)
		question.Header.Set(jetstream.ExpectedStreamHeader, "another") // so that it is refused
		until(b.t, func() bool {
			_, err := nc.RequestMsgWithContext(within(b.t, time.Second), question)
			return err == nil
		})
	}
	for _, stream := range []string{wire.StreamDesired, wire.StreamArtifacts, wire.StreamReports} {
		until(b.t, func() bool {
			_, err := nc.RequestWithContext(within(b.t, time.Second), wire.DirectGet(stream, "nothing"), nil)
			return err == nil
		})
	}
}

// ensure makes the streams, as soon as the servers have agreed who leads.
func (b *bed) ensure() {
	b.t.Helper()
	for ctx := within(b.t, 60*time.Second); ; {
		err := b.hub.EnsureStreams(b.t.Context(), 0)
		if err == nil {
			return
		}
		if !errors.Is(err, natsconn.ErrUnavailable) || ctx.Err() != nil {
			b.t.Fatal(err)
		}
	}
}

// start starts the servers, a second time on the ports of the first.
func (b *bed) start() {
	b.t.Helper()
	if b.servers != nil {
		check(b.t, b.servers.cluster.Start(within(b.t, 30*time.Second)))
		return
	}
	var err error
	b.broker, err = broker.Start(b.config)
	check(b.t, err)
	b.url = b.broker.ClientURL()
	u, err := url.Parse(b.url)
	check(b.t, err)
	b.config.Listen = u.Host
	if b.config.WebSocket != "" {
		b.url = b.broker.WebSocketURL()
		b.config.WebSocket = strings.TrimPrefix(b.url, "wss://")
	}
}

// stop ends the servers; those that are not in the hub without a warning.
func (b *bed) stop() {
	if b.servers != nil {
		b.servers.cluster.Kill()
		return
	}
	b.broker.Shutdown()
}

// lose loses all that servers, which do not run, have kept.
func (b *bed) lose() {
	b.t.Helper()
	if b.servers == nil {
		b.config.Dir = b.t.TempDir()
		return
	}
	for _, node := range b.servers.cluster.Nodes {
		check(b.t, os.RemoveAll(node.Store))
	}
}

// replace has the servers know other accounts.
func (b *bed) replace(accounts map[string]string) error {
	if b.servers == nil {
		return b.broker.Replace(accounts)
	}
	trust := b.servers.trust
	trust.Accounts = accounts
	return b.servers.cluster.Trust(within(b.t, 30*time.Second), trust)
}

// dialHub connects as a hub, in process where there is such a server and it is wanted.
func (b *bed) dialHub(inProcess bool) *natsconn.Conn {
	b.t.Helper()
	credentials, err := b.identity.HubCredentials()
	check(b.t, err)
	c := natsconn.Config{URL: b.url, CA: b.ca, Credentials: credentials, Name: "hub"}
	if inProcess && b.servers == nil {
		c.InProcess = b.broker
	}
	return b.dial(c)
}

// agent connects as the agent of a cluster.
func (b *bed) agent(cluster fleet.ClusterName) *natsconn.Conn {
	b.t.Helper()
	credentials, err := b.identity.AgentCredentials(cluster)
	check(b.t, err)
	return b.dial(natsconn.Config{
		URL: b.url, CA: b.ca, Credentials: credentials,
		InboxPrefix: wire.InboxPrefix(cluster), Name: string(cluster), Refresh: time.Hour,
	})
}

func (b *bed) dial(c natsconn.Config) *natsconn.Conn {
	b.t.Helper()
	if c.Log == nil {
		c.Log = quiet(b.t)
	}
	conn, err := natsconn.Dial(c)
	check(b.t, err)
	b.t.Cleanup(conn.Close)
	check(b.t, conn.WaitConnected(within(b.t, 20*time.Second)))
	return conn
}

// streams is the hub's other way to its streams, for tests that look behind.
func (b *bed) streams() (*nats.Conn, jetstream.JetStream) {
	b.t.Helper()
	return b.streamsAt(b.url)
}

func (b *bed) streamsAt(url string) (*nats.Conn, jetstream.JetStream) {
	b.t.Helper()
	credentials, err := b.identity.HubCredentials()
	check(b.t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(b.ca)
	nc, err := nats.Connect(url, nats.Secure(&tls.Config{RootCAs: roots}), nats.UserCredentialBytes(credentials))
	check(b.t, err)
	b.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	check(b.t, err)
	return nc, js
}

func quiet(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError + 1}))
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inbox is a list that grows, and that a test waits for.
type inbox[T any] struct {
	mu    sync.Mutex
	items []T
	grown chan struct{}
}

func newInbox[T any]() *inbox[T] { return &inbox[T]{grown: make(chan struct{})} }

func (i *inbox[T]) add(item T) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.items = append(i.items, item)
	close(i.grown)
	i.grown = make(chan struct{})
}

// wait waits until the list fulfils a condition, and returns it.
func (i *inbox[T]) wait(t testing.TB, what string, holds func([]T) bool) []T {
	t.Helper()
	deadline := time.After(40 * time.Second)
	for {
		i.mu.Lock()
		items, grown := append([]T{}, i.items...), i.grown
		i.mu.Unlock()
		if holds(items) {
			return items
		}
		select {
		case <-grown:
		case <-deadline:
			t.Fatalf("waiting for %s: there is only %s", what, fmt.Sprint(items))
		}
	}
}

// desired notes what is announced to eu-1.
func desired(agent *natsconn.Conn, heard *inbox[string]) func(context.Context) error {
	return func(ctx context.Context) error {
		return agent.Desired(ctx, "eu-1", func(sealed []byte) error {
			heard.add(string(sealed))
			return nil
		})
	}
}

// run runs what ends with its context beside a test, and waits for its end.
func run(t testing.TB, f func(ctx context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}
