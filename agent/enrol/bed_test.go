package enrol_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/navarch/navarch/agent/enrol"
	"github.com/navarch/navarch/e2e/env"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/broker"
	hubenrol "github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// member is a cluster for the tests of this package; nil where there are no parts
// to make one of.
var member *env.Member

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	tools := env.Tools{Localcluster: os.Getenv("NAVARCH_LOCALCLUSTER")}
	if tools.Localcluster == "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "navarch-enrol-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	members, err := env.StartMembers(ctx, tools, dir, "enrol")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer members[0].Stop() //nolint:errcheck // the tests have said what they found
	member = members[0]
	return m.Run()
}

// bed is a hub's desk behind a real NATS server, and a namespace on a real API server
// for the agent of cluster eu-1.
type bed struct {
	t         *testing.T
	identity  *hubenrol.Identity
	dir       string // of the identity
	desk      *hubenrol.Desk
	broker    *broker.Broker
	token     string
	namespace string

	mu      sync.Mutex
	answer  func(wire.EnrolRequest, func() []byte) []byte // what becomes of a request; nil: it is answered
	refuses func(*http.Request) bool                      // what the API server does not take; nil: nothing
}

func newBed(t *testing.T) *bed {
	t.Helper()
	if testing.Short() {
		t.Skip("needs an API server: run it with make test")
	}
	if member == nil {
		t.Skip("NAVARCH_LOCALCLUSTER is not set: run it with make test")
	}
	b := &bed{t: t, dir: t.TempDir(), namespace: "t-" + strings.ToLower(rand.Text()[:10])}
	check(t, member.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.namespace}}))
	var err error
	b.identity, err = hubenrol.Open(b.dir)
	check(t, err)
	b.start()
	b.desk, err = hubenrol.OpenDesk(hubenrol.DeskConfig{
		Identity: b.identity, File: filepath.Join(t.TempDir(), hubenrol.RollName), Log: slog.New(slog.DiscardHandler),
		Revoked: func(keys map[string]time.Time) error {
			accounts, err := b.identity.AccountJWTsWithout(keys)
			return errors.Join(err, b.broker.Replace(accounts))
		},
	})
	check(t, err)
	token, err := b.identity.NewToken(wire.Invitation{Cluster: "eu-1", Expires: time.Now().Add(time.Hour)})
	check(t, err)
	b.token = token.String()
	b.serve()
	return b
}

func (b *bed) start() {
	b.t.Helper()
	security, err := b.identity.ServerTLS(nil)
	check(b.t, err)
	operator, err := b.identity.OperatorJWT()
	check(b.t, err)
	accounts, err := b.identity.AccountJWTs()
	check(b.t, err)
	b.broker, err = broker.Start(broker.Config{
		Dir: b.t.TempDir(), Listen: "127.0.0.1:0", TLS: security, Operator: operator, Accounts: accounts, Log: slog.New(slog.DiscardHandler),
	})
	check(b.t, err)
	b.t.Cleanup(b.broker.Shutdown)
	b.beside(b.broker.Guard)
}

// serve answers requests for enrolment until the test ends.
func (b *bed) serve() {
	b.t.Helper()
	credentials, err := b.identity.HubCredentials()
	check(b.t, err)
	hub, err := natsconn.Dial(natsconn.Config{InProcess: b.broker, Credentials: credentials, Log: slog.New(slog.DiscardHandler)})
	check(b.t, err)
	b.t.Cleanup(hub.Close)
	check(b.t, hub.WaitConnected(b.t.Context()))
	b.beside(func(ctx context.Context) error {
		return hub.Enrolments(ctx, func(cluster fleet.ClusterName, sealed []byte) []byte {
			request, _, err := wire.OpenEnrolRequest(sealed, cluster, b.identity.TokenKeys(time.Now())...)
			answer := func() []byte { return b.desk.Answer(cluster, sealed, time.Now()) }
			b.mu.Lock()
			decide := b.answer
			b.mu.Unlock()
			if err != nil || decide == nil {
				return answer()
			}
			return decide(request, answer)
		})
	})
}

// faults says what becomes of requests to the hub and to the API server from now on.
func (b *bed) faults(answer func(wire.EnrolRequest, func() []byte) []byte, refuses func(*http.Request) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer, b.refuses = answer, refuses
}

// beside runs what ends with its context beside the test.
func (b *bed) beside(f func(ctx context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			b.t.Error(err)
		}
	})
	b.t.Cleanup(stop)
	return stop
}

func (b *bed) rest() *rest.Config {
	config := rest.CopyConfig(member.Config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			b.mu.Lock()
			refuses := b.refuses
			b.mu.Unlock()
			if refuses != nil && refuses(r) {
				return nil, errors.New("the API server is away")
			}
			return next.RoundTrip(r)
		})
	})
	return config
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// config is that of an agent with the install manifest of this hub as it was at first.
func (b *bed) config(pins *enrol.Pins) enrol.Config {
	return enrol.Config{
		Cluster: "eu-1", Hub: []string{b.broker.ClientURL()}, HubKey: b.identity.PublicKey(), CA: b.identity.CA(), Pins: pins,
		Token: b.token, Door: b.door(), REST: b.rest(), Namespace: b.namespace, Log: slog.New(slog.DiscardHandler),
	}
}

func (b *bed) door() []byte {
	b.t.Helper()
	door, err := b.identity.DoorCredentials("eu-1")
	check(b.t, err)
	return door
}

// agent runs a membership, as an agent that starts with what it kept.
func (b *bed) agent() (conn *natsconn.Conn, stop func()) {
	b.t.Helper()
	c := b.config(nil)
	pins, err := enrol.OpenPins(b.t.Context(), c)
	check(b.t, err)
	c.Pins = pins
	return b.agentOf(c)
}

// agentOf runs a membership.
func (b *bed) agentOf(c enrol.Config) (conn *natsconn.Conn, stop func()) {
	b.t.Helper()
	m, err := enrol.Open(b.t.Context(), c)
	check(b.t, err)
	conn, err = natsconn.Dial(natsconn.Config{
		URL: b.broker.ClientURL(), Authorities: c.Pins.CA, Current: m, InboxPrefix: wire.InboxPrefix("eu-1"), Log: c.Log,
	})
	check(b.t, err)
	end := b.beside(func(ctx context.Context) error { return m.Run(ctx, conn) })
	stop = sync.OnceFunc(func() { end(); conn.Close() })
	b.t.Cleanup(stop)
	return conn, stop
}

// kept is the Secret with the agent's key.
func (b *bed) kept() map[string][]byte {
	b.t.Helper()
	secret := &corev1.Secret{}
	check(b.t, member.Client.Get(b.t.Context(), client.ObjectKey{Namespace: b.namespace, Name: enrol.SecretName}, secret))
	return secret.Data
}

func (b *bed) until(what string, holds func() bool) {
	b.t.Helper()
	deadline := time.After(90 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			b.t.Fatalf("waiting for %s", what)
		}
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// edit changes a field of the Secret with the agent's key; nil removes it.
func (b *bed) edit(field string, value []byte) {
	b.t.Helper()
	secret := &corev1.Secret{}
	check(b.t, member.Client.Get(b.t.Context(), client.ObjectKey{Namespace: b.namespace, Name: enrol.SecretName}, secret))
	secret.Data[field] = value
	if value == nil {
		delete(secret.Data, field)
	}
	check(b.t, member.Client.Update(b.t.Context(), secret))
}
