package dashboard

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/navarch/navarch/hub/access"
	"github.com/navarch/navarch/hub/view"
	"github.com/navarch/navarch/wire"
)

// stream is what a browser makes of /events.
type stream struct {
	t     *testing.T
	lines *bufio.Scanner
}

func follow(t *testing.T, server *httptest.Server, last string) stream {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Last-Event-ID", last)
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("content type %q", kind)
	}
	return stream{t, bufio.NewScanner(response.Body)}
}

// next waits for an event and returns its id.
func (s stream) next() uint64 {
	s.t.Helper()
	for s.lines.Scan() {
		if id, ok := strings.CutPrefix(s.lines.Text(), "id: "); ok {
			version, err := strconv.ParseUint(id, 10, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return version
		}
	}
	s.t.Fatalf("the stream ended: %v", s.lines.Err())
	return 0
}

func newServer(t *testing.T, c Config) *httptest.Server {
	t.Helper()
	return newServerAs(t, operator, c)
}

func newServerAs(t *testing.T, caller access.Caller, c Config) *httptest.Server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	server := httptest.NewUnstartedServer(as(caller, c))
	server.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	server.Start()
	t.Cleanup(func() { cancel(); server.Close() })
	return server
}

func TestEvents(t *testing.T) {
	board := small().board()
	server := newServer(t, Config{Board: board})
	viewer := follow(t, server, "")
	first := viewer.next()

	begin := time.Now()
	for i := range 1000 {
		board.Commit(view.Commit{Revision: fmt.Sprint("main@sha1:", i)})
	}
	second := viewer.next()
	if second <= first {
		t.Errorf("version %d follows %d", second, first)
	}
	board.Commit(view.Commit{Revision: "main@sha1:last"})
	if third := viewer.next(); third <= second || time.Since(begin) < pace {
		t.Errorf("version %d follows %d within %s", third, second, time.Since(begin))
	}

	now := board.Snapshot(time.Now()).Version
	back := follow(t, server, strconv.FormatUint(now, 10))
	board.Commit(view.Commit{Revision: "main@sha1:newer"})
	if got := back.next(); got <= now {
		t.Errorf("a viewer who comes back with version %d is told of %d", now, got)
	}
}

// TestSilenceIsAnEvent waits for nothing but the clock.
func TestSilenceIsAnEvent(t *testing.T) {
	board := view.NewBoard()
	board.Heartbeat(wire.Heartbeat{Cluster: "eu-1"}, time.Now().Add(-view.Patience+time.Second))
	viewer := follow(t, newServer(t, Config{Board: board}), "")
	first := viewer.next()
	if second := viewer.next(); second <= first {
		t.Errorf("version %d follows %d", second, first)
	}
}
