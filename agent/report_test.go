package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// outbox is where reports go in these tests: as the hub would see them, with the
// time since the test began. While closed, it takes none.
type outbox struct {
	mu     sync.Mutex
	begin  time.Time
	closed error
	taken  []string
	tries  int
}

func (o *outbox) report(_ context.Context, r wire.Report) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tries++
	if o.closed != nil {
		return o.closed
	}
	o.taken = append(o.taken, fmt.Sprintf("%s %s %s", time.Since(o.begin), r.App, r.Attempted.Revision))
	return nil
}

func (o *outbox) close(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = err
}

// takes returns what was taken since it was called last, sorted, and how often
// somebody tried.
func (o *outbox) takes() ([]string, int) {
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	taken, tries := o.taken, o.tries
	o.taken, o.tries = nil, 0
	slices.Sort(taken)
	return taken, tries
}

// play runs a reporter in a time of its own.
func play(t *testing.T, script func(t *testing.T, p *reporter, o *outbox)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := &outbox{begin: time.Now()}
		p := newReporter(o.report, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.run(ctx) }()
		script(t, p, o)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func said(app fleet.AppName, revision string) wire.Report {
	return wire.Report{Version: 1, Cluster: "eu-1", App: app, Attempted: wire.Applied{Revision: revision}}
}

func expect(t *testing.T, o *outbox, want ...string) {
	t.Helper()
	if got, _ := o.takes(); !slices.Equal(got, want) {
		t.Errorf("want -, got +:\n%s", cmp.Diff(want, got))
	}
}

// TestReporter: the first change goes out at once, those that follow closely
// together and only their last word, and what says nothing new not at all.
func TestReporter(t *testing.T) {
	play(t, func(t *testing.T, p *reporter, o *outbox) {
		p.tell(said("shop", "one"))
		expect(t, o, "0s shop one")
		for i := range 100 {
			p.tell(said("shop", strconv.Itoa(i)))
		}
		p.tell(said("blog", "one"))
		expect(t, o)
		time.Sleep(settleReports) //nolint:forbidigo // in the time of the bubble
		expect(t, o, "200ms blog one", "200ms shop 99")
		p.tell(said("shop", "99"))
		time.Sleep(time.Hour) //nolint:forbidigo // in the time of the bubble
		expect(t, o)
	})
}

// TestReporterAgain: after a connection everything that was said last is said again.
func TestReporterAgain(t *testing.T) {
	play(t, func(t *testing.T, p *reporter, o *outbox) {
		p.tell(said("shop", "one"))
		p.tell(said("blog", "one"))
		time.Sleep(time.Second) //nolint:forbidigo // in the time of the bubble
		o.takes()
		p.again()
		expect(t, o, "1s blog one", "1s shop one")
		p.forget("shop")
		time.Sleep(time.Second) //nolint:forbidigo // in the time of the bubble
		p.again()
		expect(t, o, "2s blog one")
	})
}

// TestReporterWhileTheHubIsAway: nothing is lost, and only the last word is kept.
// It goes out when the hub takes it, also without a new connection.
func TestReporterWhileTheHubIsAway(t *testing.T) {
	play(t, func(t *testing.T, p *reporter, o *outbox) {
		o.close(fmt.Errorf("report: %w", natsconn.ErrUnavailable))
		p.tell(said("shop", "one"))
		p.tell(said("shop", "two"))
		time.Sleep(time.Minute) //nolint:forbidigo // in the time of the bubble
		if taken, tries := o.takes(); taken != nil || tries == 0 || tries > 20 {
			t.Errorf("taken %v after %d tries", taken, tries)
		}
		o.close(nil)
		time.Sleep(retryReports) //nolint:forbidigo // in the time of the bubble
		if taken, _ := o.takes(); len(taken) != 1 {
			t.Errorf("taken %v", taken)
		}
		time.Sleep(time.Hour) //nolint:forbidigo // in the time of the bubble
		expect(t, o)
	})
}

// TestReporterForgets: what is forgotten while it cannot be sent is never sent.
func TestReporterForgets(t *testing.T) {
	play(t, func(t *testing.T, p *reporter, o *outbox) {
		forgets := func(_ context.Context, r wire.Report) error {
			p.forget(r.App)
			return natsconn.ErrUnavailable
		}
		sends := p.report
		p.report = forgets
		p.tell(said("shop", "one"))
		synctest.Wait()
		p.report = sends
		p.again()
		time.Sleep(time.Hour) //nolint:forbidigo // in the time of the bubble
		expect(t, o)
	})
}

// TestReporterTooLarge: what can never be sent is not tried again and again, and
// does not hold back the rest.
func TestReporterTooLarge(t *testing.T) {
	play(t, func(t *testing.T, p *reporter, o *outbox) {
		o.close(errors.New("it is too large: split the app"))
		p.tell(said("shop", "one"))
		time.Sleep(time.Hour) //nolint:forbidigo // in the time of the bubble
		if taken, tries := o.takes(); taken != nil || tries != 1 {
			t.Errorf("taken %v after %d tries", taken, tries)
		}
		o.close(nil)
		p.tell(said("blog", "one"))
		expect(t, o, "1h0m0s blog one", "1h0m0s shop one")
	})
}
