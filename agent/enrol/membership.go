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
	HubKey    ed25519.PublicKey // that the install manifest names
	CA        []byte            // PEM that the install manifest has; default the system's
	Pins      *Pins             // whom the agent obeys, beginning with HubKey and CA
	KeyLife   time.Duration     // after which the agent exchanges its key; default DefaultKeyLife
	Token     string            // of the install manifest; used or expired it does no harm
	Door      []byte            // NATS credentials that are good for asking
	REST      *rest.Config      // of the cluster
	Namespace string            // of the Secret that keeps the key
	Log       *slog.Logger
}

// DefaultKeyLife is how old the key of an agent becomes.
const DefaultKeyLife = 365 * 24 * time.Hour

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
	if c.KeyLife == 0 {
		m.config.KeyLife = DefaultKeyLife
	}
	if token, err := wire.ReadToken(c.Token); err == nil {
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
// time, and has conn connect anew with everything new. It returns nil when ctx ends,
// and not before.
func (m *Membership) Run(ctx context.Context, conn *natsconn.Conn) error {
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
		confirming := m.held().Former != nil
		err := m.ask(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end is no error
		}
		earliest = time.Now().Add(pause)
		var refused *refusedError
		switch {
		case err == nil:
			said, failures = "", 0
			if !confirming {
				m.use(ctx, conn)
			}
			next = m.renewal() // at once, where the hub waits to hear from a new key
		case errors.As(err, &refused) && refused.refusal == wire.RefusedWaiting:
			next = time.Now().Add(forPeople)
		case errors.As(err, &refused):
			next = time.Now().Add(forChange)
		default:
			failures++
			next = time.Now().Add(min(longest, pause<<min(failures, 6)))
		}
		if err != nil && err.Error() != said {
			said = err.Error()
			m.config.Log.Warn("the hub does not admit this agent: the cluster is kept as it is", "cluster", m.config.Cluster, "err", err)
		}
	}
}

// renewal returns when to ask next: two thirds into the life of the JWT, and at once
// where there is none, or where an exchange of the key has begun and not ended.
func (m *Membership) renewal() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.key.Next != nil || m.key.Former != nil {
		return time.Now()
	}
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

func (m *Membership) held() key {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.key
}

func (m *Membership) hold(k key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.key = k
}

// use connects with what the hub signed last, and waits a while until that is done.
func (m *Membership) use(ctx context.Context, conn *natsconn.Conn) {
	before, _ := conn.Connects()
	conn.Reconnect()
	deadline := time.NewTimer(askTimeout)
	defer deadline.Stop()
	for {
		made, next := conn.Connects()
		if made > before {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-deadline.C:
			return
		case <-next:
		}
	}
}

// ask asks the hub once to be admitted, and exchanges the key where that is begun or
// due. What goes wrong in between is repeated the next time, with the same keys.
func (m *Membership) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if m.held().Next == nil {
		due, err := m.renew(ctx)
		if err != nil || !due {
			return err
		}
		if err := m.prepare(ctx); err != nil {
			m.config.Log.Warn("cannot keep a new key: the agent goes on with the one that it has", "err", err)
			return nil
		}
	}
	err := m.exchange(ctx)
	if refused := new(refusedError); errors.As(err, &refused) {
		m.config.Log.Warn("the hub does not take a new key for the old one: the agent goes on with the old one", "err", err)
		k := m.held()
		k.Next = nil
		m.hold(k)
		_, err = m.renew(ctx)
	}
	return err
}

// renew asks with the key that the agent has, and keeps what the hub answers. It
// tells whether another key is due.
func (m *Membership) renew(ctx context.Context) (due bool, err error) {
	k := m.held()
	confirming := k.Former != nil
	answer, err := m.admit(ctx, k.Seed, nil, k.JWT)
	refused := new(refusedError)
	if errors.As(err, &refused) && refused.refusal == wire.RefusedKey && confirming {
		answer, err = m.admit(ctx, k.Seed, k.Former, k.JWT) // the hub has lost what it knew of the exchange
	} else {
		k.Former = nil // the hub has heard from this key, or does not know either
	}
	if err != nil {
		return false, err
	}
	k.JWT = answer.JWT
	m.hold(k)
	if err := m.keep.write(ctx, k); err != nil {
		m.config.Log.Warn("cannot keep what the hub signed: the next start asks again", "err", err)
	}
	return !confirming && (answer.Exchange || time.Since(k.Made) > m.config.KeyLife), nil
}

// prepare makes the next key, and keeps it before anybody hears of it.
func (m *Membership) prepare(ctx context.Context) error {
	k := m.held()
	var err error
	if k.Next, err = newSeed(); err != nil {
		return err
	}
	if err := m.keep.write(ctx, k); err != nil {
		return err
	}
	m.hold(k)
	return nil
}

// exchange asks for the next key to take the place of the one that the agent has. The
// old one stays good until the hub hears from the new one alone.
func (m *Membership) exchange(ctx context.Context) error {
	k := m.held()
	answer, err := m.admit(ctx, k.Next, k.Seed, k.JWT)
	if err != nil {
		return err
	}
	next := key{Cluster: k.Cluster, Seed: k.Next, JWT: answer.JWT, Made: time.Now(), Former: k.Seed}
	if err := m.keep.write(ctx, next); err != nil {
		return err // it would be lost with the agent
	}
	m.hold(next)
	m.config.Log.Info("the agent's key was exchanged", "cluster", m.config.Cluster)
	return nil
}

// admit sends one request by the key with a seed, and by the one that it takes the
// place of where former is the seed of one. It returns the hub's answer, which admits
// the key.
func (m *Membership) admit(ctx context.Context, seed, former []byte, token string) (wire.EnrolAnswer, error) {
	var none wire.EnrolAnswer
	pair, err := nkeys.FromSeed(seed)
	if err != nil {
		return none, fmt.Errorf("read the agent's key: %w", err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		return none, fmt.Errorf("read the agent's key: %w", err)
	}
	request := wire.EnrolRequest{Version: wire.Version, Cluster: m.config.Cluster, Key: public, Nonce: rand.Text(), JWT: token}
	sealed, err := m.seal(request, pair, former)
	if err != nil {
		return none, err
	}
	answered, err := m.send(ctx, sealed)
	if err != nil {
		return none, err
	}
	answer, err := m.config.Pins.answer(ctx, answered, request)
	if err != nil {
		return none, err
	}
	if answer.Refusal != "" {
		return none, &refusedError{answer.Refusal, answer.Message}
	}
	claims, err := jwt.DecodeUserClaims(answer.JWT)
	if err != nil {
		return none, fmt.Errorf("read what the hub signed: %w", err)
	}
	if claims.Subject != public {
		return none, errors.New("the hub signed for another key than that of this agent")
	}
	m.config.Log.Info("admitted by the hub", "cluster", m.config.Cluster, "until", time.Unix(claims.Expires, 0).UTC())
	return answer, nil
}

func (m *Membership) seal(request wire.EnrolRequest, pair nkeys.KeyPair, former []byte) ([]byte, error) {
	if former == nil {
		return wire.SealEnrolRequest(request, pair, m.token)
	}
	before, err := nkeys.FromSeed(former)
	if err != nil {
		return nil, fmt.Errorf("read the agent's key of before: %w", err)
	}
	return wire.SealEnrolExchange(request, pair, before)
}

func (m *Membership) send(ctx context.Context, sealed []byte) ([]byte, error) {
	conn, err := natsconn.Dial(natsconn.Config{
		URL: strings.Join(m.config.Hub, ","), Credentials: m.config.Door, Authorities: m.config.Pins.CA,
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
