package natsconn_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// member is an agent with a key of its own.
type member struct {
	pair    nkeys.KeyPair
	name    string
	refused chan struct{}

	mu  sync.Mutex
	jwt string
}

func newMember(t testing.TB) *member {
	t.Helper()
	pair, err := nkeys.CreateUser()
	check(t, err)
	name, err := pair.PublicKey()
	check(t, err)
	return &member{pair: pair, name: name, refused: make(chan struct{}, 1)}
}

func (m *member) Credentials() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.jwt == "" {
		return nil, errors.New("not yet")
	}
	seed, err := m.pair.Seed()
	if err != nil {
		return nil, err
	}
	return jwt.FormatUserConfig(m.jwt, seed)
}

func (m *member) Refused() {
	select {
	case m.refused <- struct{}{}:
	default:
	}
}

// ask asks through a door and keeps what it is given.
func (m *member) ask(t testing.TB, bed *bed, door *natsconn.Conn, token *wire.Token) wire.EnrolAnswer {
	t.Helper()
	r := wire.EnrolRequest{Version: 1, Cluster: "eu-3", Key: m.name, Nonce: rand.Text()}
	sealed, err := wire.SealEnrolRequest(r, m.pair, token)
	check(t, err)
	body, err := door.Enrol(t.Context(), "eu-3", sealed)
	for range 2 { // a server that has just taken in other accounts forgets answers under way: agents ask again
		if errors.Is(err, natsconn.ErrUnavailable) {
			body, err = door.Enrol(t.Context(), "eu-3", sealed)
		}
	}
	check(t, err)
	answer, err := wire.OpenEnrolAnswer(body, r, bed.identity.PublicKey())
	check(t, err)
	m.mu.Lock()
	m.jwt = answer.JWT
	m.mu.Unlock()
	return answer
}

// TestEnrol: an agent without credentials waits at the server's door, is enrolled
// through a door of its own, connects, and is cut off when it is revoked.
func TestEnrol(t *testing.T) { everywhere(t, testEnrol) }

func testEnrol(t *testing.T, bed *bed) {
	desk, err := enrol.OpenDesk(enrol.DeskConfig{
		Identity: bed.identity, File: filepath.Join(t.TempDir(), enrol.RollName), Log: quiet(t),
		Revoked: func(keys map[string]time.Time) error {
			accounts, err := bed.identity.AccountJWTsWithout(keys)
			if err != nil {
				return err
			}
			return bed.replace(accounts)
		},
	})
	check(t, err)
	run(t, func(ctx context.Context) error {
		return bed.hub.Enrolments(ctx, func(c fleet.ClusterName, sealed []byte) []byte { return desk.Answer(c, sealed, time.Now()) })
	})
	token, err := bed.identity.NewToken(wire.Invitation{Cluster: "eu-3", Expires: time.Now().Add(time.Hour)})
	check(t, err)
	credentials, err := bed.identity.DoorCredentials("eu-3")
	check(t, err)
	door := bed.dial(natsconn.Config{URL: bed.url, CA: bed.ca, Credentials: credentials, InboxPrefix: wire.DoorInboxPrefix("eu-3")})

	m := newMember(t)
	agent, err := natsconn.Dial(natsconn.Config{
		URL: bed.url, CA: bed.ca, Current: m, InboxPrefix: wire.InboxPrefix("eu-3"), Log: quiet(t),
	})
	check(t, err)
	t.Cleanup(agent.Close)
	if answer := m.ask(t, bed, door, &token); answer.JWT == "" {
		t.Fatalf("refused: %s", answer.Message)
	}
	// It may be connecting already, and be told to while it has just succeeded: what is
	// under way then fails.
	beats := func() bool { return agent.Heartbeat(t.Context(), wire.Heartbeat{Version: 1, Cluster: "eu-3"}) == nil }
	agent.Reconnect()
	until(t, beats)

	// Renewed, the connection is another one, and works.
	made, next := agent.Connects()
	m.ask(t, bed, door, nil)
	agent.Reconnect()
	<-next
	if again, _ := agent.Connects(); again != made+1 {
		t.Errorf("%d connections after %d", again, made)
	}
	until(t, beats)

	sealed, err := bed.identity.SealCommand(enrol.VerbRevoke, "eu-3", time.Now())
	check(t, err)
	_, err = desk.Do(sealed, time.Now())
	check(t, err)
	select {
	case <-m.refused:
	case <-time.After(20 * time.Second):
		t.Fatal("the agent does not hear that it was revoked")
	}
	until(t, func() bool { return !agent.Connected() }) // of several servers another may take it until it has reloaded
	if answer := m.ask(t, bed, door, nil); answer.Refusal != wire.RefusedRevoked {
		t.Errorf("answer after revocation: %+v", answer)
	}
}

// TestDoor: who has only a door's credentials can ask for its own cluster, and that
// is all.
func TestDoor(t *testing.T) { everywhere(t, testDoor) }

func testDoor(t *testing.T, bed *bed) {
	credentials, err := bed.identity.DoorCredentials("eu-3")
	check(t, err)
	refused := newInbox[string]()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bed.ca)
	nc, err := nats.Connect(bed.url, nats.UserCredentialBytes(credentials), nats.Secure(&tls.Config{RootCAs: roots}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused.add(err.Error()) }))
	check(t, err)
	t.Cleanup(nc.Close)
	for i, subject := range []string{
		wire.EnrolSubject("us-1"), wire.ClusterSubject("eu-3"), wire.DesiredSubject("eu-3"), wire.ReportSubject("eu-3", "shop"),
		wire.DirectGet(wire.StreamDesired, wire.DesiredSubject("eu-3")), "$SYS.REQ.CLAIMS.UPDATE",
	} {
		check(t, nc.Publish(subject, nil))
		refused.wait(t, "the refusal to publish on "+subject, func(all []string) bool { return len(all) == i+1 })
	}
	for i, subject := range []string{
		">", wire.AllEnrol, wire.DesiredSubject("eu-3"), wire.InboxPrefix("eu-3") + ".>", wire.DoorInboxPrefix("us-1") + ".>",
	} {
		_, err := nc.SubscribeSync(subject)
		check(t, err)
		refused.wait(t, "the refusal to listen on "+subject, func(all []string) bool { return len(all) == 6+i+1 })
	}
}

// TestEnrolAnswerOfRevocation: a request whose answer takes credentials back is answered
// all the same, at once: the server forgets no reply that is on its way.
func TestEnrolAnswerOfRevocation(t *testing.T) {
	bed := newBed(t)
	desk, err := enrol.OpenDesk(enrol.DeskConfig{
		Identity: bed.identity, File: filepath.Join(t.TempDir(), enrol.RollName), Log: quiet(t),
		Revoked: func(keys map[string]time.Time) error {
			accounts, err := bed.identity.AccountJWTsWithout(keys)
			return errors.Join(err, bed.broker.Replace(accounts))
		},
	})
	check(t, err)
	run(t, func(ctx context.Context) error {
		return bed.hub.Enrolments(ctx, func(c fleet.ClusterName, sealed []byte) []byte { return desk.Answer(c, sealed, time.Now()) })
	})
	token, err := bed.identity.NewToken(wire.Invitation{Cluster: "eu-3", Expires: time.Now().Add(time.Hour)})
	check(t, err)
	credentials, err := bed.identity.DoorCredentials("eu-3")
	check(t, err)
	door := bed.dial(natsconn.Config{URL: bed.url, CA: bed.identity.CA(), Credentials: credentials, InboxPrefix: wire.DoorInboxPrefix("eu-3")})
	old, next := newMember(t), newMember(t)
	old.ask(t, bed, door, &token)
	r := wire.EnrolRequest{Version: 1, Cluster: "eu-3", Key: next.name, Nonce: rand.Text()}
	sealed, err := wire.SealEnrolExchange(r, next.pair, old.pair)
	check(t, err)
	_, err = door.Enrol(within(t, 5*time.Second), "eu-3", sealed)
	check(t, err)
	if answer := next.ask(t, bed, door, nil); answer.JWT == "" || desk.Roll().Revoked[old.name].IsZero() {
		t.Errorf("%+v, revoked %v", answer, desk.Roll().Revoked)
	}
}
