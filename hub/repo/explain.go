package repo

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// explain says what went wrong at the remote and what to do about it. What the
// server or the network say is quoted without credentials, and never wrapped.
func (r *remote) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("fetch %q: %w", r.url, context.Cause(ctx))
	}
	err = unwrapped(err)
	var redirect *redirectError
	var answer *githttp.Err
	switch {
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return fmt.Errorf("fetch %q: %w: push a first one to branch %q", r.url, ErrEmpty, r.ref.Short())
	case errors.Is(err, transport.ErrAuthenticationRequired) && r.auth == nil:
		return fmt.Errorf("fetch %q: the server wants a user name and a password: give them, or a token as the password", r.url)
	case errors.Is(err, transport.ErrAuthenticationRequired):
		return fmt.Errorf("fetch %q: the server does not accept the user name and password: check that the token is right and has not expired", r.url)
	case errors.Is(err, transport.ErrAuthorizationFailed):
		return fmt.Errorf("fetch %q: the server forbids it: check that the token may read this repository", r.url)
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return fmt.Errorf("fetch %q: there is no such repository: check the URL, and that the token may read it (many servers answer so when it may not)", r.url)
	case errors.As(err, &redirect):
		return fmt.Errorf("fetch %q: the server redirects to another host, %q, which is not followed: give the URL there if it is right", r.url, redirect.host)
	case errors.As(err, &answer):
		return fmt.Errorf("fetch %q: the server answers with status %d: try the URL in a browser, or ask who runs it", r.url, answer.StatusCode())
	}
	return r.explainNetwork(err)
}

// explainNetwork says what went wrong on the way to the remote.
func (r *remote) explainNetwork(err error) error {
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	var way *url.Error
	switch {
	case errors.As(err, &name):
		return fmt.Errorf("fetch %q: the host cannot be found (%s): check the URL and the DNS", r.url, r.quote(name))
	case errors.As(err, &certificate):
		return fmt.Errorf("fetch %q: the certificate of the server is not trusted (%s): if a CA of your own has made it, name its file in SSL_CERT_FILE", r.url, r.quote(certificate.Err))
	case errors.Is(err, errSilent), errors.Is(err, errTooMuch):
		return fmt.Errorf("fetch %q: %w", r.url, err)
	case errors.As(err, &way):
		return fmt.Errorf("fetch %q: the server cannot be reached (%s): check the URL and the network", r.url, r.quote(way.Err))
	default:
		return fmt.Errorf("fetch %q: the answer of the server is not one of a Git repository (%s): check the URL", r.url, r.quote(err))
	}
}

// unwrapped looks through errors of go-git that hide their cause.
func unwrapped(err error) error {
	for {
		var unexpected *plumbing.UnexpectedError
		var permanent *plumbing.PermanentError
		switch {
		case errors.As(err, &unexpected):
			err = unexpected.Err
		case errors.As(err, &permanent):
			err = permanent.Err
		default:
			return err
		}
	}
}

// quote makes one short line of what others say, without credentials.
func (r *remote) quote(err error) string {
	line := strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, r.masks.Replace(err.Error()))
	line = strings.Join(strings.Fields(line), " ")
	const enough = 200
	if runes := []rune(line); len(runes) > enough {
		return string(runes[:enough]) + "…"
	}
	return line
}

// masks returns what takes a password out of a text, in every form that a request
// gives it. A user name without a password is a token.
func masks(username, password string) *strings.Replacer {
	secret := password
	if secret == "" {
		secret = username
	}
	if secret == "" {
		return strings.NewReplacer()
	}
	var pairs []string
	for _, form := range []string{
		base64.StdEncoding.EncodeToString([]byte(username + ":" + password)),
		secret,
		url.PathEscape(secret),
		url.QueryEscape(secret),
		url.User(secret).String(),
	} {
		pairs = append(pairs, form, "***")
	}
	return strings.NewReplacer(pairs...)
}
