// Package provider runs an identity provider in the process of a test: a real one of
// OpenID Connect, with a form that asks for a name and a password.
package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// User is somebody whom the provider knows. Their name is also their id.
type User struct {
	Name, Password string
	Email          string
	Verified       bool // the address
	Groups         []string
}

// Client is a program that people sign in to.
type Client struct {
	ID, Secret string
	Redirect   string // where people come back to
}

// Provider is an identity provider that runs.
type Provider struct {
	URL     string // its issuer
	server  *httptest.Server
	storage *people
	known   map[string]*storage.Client
}

// Start starts a provider on this machine. Close ends it.
func Start(users []User, clients ...Client) *Provider {
	p := &Provider{server: httptest.NewUnstartedServer(nil), known: map[string]*storage.Client{}}
	for _, c := range clients {
		p.Know(c)
	}
	p.URL = "http://" + p.server.Listener.Addr().String()
	everybody := book{}
	for _, u := range users {
		everybody[u.Name] = u
	}
	p.storage = &people{storage.NewStorageWithClients(everybody, p.known), everybody}
	p.server.Config.Handler = exampleop.SetupServer(p.URL, p.storage, nil, false, op.WithAllowInsecure())
	p.server.Start()
	return p
}

// Know adds a client. It is called before anybody comes.
func (p *Provider) Know(c Client) { p.known[c.ID] = storage.WebClient(c.ID, c.Secret, c.Redirect) }

// Close ends the provider.
func (p *Provider) Close() { p.server.Close() }

// Sign signs what a test wants an ID token to say with the provider's own key.
func (p *Provider) Sign(claims map[string]any) (string, error) {
	key, err := p.storage.SigningKey(context.Background())
	if err != nil {
		return "", err
	}
	return sign(claims, jose.SigningKey{Algorithm: key.SignatureAlgorithm(), Key: key.Key()}, key.ID())
}

// SignWith signs the same with a key of somebody else who says that it is the
// provider's.
func (p *Provider) SignWith(claims map[string]any, algorithm jose.SignatureAlgorithm, key any) (string, error) {
	own, err := p.storage.SigningKey(context.Background())
	if err != nil {
		return "", err
	}
	return sign(claims, jose.SigningKey{Algorithm: algorithm, Key: key}, own.ID())
}

func sign(claims map[string]any, key jose.SigningKey, id string) (string, error) {
	options := new(jose.SignerOptions).WithHeader(jose.HeaderKey("kid"), id).WithType("JWT")
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		return "", fmt.Errorf("sign an ID token: %w", err)
	}
	content, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("sign an ID token: %w", err)
	}
	signed, err := signer.Sign(content)
	if err != nil {
		return "", fmt.Errorf("sign an ID token: %w", err)
	}
	return signed.CompactSerialize()
}

// book is the users by name.
type book map[string]User

// GetUserByID returns a user, nil where there is none.
func (b book) GetUserByID(id string) *storage.User {
	u, ok := b[id]
	if !ok {
		return nil
	}
	return &storage.User{ID: u.Name, Username: u.Name, Password: u.Password, Email: u.Email, EmailVerified: u.Verified}
}

// GetUserByUsername is GetUserByID.
func (b book) GetUserByUsername(name string) *storage.User { return b.GetUserByID(name) }

// ExampleClientID names a client that nobody uses here.
func (b book) ExampleClientID() string { return "nobody" }

// people adds the groups to what is said of somebody.
type people struct {
	*storage.Storage
	book book
}

// SetUserinfoFromToken is what the endpoint that is asked about somebody says.
func (p *people) SetUserinfoFromToken(ctx context.Context, about *oidc.UserInfo, token, subject, origin string) error {
	if err := p.Storage.SetUserinfoFromToken(ctx, about, token, subject, origin); err != nil {
		return err
	}
	about.AppendClaims("groups", p.book[subject].Groups)
	return nil
}
