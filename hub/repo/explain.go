package repo

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"golang.org/x/crypto/ssh"
)

// explain says what went wrong at the remote and what to do about it. What the
// server or the network say is quoted without credentials, and never wrapped.
func (r *remote) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("fetch %q: %w", r.shown, context.Cause(ctx))
	}
	err = unwrapped(err)
	var redirect *redirectError
	var answer *githttp.Err
	var host *hostKeyError
	var app *appError
	switch {
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return fmt.Errorf("fetch %q: %w: push a first one to branch %q", r.shown, ErrEmpty, r.ref.Short())
	case errors.As(err, &host), errors.As(err, &app):
		return fmt.Errorf("fetch %q: %w", r.shown, err)
	case errors.As(err, &redirect):
		return fmt.Errorf("fetch %q: the server redirects to another, %q, which is not followed: give the URL there if it is right", r.shown, r.quote(errors.New(redirect.to)))
	case r.ssh != nil:
		return r.explainSSH(err)
	case errors.Is(err, transport.ErrAuthenticationRequired) && r.login.kind() == "":
		return fmt.Errorf("fetch %q: the server wants a user name and a password: give them, or a token as the password", r.shown)
	case errors.Is(err, transport.ErrAuthenticationRequired):
		r.login.refused()
		return fmt.Errorf("fetch %q: the server does not accept %s: check that it is right and has not expired", r.shown, r.login.kind())
	case errors.Is(err, transport.ErrAuthorizationFailed):
		return fmt.Errorf("fetch %q: the server forbids it: check that the token may read this repository", r.shown)
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return fmt.Errorf("fetch %q: there is no such repository: check the URL, and that the token may read it (many servers answer so when it may not)", r.shown)
	case errors.As(err, &answer):
		return fmt.Errorf("fetch %q: the server answers with status %d: try the URL in a browser, or ask who runs it", r.shown, answer.StatusCode())
	}
	return r.explainNetwork(err)
}

// explainSSH says what went wrong with ssh, behind the check of the host key.
func (r *remote) explainSSH(err error) error {
	var refusal *refusalError
	switch {
	case errors.As(err, &refusal):
		return fmt.Errorf("fetch %q: the server gives no repository (%s): check the path, and that the key may read it", r.shown, r.quote(refusal))
	case strings.Contains(err.Error(), "unable to authenticate"): // the library has no other word for it
		return fmt.Errorf("fetch %q: the server does not accept the key %s for user %q: add its public key there, as a deploy key that may read", r.shown, ssh.FingerprintSHA256(r.ssh.signer.PublicKey()), r.user)
	}
	return r.explainNetwork(err)
}

// explainNetwork says what went wrong on the way to the remote.
func (r *remote) explainNetwork(err error) error {
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	var way *url.Error
	var conn *net.OpError
	switch {
	case errors.As(err, &name):
		return fmt.Errorf("fetch %q: the host cannot be found (%s): check the URL and the DNS", r.shown, r.quote(name))
	case errors.As(err, &certificate):
		return fmt.Errorf("fetch %q: the certificate of the server is not trusted (%s): if a CA of your own has made it, name its file with --git-ca-file", r.shown, r.quote(certificate.Err))
	case errors.Is(err, errSilent), errors.Is(err, errTooMuch):
		return fmt.Errorf("fetch %q: %w", r.shown, err)
	case errors.As(err, &way):
		return fmt.Errorf("fetch %q: the server cannot be reached (%s): check the URL and the network", r.shown, r.quote(way.Err))
	case errors.As(err, &conn):
		return fmt.Errorf("fetch %q: the server cannot be reached (%s): check the URL and the network", r.shown, r.quote(conn))
	default:
		return fmt.Errorf("fetch %q: the answer of the server is not one of a Git repository (%s): check the URL", r.shown, r.quote(err))
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
		base64.RawStdEncoding.EncodeToString([]byte(username + ":" + password)),
		base64.URLEncoding.EncodeToString([]byte(username + ":" + password)),
		base64.StdEncoding.EncodeToString([]byte(secret)),
		secret,
		url.PathEscape(secret),
		url.QueryEscape(secret),
		url.User(secret).String(),
		lowerEscapes(url.PathEscape(secret)),
		lowerEscapes(url.QueryEscape(secret)),
	} {
		pairs = append(pairs, form, "***")
	}
	return strings.NewReplacer(pairs...)
}

// escapes are bytes as a URL says them.
var escapes = regexp.MustCompile("%[0-9A-F]{2}")

// lowerEscapes writes escapes as some servers do.
func lowerEscapes(text string) string { return escapes.ReplaceAllStringFunc(text, strings.ToLower) }
