package gate

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"github.com/navarch/navarch/hub/access"
)

// mostSessions bounds what is kept; those that end first make room.
const mostSessions = 10_000

// sessions are who is signed in with a browser. A cookie holds a random name of a
// session, and here is only its hash. A hub that starts again has forgotten all.
type sessions struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]*session
}

// session is one person in one browser.
type session struct {
	caller access.Caller
	until  time.Time
	key    ed25519.PublicKey // of the access token that it began with; nil: there was none
	ended  context.Context   // done when the person has signed out
	end    context.CancelFunc
}

func newSessions() *sessions { return &sessions{all: map[[sha256.Size]byte]*session{}} }

// begin signs somebody in, and returns the name of the session.
func (s *sessions) begin(h holder, now time.Time) string {
	name := rand.Text() + rand.Text() // 256 bits and a little
	begun := &session{caller: access.Caller{Person: h.Person, Rights: h.rights, Session: true}, until: h.until, key: h.key}
	begun.ended, begun.end = context.WithCancel(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tidy(now)
	s.all[sha256.Sum256([]byte(name))] = begun
	return name
}

// tidy forgets who is no longer signed in, and makes room.
func (s *sessions) tidy(now time.Time) {
	var first [sha256.Size]byte
	for key, session := range s.all {
		if !now.Before(session.until) {
			session.end()
			delete(s.all, key)
			continue
		}
		if known := s.all[first]; known == nil || session.until.Before(known.until) {
			first = key
		}
	}
	if len(s.all) >= mostSessions {
		s.all[first].end()
		delete(s.all, first)
	}
}

// find returns who is signed in as a session of a name; nil: nobody.
func (s *sessions) find(name string, now time.Time) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.all[sha256.Sum256([]byte(name))]
	if found == nil || !now.Before(found.until) {
		return nil
	}
	return found
}

// finish signs somebody out, and ends the requests that are open.
func (s *sessions) finish(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := sha256.Sum256([]byte(name))
	if found := s.all[key]; found != nil {
		found.end()
		delete(s.all, key)
	}
}

// The names of the cookies. A browser takes one that begins with __Host- only over
// HTTPS, from this host and for this host.
const (
	sessionCookie = "navarch-session"
	pendingCookie = "navarch-sign-in"
	hostPrefix    = "__Host-"
)

// cookie returns a cookie for a browser. One that has no life left is deleted.
func (g *Gate) cookie(r *http.Request, name, value string, life time.Duration) *http.Cookie {
	c := &http.Cookie{ //nolint:gosec // it is secure wherever the dashboard is
		Name: name, Value: value, Path: "/", MaxAge: int(life / time.Second), HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: g.secure(r),
	}
	if c.Secure {
		c.Name = hostPrefix + name
	}
	if life <= 0 {
		c.MaxAge = -1
	}
	return c
}

// secure tells whether the browser is asked over HTTPS.
func (g *Gate) secure(r *http.Request) bool {
	if g.settings.URL != nil {
		return g.settings.URL.Scheme == "https"
	}
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
}

// read returns the value of a cookie; empty: there is none.
func (g *Gate) read(r *http.Request, name string) string {
	if g.secure(r) {
		name = hostPrefix + name
	}
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}
