package agent

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/agent/enrol"
	"github.com/navarch/navarch/agent/fetch"
	"github.com/navarch/navarch/agent/observe"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// DefaultNamespace is where the agent keeps what it remembers.
const DefaultNamespace = "navarch-system"

// Config is what an agent needs to know. Cluster, Hub, HubKey, Door or Credentials, REST
// and Log are required.
type Config struct {
	Cluster     fleet.ClusterName
	Hub         []string          // URLs of the hub's NATS server
	HubKey      ed25519.PublicKey // that signs announcements, or did first
	Token       string            // that the cluster joins with, once
	Door        []byte            // NATS credentials that are good for asking to join
	Credentials []byte            // NATS credentials to use as they are, where there is no door
	CA          []byte            // PEM that the hub's certificate is checked against; default the system's
	KeyLife     time.Duration     // of the agent's own key; default enrol.DefaultKeyLife
	REST        *rest.Config      // of the cluster
	Namespace   string            // default DefaultNamespace
	Namespaces  []string          // the only ones that it has rights in, beside its own; none: the whole cluster
	Cache       string            // folder for content; empty: memory only
	Listen      string            // address of metrics and probes; empty: none
	Identity    string            // of this agent among those of the cluster; default the host's name
	Version     string
	Decrypter   string // the program that decrypts; default sops.Program beside this one
	Log         *slog.Logger
}

// Run runs an agent until ctx ends. It works while it holds the cluster's Lease and
// stands by while another agent does. It returns early, with an error that says what
// to do, only when it cannot start.
func Run(ctx context.Context, c Config) error {
	if c.Namespace == "" {
		c.Namespace = DefaultNamespace
	}
	if c.Identity == "" {
		var err error
		if c.Identity, err = os.Hostname(); err != nil {
			return fmt.Errorf("find a name for this agent: %w (say --identity)", err)
		}
	}
	m := newMetrics()
	c.REST = rest.CopyConfig(c.REST)
	c.REST.Wrap(m.count)
	var state state
	m.registry.MustRegister(&state)
	group, ctx := errgroup.WithContext(ctx)
	if err := listen(ctx, c, m, group, &state); err != nil {
		return err
	}
	group.Go(func() error {
		return lead(ctx, c, &state.leading, func(ctx context.Context) error { return run(ctx, c, m, &state) })
	})
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// state is what probes and metrics ask for.
type state struct {
	leading atomic.Bool
	conn    atomic.Pointer[natsconn.Conn] // nil before the first
	reports atomic.Pointer[reporter]
	watcher atomic.Pointer[observe.Watcher]
}

func (s *state) ready() error {
	if !s.leading.Load() {
		return nil // it stands by, which is all that is asked of it
	}
	if conn := s.conn.Load(); conn == nil || !conn.Connected() {
		return errors.New("not connected to the hub: the cluster is kept as it is")
	}
	return nil
}

// run is steps 9 to 13, until ctx ends.
func run(ctx context.Context, c Config, m *metrics, state *state) error {
	group, ctx := errgroup.WithContext(ctx)
	h, err := prepare(ctx, c)
	if err != nil {
		return err
	}
	if h.pins, err = enrol.OpenPins(ctx, membership(c, nil)); err != nil {
		return err
	}
	conn, err := dial(ctx, c, h.pins, group)
	if err != nil {
		return err
	}
	defer conn.Close()
	state.conn.Store(conn)
	cache, err := fetch.NewCache(c.Cache)
	if err != nil {
		return err
	}
	accepted, err := h.inventory.Accepted(ctx)
	if err != nil {
		return err
	}
	h.fetcher = fetch.New(c.Cluster, h.pins.Announcement, conn, cache, accepted)
	reports := newReporter(conn.Report, c.Log)
	state.reports.Store(reports)
	state.watcher.Store(h.watcher)
	e, err := newEvents(ctx, c)
	if err != nil {
		return err
	}
	reconciler := newReconciler(c, h, reports, e, m)
	keeper := newKeeper(h.shelf, cache, c.Log)
	heart := newHeart(conn.Heartbeat, lookAround(c, m, h), h.cluster.Dirty(), c.Log)
	receiver := &receiver{hands: h, reconciler: reconciler, keeper: keeper, heart: heart, log: c.Log, told: make(chan struct{})}
	cache.Restore(h.shelf.Contents())

	group.Go(func() error { return reconciler.run(ctx) })
	group.Go(func() error { return reports.run(ctx) })
	group.Go(func() error { return heart.run(ctx) })
	group.Go(func() error { return h.cluster.Measure(ctx) })
	group.Go(func() error { return keeper.run(ctx) })
	group.Go(func() error { return receiver.alone(ctx, cache) })
	group.Go(func() error { return again(ctx, conn, reports, heart) })
	group.Go(func() error {
		return conn.Desired(ctx, c.Cluster, func(sealed []byte) error {
			err := receiver.accept(ctx, sealed)
			if err != nil && !errors.Is(err, fetch.ErrStale) && ctx.Err() == nil {
				c.Log.Warn("announcement refused: the last accepted one stays", "err", err)
			}
			return err
		})
	})
	c.Log.Info("agent started", "cluster", c.Cluster, "version", c.Version)
	return group.Wait()
}

// membership says who the agent is and whom it obeys.
func membership(c Config, pins *enrol.Pins) enrol.Config {
	return enrol.Config{
		Cluster: c.Cluster, Hub: c.Hub, HubKey: c.HubKey, CA: c.CA, Pins: pins, KeyLife: c.KeyLife, Token: c.Token, Door: c.Door,
		REST: c.REST, Namespace: c.Namespace, Log: c.Log,
	}
}

// dial connects to the hub, and has the agent enrolled where it comes with a door.
func dial(ctx context.Context, c Config, pins *enrol.Pins, group *errgroup.Group) (*natsconn.Conn, error) {
	config := natsconn.Config{
		URL: strings.Join(c.Hub, ","), Credentials: c.Credentials, Authorities: pins.CA,
		InboxPrefix: wire.InboxPrefix(c.Cluster), Name: "agent " + string(c.Cluster), Log: c.Log,
	}
	if len(c.Door) == 0 {
		return natsconn.Dial(config)
	}
	member, err := enrol.Open(ctx, membership(c, pins))
	if err != nil {
		return nil, err
	}
	config.Current = member
	conn, err := natsconn.Dial(config)
	if err != nil {
		return nil, err
	}
	group.Go(func() error { return member.Run(ctx, conn) })
	return conn, nil
}

// prepare connects to the cluster and reads what the agent remembers.
func prepare(ctx context.Context, c Config) (*hands, error) {
	client, err := apply.NewClient(c.REST)
	if err != nil {
		return nil, err
	}
	cluster, err := observe.WatchCluster(ctx, c.REST, c.Log, c.Namespaces...)
	if err != nil {
		return nil, err
	}
	inventory, err := apply.OpenInventory(ctx, c.REST, c.Namespace)
	if err != nil {
		return nil, err
	}
	shelf, err := apply.OpenShelf(ctx, c.REST, c.Namespace)
	if err != nil {
		return nil, err
	}
	watcher, err := observe.NewWatcher(ctx, observe.WatcherConfig{REST: c.REST, Namespaces: c.Namespaces, Label: apply.LabelApp, Owned: apply.Owned, Log: c.Log})
	if err != nil {
		return nil, err
	}
	h := &hands{client: client.Within(c.Namespaces), inventory: inventory, shelf: shelf, watcher: watcher, cluster: cluster}
	return h, h.openKeys(ctx, c)
}

// again tells everything once more after every connection: the hub may have lost it.
func again(ctx context.Context, conn *natsconn.Conn, reports *reporter, heart *heart) error {
	seen := 0
	for {
		made, next := conn.Connects()
		if made != seen {
			seen = made
			reports.again()
			heart.beatSoon()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-next:
		}
	}
}

// listen serves metrics and probes where an address is configured.
func listen(ctx context.Context, c Config, m *metrics, group *errgroup.Group, state *state) error {
	if c.Listen == "" {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w (say --listen with another address, or with none)", c.Listen, err)
	}
	group.Go(func() error {
		return m.serve(ctx, listener, state.ready)
	})
	return nil
}
