package enrol

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// signed is a JWT that is good for so long from now.
func signed(t *testing.T, life time.Duration) (k key) {
	t.Helper()
	account, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := user.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.NewUserClaims(public)
	claims.Expires = time.Now().Add(life).Unix()
	if k.JWT, err = claims.Encode(account); err != nil {
		t.Fatal(err)
	}
	if k.Seed, err = user.Seed(); err != nil {
		t.Fatal(err)
	}
	return k
}

func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		m := &Membership{key: signed(t, 90*24*time.Hour)}
		if got := m.renewal().Sub(start); got != 60*24*time.Hour {
			t.Errorf("a JWT of 90 days is renewed after %s", got)
		}
		time.Sleep(100 * 24 * time.Hour) //nolint:forbidigo // the bubble has a clock of its own
		if !m.renewal().Before(time.Now()) {
			t.Error("an expired JWT is not renewed at once")
		}
		m.key.JWT = "damaged"
		if !m.renewal().Equal(time.Now()) {
			t.Error("a damaged JWT is not replaced at once")
		}
	})
}

func TestCredentials(t *testing.T) {
	m := &Membership{}
	if _, err := m.Credentials(); !errors.Is(err, errNotYet) {
		t.Errorf("credentials before the hub has admitted: %v", err)
	}
	m.key = signed(t, time.Hour)
	credentials, err := m.Credentials()
	if err != nil {
		t.Fatal(err)
	}
	if token, err := nkeys.ParseDecoratedJWT(credentials); err != nil || token != m.key.JWT {
		t.Errorf("credentials with the JWT %q: %v", token, err)
	}
}

// TestRefused: who is told of many refusals asks once, and nobody waits.
func TestRefused(t *testing.T) {
	m := &Membership{wake: make(chan struct{}, 1)}
	for range 10 {
		m.Refused()
	}
	<-m.wake
	select {
	case <-m.wake:
		t.Error("asks twice")
	default:
	}
}
