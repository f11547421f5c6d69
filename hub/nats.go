package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/navarch/navarch/hub/broker"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// NATS says how the hub talks to its agents.
type NATS struct {
	Listen         string   // address of the embedded server; default DefaultNATSListen
	WebSocket      string   // address where it speaks WebSocket too; default none
	Monitor        string   // address of loopback where it tells of itself; default none
	MaxConnections int      // that it takes; default DefaultMaxConnections
	Hosts          []string // names under which agents reach it, for its certificate
	URL            string   // of an external server, or several with commas between; empty: the embedded one
	CA             []byte   // PEM that its certificate is checked against; default the system's
	Replicas       int      // of what is kept; default three where the external servers are a cluster, else one
}

// checkURLs refuses what would only fail when agents use it.
func (c Config) checkURLs() error {
	if c.NATS.URL != "" {
		for _, url := range strings.Split(c.NATS.URL, ",") {
			if _, err := wire.ParseURL(url); err != nil {
				return fmt.Errorf("--nats-url: %w", err)
			}
		}
		if c.NATS.WebSocket != "" || c.NATS.Monitor != "" {
			return errors.New("--nats-websocket-listen and --nats-monitor are of the embedded NATS server: with --nats-url there is none")
		}
	}
	for _, url := range c.Join.URLs {
		if _, err := wire.ParseURL(url); err != nil {
			return fmt.Errorf("--agent-urls: %w", err)
		}
	}
	return nil
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
		Dir:            filepath.Join(c.Data, "nats"),
		Listen:         c.NATS.Listen,
		WebSocket:      c.NATS.WebSocket,
		Monitor:        c.NATS.Monitor,
		MaxConnections: c.NATS.MaxConnections,
		TLS:            certificate,
		Operator:       operator,
		Accounts:       accounts,
		Log:            c.Log,
	})
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

// guard watches over NATS until ctx ends, and says when nothing is kept and when that
// is over.
func guard(ctx context.Context, log *slog.Logger, server *broker.Broker, conn *natsconn.Conn) error {
	if server != nil {
		return server.Guard(ctx)
	}
	tick := time.NewTicker(lookAtNATS)
	defer tick.Stop()
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := storing(ctx, conn)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !failing:
			log.Error("announcements and reports are lost until this ends", "err", err)
		case err == nil && failing:
			log.Warn("NATS stores again")
		}
		failing = err != nil
	}
}

const (
	lookAtNATS  = 5 * time.Second
	storingTime = 3 * time.Second
)

// storing returns why external servers do not keep what is announced, or nil.
func storing(ctx context.Context, conn *natsconn.Conn) error {
	soon, cancel := context.WithTimeout(ctx, storingTime)
	defer cancel()
	if err := conn.Storing(soon); err != nil {
		return fmt.Errorf("NATS has stopped storing: %w (of three servers two have to run)", err)
	}
	return nil
}
