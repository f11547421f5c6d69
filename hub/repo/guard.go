package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
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

func newGuard() *guard {
	next := http.DefaultTransport.(*http.Transport).Clone()
	next.ResponseHeaderTimeout = maxSilence
	return &guard{next: next}
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
		return n, errTooMuch
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

// sameHost refuses redirects that would have another host decide what is deployed.
func sameHost(request *http.Request, via []*http.Request) error {
	if from := via[0].URL; request.URL.Hostname() != from.Hostname() {
		return &redirectError{host: request.URL.Hostname()}
	}
	return nil
}

// redirectError is a redirect to another host.
type redirectError struct{ host string }

func (e *redirectError) Error() string { return fmt.Sprintf("redirect to host %q", e.host) }
