package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/broker"
	"github.com/navarch/navarch/hub/dashboard"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/hub/gate"
	"github.com/navarch/navarch/hub/repo"
	"github.com/navarch/navarch/hub/view"
)

// The defaults of [Config].
const (
	DefaultPoll       = time.Minute
	DefaultListen     = "127.0.0.1:8080"
	DefaultNATSListen = "0.0.0.0:4222"
	DefaultSeries     = dashboard.DefaultSeries

	DefaultMaxConnections = broker.DefaultMaxConnections
)

// Config is what a hub needs to know. Repository.URL, Data, Identity and Log have
// no default.
type Config struct {
	Repository    Repository
	Data          string // folder; what is in it can be derived again
	Identity      string // folder of the hub's keys; losing it means installing every agent again
	Listen        string // address of the dashboard, API and metrics; default DefaultListen
	NATS          NATS
	Join          Join
	WebhookSecret string // empty: no webhooks
	Access        Access // of people to the dashboard and the API
	Series        int    // clusters, and apps, with metrics of their own; default DefaultSeries
	Version       string
	Log           *slog.Logger
}

// Repository says where the fleet is defined.
type Repository struct {
	URL      string
	Branch   string        // default main
	Username string        // default: none
	Password string        // or token
	App      repo.App      // instead of a password; default: none
	CAFile   string        // certificates that the server's is checked against; default the system's
	SSH      repo.SSH      // needed where URL is one of ssh
	Verify   repo.Verify   // default: nothing has to be signed
	Poll     time.Duration // default DefaultPoll
}

// Join says how clusters join. Its zero value is good.
type Join struct {
	Members string        // file of who has joined; default members.json in the identity folder
	Life    time.Duration // of an agent's JWT; default enrol.DefaultLife
	URLs    []string      // of NATS as agents reach it; default the hosts with the port that NATS listens on
	Image   string        // of agents; default that of this version
}

// Run runs a hub until ctx ends. It returns early, with an error that says what to
// do, only when the hub cannot start.
func Run(ctx context.Context, c Config) error {
	c, err := c.withDefaults()
	if err != nil {
		return err
	}
	listener, err := listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	identity, err := enrol.Open(c.Identity)
	if err != nil {
		return err
	}
	var server *broker.Broker
	desk, err := enrol.OpenDesk(enrol.DeskConfig{
		Identity: identity, File: c.Join.Members, Life: c.Join.Life, Log: c.Log,
		Revoked: func(keys map[string]time.Time) error { return cutOff(server, identity, keys) },
	})
	if err != nil {
		return err
	}
	if server, err = startBroker(c, identity, desk.Roll().Revoked); err != nil {
		return err
	}
	if server != nil {
		defer server.Shutdown()
	}
	conn, err := dial(c, identity, server)
	if err != nil {
		return err
	}
	defer conn.Close()
	repository, err := openRepository(c)
	if err != nil {
		return err
	}
	board := view.NewBoard()
	deployer := newDeployer(c.Log, identity, conn, board)
	deployer.replicas = c.NATS.Replicas

	pages, err := handler(c, repository, deployer, server, conn, newDoor(c, identity, desk, server))
	if err != nil {
		return err
	}

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serve(ctx, listener, pages) })
	group.Go(func() error {
		if err := deployer.recall(ctx); err != nil {
			return err
		}
		group.Go(func() error { return conn.Reports(ctx, notePins(deployer.listener(ctx), desk)) })
		return deployer.run(ctx, repository.Commits())
	})
	group.Go(func() error {
		return conn.Enrolments(ctx, func(cluster fleet.ClusterName, sealed []byte) []byte { return desk.Answer(cluster, sealed, time.Now()) })
	})
	group.Go(func() error { return repository.Run(ctx) })
	group.Go(func() error { return guard(ctx, c.Log, server, conn) })
	group.Go(func() error { return followIdentity(ctx, identity, deployer) })
	group.Go(func() error { return desk.Run(ctx) })
	group.Go(func() error { return tellOfRepository(ctx, c, repository, board) })
	c.Log.Info("hub started", "dashboard", "http://"+listener.Addr().String(), "nats", c.NATS.Listen, "version", c.Version)
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (c Config) withDefaults() (Config, error) {
	if c.Repository.URL == "" {
		return c, errors.New("no repository given: say --repo URL")
	}
	if c.Repository.Branch == "" {
		c.Repository.Branch = "main"
	}
	if c.Repository.Poll == 0 {
		c.Repository.Poll = DefaultPoll
	}
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.NATS.Listen == "" {
		c.NATS.Listen = DefaultNATSListen
	}
	if c.Join.Members == "" {
		c.Join.Members = filepath.Join(c.Identity, enrol.RollName)
	}
	if err := c.checkURLs(); err != nil {
		return c, err
	}
	if c.Access.Audit == "" {
		c.Access.Audit = filepath.Join(filepath.Dir(c.Join.Members), gate.JournalName)
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return c, fmt.Errorf("make the data folder: %w (say --data with a folder that this user may write)", err)
	}
	return c, nil
}

// cutOff takes the credentials of some keys back. An external server learns it from
// its configuration.
func cutOff(server *broker.Broker, identity *enrol.Identity, keys map[string]time.Time) error {
	if server == nil {
		return nil
	}
	accounts, err := identity.AccountJWTsWithout(keys)
	if err != nil {
		return err
	}
	return server.Replace(accounts)
}
