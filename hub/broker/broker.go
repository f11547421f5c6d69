package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
)

// Config is what a broker needs to know. Dir, Listen, TLS, Operator, Accounts and Log
// are required.
type Config struct {
	Dir            string            // where the streams are kept
	Listen         string            // "host:port"; port 0 is any that is free
	WebSocket      string            // "host:port" for NATS over WebSocket, with the same TLS; empty: none
	Monitor        string            // "host:port" of loopback for people who look at the server; empty: none
	TLS            *tls.Config       // of the server
	Operator       string            // JWT of the operator that is trusted
	Accounts       map[string]string // JWTs of its accounts, by public key
	MaxStore       int64             // bytes that the streams may take; default three quarters of the free disk
	MaxConnections int               // default DefaultMaxConnections
	Log            *slog.Logger
}

// Broker is a running NATS server.
type Broker struct {
	server    *server.Server
	webSocket bool // it listens for it
	store     server.JetStreamConfig
	log       *logger
}

const (
	startTimeout  = 30 * time.Second
	guardInterval = 5 * time.Second
	spareSpace    = 1 << 20 // bytes that must be free before storing begins again
)

// Start starts a NATS server and returns when it accepts connections.
func Start(c Config) (*Broker, error) {
	options, err := c.options()
	if err != nil {
		return nil, err
	}
	b := &Broker{
		log:       newLogger(c.Log),
		webSocket: c.WebSocket != "",
		store: server.JetStreamConfig{
			StoreDir:     c.Dir,
			MaxMemory:    options.JetStreamMaxMemory,
			MaxStore:     c.MaxStore,
			SyncInterval: syncInterval,
			Strict:       true,
		},
	}
	if b.server, err = server.NewServer(options); err != nil {
		return nil, fmt.Errorf("start NATS: %w", err)
	}
	b.server.SetLoggerV2(b.log, c.Log.Enabled(context.Background(), slog.LevelDebug), false, false)
	b.server.Start()
	ready := b.server.ReadyForConnections(startTimeout)
	if err = b.Err(); err == nil && !ready {
		err = fmt.Errorf("it is not ready after %s", startTimeout)
	}
	if err != nil {
		b.Shutdown()
		return nil, fmt.Errorf("start NATS on %s with its data in %q: %w", c.Listen, c.Dir, err)
	}
	b.store.MaxStore = b.server.JetStreamConfig().MaxStore // what was free now, not what is when the disk is full
	return b, nil
}

// ClientURL returns the address under which this machine reaches the server.
func (b *Broker) ClientURL() string {
	address, ok := b.server.Addr().(*net.TCPAddr)
	if !ok {
		return b.server.ClientURL()
	}
	host := "127.0.0.1"
	if !address.IP.IsUnspecified() {
		host = address.IP.String()
	}
	return "tls://" + net.JoinHostPort(host, strconv.Itoa(address.Port))
}

// WebSocketURL returns the address under which this machine reaches the server over
// WebSocket, or "" where it does not listen for that.
func (b *Broker) WebSocketURL() string {
	if !b.webSocket {
		return ""
	}
	u, err := url.Parse(b.server.WebsocketURL())
	if err != nil {
		return b.server.WebsocketURL()
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "" || ip != nil && ip.IsUnspecified() {
		u.Host = net.JoinHostPort("127.0.0.1", u.Port())
	}
	return u.String()
}

// InProcessConn connects to the server without a network. It is for the hub.
func (b *Broker) InProcessConn() (net.Conn, error) { return b.server.InProcessConn() }

// Err returns why the server cannot do its work, or nil while it can. After a
// write has failed, as it does on a full disk, it stores nothing more until
// [Broker.Restore].
func (b *Broker) Err() error {
	if err := b.log.fatal(); err != nil {
		return err
	}
	return b.storing()
}

// storing returns why JetStream does not take what is published. NATS switches it
// off for some failures; for others it only drops every message to one stream.
func (b *Broker) storing() error {
	const hint = "free some space under the data folder"
	if !b.server.JetStreamEnabled() {
		return fmt.Errorf("NATS has stopped storing in %q: the disk is full or fails (%s)", b.store.StoreDir, hint)
	}
	for _, problem := range b.server.Healthz(&server.HealthzOptions{Details: true}).Errors {
		if problem.Type == server.HealthzErrorStream { // the others are about folders of accounts of another identity
			return fmt.Errorf("NATS has stopped storing: %s (%s)", problem.Error, hint)
		}
	}
	return nil
}

// Restore begins to store again after that has stopped, and does nothing while all
// is well. Its error says that it was to no avail. What was published in between
// is lost, and only what was acknowledged is kept.
func (b *Broker) Restore() error {
	if b.storing() == nil {
		return nil
	}
	if err := tryDisk(b.store.StoreDir); err != nil {
		return fmt.Errorf("begin to store again: %w (free some space)", err)
	}
	if err := b.server.ShutdownJetStream(); err != nil {
		return fmt.Errorf("begin to store again: %w", err)
	}
	config := b.store
	if err := b.server.EnableJetStream(&config); err != nil {
		return fmt.Errorf("begin to store in %q again: %w (free some space)", b.store.StoreDir, err)
	}
	return b.storing()
}

// tryDisk writes and deletes a file, so that a disk that is still full is not
// taken for one that works.
func tryDisk(dir string) error {
	file, err := os.CreateTemp(dir, ".try-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // an empty disk forgives a small file
	_, err = file.Write(make([]byte, spareSpace))
	return errors.Join(err, file.Sync(), file.Close())
}

// Guard watches over the server until ctx ends: it logs when storing stops and
// tries to begin again, and it cuts the connections of who floods it. It returns nil.
func (b *Broker) Guard(ctx context.Context) error {
	tick := time.NewTicker(guardInterval)
	defer tick.Stop()
	crowd := &crowd{log: b.log.log, told: map[string]time.Time{}}
	for failing := false; ; {
		var now time.Time
		select {
		case <-ctx.Done():
			return nil
		case now = <-tick.C:
		}
		if err := crowd.look(b.server, now); err != nil {
			b.log.log.Warn("cannot look at the connections of NATS", "err", err)
		}
		err := b.storing()
		if err != nil && !failing {
			b.log.log.Error("announcements and reports are lost until this ends", "err", err)
		}
		if err != nil {
			err = b.Restore()
		}
		if err == nil && failing {
			b.log.log.Warn("NATS stores again")
		}
		failing = err != nil
	}
}

// Replace replaces JWTs of accounts, by public key. Whoever they no longer admit is
// cut off before it returns. An account whose JWT says the same as before is left
// alone: the server would forget the replies that are on their way there.
func (b *Broker) Replace(accounts map[string]string) error {
	for key, token := range accounts {
		claims, err := jwt.DecodeAccountClaims(token)
		if err != nil {
			return fmt.Errorf("replace account %q: %w", key, err)
		}
		if before, err := b.server.AccountResolver().Fetch(key); err == nil && sameAccount(before, claims) {
			continue
		}
		if err := b.server.AccountResolver().Store(key, token); err != nil {
			return fmt.Errorf("replace account %q: %w", key, err)
		}
		account, err := b.server.LookupAccount(key)
		if err != nil {
			return fmt.Errorf("replace account %q: %w", key, err)
		}
		b.server.UpdateAccountClaims(account, claims)
	}
	return nil
}

// sameAccount tells whether a JWT of an account says what claims do.
func sameAccount(before string, claims *jwt.AccountClaims) bool {
	old, err := jwt.DecodeAccountClaims(before)
	if err != nil {
		return false
	}
	now := *claims
	now.ID, now.IssuedAt, old.ID, old.IssuedAt = "", 0, "", 0
	return reflect.DeepEqual(*old, now)
}

// Connections returns how many clients are connected, the hub among them.
func (b *Broker) Connections() int { return b.server.NumClients() }

// Shutdown stops the server and waits until everything is on disk.
func (b *Broker) Shutdown() {
	b.server.Shutdown()
	b.server.WaitForShutdown()
}
