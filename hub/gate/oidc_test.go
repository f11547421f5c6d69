package gate

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/navarch/navarch/e2e/env/provider"
	"github.com/navarch/navarch/hub/access"
)

// newProviderBed is a bed whose people are known to a provider.
func newProviderBed(t *testing.T) (*bed, *provider.Provider) {
	t.Helper()
	settings := OIDC{ClientID: "navarch", Scopes: []string{"openid", "profile", "email"}, UserClaim: "email", GroupsClaim: "groups", secret: namedFile{content: []byte("hush\n")}}
	b := newBed(t, Settings{
		OIDC: &settings,
		Grants: []access.Grant{
			{User: "ada@example.com", Role: access.Admin},
			{Group: "shop", Role: access.Operator, Scope: access.Scope{Apps: labels.SelectorFromSet(labels.Set{"team": "shop"})}},
		},
	}, false)
	p := provider.Start(users, provider.Client{ID: "navarch", Secret: "hush", Redirect: b.url + callbackPath}, provider.Client{ID: "other", Secret: "x", Redirect: "http://127.0.0.1:1/"})
	t.Cleanup(p.Close)
	b.gate.provider.settings.Issuer = p.URL
	return b, p
}

// signIn goes through the provider's form and returns where that ends.
func (b *bed) signIn(client *http.Client, name, password, to string) (int, string) {
	b.t.Helper()
	_, page := b.do(client, "GET", oidcPath+"?to="+url.QueryEscape(to), nil)
	id := regexp.MustCompile(`name="id" value="([^"]+)"`).FindStringSubmatch(page)
	if id == nil {
		b.t.Fatalf("the provider shows no form: %s", page)
	}
	return b.do(client, "POST", b.gate.provider.settings.Issuer+"/login/username", url.Values{"id": {id[1]}, "username": {name}, "password": {password}})
}

// TestProvider: people of a real identity provider sign in with their browser.
func TestProvider(t *testing.T) {
	b, _ := newProviderBed(t)
	for name, test := range map[string]struct{ user, password, says string }{
		"by name":                    {"ada", "correct horse", "ada@example.com by oidc is admin"},
		"by group":                   {"grace", "battery", "grace@example.com by oidc is operator of apps team=shop"},
		"known, and without a grant": {"nobody", "known", "why=role"},
		"another's address":          {"eve", "staple", "why=provider"}, // it is not verified
		"a wrong password":           {"ada", "wrong", "wrong"},
	} {
		status, body := b.signIn(b.browser(), test.user, test.password, "/viewers?q=1")
		if status != http.StatusOK || !strings.Contains(body, test.says) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	person := b.browser()
	b.signIn(person, "ada", "correct horse", "/")
	b.want("afterwards", person, "GET", "/admins", nil, http.StatusOK, "ada@example.com")
	b.want("and out", person, "POST", "/sign-out", nil, http.StatusOK, "why=out")
	if got := fmt.Sprint(b.newest(2)); got != "[ada@example.com sign out by oidc: done ada@example.com sign in by oidc: done]" {
		t.Errorf("written down: %s", got)
	}
}

// TestProviderAway: a hub starts without its provider, says so, and goes on when it is
// there.
func TestProviderAway(t *testing.T) {
	b, p := newProviderBed(t)
	there := p.URL
	b.gate.provider.settings.Issuer = "http://127.0.0.1:1"
	b.want("away", b.browser(), "GET", oidcPath, nil, http.StatusOK, "why=provider")
	b.gate.provider.settings.Issuer = there
	if status, body := b.signIn(b.browser(), "ada", "correct horse", "/"); status != http.StatusOK || !strings.Contains(body, "ada@example.com") {
		t.Errorf("there again: %d %s", status, body)
	}
}

// TestForeignAnswers: who comes back from the provider with an answer to a question
// that this browser did not ask, or asked long ago, is nobody.
func TestForeignAnswers(t *testing.T) {
	b, _ := newProviderBed(t)
	stop := func(client *http.Client) *http.Client { // at the answer, which is kept
		client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
			if r.URL.Path == callbackPath {
				return http.ErrUseLastResponse
			}
			return nil
		}
		return client
	}
	answer := func(client *http.Client) string {
		t.Helper()
		_, page := b.do(client, "GET", oidcPath, nil)
		id := regexp.MustCompile(`name="id" value="([^"]+)"`).FindStringSubmatch(page)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.gate.provider.settings.Issuer+"/login/username",
			strings.NewReader(url.Values{"id": {id[1]}, "username": {"ada"}, "password": {"correct horse"}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		location, err := response.Location()
		if err != nil {
			t.Fatal(err)
		}
		return location.String()
	}
	attacker := stop(b.browser())
	stolen := answer(attacker)
	b.want("in a browser that has asked nothing", b.browser(), "GET", stolen, nil, http.StatusOK, "why=provider")
	victim := stop(b.browser())
	own := answer(victim)
	victim.CheckRedirect = nil
	b.want("in a browser that has asked something else", victim, "GET", stolen, nil, http.StatusOK, "why=provider")
	b.want("once more, with its own: the question is forgotten", victim, "GET", own, nil, http.StatusOK, "why=provider")
	late := stop(b.browser())
	address := answer(late)
	late.CheckRedirect = nil
	b.now = b.now.Add(pendingLife)
	b.want("too late", late, "GET", address, nil, http.StatusOK, "why=provider")
	b.want("an error of the provider's", b.browser(), "GET", callbackPath+"?error=%3Cscript%3E", nil, http.StatusOK, "why=provider")
	sealed := b.gate.provider.seal(newPending("/", b.now))
	if _, err := b.gate.provider.unseal(sealed[:len(sealed)-2], b.now); err == nil {
		t.Error("a cookie that somebody wrote is read")
	}
}

// claims of an ID token that is good.
func claims(p *provider.Provider, b *bed) map[string]any {
	return map[string]any{
		"iss": p.URL, "aud": "navarch", "sub": "ada", "email": "ada@example.com", "email_verified": true, "groups": []string{"platform"},
		"iat": b.now.Unix(), "exp": b.now.Add(time.Hour).Unix(),
	}
}

func with(claims map[string]any, name string, value any) map[string]any {
	claims[name] = value
	if value == nil {
		delete(claims, name)
	}
	return claims
}

// bearer asks with an ID token in the header.
func (b *bed) bearer(what, token string, status int, says string) {
	b.t.Helper()
	b.want(what, http.DefaultClient, "GET", "/viewers", nil, status, says, "Authorization", "Bearer "+token)
}

// TestIDTokens: programs show ID tokens of the provider.
func TestIDTokens(t *testing.T) {
	b, p := newProviderBed(t)
	sign := func(c map[string]any) string {
		t.Helper()
		text, err := p.Sign(c)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	const no = "not one of the identity provider"
	b.bearer("good", sign(claims(p, b)), http.StatusOK, "ada@example.com by oidc is admin")
	b.bearer("made for this client, and for another", sign(with(with(claims(p, b), "aud", []string{"navarch", "x"}), "azp", "navarch")), http.StatusOK, "ada")
	b.bearer("expired", sign(with(claims(p, b), "exp", b.now.Add(-time.Minute).Unix())), http.StatusUnauthorized, no)
	b.bearer("another issuer", sign(with(claims(p, b), "iss", "https://login.example.com")), http.StatusUnauthorized, no)
	b.bearer("no subject", sign(with(claims(p, b), "sub", nil)), http.StatusUnauthorized, no)
	b.bearer("no address", sign(with(claims(p, b), "email", nil)), http.StatusUnauthorized, no)
	b.bearer("an address that is not verified", sign(with(claims(p, b), "email_verified", false)), http.StatusUnauthorized, no)
	b.bearer("an address of which nothing is said", sign(with(claims(p, b), "email_verified", nil)), http.StatusUnauthorized, no)
	b.bearer("no token", "x.y.z", http.StatusUnauthorized, no)
	b.bearer("somebody without a grant", sign(with(with(claims(p, b), "email", "x@example.com"), "groups", "other")), http.StatusForbidden, "role viewer")
	for range failuresBurst {
		b.do(http.DefaultClient, "GET", "/viewers", nil, "Authorization", "Bearer x.y.z")
	}
	b.bearer("too often", "x.y.z", http.StatusTooManyRequests, "try again")
}

// TestCVE202322482 (audience of tokens not checked): a token that the same provider
// made for another program is worth nothing here.
func TestCVE202322482(t *testing.T) {
	b, p := newProviderBed(t)
	for name, edit := range map[string]func(map[string]any) map[string]any{
		"another client's": func(c map[string]any) map[string]any { return with(c, "aud", "other") },
		"nobody's":         func(c map[string]any) map[string]any { return with(c, "aud", nil) },
		"an empty list":    func(c map[string]any) map[string]any { return with(c, "aud", []string{}) },
		"both, and made for the other": func(c map[string]any) map[string]any {
			return with(with(c, "aud", []string{"navarch", "other"}), "azp", "other")
		},
		"both, and made for nobody":    func(c map[string]any) map[string]any { return with(c, "aud", []string{"navarch", "other"}) },
		"ours, and made for the other": func(c map[string]any) map[string]any { return with(c, "azp", "other") },
		"a name that begins like ours": func(c map[string]any) map[string]any { return with(c, "aud", "navarch2") },
		"ours in other letters":        func(c map[string]any) map[string]any { return with(c, "aud", "Navarch") },
	} {
		text, err := p.Sign(edit(claims(p, b)))
		if err != nil {
			t.Fatal(err)
		}
		b.bearer(name, text, http.StatusUnauthorized, "not one of the identity provider for this hub")
	}
}

// TestCVE202229165 (a made-up JWT is believed where strangers may look): on a hub that
// lets in who is on its machine, a token that nobody signed makes its holder nobody, not
// whom it names, nor who may be let in without.
func TestCVE202229165(t *testing.T) {
	b, p := newProviderBed(t)
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	byOther, err := p.SignWith(claims(p, b), jose.RS256, foreign)
	if err != nil {
		t.Fatal(err)
	}
	byPassword, err := p.SignWith(claims(p, b), jose.HS256, []byte("a key of somebody else's, long enough for it"))
	if err != nil {
		t.Fatal(err)
	}
	good, err := p.Sign(claims(p, b))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	none := "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + parts[1] + "."
	for _, open := range []bool{false, true} {
		b.gate.config.Open = open
		for name, text := range map[string]string{"signed by somebody else": byOther, "signed with a password": byPassword, "not signed": none, "signature cut off": parts[0] + "." + parts[1] + "."} {
			b.bearer(fmt.Sprintf("%s, open %v", name, open), text, http.StatusUnauthorized, "not one of the identity provider")
		}
	}
	open := newBed(t, Settings{}, true) // and without a provider at all
	open.bearer("no provider", good, http.StatusUnauthorized, "not one of this hub")
	open.want("in a cookie", http.DefaultClient, "GET", "/admins", nil, http.StatusForbidden, "role admin", "Cookie", sessionCookie+"="+good+"; argocd.token="+good)
}
