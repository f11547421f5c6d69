package agent_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/navarch/navarch/agent"
	"github.com/navarch/navarch/e2e/env"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/broker"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/overlays"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// member is a cluster for the tests of this package; nil where there are no parts
// to make one of.
var member *env.Member

// programs is a folder for what tests build.
var programs string

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard()) // what the API clients of these tests say helps nobody
	os.Exit(run(m))
}

func run(m *testing.M) int {
	tools := env.Tools{Localcluster: os.Getenv("NAVARCH_LOCALCLUSTER")}
	if tools.Localcluster == "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "navarch-agent-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	programs = dir
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	members, err := env.StartMembers(ctx, tools, dir, "agent")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer members[0].Stop() //nolint:errcheck // the tests have said what they found
	member = members[0]
	return m.Run()
}

// bed is a hub that this test plays, with a real NATS server, and the agent of
// cluster eu-1 on a real API server. Everything goes into namespaces of its own.
type bed struct {
	*env.Member
	t         *testing.T
	identity  *enrol.Identity
	config    broker.Config
	broker    *broker.Broker
	hub       *natsconn.Conn
	cache     string
	log       *slog.Logger // of the agent
	decrypter string
	namespace string
	sequence  uint64
	writes    atomic.Int64 // requests of the agent that write, but for its Lease and what it keeps

	mu      sync.Mutex
	reports map[fleet.AppName]wire.Report
	reasons map[fleet.AppName]map[string]bool // of Ready, all that were told
	beat    wire.Heartbeat
}

func newBed(t *testing.T) *bed {
	t.Helper()
	if testing.Short() {
		t.Skip("needs an API server: run it with make test")
	}
	if member == nil {
		t.Skip("NAVARCH_LOCALCLUSTER is not set: run it with make test")
	}
	identity, err := enrol.Open(t.TempDir())
	check(t, err)
	security, err := identity.ServerTLS(nil)
	check(t, err)
	operator, err := identity.OperatorJWT()
	check(t, err)
	accounts, err := identity.AccountJWTs()
	check(t, err)
	b := &bed{
		Member: member, t: t, identity: identity, cache: t.TempDir(), log: slog.New(slog.DiscardHandler), namespace: "t-" + strings.ToLower(rand.Text()[:10]),
		config: broker.Config{
			Dir: t.TempDir(), Listen: "127.0.0.1:0", TLS: security, Operator: operator, Accounts: accounts, Log: slog.New(slog.DiscardHandler),
		},
		reports: map[fleet.AppName]wire.Report{}, reasons: map[fleet.AppName]map[string]bool{},
	}
	b.startBroker()
	t.Cleanup(func() { b.broker.Shutdown() })
	credentials, err := identity.HubCredentials()
	check(t, err)
	b.hub, err = natsconn.Dial(natsconn.Config{URL: b.broker.ClientURL(), CA: identity.CA(), Credentials: credentials, Log: b.config.Log})
	check(t, err)
	t.Cleanup(b.hub.Close)
	check(t, b.hub.WaitConnected(t.Context()))
	check(t, b.hub.EnsureStreams(t.Context(), 1))
	b.beside(func(ctx context.Context) error { return b.hub.Reports(ctx, b.listener()) })
	b.make("", "apiVersion: v1\nkind: Namespace\nmetadata: {name: NS}\n")
	return b
}

// startBroker starts the broker, a second time on the port of the first.
func (b *bed) startBroker() {
	b.t.Helper()
	var err error
	b.broker, err = broker.Start(b.config)
	check(b.t, err)
	u, err := url.Parse(b.broker.ClientURL())
	check(b.t, err)
	b.config.Listen = u.Host
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

func (b *bed) listener() natsconn.Listener {
	return natsconn.Listener{
		Report: func(r wire.Report, _ time.Time) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.reports[r.App] = r
			if b.reasons[r.App] == nil {
				b.reasons[r.App] = map[string]bool{}
			}
			b.reasons[r.App][r.Conditions[0].Reason] = true
		},
		Heartbeat: func(h wire.Heartbeat, _ time.Time) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.beat = h
		},
		Refused: func(subject string, err error) { b.t.Errorf("%s: %v", subject, err) },
	}
}

// agent starts the agent, whose writes are counted.
func (b *bed) agent() (stop func()) {
	b.t.Helper()
	return b.agentAs(b.Config, b.namespace)
}

// agentAs starts the agent as somebody, in a namespace, with rights in some namespaces
// only where there are some.
func (b *bed) agentAs(rights *rest.Config, own string, namespaces ...string) (stop func()) {
	b.t.Helper()
	credentials, err := b.identity.AgentCredentials("eu-1")
	check(b.t, err)
	config := rest.CopyConfig(rights)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Method != http.MethodGet && !strings.Contains(r.URL.Path, "/leases") && !strings.Contains(r.URL.Path, "/secrets") {
				b.writes.Add(1)
			}
			return next.RoundTrip(r)
		})
	})
	return b.beside(func(ctx context.Context) error {
		return agent.Run(ctx, agent.Config{
			Cluster: "eu-1", Hub: []string{"tls://" + b.config.Listen}, HubKey: b.identity.SigningKey().Public().(ed25519.PublicKey),
			Credentials: credentials, CA: b.identity.CA(), REST: config, Namespace: own, Namespaces: namespaces, Cache: b.cache,
			Decrypter: b.decrypter, Log: b.log,
		})
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// app renders an app of manifests, in which NS is the test's namespace, and puts it
// where agents find it.
func (b *bed) app(name fleet.AppName, manifests string, dependsOn ...fleet.AppName) fleet.DesiredApp {
	b.t.Helper()
	return b.appOf(name, strings.ReplaceAll(manifests, "NS", b.namespace), dependsOn...)
}

// appOf is app for manifests that are to stay as they are.
func (b *bed) appOf(name fleet.AppName, manifests string, dependsOn ...fleet.AppName) fleet.DesiredApp {
	b.t.Helper()
	repo := fstest.MapFS{"app/all.yaml": {Data: []byte(manifests)}}
	app := fleet.App{Name: name, Source: fleet.Source{Path: "app/all.yaml"}}
	source, err := overlays.Gather(repo, app)
	check(b.t, err)
	overlay, _, err := overlays.Render(repo, app, source, overlays.Difference{})
	check(b.t, err)
	return fleet.DesiredApp{Name: name, Base: b.put(source.Files.Pack()), Overlay: b.put(overlay.Files.Pack()), DependsOn: dependsOn}
}

func (b *bed) put(content []byte) fleet.Digest {
	b.t.Helper()
	digest, chunks, err := wire.PackArtifact(content)
	check(b.t, err)
	check(b.t, b.hub.PutArtifact(b.t.Context(), wire.AddressOf(digest), chunks))
	return digest
}

// announce tells the agent what to run.
func (b *bed) announce(apps ...fleet.DesiredApp) { b.t.Helper(); b.tell(fleet.Desired{Apps: apps}) }

func (b *bed) tell(desired fleet.Desired) {
	b.t.Helper()
	content, _, err := wire.EncodeIndex(wire.Index{Version: wire.Version, Cluster: "eu-1", Desired: desired})
	check(b.t, err)
	b.sequence++
	sealed, err := wire.Seal(wire.Announcement{
		Version: wire.Version, Cluster: "eu-1", Epoch: 1, Sequence: b.sequence, Revision: fmt.Sprintf("main@sha1:%d", b.sequence), Index: b.put(content),
	}, b.identity.SigningKey())
	check(b.t, err)
	check(b.t, b.hub.Announce(b.t.Context(), "eu-1", sealed))
}

// ready waits until apps are ready as they were announced last.
func (b *bed) ready(apps ...fleet.DesiredApp) {
	b.t.Helper()
	for _, app := range apps {
		b.reported(app.Name, "ready", func(r wire.Report) bool {
			return r.Applied.Overlay == app.Overlay && r.Applied.Base == app.Base && r.Conditions[0].Status == "True"
		})
	}
}

// reported waits until the last word on an app is one of some kind.
func (b *bed) reported(app fleet.AppName, what string, holds func(wire.Report) bool) wire.Report {
	b.t.Helper()
	var last wire.Report
	b.wait(func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		last = b.reports[app]
		return last.App == app && holds(last)
	}, func() string { return fmt.Sprintf("app %q to be %s: %+v", app, what, last) })
	return last
}

// reason waits until an app is not ready for a reason.
func (b *bed) reason(app fleet.AppName, reason string) wire.Report {
	b.t.Helper()
	return b.reported(app, reason, func(r wire.Report) bool { return r.Conditions[0].Reason == reason })
}

func (b *bed) until(what string, holds func() bool) {
	b.t.Helper()
	b.wait(holds, func() string { return what })
}

func (b *bed) wait(holds func() bool, what func() string) {
	b.t.Helper()
	deadline := time.After(40 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			b.t.Fatalf("waiting for %s", what())
		}
	}
}

// configMap is the manifest of one.
func configMap(name, word string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: NS}\ndata: {word: " + word + "}\n---\n"
}

// word reads what a ConfigMap says, "" where there is none.
func (b *bed) word(name string) string {
	b.t.Helper()
	o := b.get(name)
	if o == nil {
		return ""
	}
	word, _, _ := unstructured.NestedString(o.Object, "data", "word")
	return word
}

// get reads a ConfigMap, nil where there is none.
func (b *bed) get(name string) *unstructured.Unstructured {
	b.t.Helper()
	o, err := b.Object(b.t.Context(), "v1", "ConfigMap", b.namespace, name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	check(b.t, err)
	return o
}

// make makes an object as somebody else does.
func (b *bed) make(namespace, manifest string) {
	b.t.Helper()
	o := &unstructured.Unstructured{}
	check(b.t, yaml.Unmarshal([]byte(strings.ReplaceAll(manifest, "NS", b.namespace)), &o.Object))
	o.SetNamespace(namespace)
	check(b.t, b.Client.Create(b.t.Context(), o))
}

// edit changes a ConfigMap as somebody else does.
func (b *bed) edit(name, patch string) {
	b.t.Helper()
	check(b.t, b.Client.Patch(b.t.Context(), b.get(name), client.RawPatch("application/merge-patch+json", []byte(patch)), client.FieldOwner("somebody")))
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
