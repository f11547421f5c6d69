package hostile

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/navarch/navarch/hub/broker"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// TestHostileLine puts something else where an agent expects the hub's NATS server. The
// agent says nothing to it that is of use, goes on trying, and can say what is wrong.
func TestHostileLine(t *testing.T) {
	identity, err := enrol.Open(t.TempDir())
	check(t, err)
	imposter, err := enrol.Open(t.TempDir())
	check(t, err)
	own, err := identity.ServerTLS(nil)
	check(t, err)
	theirs, err := imposter.ServerTLS(nil)
	check(t, err)
	old := own.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	const info = `INFO {"server_id":"X","version":"2.15.2","proto":1,"max_payload":1048576,"headers":true,"nonce":"abc"` + "}\r\n"
	const secure = `INFO {"server_id":"X","version":"2.15.2","proto":1,"max_payload":1048576,"headers":true,"tls_required":true,"nonce":"abc"` + "}\r\n"
	for name, try := range map[string]struct {
		serve func(net.Conn)
		says  string
	}{
		"another's certificate": {func(c net.Conn) { write(c, secure); handshake(c, theirs) }, "unknown authority"},
		"an old TLS":            {func(c net.Conn) { write(c, secure); handshake(c, old) }, "protocol version"},
		"no TLS":                {func(c net.Conn) { write(c, info); swallow(c) }, "begin with TLS"},
		"silence":               {swallow, "timeout"},
		"silence after INFO":    {func(c net.Conn) { write(c, secure); swallow(c) }, "begin with TLS"},
		"a byte now and then":   {drip, "timeout"},
		"a line without end":    {func(c net.Conn) { write(c, "INFO "+strings.Repeat("x", 8<<20)); swallow(c) }, "it is longer than"},
		"another protocol":      {func(c net.Conn) { write(c, "HTTP/1.1 200 OK\r\n\r\n"); swallow(c) }, "is no NATS server"},
		"garbage":               {func(c net.Conn) { write(c, "\x00\xff\r\n\r\n"); swallow(c) }, "is no NATS server"},
		"a hang-up":             {func(net.Conn) {}, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			check(t, err)
			t.Cleanup(func() { check(t, listener.Close()) })
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					go func() {
						defer conn.Close()
						try.serve(conn)
					}()
				}
			}()
			credentials, err := identity.AgentCredentials("eu-1")
			check(t, err)
			log := &logbook{}
			conn, err := natsconn.Dial(natsconn.Config{
				URL: "tls://" + listener.Addr().String(), CA: identity.CA(), Credentials: credentials, InboxPrefix: wire.InboxPrefix("eu-1"),
				Log: slog.New(slog.NewTextHandler(log, nil)),
			})
			check(t, err)
			defer conn.Close()
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				done <- conn.Desired(ctx, "eu-1", func([]byte) error { t.Error("something was announced"); return nil })
			}()
			deadline := time.After(30 * time.Second)
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for !strings.Contains(log.String(), try.says) {
				select {
				case <-tick.C:
				case <-deadline:
					t.Fatalf("it does not say %q:\n%s", try.says, log.String())
				}
			}
			if made, _ := conn.Connects(); made > 0 || conn.Connected() {
				t.Error("it has connected")
			}
			cancel()
			check(t, <-done)
		})
	}
}

func write(c net.Conn, text string) { _, _ = c.Write([]byte(text)) }

func handshake(c net.Conn, config *tls.Config) {
	secured := tls.Server(c, config)
	_ = secured.HandshakeContext(context.Background())
	swallow(secured)
}

// swallow reads until the other side has had enough.
func swallow(c net.Conn) {
	buffer := make([]byte, 4096)
	for {
		if _, err := c.Read(buffer); err != nil {
			return
		}
	}
}

// drip begins a line and never ends it.
func drip(c net.Conn) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := c.Write([]byte("I")); err != nil {
			return
		}
	}
}

// TestGHSA7xg2 (Karmada): the hub's NATS server speaks nothing but TLS 1.3, whose cipher
// suites are all good, whatever a client offers.
func TestGHSA7xg2(t *testing.T) {
	identity, err := enrol.Open(t.TempDir())
	check(t, err)
	security, err := identity.ServerTLS(nil)
	check(t, err)
	operator, err := identity.OperatorJWT()
	check(t, err)
	accounts, err := identity.AccountJWTs()
	check(t, err)
	server, err := broker.Start(broker.Config{
		Dir: t.TempDir(), Listen: "127.0.0.1:0", TLS: security, Operator: operator, Accounts: accounts, Log: slog.New(slog.DiscardHandler),
	})
	check(t, err)
	t.Cleanup(server.Shutdown)
	address := strings.TrimPrefix(server.ClientURL(), "tls://")
	weak := []uint16{tls.TLS_RSA_WITH_RC4_128_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, tls.TLS_RSA_WITH_AES_128_CBC_SHA}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(identity.CA())
	for name, config := range map[string]*tls.Config{
		"TLS 1.0":      {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10},
		"TLS 1.1":      {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
		"TLS 1.2":      {MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12},
		"weak ciphers": {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS12, CipherSuites: weak},
		"TLS 1.3":      {MinVersion: tls.VersionTLS13},
	} {
		config.RootCAs, config.ServerName = roots, "127.0.0.1"
		conn, err := net.Dial("tcp", address)
		check(t, err)
		if _, err := conn.Read(make([]byte, 4096)); err != nil { // INFO comes before TLS
			t.Fatal(err)
		}
		client := tls.Client(conn, config)
		err = client.HandshakeContext(t.Context())
		if good := name == "TLS 1.3"; good != (err == nil) || !good && !strings.Contains(err.Error(), "protocol version") {
			t.Errorf("%s: %v", name, err)
		}
		check(t, conn.Close())
	}
}
