package natsconn_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/navarch/navarch/e2e/env/connectproxy"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// proxyTLS is what a proxy with https:// proves to be: a host that the system trusts.
var proxyTLS *tls.Config

// trustProxies makes an authority for proxies the system's only one, before anything
// has looked at those of this machine.
func trustProxies() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	file := filepath.Join(folder, "system.pem")
	proxyTLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return errors.Join(
		os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.Setenv("SSL_CERT_FILE", file), os.Setenv("SSL_CERT_DIR", folder+"/none"))
}

// The password of every proxy here, which nothing may tell.
const geheim = "geheim-und-still"

// behind has the agents of a bed reach their hub by a name that only a proxy knows.
func (b *bed) behind(t *testing.T, c connectproxy.Config) *connectproxy.Proxy {
	t.Helper()
	c.Hosts = map[string]string{}
	var urls []string
	for raw := range strings.SplitSeq(b.url, ",") {
		u, err := url.Parse(raw)
		check(t, err)
		named := "hub.navarch.test:" + u.Port()
		c.Hosts[named] = u.Host
		urls = append(urls, u.Scheme+"://"+named)
	}
	b.url = strings.Join(urls, ",")
	proxy, err := connectproxy.Start(t.Context(), c)
	check(t, err)
	t.Cleanup(func() { check(t, proxy.Close()) })
	return proxy
}

// useProxy sets the environment of what dials from now on.
func useProxy(t *testing.T, proxy, except string) {
	t.Helper()
	for _, name := range []string{"https_proxy", "no_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} {
		t.Setenv(name, "")
	}
	t.Setenv("HTTPS_PROXY", proxy)
	t.Setenv("NO_PROXY", except)
}

// TestProxy: whatever the kinds of proxy and of server, an agent works through it and
// through it only: nobody else knows the name of the hub.
func TestProxy(t *testing.T) { everywhere(t, testProxy) }

func testProxy(t *testing.T, bed *bed) {
	straight := bed.url
	tests := map[string]struct {
		proxy  connectproxy.Config
		scheme string
	}{
		"http":                {scheme: "http://"},
		"without a scheme":    {},
		"http, a password":    {scheme: "http://", proxy: connectproxy.Config{User: "me", Password: geheim}},
		"https":               {scheme: "https://", proxy: connectproxy.Config{TLS: proxyTLS}},
		"https, a password":   {scheme: "https://", proxy: connectproxy.Config{TLS: proxyTLS, User: "me", Password: geheim}},
		"a password of signs": {scheme: "http://", proxy: connectproxy.Config{User: "me@site", Password: geheim + ":/@%#"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bed.t, bed.url = t, straight
			proxy := bed.behind(t, test.proxy)
			address := proxy.Address()
			if test.proxy.User != "" {
				address = url.UserPassword(test.proxy.User, test.proxy.Password).String() + "@" + address
			}
			useProxy(t, test.scheme+address, "")
			said := &memory{}
			credentials, err := bed.identity.AgentCredentials("eu-1")
			check(t, err)
			agent := bed.dial(natsconn.Config{
				URL: bed.url, CA: bed.ca, Credentials: credentials, InboxPrefix: wire.InboxPrefix("eu-1"), Log: said.logger(),
			})
			check(t, agent.Heartbeat(t.Context(), wire.Heartbeat{Version: 1, Cluster: "eu-1"}))
			asked := proxy.Asked()
			if len(asked) != 1 || !strings.HasPrefix(asked[0], "hub.navarch.test:") {
				t.Errorf("the proxy was asked for %q", asked)
			}
			if proxy.Refused() > 0 {
				t.Errorf("%d times without the right credentials", proxy.Refused())
			}
			said.tellsNo(t, geheim)
		})
	}
}

// TestProxyCounts: many connections, as many through the proxy.
func TestProxyCounts(t *testing.T) {
	bed := newWebSocketBed(t)
	proxy := bed.behind(t, connectproxy.Config{})
	useProxy(t, "http://"+proxy.Address(), "")
	for range 10 {
		bed.agent("eu-1")
	}
	if got := len(proxy.Asked()); got != 10 {
		t.Errorf("10 connections, %d through the proxy", got)
	}
}

// TestNoProxy: what NO_PROXY names goes straight, and so does what is of this machine.
func TestNoProxy(t *testing.T) {
	bed := newBed(t)
	proxy, err := connectproxy.Start(t.Context(), connectproxy.Config{})
	check(t, err)
	t.Cleanup(func() { check(t, proxy.Close()) })
	useProxy(t, "http://"+proxy.Address(), ".svc,127.0.0.0/8")
	bed.agent("eu-1")
	if asked := proxy.Asked(); len(asked) > 0 {
		t.Errorf("the proxy was asked for %q", asked)
	}
}

// TestProxyIsWrong: a proxy that cannot be used is an error, which tells no password,
// and nothing goes around it.
func TestProxyIsWrong(t *testing.T) {
	refused := map[string]string{
		"no URL":   "http://me:" + geheim + "%zz@proxy:3128",
		"SOCKS":    "socks5://me:" + geheim + "@proxy:1080",
		"no host":  "http://me:" + geheim + "@",
		"no host2": "http://",
	}
	for name, proxy := range refused {
		t.Run(name, func(t *testing.T) {
			bed := newBed(t)
			useProxy(t, proxy, "")
			credentials, err := bed.identity.AgentCredentials("eu-1")
			check(t, err)
			conn, err := natsconn.Dial(natsconn.Config{URL: bed.url, CA: bed.ca, Credentials: credentials, Log: quiet(t)})
			if err == nil {
				conn.Close()
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), geheim) || !strings.Contains(err.Error(), "HTTPS_PROXY") {
				t.Error(err)
			}
		})
	}
	fails := map[string]struct {
		config   connectproxy.Config
		scheme   string
		userinfo string
		listener func(t *testing.T) string // in place of a proxy
		want     string
	}{
		"another password": {config: connectproxy.Config{User: "me", Password: "right"}, scheme: "http", userinfo: "me:" + geheim + "@", want: "it wants other credentials"},
		"no password":      {config: connectproxy.Config{User: "me", Password: geheim}, scheme: "http", want: "it wants other credentials"},
		"no TLS":           {scheme: "https", userinfo: "me:" + geheim + "@", want: "begin with TLS"},
		"TLS":              {config: connectproxy.Config{TLS: proxyTLS}, scheme: "http", userinfo: "me:" + geheim + "@", want: "read its answer"},
		"nobody there":     {scheme: "http", userinfo: "me:" + geheim + "@", want: "connection refused", listener: nobody},
		"no proxy":         {scheme: "http", userinfo: "me:" + geheim + "@", want: "what answers there is no HTTP proxy", listener: parrot},
	}
	for name, test := range fails {
		t.Run(name, func(t *testing.T) {
			bed := newBed(t)
			var address string
			if test.listener != nil {
				bed.behind(t, test.config)
				address = test.listener(t)
			} else {
				address = bed.behind(t, test.config).Address()
			}
			useProxy(t, test.scheme+"://"+test.userinfo+address, "")
			credentials, err := bed.identity.AgentCredentials("eu-1")
			check(t, err)
			said := &memory{}
			conn, err := natsconn.Dial(natsconn.Config{URL: bed.url, CA: bed.ca, Credentials: credentials, Log: said.logger()})
			check(t, err)
			t.Cleanup(conn.Close)
			said.wait(t, test.want)
			said.tellsNo(t, geheim)
			if conn.Connected() {
				t.Error("connected")
			}
		})
	}
}

// nobody is an address where nothing listens.
func nobody(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	check(t, listener.Close())
	return listener.Addr().String()
}

// parrot repeats what it hears, as no proxy does.
func parrot(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				heard := make([]byte, 4096)
				n, _ := conn.Read(heard)
				_, _ = conn.Write(heard[:n])
			}()
		}
	}()
	return listener.Addr().String()
}

// TestProxyAway: proxy and hub go and come back; the agent connects again by itself,
// with growing pauses that differ, and looks at what was announced meanwhile.
func TestProxyAway(t *testing.T) {
	bed := newWebSocketBed(t)
	straight := bed.dialHub(true)
	proxy := bed.behind(t, connectproxy.Config{})
	useProxy(t, "http://"+proxy.Address(), "")
	agent := bed.agent("eu-1")
	heard := newInbox[string]()
	run(t, desired(agent, heard))
	check(t, straight.Announce(t.Context(), "eu-1", []byte("one")))
	heard.wait(t, "the first announcement", last("one"))

	made, next := agent.Connects()
	proxy.Cut() // every connection, while the proxy goes on
	<-next
	if again, _ := agent.Connects(); again != made+1 {
		t.Errorf("%d connections after %d", again, made)
	}

	address, known := proxy.Address(), proxy.Hosts()
	check(t, proxy.Close())
	until(t, func() bool { return !agent.Connected() })
	check(t, straight.Announce(t.Context(), "eu-1", []byte("two")))
	_, next = agent.Connects()
	again, err := connectproxy.Start(t.Context(), connectproxy.Config{Listen: address, Hosts: known})
	check(t, err)
	t.Cleanup(func() { check(t, again.Close()) })
	<-next
	heard.wait(t, "what was announced meanwhile", last("two"))
	if len(again.Asked()) == 0 {
		t.Error("not through the proxy")
	}
}

// TestMixedURLs: of URLs of both kinds, whichever works is used.
func TestMixedURLs(t *testing.T) {
	bed := newWebSocketBed(t)
	webSocket := bed.url
	tls := bed.broker.ClientURL()
	gone := nobody(t)
	for name, urls := range map[string][]string{
		"only WebSocket":      {"tls://" + gone, webSocket},
		"only TLS":            {"wss://" + gone, tls},
		"both":                {tls, webSocket},
		"the wrong way round": {"wss://" + strings.TrimPrefix(tls, "tls://"), webSocket},
		"what speaks no NATS": {"tls://" + strings.TrimPrefix(webSocket, "wss://"), tls},
		"none but one":        {"wss://" + gone, "tls://" + nobody(t), "wss://" + nobody(t), webSocket},
	} {
		t.Run(name, func(t *testing.T) {
			bed.t, bed.url = t, strings.Join(urls, ",")
			agent := bed.agent("eu-1")
			check(t, agent.Heartbeat(t.Context(), wire.Heartbeat{Version: 1, Cluster: "eu-1"}))
		})
	}
}

// TestWebSocketPins: over WebSocket too, only the authority in the manifest counts: a
// proxy that opens the encryption is refused, though the system trusts its certificate.
func TestWebSocketPins(t *testing.T) {
	bed := newWebSocketBed(t)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", proxyTLS)
	check(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	var mu sync.Mutex
	var heard bytes.Buffer
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			text := make([]byte, 4096)
			n, _ := conn.Read(text)
			mu.Lock()
			heard.Write(text[:n])
			mu.Unlock()
			_ = conn.Close()
		}
	}()
	credentials, err := bed.identity.AgentCredentials("eu-1")
	check(t, err)
	said := &memory{}
	conn, err := natsconn.Dial(natsconn.Config{
		URL: "wss://" + listener.Addr().String(), CA: bed.ca, Credentials: credentials, Log: said.logger(),
	})
	check(t, err)
	t.Cleanup(conn.Close)
	said.wait(t, "certificate signed by unknown authority")
	mu.Lock()
	defer mu.Unlock()
	if heard.Len() > 0 {
		t.Errorf("it was told %q", heard.String())
	}
}

// memory keeps what is logged.
type memory struct {
	mu    sync.Mutex
	lines []string
}

// Write is part of [io.Writer].
func (m *memory) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lines = append(m.lines, string(p))
	return len(p), nil
}

func (m *memory) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(m, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (m *memory) wait(t *testing.T, word string) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("waited for %q in %q", word, m.lines)
		}
	})
	until(t, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return slices.ContainsFunc(m.lines, func(line string) bool { return strings.Contains(line, word) })
	})
}

func (m *memory) tellsNo(t *testing.T, secret string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, line := range m.lines {
		if strings.Contains(line, secret) || strings.Contains(line, url.QueryEscape(secret)) {
			t.Errorf("logged: %s", line)
		}
	}
}
