package agent

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

const (
	// settleReports is how close together two rounds of reports may be. The first
	// change goes out at once, what follows within this time goes out together.
	settleReports = 200 * time.Millisecond
	// retryReports is when to try again what the hub could not take though the
	// connection stands: it may not have made its streams yet.
	retryReports  = 5 * time.Second
	reportsAtOnce = 16
)

// reporter tells the hub the last word on every app, and again after every
// connection. What it could not tell it keeps.
type reporter struct {
	report func(context.Context, wire.Report) error
	log    *slog.Logger

	mu     sync.Mutex
	last   map[fleet.AppName]wire.Report // the last word
	unsent map[fleet.AppName]bool
	dirty  chan struct{} // one slot: unsent is not empty
}

// newReporter returns a reporter that sends with report, as [natsconn.Conn.Report].
func newReporter(report func(context.Context, wire.Report) error, log *slog.Logger) *reporter {
	return &reporter{
		report: report, log: log,
		last: map[fleet.AppName]wire.Report{}, unsent: map[fleet.AppName]bool{}, dirty: make(chan struct{}, 1),
	}
}

// tell makes r the last word on its app. A report that says nothing new is not sent.
func (p *reporter) tell(r wire.Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, known := p.last[r.App]
	r.Time = before.Time
	if known && reflect.DeepEqual(before, r) {
		return
	}
	r.Time = time.Now().UTC()
	p.last[r.App] = r
	p.unsent[r.App] = true
	signal(p.dirty)
}

func signal(slot chan struct{}) {
	select {
	case slot <- struct{}{}:
	default:
	}
}

// again makes everything be sent once more.
func (p *reporter) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for app := range p.last {
		p.unsent[app] = true
	}
	signal(p.dirty)
}

// run sends reports until ctx ends.
func (p *reporter) run(ctx context.Context) error {
	var retry <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.dirty:
		case <-retry:
		}
		retry = nil
		if p.send(ctx) {
			retry = time.After(retryReports)
		}
		select {
		case <-ctx.Done():
		case <-time.After(settleReports):
		}
	}
}

// send sends what is unsent. What fails is unsent again, and goes out with the next
// connection or round; again tells whether it is worth a round of its own.
func (p *reporter) send(ctx context.Context) (again bool) {
	p.mu.Lock()
	reports := make([]wire.Report, 0, len(p.unsent))
	for app := range p.unsent {
		reports = append(reports, p.last[app])
	}
	clear(p.unsent)
	p.mu.Unlock()
	var group errgroup.Group
	group.SetLimit(reportsAtOnce)
	for _, r := range reports {
		group.Go(func() error {
			err := p.report(ctx, r)
			if err == nil {
				return nil
			}
			p.log.Debug("report not sent", "app", r.App, "err", err)
			p.mu.Lock()
			defer p.mu.Unlock()
			if _, known := p.last[r.App]; known {
				p.unsent[r.App] = true
				again = again || errors.Is(err, natsconn.ErrUnavailable)
			}
			return err
		})
	}
	_ = group.Wait() // every error was kept above
	return again
}

// forget drops what is no longer of any concern.
func (p *reporter) forget(app fleet.AppName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.last, app)
	delete(p.unsent, app)
}
