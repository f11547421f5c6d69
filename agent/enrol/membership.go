package enrol

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
	"k8s.io/client-go/rest"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// Config is what a membership needs to know. Everything but Token and CA is required.
type Config struct {
	Cluster   fleet.ClusterName
	Hub       []string          // URLs of the hub's NATS server
	HubKey    ed25519.PublicKey // that signs tokens and answers
	CA        []byte            // PEM that the hub's certificate is checked against; default the system's
	Token     string            // of the install manifest; used or expired it does no harm
	Door      []byte            // NATS credentials that are good for asking
	REST      *rest.Config      // of the cluster
	Namespace string            // of the Secret that keeps the key
	Log       *slog.Logger
}

// Membership is the agent's key with what the hub signed for it last.
type Membership struct {
	config Config
	token  *wire.Token
	keep   keep
	wake   chan struct{} // the hub's NATS server refuses us

	mu  sync.Mutex
	key key
}

// Open reads the agent's key from its Secret, or makes a new one there: for a new
// agent, and for a cluster that was given another name.
func Open(ctx context.Context, c Config) (*Membership, error) {
	m := &Membership{config: c, wake: make(chan struct{}, 1)}
	if token, err := wire.ParseToken(c.Token, c.HubKey); err == nil {
		m.token = &token
	} else if c.Token != "" {
		c.Log.Warn("the token of the install manifest is of no use", "err", err)
	}
	var err error
	if m.keep, err = newKeep(c.REST, c.Namespace); err != nil {
		return nil, err
	}
	m.key, err = m.keep.open(ctx, c.Cluster)
	return m, err
}

// errNotYet is that the hub has not admitted this agent so far.
var errNotYet = errors.New("the hub has not admitted this agent yet")

// Credentials returns what to connect with, as [natsconn.Current] says.
func (m *Membership) Credentials() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.key.JWT == "" {
		return nil, errNotYet
	}
	return jwt.FormatUserConfig(m.key.JWT, m.key.Seed)
}

// Refused has Run ask the hub soon.
func (m *Membership) Refused() {
	select {
	case m.wake <- struct{}{}:
	default: // it is about to
	}
}

// How long Run waits after it has asked. After a success it waits until the renewal,
// unless NATS refuses what it got.
const (
	pause      = 2 * time.Second  // at least, whatever happens
	forPeople  = 5 * time.Second  // when a person has to approve
	forChange  = 20 * time.Second // when refused: a person may change it
	longest    = time.Minute      // when the hub does not answer
	askTimeout = 20 * time.Second
)

// Run asks the hub to admit the agent, renews what it gets after two thirds of its
// time, and calls renewed with everything new. It returns nil when ctx ends, and not
// before.
func (m *Membership) Run(ctx context.Context, renewed func()) error {
	next, earliest := m.renewal(), time.Time{}
	said, failures := "", 0
	for {
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		case <-m.wake:
			timer.Stop()
			if time.Now().Before(earliest) {
				next = earliest
				continue
			}
		}
		err := m.ask(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end is no error
		}
		earliest = time.Now().Add(pause)
		var refused *refusedError
		switch {
		case err == nil:
			next, said, failures = m.renewal(), "", 0
			renewed()
			continue
		case errors.As(err, &refused) && refused.refusal == wire.RefusedWaiting:
			next = time.Now().Add(forPeople)
		case errors.As(err, &refused):
			next = time.Now().Add(forChange)
		default:
			failures++
			next = time.Now().Add(min(longest, pause<<min(failures, 6)))
		}
		if err.Error() != said {
			said = err.Error()
			m.config.Log.Warn("the hub does not admit this agent: the cluster is kept as it is", "cluster", m.config.Cluster, "err", err)
		}
	}
}

// renewal returns when to ask next: two thirds into the life of the JWT, and at once
// where there is none.
func (m *Membership) renewal() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	claims, err := jwt.DecodeUserClaims(m.key.JWT)
	if err != nil {
		return time.Now()
	}
	issued, expires := time.Unix(claims.IssuedAt, 0), time.Unix(claims.Expires, 0)
	return issued.Add(expires.Sub(issued) * 2 / 3)
}

// refusedError is the hub's refusal, in its words.
type refusedError struct {
	refusal wire.Refusal
	message string
}

// Error returns the hub's words.
func (e *refusedError) Error() string { return e.message }

// ask asks the hub once, over a connection of its own, and keeps what it answers.
func (m *Membership) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	m.mu.Lock()
	k := m.key
	m.mu.Unlock()
	pair, err := nkeys.FromSeed(k.Seed)
	if err != nil {
		return fmt.Errorf("read the agent's key: %w", err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		return fmt.Errorf("read the agent's key: %w", err)
	}
	request := wire.EnrolRequest{Version: wire.Version, Cluster: m.config.Cluster, Key: public, Nonce: rand.Text(), JWT: k.JWT}
	sealed, err := wire.SealEnrolRequest(request, pair, m.token)
	if err != nil {
		return err
	}
	answered, err := m.send(ctx, sealed)
	if err != nil {
		return err
	}
	answer, err := wire.OpenEnrolAnswer(answered, request, m.config.HubKey)
	if err != nil {
		return err
	}
	if answer.Refusal != "" {
		return &refusedError{answer.Refusal, answer.Message}
	}
	claims, err := jwt.DecodeUserClaims(answer.JWT)
	if err != nil {
		return fmt.Errorf("read what the hub signed: %w", err)
	}
	if claims.Subject != public {
		return errors.New("the hub signed for another key than that of this agent")
	}
	k.JWT = answer.JWT
	m.mu.Lock()
	m.key = k
	m.mu.Unlock()
	m.config.Log.Info("admitted by the hub", "cluster", m.config.Cluster, "until", time.Unix(claims.Expires, 0).UTC())
	if err := m.keep.write(ctx, k); err != nil {
		m.config.Log.Warn("cannot keep what the hub signed: the next start asks again", "err", err)
	}
	return nil
}

func (m *Membership) send(ctx context.Context, sealed []byte) ([]byte, error) {
	conn, err := natsconn.Dial(natsconn.Config{
		URL: strings.Join(m.config.Hub, ","), Credentials: m.config.Door, CA: m.config.CA,
		InboxPrefix: wire.DoorInboxPrefix(m.config.Cluster), Name: "door of " + string(m.config.Cluster),
		Log: slog.New(slog.DiscardHandler), // the agent's other connection tells of what both meet
	})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.WaitConnected(ctx); err != nil {
		return nil, err
	}
	return conn.Enrol(ctx, m.config.Cluster, sealed)
}
