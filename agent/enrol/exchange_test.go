package enrol_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/navarch/navarch/agent/enrol"
	hubenrol "github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
)

// rotate is a person's wish that the agent exchange its key.
func (b *bed) rotate() {
	b.t.Helper()
	sealed, err := b.identity.SealCommand(hubenrol.VerbRotate, "eu-1", time.Now())
	check(b.t, err)
	_, err = b.desk.Do(sealed, time.Now())
	check(b.t, err)
}

// public is the public half of a kept seed, "" where there is none.
func public(t *testing.T, seed []byte) string {
	t.Helper()
	if seed == nil {
		return ""
	}
	pair, err := nkeys.FromSeed(seed)
	check(t, err)
	key, err := pair.PublicKey()
	check(t, err)
	return key
}

// exchanged waits until the member's key is another one than before, the agent has it,
// and nothing of the exchange is left.
func (b *bed) exchanged(before string) {
	b.t.Helper()
	b.until("the exchange to end", func() bool {
		m, kept := b.desk.Roll().Members["eu-1"], b.kept()
		return m.Key != before && m.Next == "" && !m.Exchange && public(b.t, kept["seed"]) == m.Key && kept["next"] == nil && kept["former"] == nil
	})
	if b.desk.Roll().Revoked[before].IsZero() {
		b.t.Error("the old key is still good")
	}
}

// TestExchangeEndsAnywhere ends an agent, or the hub, at every step of an exchange.
// Right then, with the hub's desk away, the agent that starts has a key that NATS
// takes; and with the desk back, the exchange comes to its end.
func TestExchangeEndsAnywhere(t *testing.T) {
	away := func(wire.EnrolRequest, func() []byte) []byte { return nil }
	for name, when := range map[string]func(b *bed, reached chan<- struct{}) (func(wire.EnrolRequest, func() []byte) []byte, func(*http.Request) bool){
		"the new key cannot be kept": func(_ *bed, reached chan<- struct{}) (func(wire.EnrolRequest, func() []byte) []byte, func(*http.Request) bool) {
			var written atomic.Int64
			return nil, func(r *http.Request) bool { // the first write keeps a JWT for the old one
				return isKeySecret(r) && written.Add(1) > 1 && reach(reached)
			}
		},
		"the hub does not hear of it": func(_ *bed, reached chan<- struct{}) (func(wire.EnrolRequest, func() []byte) []byte, func(*http.Request) bool) {
			return func(r wire.EnrolRequest, answer func() []byte) []byte {
				if r.Former != "" && reach(reached) {
					return nil
				}
				return answer()
			}, nil
		},
		"the answer is lost": func(_ *bed, reached chan<- struct{}) (func(wire.EnrolRequest, func() []byte) []byte, func(*http.Request) bool) {
			return func(r wire.EnrolRequest, answer func() []byte) []byte {
				said := answer()
				if r.Former != "" && reach(reached) {
					return nil
				}
				return said
			}, nil
		},
		"the answer cannot be kept": func(_ *bed, reached chan<- struct{}) (func(wire.EnrolRequest, func() []byte) []byte, func(*http.Request) bool) {
			var written atomic.Int64
			return nil, func(r *http.Request) bool {
				return isKeySecret(r) && written.Add(1) > 2 && reach(reached)
			}
		},
		"the hub does not hear from the new key": func(b *bed, reached chan<- struct{}) (func(wire.EnrolRequest, func() []byte) []byte, func(*http.Request) bool) {
			return func(r wire.EnrolRequest, answer func() []byte) []byte {
				if r.Former == "" && b.desk.Roll().Members["eu-1"].Next == r.Key && reach(reached) {
					return nil
				}
				return answer()
			}, nil
		},
		"the hub's last answer is lost": func(b *bed, reached chan<- struct{}) (func(wire.EnrolRequest, func() []byte) []byte, func(*http.Request) bool) {
			return func(r wire.EnrolRequest, answer func() []byte) []byte {
				last := r.Former == "" && b.desk.Roll().Members["eu-1"].Next == r.Key
				said := answer()
				if last && reach(reached) {
					return nil
				}
				return said
			}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			conn, stop := b.agent()
			check(t, conn.WaitConnected(t.Context()))
			b.until("the key to be kept with its JWT", func() bool { return len(b.kept()["jwt"]) > 0 })
			before := b.desk.Roll().Members["eu-1"].Key

			reached := make(chan struct{}, 100)
			b.faults(when(b, reached))
			b.rotate()
			<-reached
			stop()
			b.faults(away, nil)
			conn, stop = b.agent()
			if err := conn.WaitConnected(t.Context()); err != nil {
				t.Error("the key that is kept does not work:", err)
			}
			stop()
			b.faults(nil, nil)
			conn, _ = b.agent()
			b.exchanged(before)
			check(t, conn.WaitConnected(t.Context()))
		})
	}
}

// reach says that a step was reached, and returns true.
func reach(reached chan<- struct{}) bool {
	select {
	case reached <- struct{}{}:
	default: // often enough
	}
	return true
}

func isKeySecret(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/secrets/"+enrol.SecretName)
}

// TestExchangeByAge: an agent exchanges its key by itself when that has become old, and
// once only.
func TestExchangeByAge(t *testing.T) {
	b := newBed(t)
	conn, stop := b.agent()
	check(t, conn.WaitConnected(t.Context()))
	b.until("the key to be kept with its JWT", func() bool { return len(b.kept()["jwt"]) > 0 })
	stop()
	before := b.desk.Roll().Members["eu-1"].Key
	b.edit("made", []byte(time.Now().Add(-2*enrol.DefaultKeyLife).UTC().Format(time.RFC3339)))
	b.edit("jwt", nil) // so that it asks now
	_, stop = b.agent()
	b.exchanged(before)
	stop()
	if made, err := time.Parse(time.RFC3339, string(b.kept()["made"])); err != nil || time.Since(made) > time.Minute {
		t.Errorf("the new key is of %s: %v", made, err)
	}
	if n := len(b.desk.Roll().Revoked); n != 1 {
		t.Errorf("%d keys were exchanged", n)
	}
}

// TestExchangeRefused: an agent whose hub does not take another key goes on with the
// one that it has.
func TestExchangeRefused(t *testing.T) {
	b := newBed(t)
	conn, _ := b.agent()
	check(t, conn.WaitConnected(t.Context()))
	before := b.desk.Roll().Members["eu-1"].Key
	refused := make(chan struct{}, 100)
	b.faults(func(r wire.EnrolRequest, answer func() []byte) []byte {
		if r.Former == "" {
			return answer()
		}
		// As a hub answers that does not know of exchanges, to a key that it does not know.
		reach(refused)
		sealed, err := wire.SealEnrolAnswer(wire.EnrolAnswer{
			Version: 1, Cluster: r.Cluster, Nonce: r.Nonce, Refusal: wire.RefusedKey, Message: "is a member with another key",
		}, b.identity.SigningKey())
		if err != nil {
			t.Error(err)
		}
		return sealed
	}, nil)
	made, _ := conn.Connects()
	b.rotate()
	<-refused
	b.until("the agent to come back", func() bool { again, _ := conn.Connects(); return again > made && conn.Connected() })
	b.until("the next key to be forgotten", func() bool { k := b.kept(); return k["next"] == nil && public(t, k["seed"]) == before })
}
