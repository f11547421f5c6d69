package natsconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/coder/websocket"
)

// webSocket connects to a server that speaks NATS over WebSocket.
func (d *dialer) webSocket(ctx context.Context, u *url.URL) (net.Conn, error) {
	transport := &http.Transport{ // of this one connection
		DialTLSContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			conn, err := d.proxy.dial(ctx, address)
			if err != nil {
				return nil, err
			}
			return encrypt(ctx, conn, func(conn net.Conn) (net.Conn, error) { return d.secure(ctx, conn, u.Hostname()) })
		},
		MaxResponseHeaderBytes: maxAnswer,
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ws, response, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{HTTPClient: client}) //nolint:bodyclose // it never has one to close
	if err != nil {
		transport.CloseIdleConnections()
		var refused *url.Error
		if errors.As(err, &refused) {
			err = refused.Err // the rest repeats the URL
		}
		if response != nil {
			return nil, fmt.Errorf("what answers there does not speak WebSocket: status %d", response.StatusCode)
		}
		return nil, err
	}
	lived, end := context.WithCancel(context.WithoutCancel(ctx))
	return &stream{Conn: websocket.NetConn(lived, ws, websocket.MessageBinary), ws: ws, end: end}, nil
}

// stream is a WebSocket as a stream of bytes.
type stream struct {
	net.Conn
	ws  *websocket.Conn
	end context.CancelFunc
}

// Close closes at once. To say goodbye would wait for who may be gone.
func (s *stream) Close() error {
	s.end()
	return s.ws.CloseNow()
}
