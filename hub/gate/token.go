package gate

import (
	"crypto/ed25519"
	"slices"
	"time"

	"github.com/navarch/navarch/hub/access"
)

// holder is who showed an access token, or was vouched for otherwise.
type holder struct {
	access.Person
	rights access.Rights
	until  time.Time         // when what was shown expires; zero: it does not say
	key    ed25519.PublicKey // that signed the token; nil: something else was shown
}

// openToken finds out who shows an access token, by the keys of now.
func (g *Gate) openToken(text string, now time.Time) (holder, error) {
	for _, key := range g.config.Keys(now) {
		token, err := access.OpenToken(text, key, now)
		if err != nil {
			continue // it says no more than that this key is not the one
		}
		if slices.Contains(g.settings.RevokedTokens, token.ID) {
			break
		}
		person, rights, err := token.Caller()
		return holder{Person: person, rights: rights, until: token.Expires, key: key}, err
	}
	return holder{}, access.ErrToken
}

// trusts tells whether the key of the token that somebody signed in with still counts.
// Who signed in without one has none.
func (g *Gate) trusts(key ed25519.PublicKey) bool {
	return key == nil || slices.ContainsFunc(g.config.Keys(g.config.Now()), func(k ed25519.PublicKey) bool { return k.Equal(key) })
}
