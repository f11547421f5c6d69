package natsconn

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/navarch/navarch/wire"
)

// dialer makes the connections of the NATS client, which knows nothing of TLS,
// WebSocket and proxies: what dial returns is encrypted, and its other end has proved
// to be the one that the URL names.
//
// The client could do some of it, but not all: it does not mix URLs of both kinds, it
// looks names up itself, which a site behind a proxy cannot, and it knows no proxies.
type dialer struct {
	urls  map[string]*url.URL // by "host:port", which is all that the client says
	roots func() (*x509.CertPool, error)
	proxy proxy
}

const (
	handshakeTimeout = 2 * dialTimeout // of proxy, TLS and WebSocket together
	maxInfo          = 64 << 10        // bytes of the first line of a server
)

// newDialer returns the dialer for some URLs with commas between, and the same
// servers as the client knows them.
func newDialer(c Config) (*dialer, []string, error) {
	d := &dialer{urls: map[string]*url.URL{}, roots: c.roots}
	var servers []string
	for raw := range strings.SplitSeq(c.URL, ",") {
		u, err := wire.ParseURL(strings.TrimSpace(raw))
		if err != nil {
			return nil, nil, err
		}
		if other, ok := d.urls[u.Host]; ok {
			if *other != *u {
				return nil, nil, fmt.Errorf("the URLs of NATS %q and %q are of one address (leave one of them out)", other, u)
			}
			continue
		}
		d.urls[u.Host] = u
		servers = append(servers, "nats://"+u.Host)
	}
	_, err := c.roots()
	if err != nil {
		return nil, nil, err
	}
	d.proxy, err = proxyFromEnvironment()
	return d, servers, err
}

// Dial connects to one of the servers. It is what the NATS client calls.
func (d *dialer) Dial(_, address string) (net.Conn, error) {
	u, ok := d.urls[address]
	if !ok {
		return nil, fmt.Errorf("dial %q: nobody named this server", address)
	}
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	conn, err := d.dial(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", u, err)
	}
	return conn, nil
}

// SkipTLSHandshake tells the client that TLS is there already.
func (d *dialer) SkipTLSHandshake() bool { return true }

func (d *dialer) dial(ctx context.Context, u *url.URL) (net.Conn, error) {
	if u.Scheme == wire.SchemeWebSocket {
		return d.webSocket(ctx, u)
	}
	conn, err := d.proxy.dial(ctx, u.Host)
	if err != nil {
		return nil, err
	}
	return encrypt(ctx, conn, func(conn net.Conn) (net.Conn, error) {
		// A NATS server says one line before it begins with TLS.
		info, err := readUntil(conn, "\r\n", maxInfo)
		if err != nil {
			return nil, fmt.Errorf("read the first line of the server: %w", err)
		}
		if !bytes.HasPrefix(info, []byte("INFO ")) {
			return nil, errors.New("what answers there is no NATS server")
		}
		secured, err := d.secure(ctx, conn, u.Hostname())
		if err != nil {
			return nil, err
		}
		return &told{Conn: secured, line: info}, nil
	})
}

// secure has the other end of a connection prove that it is a host.
func (d *dialer) secure(ctx context.Context, conn net.Conn, host string) (*tls.Conn, error) {
	roots, err := d.roots()
	if err != nil {
		return nil, err
	}
	secured := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host, RootCAs: roots})
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("begin with TLS: %w", err)
	}
	return secured, nil
}

// encrypt makes an encrypted connection out of one that is not, until ctx ends. Where
// that fails it closes it.
func encrypt(ctx context.Context, conn net.Conn, with func(net.Conn) (net.Conn, error)) (net.Conn, error) {
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	encrypted, err := with(conn)
	if err != nil {
		_ = conn.Close() // why it is of no use is the error to tell
		return nil, err
	}
	return encrypted, conn.SetDeadline(time.Time{})
}

// told is a connection whose first line was read already, and is read again.
type told struct {
	net.Conn
	line []byte
}

// Read is part of [net.Conn].
func (t *told) Read(p []byte) (int, error) {
	if len(t.line) == 0 {
		return t.Conn.Read(p)
	}
	n := copy(p, t.line)
	t.line = t.line[n:]
	return n, nil
}

// readUntil reads up to an ending and not a byte more: what follows belongs to
// somebody else.
func readUntil(conn net.Conn, ending string, most int) ([]byte, error) {
	line := make([]byte, 0, 1024)
	next := make([]byte, 1)
	for !bytes.HasSuffix(line, []byte(ending)) {
		if len(line) == most {
			return nil, fmt.Errorf("it is longer than %d bytes", most)
		}
		if _, err := conn.Read(next); err != nil {
			return nil, err
		}
		line = append(line, next...)
	}
	return slices.Clip(line), nil
}
