package broker_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/broker"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
)

// yard is a running broker that listens wherever it can, and what attackers need.
type yard struct {
	*broker.Broker
	t        *testing.T
	identity *enrol.Identity
	roots    *x509.CertPool
	config   broker.Config
}

func newYard(t *testing.T, changes ...func(*broker.Config)) *yard {
	t.Helper()
	identity := newIdentity(t)
	c := config(t, identity)
	c.WebSocket, c.Monitor = "127.0.0.1:0", "127.0.0.1:0"
	for _, change := range changes {
		change(&c)
	}
	y := &yard{t: t, identity: identity, roots: x509.NewCertPool(), config: c, Broker: start(t, c)}
	y.roots.AppendCertsFromPEM(identity.CA())
	js := streams(t, y.Broker, identity)
	for name, subjects := range map[string][]string{
		wire.StreamDesired: {wire.AllDesired}, wire.StreamArtifacts: {wire.AllArtifacts}, wire.StreamReports: {wire.AllReports, wire.AllClusters},
	} {
		if _, err := js.CreateStream(t.Context(), streamOf(name, subjects)); err != nil {
			t.Fatal(err)
		}
	}
	return y
}

// agent connects as the agent of a cluster, by the client of NATS.
func (y *yard) agent(t *testing.T, cluster fleet.ClusterName, options ...nats.Option) *nats.Conn {
	t.Helper()
	credentials, err := y.identity.AgentCredentials(cluster)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(y.ClientURL(), append([]nats.Option{
		nats.UserCredentialBytes(credentials), nats.Secure(&tls.Config{RootCAs: y.roots}), nats.CustomInboxPrefix(wire.InboxPrefix(cluster)),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// hub connects as the hub.
func (y *yard) hub(t *testing.T) *nats.Conn {
	t.Helper()
	credentials, err := y.identity.HubCredentials()
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect("", nats.InProcessServer(y.Broker), nats.UserCredentialBytes(credentials))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// works tells whether the server still does what it is for.
func (y *yard) works(t *testing.T) {
	t.Helper()
	if err := y.Err(); err != nil {
		t.Fatal(err)
	}
	answer, err := y.agent(t, "witness").Request(wire.ClusterSubject("witness"), []byte("{}"), 5*time.Second)
	if err != nil || !bytes.Contains(answer.Data, []byte(wire.StreamReports)) {
		t.Fatalf("the server does not work any more: %v", err)
	}
}

// talk is a connection on which a test says what it likes. Its reads have an end.
type talk struct {
	net.Conn
	t     *testing.T
	in    *bufio.Reader
	nonce string
}

// dial connects over TLS and has read the server's first line.
func (y *yard) dial(t *testing.T) *talk {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(y.ClientURL(), "tls://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	var line []byte
	for one := make([]byte, 1); !bytes.HasSuffix(line, []byte("\r\n")); line = append(line, one...) {
		if _, err := conn.Read(one); err != nil {
			t.Fatal(err)
		}
	}
	var info struct{ Nonce string }
	if err := json.Unmarshal(bytes.TrimPrefix(line, []byte("INFO ")), &info); err != nil {
		t.Fatal(err)
	}
	secured := tls.Client(conn, &tls.Config{RootCAs: y.roots, ServerName: "127.0.0.1"})
	if err := secured.Handshake(); err != nil {
		t.Fatal(err)
	}
	return &talk{Conn: secured, t: t, in: bufio.NewReader(secured), nonce: info.Nonce}
}

// say writes as much as the server takes.
func (k *talk) say(format string, values ...any) { _, _ = fmt.Fprintf(k, format, values...) }

// hear returns everything that the server says up to a word, or until it hangs up.
func (k *talk) hear(until string) string {
	var heard strings.Builder
	for until == "" || !strings.Contains(heard.String(), until) {
		line, err := k.in.ReadString('\n')
		heard.WriteString(line)
		if err != nil {
			return heard.String()
		}
	}
	return heard.String()
}

// connect says who connects, with more words than a client would use.
func (k *talk) connect(key nkeys.KeyPair, token string, more map[string]any) {
	k.t.Helper()
	signed, err := key.Sign([]byte(k.nonce))
	if err != nil {
		k.t.Fatal(err)
	}
	said := map[string]any{"jwt": token, "sig": base64.RawURLEncoding.EncodeToString(signed), "verbose": false, "protocol": 1, "headers": true, "no_responders": true}
	for name, value := range more {
		said[name] = value
	}
	line, err := json.Marshal(said)
	if err != nil {
		k.t.Fatal(err)
	}
	k.say("CONNECT %s\r\nPING\r\n", line)
}

// agentKey is the key of an agent with what the hub signed for it.
func (y *yard) agentKey(t *testing.T, cluster fleet.ClusterName, life time.Duration) (nkeys.KeyPair, string) {
	t.Helper()
	key, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := y.identity.AgentJWT(cluster, public, time.Now().Add(life))
	if err != nil {
		t.Fatal(err)
	}
	return key, token
}

// account returns the public key of an account by its name.
func (y *yard) account(t *testing.T, name string) string {
	t.Helper()
	for key, token := range y.config.Accounts {
		claims, err := jwt.DecodeAccountClaims(token)
		if err != nil {
			t.Fatal(err)
		}
		if claims.Name == name {
			return key
		}
	}
	t.Fatalf("there is no account %q", name)
	return ""
}

// upgrade asks for WebSocket at a path, with more headers, and returns the connection and
// the status.
func (y *yard) upgrade(t *testing.T, path string, headers ...string) (*talk, int) {
	t.Helper()
	u, err := url.Parse(y.WebSocketURL())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", u.Host, &tls.Config{RootCAs: y.roots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	k := &talk{Conn: conn, t: t, in: bufio.NewReader(conn)}
	k.say("GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
		path, u.Host, strings.Join(append(headers, ""), "\r\n"))
	response, err := http.ReadResponse(k.in, &http.Request{Method: http.MethodGet}) //nolint:bodyclose // what follows is WebSocket
	if err != nil {
		return k, 0
	}
	return k, response.StatusCode
}

// CloseWrite tells the server that nothing more comes.
func (k *talk) CloseWrite() error {
	if conn, ok := k.Conn.(*tls.Conn); ok {
		return conn.CloseWrite()
	}
	return nil
}

// deflated is so many zeros, compressed.
func deflated(size int) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(make([]byte, size))
	_ = w.Flush()
	return b.Bytes()
}
