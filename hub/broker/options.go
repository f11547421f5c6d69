package broker

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/navarch/navarch/wire"
)

// DefaultMaxConnections is how many connections a server has unless told otherwise.
const DefaultMaxConnections = 20_000

const (
	// syncInterval is how often what was written is brought to disk for certain. To
	// wait for that at every message takes ten to twenty times as long where messages are
	// small (see BenchmarkSync), and what a power failure takes is announced and reported
	// again.
	syncInterval = time.Second
	// maxPending is what the server keeps for a client that reads slowly before it cuts
	// the connection. An agent asks for a quarter of it at a time at most, the hub, which
	// reads reports and artifacts, for two thirds.
	maxPending = 16 << 20
	// maxSubscriptions is of one connection. The JWT of an agent says less; the hub has
	// the most: one for each kind of thing that it listens to and one for each reader.
	maxSubscriptions = 1000
	// maxTokens is of the subject of a subscription. None of the protocol has more than
	// eight.
	maxTokens = 16
	// tlsTimeout and authTimeout are what a client has before it is known, in seconds.
	// Thousands of agents come back at once.
	tlsTimeout  = 10
	authTimeout = 12
)

// options turns c into the options of the server, and checks what the server
// itself would only log.
func (c Config) options() (*server.Options, error) {
	host, port, err := probe(c.Listen, "listen for agents", "--nats-listen")
	if err != nil {
		return nil, err
	}
	webSocket, err := c.webSocket()
	if err != nil {
		return nil, err
	}
	monitorHost, monitorPort, err := c.monitor()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of NATS: %w (say --data with a folder that this user may write)", err)
	}
	operator, err := jwt.DecodeOperatorClaims(c.Operator)
	if err != nil {
		return nil, fmt.Errorf("start NATS: read the operator: %w", err)
	}
	accounts := &server.MemAccResolver{}
	for key, token := range c.Accounts {
		if err := accounts.Store(key, token); err != nil {
			return nil, fmt.Errorf("start NATS: read account %q: %w", key, err)
		}
	}
	return &server.Options{
		ServerName:             "navarch-hub",
		Host:                   host,
		Port:                   port,
		Websocket:              webSocket,
		HTTPHost:               monitorHost,
		HTTPPort:               monitorPort,
		TLS:                    true,
		TLSConfig:              c.TLS,
		TLSTimeout:             tlsTimeout,
		AuthTimeout:            authTimeout,
		TrustedOperators:       []*jwt.OperatorClaims{operator},
		AccountResolver:        accounts,
		SystemAccount:          operator.SystemAccount,
		JetStream:              true,
		StoreDir:               c.Dir,
		JetStreamMaxMemory:     64 << 20, // for consumers; every stream is on disk
		JetStreamMaxStore:      c.MaxStore,
		SyncInterval:           syncInterval,
		MaxConn:                cmp.Or(c.MaxConnections, DefaultMaxConnections),
		MaxSubs:                maxSubscriptions,
		MaxSubTokens:           maxTokens,
		MaxPayload:             wire.MaxMessage,
		MaxPending:             maxPending,
		WriteDeadline:          10 * time.Second,
		PingInterval:           time.Minute,
		NoSigs:                 true,
		DisableJetStreamBanner: true,
	}, nil
}

// webSocket returns the options of NATS over WebSocket. Nothing is compressed: what is
// large is compressed already, and who is not known yet has nothing inflated here.
func (c Config) webSocket() (server.WebsocketOpts, error) {
	if c.WebSocket == "" {
		return server.WebsocketOpts{}, nil
	}
	host, port, err := probe(c.WebSocket, "listen for WebSocket", "--nats-websocket-listen")
	return server.WebsocketOpts{
		Host:             host,
		Port:             port,
		TLSConfig:        c.TLS,
		AuthTimeout:      authTimeout,
		HandshakeTimeout: tlsTimeout * time.Second,
	}, err
}

// monitor returns where the server tells of itself. It tells who is connected and asks
// nobody for a password, so that it is for this machine only.
func (c Config) monitor() (host string, port int, err error) {
	if c.Monitor == "" {
		return "", 0, nil
	}
	name, _, err := net.SplitHostPort(c.Monitor)
	if err != nil {
		return "", 0, fmt.Errorf("monitor NATS on %s: %w (say --nats-monitor 127.0.0.1:PORT)", c.Monitor, err)
	}
	if ip, err := netip.ParseAddr(name); err != nil || !ip.IsLoopback() {
		return "", 0, fmt.Errorf("monitor NATS on %s: whoever reaches it sees who is connected, and need not say who asks (say --nats-monitor 127.0.0.1:PORT)", c.Monitor)
	}
	return probe(c.Monitor, "monitor NATS", "--nats-monitor")
}

// probe checks that an address is free and returns it in the server's terms.
func probe(listen, doing, flag string) (host string, port int, err error) {
	hint := "say " + flag + " HOST:PORT"
	listener, err := net.Listen("tcp", listen) //nolint:noctx // it does not wait for anything
	if errors.Is(err, syscall.EADDRINUSE) {
		return "", 0, fmt.Errorf("%s on %s: the port is taken (stop what listens there, or %s with another port)", doing, listen, hint)
	}
	if err != nil {
		return "", 0, fmt.Errorf("%s on %s: %w (%s)", doing, listen, err, hint)
	}
	if err := listener.Close(); err != nil {
		return "", 0, fmt.Errorf("%s on %s: %w", doing, listen, err)
	}
	host, service, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fmt.Errorf("%s on %s: %w (%s)", doing, listen, err, hint)
	}
	if port, err = net.LookupPort("tcp", service); err != nil { //nolint:noctx // a number, or a name from a file
		return "", 0, fmt.Errorf("%s on %s: %w (%s)", doing, listen, err, hint)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}
