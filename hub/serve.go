package hub

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/navarch/navarch/hub/broker"
	"github.com/navarch/navarch/hub/dashboard"
	"github.com/navarch/navarch/hub/repo"
	"github.com/navarch/navarch/hub/view"
	"github.com/navarch/navarch/wire/natsconn"
)

// handler serves the dashboard with the API, and the webhook of the Git server
// where a secret is configured. Everything stands behind the gate.
func handler(c Config, repository *repo.Repo, d *deployer, server *broker.Broker, conn *natsconn.Conn, door *door) (http.Handler, error) {
	people, err := newPeople(c, d, door)
	if err != nil {
		return nil, err
	}
	pages := dashboard.New(dashboard.Config{
		Board:   d.board,
		Release: people.release,
		Version: c.Version,
		Metrics: d.metrics.registry,
		Series:  c.Series,
		Ready: func() error {
			if !conn.Connected() {
				return errors.New("not connected to NATS")
			}
			if server != nil {
				return server.Err()
			}
			return storing(context.Background(), conn)
		},
		People: people.forDashboard(),
	})
	if c.WebhookSecret == "" {
		return people.guard(pages, people.routes(pages, nil))
	}
	webhook, err := repository.Webhook(c.WebhookSecret)
	if err != nil {
		return nil, err
	}
	return people.guard(pages, people.routes(pages, webhook))
}

// tellOfRepository keeps the board informed of how the hub gets on with the
// repository.
func tellOfRepository(ctx context.Context, c Config, repository *repo.Repo, board *view.Board) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		status := repository.Status()
		told := view.Repository{URL: repository.URL(), Branch: c.Repository.Branch, Fetched: status.Checked}
		if status.Err != nil {
			told.Error = status.Err.Error()
		}
		board.Repository(told)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// listen opens the address of the dashboard before anything else is started, so
// that a port that is taken changes nothing.
func listen(ctx context.Context, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: the port is taken (stop what listens there, or say --listen with another port)", address)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w (say --listen HOST:PORT)", address, err)
	}
	return listener, nil
}

// serve serves HTTP until ctx ends. Live streams end with ctx as well.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close() // who is still there had two seconds
		}
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the dashboard: %w", err)
	}
	return ctx.Err()
}
