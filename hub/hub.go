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
	"github.com/navarch/navarch/hub/repo"
	"github.com/navarch/navarch/hub/view"
	"github.com/navarch/navarch/wire/natsconn"
)

// The defaults of [Config].
const (
	DefaultPoll       = time.Minute
	DefaultListen     = "127.0.0.1:8080"
	DefaultNATSListen = "0.0.0.0:4222"
	DefaultSeries     = dashboard.DefaultSeries
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
	Poll     time.Duration // default DefaultPoll
}

// NATS says how the hub talks to its agents.
type NATS struct {
	Listen string   // address of the embedded server; default DefaultNATSListen
	Hosts  []string // names under which agents reach it, for its certificate
	URL    string   // of an external server; empty: the embedded one
	CA     []byte   // PEM that its certificate is checked against; default the system's
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
	repository, err := repo.Open(repo.Config{
		URL:      c.Repository.URL,
		Branch:   c.Repository.Branch,
		Username: c.Repository.Username,
		Password: c.Repository.Password,
		Poll:     c.Repository.Poll,
		Dir:      filepath.Join(c.Data, "repository"),
		Log:      c.Log,
	})
	if err != nil {
		return err
	}
	board := view.NewBoard()
	deployer := newDeployer(c.Log, identity.SigningKey(), conn, board)

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
		group.Go(func() error { return conn.Reports(ctx, deployer.listener(ctx)) })
		return deployer.run(ctx, repository.Commits())
	})
	group.Go(func() error {
		return conn.Enrolments(ctx, func(cluster fleet.ClusterName, sealed []byte) []byte { return desk.Answer(cluster, sealed, time.Now()) })
	})
	group.Go(func() error { return repository.Run(ctx) })
	if server != nil {
		group.Go(func() error { return server.Guard(ctx) })
		group.Go(func() error { return server.Disperse(ctx) })
	}
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
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return c, fmt.Errorf("make the data folder: %w (say --data with a folder that this user may write)", err)
	}
	return c, nil
}

// startBroker starts the embedded NATS server; with an external one there is none.
func startBroker(c Config, identity *enrol.Identity, revoked map[string]time.Time) (*broker.Broker, error) {
	if c.NATS.URL != "" {
		return nil, nil
	}
	operator, err := identity.OperatorJWT()
	if err != nil {
		return nil, err
	}
	accounts, err := identity.AccountJWTsWithout(revoked)
	if err != nil {
		return nil, err
	}
	certificate, err := identity.ServerTLS(c.NATS.Hosts)
	if err != nil {
		return nil, err
	}
	return broker.Start(broker.Config{
		Dir:      filepath.Join(c.Data, "nats"),
		Listen:   c.NATS.Listen,
		TLS:      certificate,
		Operator: operator,
		Accounts: accounts,
		Log:      c.Log,
	})
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

// dial connects the hub to the embedded server, or to the external one.
func dial(c Config, identity *enrol.Identity, server *broker.Broker) (*natsconn.Conn, error) {
	credentials, err := identity.HubCredentials()
	if err != nil {
		return nil, err
	}
	config := natsconn.Config{Credentials: credentials, Name: "navarch-hub", Log: c.Log}
	if server == nil {
		config.URL, config.CA = c.NATS.URL, c.NATS.CA
	} else {
		config.InProcess = server
	}
	return natsconn.Dial(config)
}
