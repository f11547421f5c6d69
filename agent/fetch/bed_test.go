package fetch_test

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"testing"
	"testing/fstest"

	"github.com/navarch/navarch/agent/fetch"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/broker"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/overlays"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// bed is a real NATS server with a hub that puts content there, and the connection
// of the agent of cluster eu-1.
type bed struct {
	t     testing.TB
	key   ed25519.PrivateKey // that the agent trusts
	hub   *natsconn.Conn
	agent *natsconn.Conn
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
	log := slog.New(slog.DiscardHandler)
	server, err := broker.Start(broker.Config{
		Dir: t.TempDir(), Listen: "127.0.0.1:0", TLS: security, Operator: operator, Accounts: accounts, Log: log,
	})
	check(t, err)
	t.Cleanup(server.Shutdown)
	hubCredentials, err := identity.HubCredentials()
	check(t, err)
	agentCredentials, err := identity.AgentCredentials("eu-1")
	check(t, err)
	b := &bed{t: t, key: identity.SigningKey()}
	b.hub = dial(t, natsconn.Config{InProcess: server, Credentials: hubCredentials, Log: log})
	check(t, b.hub.EnsureStreams(t.Context(), 1))
	b.agent = dial(t, natsconn.Config{URL: server.ClientURL(), CA: identity.CA(), Credentials: agentCredentials, InboxPrefix: wire.InboxPrefix("eu-1"), Log: log})
	return b
}

func dial(t testing.TB, c natsconn.Config) *natsconn.Conn {
	t.Helper()
	conn, err := natsconn.Dial(c)
	check(t, err)
	t.Cleanup(conn.Close)
	check(t, conn.WaitConnected(t.Context()))
	return conn
}

// fetcher is a new agent's, with a cache in a folder.
func (b *bed) fetcher(dir string) *fetch.Fetcher {
	b.t.Helper()
	return fetch.New("eu-1", opener(b.key), b.agent, b.cache(dir), wire.Announcement{})
}

// opener obeys one key.
func opener(key ed25519.PrivateKey) fetch.Opener {
	trust := wire.NewTrust(key.Public().(ed25519.PublicKey))
	return func(_ context.Context, sealed []byte, cluster fleet.ClusterName) (wire.Announcement, error) {
		a, _, err := trust.Announcement(sealed, cluster)
		return a, err
	}
}

func (b *bed) cache(dir string) *fetch.Cache {
	b.t.Helper()
	cache, err := fetch.NewCache(dir)
	check(b.t, err)
	return cache
}

// put keeps content where agents find it.
func (b *bed) put(content []byte) fleet.Digest {
	b.t.Helper()
	digest, chunks, err := wire.PackArtifact(content)
	check(b.t, err)
	check(b.t, b.hub.PutArtifact(b.t.Context(), wire.AddressOf(digest), chunks))
	return digest
}

// app puts an app of one ConfigMap that holds a word.
func (b *bed) app(name fleet.AppName, word string) fleet.DesiredApp {
	b.t.Helper()
	base, overlay := configMap(b.t, name, word)
	return fleet.DesiredApp{Name: name, Base: b.put(base.Pack()), Overlay: b.put(overlay.Pack())}
}

func configMap(t testing.TB, name fleet.AppName, word string) (base, overlay overlays.Files) {
	t.Helper()
	manifest := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {word: " + word + "}\n"
	repo := fstest.MapFS{"app/settings.yaml": {Data: []byte(manifest)}}
	app := fleet.App{Name: name, Source: fleet.Source{Path: "app/settings.yaml"}}
	source, err := overlays.Gather(repo, app)
	check(t, err)
	rendered, _, err := overlays.Render(repo, app, source, overlays.Difference{})
	check(t, err)
	return source.Files, rendered.Files
}

// index puts an index of these apps for eu-1 and returns its digest.
func (b *bed) index(apps ...fleet.DesiredApp) fleet.Digest {
	b.t.Helper()
	return b.indexFor("eu-1", apps...)
}

func (b *bed) indexFor(cluster fleet.ClusterName, apps ...fleet.DesiredApp) fleet.Digest {
	b.t.Helper()
	content, _, err := wire.EncodeIndex(wire.Index{Version: wire.Version, Cluster: cluster, Desired: fleet.Desired{Apps: apps}})
	check(b.t, err)
	return b.put(content)
}

// announcement is one for eu-1.
func announcement(epoch, sequence uint64, index fleet.Digest) wire.Announcement {
	return wire.Announcement{Version: wire.Version, Cluster: "eu-1", Epoch: epoch, Sequence: sequence, Revision: "main@sha1:1", Index: index}
}

func (b *bed) seal(a wire.Announcement) []byte { return seal(b.t, a, b.key) }

func seal(t testing.TB, a wire.Announcement, key ed25519.PrivateKey) []byte {
	t.Helper()
	sealed, err := wire.Seal(a, key)
	check(t, err)
	return sealed
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
