package repo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// What a server may send, and how long it may keep silent.
const (
	maxRefs    = 64 << 20
	maxPack    = 8 << 30
	maxMessage = 4 << 10 // of an answer that is an error
	maxSilence = time.Minute
)

var (
	errSilent  = fmt.Errorf("the server has sent nothing for %s", maxSilence)
	errTooMuch = errors.New("the server sends more than a repository of this kind can have")
)

// guard bounds what a server can make this process wait for and take in.
type guard struct{ next http.RoundTripper }

// newGuard guards connections to servers whose certificates are by a CA of the
// file, or by one that this machine trusts where no file is named.
func newGuard(caFile string) (*guard, error) {
	next := http.DefaultTransport.(*http.Transport).Clone()
	next.ResponseHeaderTimeout = maxSilence
	if caFile == "" {
		return &guard{next: next}, nil
	}
	content, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read the CA of the Git server: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("the file %q holds no certificate of a CA: it should begin with -----BEGIN CERTIFICATE-----", caFile)
	}
	next.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return &guard{next: next}, nil
}

// RoundTrip is that of the guarded transport, with a body that ends in time.
func (g *guard) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(request.Context())
	response, err := g.next.RoundTrip(request.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	body := &guardedBody{cancel: cancel, body: response.Body, left: maxRefs}
	switch {
	case response.StatusCode >= http.StatusMultipleChoices:
		body.body = cut{io.LimitReader(response.Body, maxMessage), response.Body}
	case request.Method == http.MethodPost:
		body.left = maxPack
	}
	body.watch = time.AfterFunc(maxSilence, func() {
		body.silent.Store(true)
		cancel()
	})
	response.Body = body
	return response, nil
}

// cut is a body of which only the beginning is read.
type cut struct {
	io.Reader
	io.Closer
}

// guardedBody is a body that errs after too many bytes and after silence.
type guardedBody struct {
	cancel context.CancelFunc
	watch  *time.Timer
	silent atomic.Bool
	body   io.ReadCloser
	left   int64
}

func (b *guardedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.watch.Reset(maxSilence)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooMuch // who has read enough for now would not look at an error beside it
	}
	if err != nil && b.silent.Load() {
		return n, errSilent
	}
	return n, err
}

func (b *guardedBody) Close() error {
	b.watch.Stop()
	b.cancel()
	return b.body.Close()
}

// maxRedirects bounds how often a server may send somewhere else.
const maxRedirects = 5

// sameOrigin refuses redirects that would have another server decide what is
// deployed, or give the credentials to it, or send them in the clear.
func sameOrigin(request *http.Request, via []*http.Request) error {
	from, to := origin(via[0].URL), origin(request.URL)
	switch {
	case to != from:
		return &redirectError{to: to}
	case len(via) > maxRedirects:
		return errors.New("the server redirects again and again")
	}
	return nil
}

// origin is what has to be the same for a server to be the same: how it is spoken
// to, its host and its port.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// redirectError is a redirect to another server.
type redirectError struct{ to string }

func (e *redirectError) Error() string { return fmt.Sprintf("redirect to %q", e.to) }
