package natsconn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// What a caller can do about an error: every other error is one that the same
// call would meet again.
var (
	// ErrUnavailable means that the server was not reached or did not answer: the call
	// may be repeated, at the latest after the next connection.
	ErrUnavailable = errors.New("the hub's NATS server does not answer")
	// ErrNotFound means that nothing is kept under that name, or not yet.
	ErrNotFound = errors.New("nothing is kept there")
)

const (
	requestTimeout = 10 * time.Second
	dialTimeout    = 5 * time.Second
	pingInterval   = 30 * time.Second // twice unanswered: the connection is lost
	maxDelay       = 10 * time.Second // between two attempts to connect
	maxInFlight    = 64               // messages that wait for the server at once
)

// Config says where the server is and who connects. URL or InProcess, Credentials or
// Current, and Log are required.
type Config struct {
	URL         string        // of the server, or of several with commas between; see [wire.ParseURL]
	InProcess   Server        // a server in this process, instead of URL
	Credentials []byte        // content of a NATS credentials file
	Current     Current       // credentials that change, instead of Credentials
	CA          []byte        // PEM of the authority to trust; default those of the system
	Authorities func() []byte // instead of CA, where that changes with time: asked at every attempt to connect
	InboxPrefix string        // where answers go; default "_INBOX"
	Name        string        // for people who look at the server's connections
	Refresh     time.Duration // how often [Conn.Desired] looks, give or take half; default 5 minutes
	Log         *slog.Logger
}

// Current is what has the credentials of a connection, where they change with time.
type Current interface {
	// Credentials returns the content of a NATS credentials file, for the next attempt to
	// connect; an error says that there is none yet.
	Credentials() ([]byte, error)
	// Refused is told that the server does not take what Credentials returned, or takes
	// it no longer. It returns at once.
	Refused()
}

// Server is a NATS server in the same process.
type Server interface {
	InProcessConn() (net.Conn, error)
}

// Conn is a connection to the hub's NATS server that is made again whenever it is
// lost. It is for any number of goroutines.
type Conn struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	current Current // nil: the credentials do not change
	log     *slog.Logger
	refresh time.Duration
	memory  *semaphore.Weighted // for artifacts

	mu       sync.Mutex
	made     int           // connections so far
	next     chan struct{} // closed when the next is made
	failures int           // attempts to connect since the last that succeeded
	replicas int           // of the streams; see EnsureStreams
}

// Dial begins to connect and returns at once: a server that cannot be reached is
// tried again until Close. An error means that c itself is of no use.
func Dial(c Config) (*Conn, error) {
	conn := &Conn{log: c.Log, current: c.Current, refresh: c.Refresh, next: make(chan struct{}), memory: newMemory()}
	if conn.refresh == 0 {
		conn.refresh = 5 * time.Minute
	}
	options, err := c.options(conn)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	if conn.nc, err = nats.Connect("", options...); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	if conn.js, err = jetstream.New(conn.nc); err != nil {
		conn.nc.Close()
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return conn, nil
}

func (c Config) options(conn *Conn) ([]nats.Option, error) {
	credentials, err := c.authenticate()
	if err != nil {
		return nil, err
	}
	options := []nats.Option{
		nats.Name(c.Name),
		credentials,
		nats.Timeout(dialTimeout),
		nats.PingInterval(pingInterval),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(delay),
		nats.IgnoreAuthErrorAbort(),    // the server may know us again after its next start
		nats.IgnoreDiscoveredServers(), // where to connect is said here, not by the server
		nats.ReconnectBufSize(-1),      // what cannot be sent now is said anew later
		nats.ConnectHandler(conn.connected),
		nats.ReconnectHandler(conn.connected),
		nats.DisconnectErrHandler(conn.disconnected),
		nats.ReconnectErrHandler(conn.notConnected),
		nats.ErrorHandler(conn.failed),
	}
	if c.InboxPrefix != "" {
		options = append(options, nats.CustomInboxPrefix(c.InboxPrefix))
	}
	if c.InProcess != nil {
		return append(options, nats.InProcessServer(c.InProcess)), nil
	}
	dialer, servers, err := newDialer(c)
	if err != nil {
		return nil, err
	}
	return append(options, nats.SetCustomDialer(dialer), nats.SkipHostLookup(), func(o *nats.Options) error {
		o.Servers = servers
		return nil
	}), nil
}

// authenticate returns how to say who connects.
func (c Config) authenticate() (nats.Option, error) {
	if c.Current == nil {
		if _, err := nkeys.ParseDecoratedJWT(c.Credentials); err != nil {
			return nil, fmt.Errorf("read the credentials: %w", err)
		}
		if _, err := nkeys.ParseDecoratedUserNKey(c.Credentials); err != nil {
			return nil, fmt.Errorf("read the credentials: %w", err)
		}
		return nats.UserCredentialBytes(c.Credentials), nil
	}
	token := func() (string, error) {
		credentials, err := c.Current.Credentials()
		if err != nil {
			return "", fmt.Errorf("%w: %w", errNoCredentials, err)
		}
		return nkeys.ParseDecoratedJWT(credentials)
	}
	sign := func(nonce []byte) ([]byte, error) {
		credentials, err := c.Current.Credentials()
		if err != nil {
			return nil, err
		}
		key, err := nkeys.ParseDecoratedUserNKey(credentials)
		if err != nil {
			return nil, err
		}
		return key.Sign(nonce)
	}
	return func(o *nats.Options) error { // nats.UserJWT would want credentials at once
		o.UserJWT, o.SignatureCB = token, sign
		return nil
	}, nil
}

// errNoCredentials is that there are none so far, which is no news to who has them.
var errNoCredentials = errors.New("no credentials yet")

// delay returns how long to wait before an attempt to connect, counted from 1. It
// differs between agents, so that they do not all come back at once.
func delay(attempt int) time.Duration {
	longest := min(maxDelay, 250*time.Millisecond<<min(max(attempt, 1)-1, 10))
	return jitter(longest*3/4, longest/4)
}

// jitter returns d, give or take up to spread.
func jitter(d, spread time.Duration) time.Duration {
	return d - spread + rand.N(2*spread) //nolint:gosec // it only has to spread
}

// Close ends the connection and everything that uses it.
func (c *Conn) Close() { c.nc.Close() }

// Reconnect ends the connection and makes it again at once, with the credentials of
// now. What is under way meanwhile fails with [ErrUnavailable].
func (c *Conn) Reconnect() {
	_ = c.nc.ForceReconnect() // it fails only after Close
}

// Connected tells whether there is a connection now.
func (c *Conn) Connected() bool { return c.nc.IsConnected() }

// Connects returns how many connections were made so far, and a channel that is
// closed when the next is made. Who compares the number with the one seen last
// misses none.
func (c *Conn) Connects() (made int, next <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.made, c.next
}

// WaitConnected returns when the first connection is made, or ctx ends.
func (c *Conn) WaitConnected(ctx context.Context) error {
	made, next := c.Connects()
	if made > 0 {
		return nil
	}
	select {
	case <-next:
		return nil
	case <-ctx.Done():
		if err := c.nc.LastError(); err != nil {
			return fmt.Errorf("connect to NATS: %w: %w", ctx.Err(), err)
		}
		return fmt.Errorf("connect to NATS: %w", ctx.Err())
	}
}

func (c *Conn) connected(nc *nats.Conn) {
	c.mu.Lock()
	c.failures = 0
	c.made++
	made := c.made
	close(c.next)
	c.next = make(chan struct{})
	c.mu.Unlock()
	c.log.Debug("connected to NATS", "server", nc.ConnectedAddr(), "connection", made)
}

// refused tells who has the credentials that the server does not take them.
func (c *Conn) refused(err error) {
	if c.current == nil {
		return
	}
	for _, refusal := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired} {
		if errors.Is(err, refusal) {
			c.current.Refused()
			return
		}
	}
}

func (c *Conn) disconnected(nc *nats.Conn, err error) {
	c.refused(err)
	if nc.IsClosed() {
		return
	}
	c.log.Warn("connection to NATS lost: connecting again", "err", err)
}

// notConnected hears of every attempt to connect that failed, and tells people of
// the first.
func (c *Conn) notConnected(_ *nats.Conn, err error) {
	c.refused(err)
	c.mu.Lock()
	c.failures++
	first := c.failures == 1
	c.mu.Unlock()
	if first {
		c.log.Warn("cannot connect to NATS: trying again until it works", "err", err)
		return
	}
	c.log.Debug("cannot connect to NATS", "err", err)
}

// failed hears of what no call returns: credentials or a subject that the server
// does not accept.
func (c *Conn) failed(_ *nats.Conn, _ *nats.Subscription, err error) {
	c.refused(err)
	if errors.Is(err, errNoCredentials) {
		return
	}
	c.log.Warn("NATS reports an error", "err", err)
}

// request sends a request and returns the answer.
func (c *Conn) request(ctx context.Context, subject string, body []byte) (*nats.Msg, error) {
	limited, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answer, err := c.nc.RequestWithContext(limited, subject, body)
	switch {
	case err == nil:
		return answer, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrBadSubject):
		return nil, err
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// kept returns the message that a stream keeps for a subject.
func (c *Conn) kept(ctx context.Context, directGet string) ([]byte, error) {
	answer, err := c.request(ctx, directGet, nil)
	if errors.Is(err, nats.ErrNoResponders) {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err) // the stream is not made yet, or not up again
	}
	if err != nil {
		return nil, err
	}
	switch status := answer.Header.Get("Status"); status {
	case "":
		return answer.Data, nil
	case "404":
		return nil, ErrNotFound
	default:
		return nil, fmt.Errorf("%w: status %s %s", ErrUnavailable, status, answer.Header.Get("Description"))
	}
}

// publish makes body the kept message of a subject.
func (c *Conn) publish(ctx context.Context, subject string, body []byte) error {
	answer, err := c.request(ctx, subject, body)
	if err != nil {
		return err
	}
	var ack struct {
		Stream string `json:"stream"`
		Error  *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return fmt.Errorf("%w: read its acknowledgment: %w", ErrUnavailable, err)
	}
	switch { // a server that has too much to do names the stream and an error
	case ack.Error != nil:
		return fmt.Errorf("%w: it does not store: %s", ErrUnavailable, ack.Error.Description)
	case ack.Stream == "":
		return fmt.Errorf("%w: what answers is no stream", ErrUnavailable)
	}
	return nil
}

// publishAll makes every body the kept message of its subject, several at a time.
func (c *Conn) publishAll(ctx context.Context, bodies map[string][]byte) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxInFlight)
	for subject, body := range bodies {
		group.Go(func() error { return c.publish(ctx, subject, body) })
	}
	return group.Wait()
}
