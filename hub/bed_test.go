package hub

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/navarch/navarch/e2e/env/gitserver"
	"github.com/navarch/navarch/e2e/env/natsserver"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/broker"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/hub/repo"
	"github.com/navarch/navarch/hub/view"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// bed is a deployer on a real Git server and a real NATS server. The test pushes,
// and says what agents say.
type bed struct {
	t           *testing.T
	identity    *enrol.Identity
	identityDir string
	config      broker.Config
	broker      *broker.Broker
	servers     *natsserver.Cluster // nil: the server is in the hub
	conn        *natsconn.Conn
	agents      map[fleet.ClusterName]*natsconn.Conn
	work        *gitserver.WorkDir
	repo        repo.Config

	key      ed25519.PrivateKey // that signs; the identity's
	deployer *deployer
	board    *view.Board
	nudge    func()
}

func newBed(t *testing.T, files map[string]string) *bed {
	t.Helper()
	server, err := gitserver.Start(t.TempDir())
	check(t, err)
	t.Cleanup(func() { check(t, server.Close()) })
	url, err := server.Create("fleet")
	check(t, err)
	work, err := gitserver.Clone(t.Context(), url, t.TempDir())
	check(t, err)
	identityDir := t.TempDir()
	identity, err := enrol.Open(identityDir)
	check(t, err)
	security, err := identity.ServerTLS(nil)
	check(t, err)
	operator, err := identity.OperatorJWT()
	check(t, err)
	accounts, err := identity.AccountJWTs()
	check(t, err)
	b := &bed{
		t: t, identity: identity, identityDir: identityDir, key: identity.SigningKey(), work: work, agents: map[fleet.ClusterName]*natsconn.Conn{},
		config: broker.Config{
			Dir: t.TempDir(), Listen: "127.0.0.1:0", TLS: security, Operator: operator, Accounts: accounts, Log: discard,
		},
		repo: repo.Config{URL: url, Poll: time.Hour, Dir: filepath.Join(t.TempDir(), "repository")},
	}
	b.broker, err = broker.Start(b.config)
	check(t, err)
	t.Cleanup(func() { b.broker.Shutdown() })
	b.push("first", files)
	return b
}

// push commits files and pushes them; those without content are removed.
func (b *bed) push(message string, files map[string]string) (revision string) {
	b.t.Helper()
	files = maps.Clone(files)
	for name, content := range files {
		if content == "" {
			check(b.t, b.work.Remove(name))
			delete(files, name)
		}
	}
	pushed, err := b.work.Publish(b.t.Context(), message, files)
	check(b.t, err)
	if b.nudge != nil {
		b.nudge()
	}
	return "main@sha1:" + pushed.Commit
}

// start starts a hub that knows only what the NATS server keeps.
func (b *bed) start() (stop func()) {
	b.t.Helper()
	credentials, err := b.identity.HubCredentials()
	check(b.t, err)
	config := natsconn.Config{InProcess: b.broker, Credentials: credentials, Log: b.config.Log}
	if b.servers != nil {
		config.InProcess, config.URL, config.CA = nil, b.servers.URLs(), b.servers.CA
	}
	b.conn, err = natsconn.Dial(config)
	check(b.t, err)
	repository, err := repo.Open(b.repo)
	check(b.t, err)
	b.board, b.nudge = view.NewBoard(), repository.Nudge
	d := newDeployer(b.config.Log, b.identity, b.conn, b.board)
	b.deployer = d
	check(b.t, d.recall(b.t.Context()))
	ctx, cancel := context.WithCancel(b.t.Context())
	var group sync.WaitGroup
	for _, run := range []func() error{
		func() error { return d.run(ctx, repository.Commits()) },
		func() error { return repository.Run(ctx) },
		func() error { return b.conn.Reports(ctx, d.listener(ctx)) },
	} {
		group.Go(func() {
			if err := run(); err != nil && !errors.Is(err, context.Canceled) {
				b.t.Error(err)
			}
		})
	}
	stop = sync.OnceFunc(func() {
		cancel()
		group.Wait()
		b.conn.Close()
	})
	b.t.Cleanup(stop)
	return stop
}

// agent is the connection of a cluster's agent.
func (b *bed) agent(cluster fleet.ClusterName) *natsconn.Conn {
	b.t.Helper()
	if conn := b.agents[cluster]; conn != nil {
		return conn
	}
	credentials, err := b.identity.AgentCredentials(cluster)
	check(b.t, err)
	config := natsconn.Config{
		URL: b.broker.ClientURL(), CA: b.identity.CA(), Credentials: credentials, InboxPrefix: wire.InboxPrefix(cluster), Log: b.config.Log,
	}
	if b.servers != nil {
		config.URL, config.CA = b.servers.URLs(), b.servers.CA
	}
	conn, err := natsconn.Dial(config)
	check(b.t, err)
	b.t.Cleanup(conn.Close)
	check(b.t, conn.WaitConnected(b.t.Context()))
	b.agents[cluster] = conn
	return conn
}

// say reports as an agent.
func (b *bed) say(r wire.Report) {
	b.t.Helper()
	r.Version = wire.Version
	check(b.t, b.agent(r.Cluster).Report(b.t.Context(), r))
}

// beat sends a heartbeat as the agent that has accepted an announcement.
func (b *bed) beat(cluster fleet.ClusterName, accepted wire.Announcement) {
	b.t.Helper()
	check(b.t, b.agent(cluster).Heartbeat(b.t.Context(), wire.Heartbeat{
		Version: wire.Version, Cluster: cluster, Epoch: accepted.Epoch, Sequence: accepted.Sequence, Index: accepted.Index,
	}))
}

// told is the announcement that a cluster finds, and what its index says.
func (b *bed) told(cluster fleet.ClusterName) (wire.Announcement, fleet.Desired) {
	b.t.Helper()
	kept, err := b.conn.KeptAnnouncements(b.t.Context())
	check(b.t, err)
	if kept[cluster] == nil {
		return wire.Announcement{}, fleet.Desired{}
	}
	a, err := wire.Open(kept[cluster], b.key.Public().(ed25519.PublicKey), cluster)
	check(b.t, err)
	content, err := b.conn.Artifact(b.t.Context(), a.Index)
	check(b.t, err)
	index, err := wire.DecodeIndex(content, cluster)
	check(b.t, err)
	for _, app := range index.Apps {
		for _, digest := range []fleet.Digest{app.Overlay, app.Base} {
			if _, err := b.conn.Artifact(b.t.Context(), digest); err != nil {
				b.t.Errorf("announced before it was stored: %v", err)
			}
		}
	}
	return a, index.Desired
}

// apps waits until a cluster is told to run these apps, and returns the announcement.
func (b *bed) apps(cluster fleet.ClusterName, want ...fleet.AppName) wire.Announcement {
	b.t.Helper()
	var a wire.Announcement
	b.until("the announcement to "+string(cluster), func() bool {
		var desired fleet.Desired
		a, desired = b.told(cluster)
		if a.Sequence == 0 || len(desired.Apps) != len(want) {
			return false
		}
		for i, app := range desired.Apps {
			if app.Name != want[i] {
				return false
			}
		}
		return true
	})
	return a
}

// handled waits until the hub has done with the commit of a revision, and returns
// what is on the board then.
func (b *bed) handled(revision string) *view.Snapshot {
	b.t.Helper()
	var s *view.Snapshot
	b.until("the commit to be handled", func() bool {
		s = b.board.Snapshot(time.Now())
		if s.Latest == nil || s.Latest.Revision != revision {
			return false
		}
		return !s.Latest.Accepted || s.Hold != nil && s.Hold.Revision == revision || s.Announced != nil && s.Announced.Revision == revision
	})
	return s
}

// held waits until something waits for a person.
func (b *bed) held() *view.Hold {
	b.t.Helper()
	var hold *view.Hold
	b.until("something to be held", func() bool { hold = b.board.Snapshot(time.Now()).Hold; return hold != nil })
	return hold
}

// quiet waits until everything that was said before was taken in and acted upon.
func (b *bed) quiet() {
	b.t.Helper()
	for range 2 { // when the second is heard, the first has been passed on
		before := b.board.Received().Heartbeats
		b.beat("witness", wire.Announcement{})
		b.until("the witness to be heard", func() bool { return b.board.Received().Heartbeats > before })
	}
	b.until("every signal to be taken", func() bool { return len(b.deployer.signals) == 0 })
	if err := b.deployer.Release(b.t.Context(), "no revision"); err == nil { // it waits for its turn
		b.t.Error("released what does not exist")
	}
}

func (b *bed) until(what string, holds func() bool) {
	b.t.Helper()
	deadline := time.After(30 * time.Second)
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

var discard = slog.New(slog.DiscardHandler)
