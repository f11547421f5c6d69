package natsconn

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// proxy opens TCP connections, through an HTTP proxy where the environment names one.
// No error of it holds what the proxy's URL says besides its address: there may be a
// password in it.
type proxy struct {
	choose func(*url.URL) (*url.URL, error)
}

const (
	proxyHint = "set HTTPS_PROXY to http://HOST:PORT or https://HOST:PORT"
	maxAnswer = 16 << 10 // bytes of a proxy's answer
)

// proxyFromEnvironment reads HTTPS_PROXY and NO_PROXY, in capitals or not. A proxy that
// cannot be used is an error: to connect without it could be what it is to prevent.
func proxyFromEnvironment() (proxy, error) {
	environment := httpproxy.FromEnvironment()
	if environment.HTTPSProxy == "" {
		return proxy{choose: func(*url.URL) (*url.URL, error) { return nil, nil }}, nil
	}
	if !strings.Contains(environment.HTTPSProxy, "://") {
		environment.HTTPSProxy = "http://" + environment.HTTPSProxy
	}
	u, err := url.Parse(environment.HTTPSProxy)
	if err != nil || u.Hostname() == "" {
		return proxy{}, fmt.Errorf("the proxy in HTTPS_PROXY is no URL (%s)", proxyHint)
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return proxy{}, fmt.Errorf("the proxy in HTTPS_PROXY has scheme %q (%s)", u.Scheme, proxyHint)
	}
	return proxy{choose: environment.ProxyFunc()}, nil
}

// dial connects to "host:port". Behind a proxy it is the proxy who looks the name up.
func (p proxy) dial(ctx context.Context, address string) (net.Conn, error) {
	u, err := p.choose(&url.URL{Scheme: "https", Host: address})
	if err != nil {
		return nil, fmt.Errorf("find the proxy for %s: it is no URL (%s)", address, proxyHint)
	}
	network := net.Dialer{Timeout: dialTimeout}
	if u == nil {
		return network.DialContext(ctx, "tcp", address)
	}
	conn, err := network.DialContext(ctx, "tcp", proxyAddress(u))
	if err != nil {
		return nil, fmt.Errorf("connect to the proxy: %w", err)
	}
	tunnel, err := encrypt(ctx, conn, func(conn net.Conn) (net.Conn, error) {
		if u.Scheme == "https" {
			secured := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname()})
			if err := secured.HandshakeContext(ctx); err != nil {
				return nil, fmt.Errorf("begin with TLS: %w", err)
			}
			conn = secured
		}
		return conn, ask(conn, u, address)
	})
	if err != nil {
		return nil, fmt.Errorf("connect through the proxy at %s: %w", proxyAddress(u), err)
	}
	return tunnel, nil
}

// ask asks a proxy to connect to an address.
func ask(conn net.Conn, u *url.URL, address string) error {
	request := fmt.Sprintf("CONNECT %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: navarch\r\n", address, address)
	if u.User != nil {
		password, _ := u.User.Password()
		request += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)) + "\r\n"
	}
	if _, err := conn.Write([]byte(request + "\r\n")); err != nil {
		return err
	}
	head, err := readUntil(conn, "\r\n\r\n", maxAnswer)
	if err != nil {
		return fmt.Errorf("read its answer: %w", err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return errors.New("what answers there is no HTTP proxy")
	}
	defer answer.Body.Close()
	switch status := answer.StatusCode; {
	case status == http.StatusProxyAuthRequired:
		return errors.New("it wants other credentials (set HTTPS_PROXY to http://USER:PASSWORD@HOST:PORT)")
	case status/100 != 2:
		return fmt.Errorf("it refuses to connect to %s: status %d %s (have it allow that address)", address, status, http.StatusText(status))
	}
	return nil
}

// proxyAddress returns "host:port" of a proxy.
func proxyAddress(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	port := "80"
	if u.Scheme == "https" {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), port)
}
