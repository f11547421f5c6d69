package wire

import (
	"fmt"
	"net/url"
	"strings"
)

// The kinds of URLs of NATS: over TLS, and over WebSocket over TLS.
const (
	SchemeTLS       = "tls"
	SchemeWebSocket = "wss"
)

// ParseURL checks one URL under which a NATS server is reached, and returns it with its
// port: tls://HOST:PORT or wss://HOST:PORT/PATH. The ports are 4222 and 443 unless said
// otherwise.
func ParseURL(raw string) (*url.URL, error) {
	const hint = "say tls://HOST:PORT or wss://HOST"
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("the URL of NATS cannot be read (%s)", hint) // it may hold a password
	}
	if u.User != nil {
		return nil, fmt.Errorf("the URL of NATS at %q has a credential in it, which everybody could read (%s)", u.Host, hint)
	}
	switch {
	case u.Host == "":
		return nil, fmt.Errorf("the URL of NATS %q names no host (%s)", raw, hint)
	case u.Scheme != SchemeTLS && u.Scheme != SchemeWebSocket:
		return nil, fmt.Errorf("the URL of NATS %q has scheme %q: connections are always encrypted (%s)", raw, u.Scheme, hint)
	case u.Hostname() == "" || strings.HasSuffix(u.Host, ":"):
		return nil, fmt.Errorf("the URL of NATS %q lacks a host or a port (%s)", raw, hint)
	case u.RawQuery != "" || u.Fragment != "" || u.Scheme == SchemeTLS && u.Path != "":
		return nil, fmt.Errorf("the URL of NATS %q has more than a host and a port (%s)", raw, hint)
	}
	if u.Port() == "" {
		port := ":4222"
		if u.Scheme == SchemeWebSocket {
			port = ":443"
		}
		u.Host += port
	}
	return u, nil
}
