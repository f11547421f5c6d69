package natsconn_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// TestAuthorities: a connection asks at every attempt whom it trusts, so that what was
// learned since counts without a start.
func TestAuthorities(t *testing.T) {
	b := newBed(t)
	other, err := enrol.Open(t.TempDir())
	check(t, err)
	credentials, err := b.identity.AgentCredentials("eu-1")
	check(t, err)
	var trusted atomic.Pointer[[]byte]
	trust := func(pem []byte) { trusted.Store(&pem) }
	trust(b.identity.CA())
	asked := make(chan struct{}, 1000)
	conn := b.dial(natsconn.Config{
		URL: b.url, Credentials: credentials, InboxPrefix: wire.InboxPrefix("eu-1"), Name: "eu-1",
		Authorities: func() []byte { asked <- struct{}{}; return *trusted.Load() },
	})
	trust(other.CA())
	conn.Reconnect()
	for len(asked) > 0 {
		<-asked
	}
	for range 2 { // when it is asked again, the attempt before has failed
		<-asked
	}
	if made, _ := conn.Connects(); made != 1 || conn.Connected() {
		t.Errorf("connected %d times to a server of an authority that it does not trust", made)
	}
	_, next := conn.Connects()
	trust(b.identity.CA())
	select {
	case <-next:
	case <-within(t, 20*time.Second).Done():
		t.Error("not connected with the authority that it trusts now")
	}
	if _, err := natsconn.Dial(natsconn.Config{URL: b.url, Credentials: credentials, Authorities: func() []byte { return []byte("none") }}); err == nil {
		t.Error("text that holds no certificate is an authority")
	}
}
