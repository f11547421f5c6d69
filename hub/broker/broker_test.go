package broker_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/navarch/navarch/hub/broker"
	"github.com/navarch/navarch/hub/enrol"
)

// config is a broker for a new identity, on a port that is free.
func config(t testing.TB, identity *enrol.Identity) broker.Config {
	t.Helper()
	security, err := identity.ServerTLS(nil)
	if err != nil {
		t.Fatal(err)
	}
	operator, err := identity.OperatorJWT()
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := identity.AccountJWTs()
	if err != nil {
		t.Fatal(err)
	}
	return broker.Config{
		Dir:      t.TempDir(),
		Listen:   "127.0.0.1:0",
		TLS:      security,
		Operator: operator,
		Accounts: accounts,
		Log:      slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
}

func newIdentity(t testing.TB) *enrol.Identity {
	t.Helper()
	identity, err := enrol.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

func start(t testing.TB, c broker.Config) *broker.Broker {
	t.Helper()
	b, err := broker.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Shutdown)
	return b
}

// streams connects as the hub and returns what talks to the streams.
func streams(t testing.TB, b *broker.Broker, identity *enrol.Identity, options ...nats.Option) jetstream.JetStream {
	t.Helper()
	credentials, err := identity.HubCredentials()
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect("", append(options, nats.InProcessServer(b), nats.UserCredentialBytes(credentials))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestStart(t *testing.T) {
	identity := newIdentity(t)
	b := start(t, config(t, identity))
	if err := b.Err(); err != nil {
		t.Error(err)
	}
	js := streams(t, b, identity)
	if _, err := js.AccountInfo(t.Context()); err != nil {
		t.Error(err)
	}
	if got := b.Connections(); got != 1 {
		t.Errorf("%d connections", got)
	}
}

// TestRestart: what was kept is there again, on the same port.
func TestRestart(t *testing.T) {
	identity := newIdentity(t)
	c := config(t, identity)
	first := start(t, c)
	js := streams(t, first, identity)
	stream := jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Storage: jetstream.FileStorage}
	if _, err := js.CreateStream(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "s", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(first.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	c.Listen = u.Host
	first.Shutdown()
	second := start(t, c)
	s, err := streams(t, second, identity).Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	if message, err := s.GetLastMsgForSubject(t.Context(), "s"); err != nil || string(message.Data) != "kept" {
		t.Error(message, err)
	}
}

func TestStartFails(t *testing.T) {
	identity := newIdentity(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		change func(*broker.Config)
		want   string
	}{
		"the port is taken": {
			change: func(c *broker.Config) { c.Listen = taken.Addr().String() },
			want: fmt.Sprintf("listen for agents on %s: the port is taken (stop what listens there, or say --nats-listen HOST:PORT with another port)",
				taken.Addr()),
		},
		"no port": {
			change: func(c *broker.Config) { c.Listen = "127.0.0.1" },
			want:   "listen for agents on 127.0.0.1: listen tcp: address 127.0.0.1: missing port in address (say --nats-listen HOST:PORT)",
		},
		"an address elsewhere": {
			change: func(c *broker.Config) { c.Listen = "192.0.2.1:4222" },
			want:   "listen for agents on 192.0.2.1:4222: listen tcp 192.0.2.1:4222: bind: cannot assign requested address (say --nats-listen HOST:PORT)",
		},
		"the folder is a file": {
			change: func(c *broker.Config) { c.Dir = file },
			want:   fmt.Sprintf("make the folder of NATS: mkdir %s: not a directory (say --data with a folder that this user may write)", file),
		},
		"no operator": {
			change: func(c *broker.Config) { c.Operator = "" },
			want:   "start NATS: read the operator: expected 3 chunks",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := config(t, identity)
			test.change(&c)
			b, err := broker.Start(c)
			if err == nil {
				b.Shutdown()
			}
			if err == nil || err.Error() != test.want {
				t.Errorf("error %v\nwant  %s", err, test.want)
			}
		})
	}
}

// TestOnlyTLS: who gets in speaks TLS, and trusts and is trusted by this identity.
func TestOnlyTLS(t *testing.T) {
	identity := newIdentity(t)
	b := start(t, config(t, identity))
	address := strings.TrimPrefix(b.ClientURL(), "tls://")
	credentials, err := identity.HubCredentials()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(identity.CA())
	stranger := newIdentity(t)
	strangers, err := stranger.HubCredentials()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		options []nats.Option
		want    string // part of the error; empty: connects
	}{
		"with TLS and credentials": {
			options: []nats.Option{nats.Secure(&tls.Config{RootCAs: roots}), nats.UserCredentialBytes(credentials)},
		},
		"without credentials": {
			options: []nats.Option{nats.Secure(&tls.Config{RootCAs: roots})},
			want:    "Authorization Violation",
		},
		"another authority": {
			options: []nats.Option{nats.Secure(), nats.UserCredentialBytes(credentials)},
			want:    "certificate signed by unknown authority",
		},
		"credentials of another hub": {
			options: []nats.Option{nats.Secure(&tls.Config{RootCAs: roots}), nats.UserCredentialBytes(strangers)},
			want:    "Authorization Violation",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			nc, err := nats.Connect("nats://"+address, test.options...)
			if err == nil {
				nc.Close()
			}
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
	t.Run("without TLS", func(t *testing.T) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = conn.Write([]byte("CONNECT {}\r\nPING\r\n"))
		answer := make([]byte, 1<<16)
		n := 0
		for err == nil {
			var more int
			more, err = conn.Read(answer[n:])
			n += more
		}
		if strings.Contains(string(answer[:n]), "PONG") {
			t.Errorf("it answers %q", answer[:n])
		}
	})
}

// TestFullDisk fills the disk under the streams: the broker says so, what was kept
// survives, and after some was freed it goes on.
func TestFullDisk(t *testing.T) {
	identity := newIdentity(t)
	c := config(t, identity)
	if err := syscall.Mount("tmpfs", c.Dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("only root may make a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(c.Dir, 0); err != nil {
			t.Error(err)
		}
	})
	b := start(t, c)
	js := streams(t, b, identity)
	ctx := t.Context()
	for _, name := range []string{"keep", "fill"} {
		if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{name}, AllowDirect: true}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := js.Publish(ctx, "keep", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	ballast := c.Dir + "/ballast"
	if err := os.WriteFile(ballast, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	payload := make([]byte, 512<<10)
	var err error
	for range 20 {
		soon, cancel := context.WithTimeout(ctx, time.Second) // a message that is dropped has no answer
		_, err = js.Publish(soon, "fill", payload)
		cancel()
		if err != nil {
			break
		}
	}
	if err == nil {
		t.Fatal("the disk never gets full")
	}
	wait(t, func() bool { return b.Err() != nil })
	if got := b.Err().Error(); !strings.Contains(got, "NATS has stopped storing") || !strings.Contains(got, "no space left on device (free some space") {
		t.Error(got)
	}
	if err := b.Restore(); err == nil {
		t.Error("it stores again on a full disk")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	wait(t, func() bool { return b.Restore() == nil && b.Err() == nil })
	s, err := js.Stream(ctx, "keep")
	if err != nil {
		t.Fatal(err)
	}
	if message, err := s.GetLastMsgForSubject(ctx, "keep"); err != nil || string(message.Data) != "kept" {
		t.Error(message, err)
	}
	if _, err := js.Publish(ctx, "keep", []byte("again")); err != nil {
		t.Error(err)
	}
}

// wait waits until a condition holds.
func wait(t testing.TB, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-deadline:
			t.Fatal("this has not happened")
		case <-time.After(5 * time.Millisecond):
		}
	}
}
