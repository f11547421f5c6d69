package natsconn_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
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

// bed is a hub's side of NATS: an identity, a real broker, a connection with the
// streams made.
type bed struct {
	t        testing.TB
	identity *enrol.Identity
	config   broker.Config
	broker   *broker.Broker
	url      string
	hub      *natsconn.Conn
}

func newBed(t testing.TB) *bed {
	t.Helper()
	identity, err := enrol.Open(t.TempDir())
	check(t, err)
	security, err := identity.ServerTLS(nil)
	check(t, err)
	operator, err := identity.OperatorJWT()
	check(t, err)
	accounts, err := identity.AccountJWTs()
	check(t, err)
	b := &bed{t: t, identity: identity, config: broker.Config{
		Dir: t.TempDir(), Listen: "127.0.0.1:0", TLS: security, Operator: operator, Accounts: accounts, Log: quiet(t),
	}}
	b.start()
	t.Cleanup(func() { b.broker.Shutdown() })
	b.hub = b.dialHub(b.broker)
	check(t, b.hub.EnsureStreams(t.Context(), 1))
	return b
}

// start starts the broker, a second time on the port of the first.
func (b *bed) start() {
	b.t.Helper()
	var err error
	b.broker, err = broker.Start(b.config)
	check(b.t, err)
	b.url = b.broker.ClientURL()
	u, err := url.Parse(b.url)
	check(b.t, err)
	b.config.Listen = u.Host
}

// dialHub connects as a hub, in process or over the network where no server is given.
func (b *bed) dialHub(inProcess natsconn.Server) *natsconn.Conn {
	b.t.Helper()
	credentials, err := b.identity.HubCredentials()
	check(b.t, err)
	return b.dial(natsconn.Config{URL: b.url, InProcess: inProcess, CA: b.identity.CA(), Credentials: credentials, Name: "hub"})
}

// agent connects as the agent of a cluster.
func (b *bed) agent(cluster fleet.ClusterName) *natsconn.Conn {
	b.t.Helper()
	credentials, err := b.identity.AgentCredentials(cluster)
	check(b.t, err)
	return b.dial(natsconn.Config{
		URL: b.url, CA: b.identity.CA(), Credentials: credentials,
		InboxPrefix: wire.InboxPrefix(cluster), Name: string(cluster), Refresh: time.Hour,
	})
}

func (b *bed) dial(c natsconn.Config) *natsconn.Conn {
	b.t.Helper()
	c.Log = quiet(b.t)
	conn, err := natsconn.Dial(c)
	check(b.t, err)
	b.t.Cleanup(conn.Close)
	check(b.t, conn.WaitConnected(within(b.t, 10*time.Second)))
	return conn
}

// streams is the hub's other way to its streams, for tests that look behind.
func (b *bed) streams() (*nats.Conn, jetstream.JetStream) {
	b.t.Helper()
	credentials, err := b.identity.HubCredentials()
	check(b.t, err)
	nc, err := nats.Connect("", nats.InProcessServer(b.broker), nats.UserCredentialBytes(credentials))
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
	deadline := time.After(20 * time.Second)
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
