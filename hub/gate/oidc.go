package gate

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/navarch/navarch/hub/access"
)

const (
	pendingLife  = 10 * time.Minute // to sign in at the provider
	providerTime = 10 * time.Second // for one answer of it
)

// pending is a sign-in that the provider has not answered yet. The browser keeps it,
// sealed: who has not begun here cannot end here.
type pending struct {
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"` // of PKCE
	To       string    `json:"to"`
	Until    time.Time `json:"until"`
}

func newPending(to string, now time.Time) pending {
	return pending{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), To: to, Until: now.Add(pendingLife)}
}

// issuer is an identity provider. It is asked what it offers by the first who needs
// it.
type issuer struct {
	settings OIDC
	redirect string
	client   *http.Client
	seals    cipher.AEAD

	mu    sync.Mutex
	known *oidc.Provider // nil: not asked yet
}

func newIssuer(settings OIDC, redirect string) (*issuer, error) {
	p := &issuer{settings: settings, redirect: redirect, client: &http.Client{Timeout: providerTime}}
	if settings.ca.content != nil {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(settings.ca.content) {
			return nil, fmt.Errorf("%s %q has no certificate in PEM", settings.ca.field, settings.ca.path)
		}
		transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // documented
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		p.client.Transport = transport
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("make a key for cookies: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make a key for cookies: %w", err)
	}
	p.seals, err = cipher.NewGCMWithRandomNonce(block)
	return p, err
}

// discover asks the provider what it offers, once. The lock is held while it is asked:
// all who wait for it need the same answer.
func (p *issuer) discover(ctx context.Context) (*oidc.Provider, context.Context, error) {
	ctx = oidc.ClientContext(ctx, p.client)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		known, err := oidc.NewProvider(ctx, p.settings.Issuer)
		if err != nil {
			return nil, ctx, fmt.Errorf("ask the identity provider at %s: %w", p.settings.Issuer, err)
		}
		p.known = known
	}
	return p.known, ctx, nil
}

func (p *issuer) oauth(known *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.settings.ClientID, ClientSecret: strings.TrimSpace(string(p.settings.secret.content)), Endpoint: known.Endpoint(),
		RedirectURL: p.redirect, Scopes: p.settings.Scopes,
	}
}

// begin returns where somebody signs in.
func (p *issuer) begin(ctx context.Context, q pending) (string, error) {
	known, _, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	return p.oauth(known).AuthCodeURL(q.State, oidc.Nonce(q.Nonce), oauth2.S256ChallengeOption(q.Verifier)), nil
}

// exchange gives a code to the provider and returns for whom it vouches.
func (p *issuer) exchange(ctx context.Context, code string, q pending) (access.Person, error) {
	known, ctx, err := p.discover(ctx)
	if err != nil {
		return access.Person{}, err
	}
	token, err := p.oauth(known).Exchange(ctx, code, oauth2.VerifierOption(q.Verifier))
	if err != nil {
		return access.Person{}, fmt.Errorf("exchange the code: %w", err)
	}
	text, ok := token.Extra("id_token").(string)
	if !ok {
		return access.Person{}, errors.New("the provider gave no ID token: its client needs the scope openid")
	}
	verified, claims, err := p.verify(ctx, known, text)
	if err != nil {
		return access.Person{}, err
	}
	if subtle.ConstantTimeCompare([]byte(verified.Nonce), []byte(q.Nonce)) != 1 {
		return access.Person{}, errors.New("the ID token was made for another sign-in: its nonce differs")
	}
	if missing(claims, p.settings.UserClaim, p.settings.GroupsClaim) && known.UserInfoEndpoint() != "" {
		if err := p.complete(ctx, known, token, verified.Subject, claims); err != nil {
			return access.Person{}, err
		}
	}
	return p.settings.person(claims)
}

// complete adds what the provider says about somebody only where it is asked.
func (p *issuer) complete(ctx context.Context, known *oidc.Provider, token *oauth2.Token, subject string, claims map[string]any) error {
	about, err := known.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return fmt.Errorf("ask about the person: %w", err)
	}
	if about.Subject != subject {
		return errors.New("the provider spoke about another person than the ID token does")
	}
	var more map[string]any
	if err := about.Claims(&more); err != nil {
		return fmt.Errorf("ask about the person: %w", err)
	}
	for name, value := range more {
		if _, said := claims[name]; !said {
			claims[name] = value
		}
	}
	return nil
}

// open returns for whom an ID token vouches that somebody shows, and how long.
func (p *issuer) open(ctx context.Context, text string) (access.Person, time.Time, error) {
	known, ctx, err := p.discover(ctx)
	if err != nil {
		return access.Person{}, time.Time{}, err
	}
	verified, claims, err := p.verify(ctx, known, text)
	if err != nil {
		return access.Person{}, time.Time{}, err
	}
	person, err := p.settings.person(claims)
	return person, verified.Expiry, err
}

// verify checks signature, issuer, audience, expiry and authorized party.
func (p *issuer) verify(ctx context.Context, known *oidc.Provider, text string) (*oidc.IDToken, map[string]any, error) {
	verified, err := known.VerifierContext(ctx, &oidc.Config{ClientID: p.settings.ClientID}).Verify(ctx, text)
	if err != nil {
		return nil, nil, err
	}
	claims := map[string]any{}
	if err := verified.Claims(&claims); err != nil {
		return nil, nil, fmt.Errorf("read the ID token: %w", err)
	}
	party, _ := claims["azp"].(string)
	if party != "" && party != p.settings.ClientID || party == "" && len(verified.Audience) > 1 {
		return nil, nil, fmt.Errorf("the ID token was made for client %q", party)
	}
	if verified.Subject == "" {
		return nil, nil, errors.New("the ID token has no subject")
	}
	return verified, claims, nil
}

func missing(claims map[string]any, names ...string) bool {
	for _, name := range names {
		if _, said := claims[name]; !said {
			return true
		}
	}
	return false
}

// person reads who somebody is from verified claims. An address of mail that the
// provider has not verified is nobody's: everybody can write it into a profile.
func (o OIDC) person(claims map[string]any) (access.Person, error) {
	name, _ := claims[o.UserClaim].(string)
	if name == "" {
		return access.Person{}, fmt.Errorf("the provider does not say %q (write another oidc.userClaim, or ask for another scope)", o.UserClaim)
	}
	if verified := claims["email_verified"]; o.UserClaim == "email" && verified != true && verified != "true" {
		return access.Person{}, fmt.Errorf("the provider has not verified the address %q (have it verified, or write oidc.userClaim: sub)", name)
	}
	p := access.Person{Name: name, By: access.ByOIDC}
	switch groups := claims[o.GroupsClaim].(type) {
	case string:
		p.Groups = []string{groups}
	case []any:
		for _, group := range groups {
			if text, ok := group.(string); ok {
				p.Groups = append(p.Groups, text)
			}
		}
	}
	return p, nil
}

// seal returns a text that only this process can read and write.
func (p *issuer) seal(q pending) string {
	said, err := json.Marshal(q)
	if err != nil {
		panic("texts and a time: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(p.seals.Seal(nil, nil, said, []byte(pendingCookie))) //nolint:gosec // the nonce is a random one, which it makes itself
}

func (p *issuer) unseal(text string, now time.Time) (pending, error) {
	var q pending
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		sealed, err = p.seals.Open(nil, nil, sealed, []byte(pendingCookie))
	}
	if err == nil {
		err = json.Unmarshal(sealed, &q)
	}
	if err != nil || !now.Before(q.Until) {
		return pending{}, errors.New("this browser has begun no sign-in here, or too long ago")
	}
	return q, nil
}
