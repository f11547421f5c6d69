package hub

import (
	"net/http"
	"testing"
	"time"

	"github.com/navarch/navarch/hub/access"
	"github.com/navarch/navarch/hub/enrol"
)

// TestAccessTokenAfterExchange: a person's token outlives an exchange of the key that
// signed it, while the hub runs, and ends when that key is retired.
func TestAccessTokenAfterExchange(t *testing.T) {
	b := newBed(t, repository("shop"))
	p := servePeople(t, b, Config{})
	old := p.token(access.Viewer, "", "")
	want := func(when, token string, status int) {
		t.Helper()
		if got, said := p.ask(token, "GET", "/api/v1/fleet", "", ""); got != status {
			t.Errorf("%s: %d %s, want %d", when, got, said, status)
		}
	}
	exchange := func(change func() error) {
		t.Helper()
		check(t, change())
		changed, err := b.identity.Refresh()
		check(t, err)
		if !changed {
			t.Fatal("nothing was exchanged")
		}
		p.key = b.identity.SigningKey()
	}
	rotate := func() error {
		_, err := enrol.Exchange(b.identityDir, enrol.SigningKey, time.Now())
		return err
	}
	want("at first", old, http.StatusOK)
	exchange(rotate)
	want("by the old key", old, http.StatusOK)
	want("by the new key", p.token(access.Viewer, "", ""), http.StatusOK)
	exchange(rotate)
	want("by the oldest key", old, http.StatusOK)
	exchange(func() error { return enrol.Retire(b.identityDir, enrol.SigningKey) })
	want("by a key that is retired", old, http.StatusUnauthorized)
	want("by the newest key", p.token(access.Viewer, "", ""), http.StatusOK)
}

// TestAccessTokenAfterAMonth: an old key signs nobody in for ever.
func TestAccessTokenAfterAMonth(t *testing.T) {
	b := newBed(t, repository("shop"))
	_, err := enrol.Exchange(b.identityDir, enrol.SigningKey, time.Now().Add(-31*24*time.Hour))
	check(t, err)
	p := servePeople(t, b, Config{})
	old := p.token(access.Admin, "", "") // by the key that the bed has read before
	_, err = b.identity.Refresh()
	check(t, err)
	if status, said := p.ask(old, "GET", "/api/v1/fleet", "", ""); status != http.StatusUnauthorized {
		t.Errorf("%d %s", status, said)
	}
}
