package natsconn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// Report makes r the last word on its app in its cluster.
func (c *Conn) Report(ctx context.Context, r wire.Report) error {
	body, err := wire.EncodeReport(r)
	if err != nil {
		return err
	}
	if err := c.publish(ctx, wire.ReportSubject(r.Cluster, r.App), body); err != nil {
		return fmt.Errorf("report app %q: %w", r.App, err)
	}
	return nil
}

// Heartbeat makes h the last word on its cluster.
func (c *Conn) Heartbeat(ctx context.Context, h wire.Heartbeat) error {
	body, err := wire.EncodeHeartbeat(h)
	if err != nil {
		return err
	}
	if err := c.publish(ctx, wire.ClusterSubject(h.Cluster), body); err != nil {
		return fmt.Errorf("send heartbeat: %w", err)
	}
	return nil
}

// DeleteReport forgets what was reported of an app. A [Conn.Reports] that runs
// does not hear of it.
func (c *Conn) DeleteReport(ctx context.Context, cluster fleet.ClusterName, app fleet.AppName) error {
	if err := c.purge(ctx, wire.StreamReports, wire.ReportSubject(cluster, app)); err != nil {
		return fmt.Errorf("forget the report of app %q in cluster %q: %w", app, cluster, err)
	}
	return nil
}

// KeptReports returns of which apps of which clusters there are reports.
func (c *Conn) KeptReports(ctx context.Context) (map[fleet.ClusterName][]fleet.AppName, error) {
	stream, err := c.js.Stream(ctx, wire.StreamReports)
	if err != nil {
		return nil, fmt.Errorf("list reports: %w", unavailable(ctx, err))
	}
	state, err := stream.Info(ctx, jetstream.WithSubjectFilter(wire.AllReports))
	if err != nil {
		return nil, fmt.Errorf("list reports: %w", unavailable(ctx, err))
	}
	kept := map[fleet.ClusterName][]fleet.AppName{}
	for subject := range state.State.Subjects {
		if cluster, app, err := wire.ParseReportSubject(subject); err == nil {
			kept[cluster] = append(kept[cluster], app)
		}
	}
	return kept, nil
}

// DeleteReports forgets everything that a cluster said.
func (c *Conn) DeleteReports(ctx context.Context, cluster fleet.ClusterName) error {
	for _, subject := range []string{wire.ReportSubjects(cluster), wire.ClusterSubject(cluster)} {
		if err := c.purge(ctx, wire.StreamReports, subject); err != nil {
			return fmt.Errorf("forget the reports of cluster %q: %w", cluster, err)
		}
	}
	return nil
}

// Listener is told what agents say. Report, Heartbeat and Refused are required.
// Received is the server's time.
type Listener struct {
	Report    func(r wire.Report, received time.Time)
	Heartbeat func(h wire.Heartbeat, received time.Time)
	// Refused is told of a message that is not what its subject says, or of another
	// version. Whose subject it is, its sender is.
	Refused func(subject string, err error)
	// Current, where set, is called when everything that was kept has been told.
	Current func()
	// Lost, where set, is called when a stream was missing and made again: what it
	// kept, announcements and artifacts among it, has to be put there anew.
	Lost func()
	// Excess, where set, is told of a report that is more than a cluster may have kept. It
	// is not told otherwise, and [Conn.DeleteReport] should follow.
	Excess func(cluster fleet.ClusterName, app fleet.AppName)
	// Begun, where set, is called after every connection, before anything is told: the
	// server may not keep any more what it kept.
	Begun func()
}

// Reports tells a listener everything that is kept and then what comes, one call
// at a time. After every connection it begins again with everything that is kept.
//
// Reports returns nil when ctx ends, and not before. [Conn.EnsureStreams] comes
// first.
func (c *Conn) Reports(ctx context.Context, l Listener) error {
	for attempt := 1; ctx.Err() == nil; attempt++ {
		_, next := c.Connects()
		var again <-chan time.Time
		if c.Connected() {
			current, err := c.listen(ctx, next, l)
			if current {
				attempt = 1
			}
			if err != nil && ctx.Err() == nil {
				c.log.Warn("reading reports was interrupted: beginning again", "err", err)
			}
			again = time.After(delay(attempt))
		}
		select {
		case <-again:
		case <-next:
		case <-ctx.Done():
		}
	}
	return nil
}

// Reports are asked for so many at a time, and so many bytes. When half of the messages
// have come, more are asked for, so that there may be three questions at a time: a server
// cuts off whom it keeps too much for that is not read, which is 16 MiB in a hub's.
const (
	pullMessages = 1000
	pullBytes    = 2 << 20
)

// A question that reaches no server, because one of several has not heard of the
// consumer yet, is not answered: that shows when the server is silent twice as long as
// this.
const pullHeartbeat = 3 * time.Second

// listen reads from the beginning until there is another connection, which is no
// error, or something fails. It returns whether it came to the end of what is kept.
func (c *Conn) listen(ctx context.Context, next <-chan struct{}, l Listener) (current bool, err error) {
	lost, err := c.ensureStreams(ctx)
	if err != nil {
		return false, err
	}
	if lost && l.Lost != nil {
		l.Lost()
	}
	if l.Begun != nil {
		l.Begun()
	}
	consumer, err := c.js.CreateConsumer(ctx, wire.StreamReports, everything)
	if err != nil {
		return false, fmt.Errorf("read reports: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessagesWithBytesLimit(pullMessages, pullBytes), jetstream.PullHeartbeat(pullHeartbeat))
	if err != nil {
		return false, fmt.Errorf("read reports: %w", err)
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-next:
		case <-ctx.Done():
		case <-ended:
		}
		messages.Stop()
	}()
	kept := ledger{} // all that is kept comes first
	pending := consumer.CachedInfo().NumPending
	for came := uint64(0); ; came++ {
		if !current && pending == 0 {
			current = true
			if l.Current != nil {
				l.Current()
			}
		}
		message, err := messages.Next()
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			return current, nil
		}
		if err != nil {
			return current, fmt.Errorf("read reports: %w", err)
		}
		meta, err := message.Metadata()
		if err != nil {
			return current, fmt.Errorf("read reports: %w", err)
		}
		if meta.Sequence.Consumer != came+1 {
			return current, fmt.Errorf("read reports: message %d came after %d", meta.Sequence.Consumer, came)
		}
		l.tell(kept, message.Subject(), message.Data(), meta.Timestamp)
		pending = meta.NumPending
	}
}

// tell passes on one message, if it is what its subject says.
func (l Listener) tell(kept ledger, subject string, body []byte, received time.Time) {
	if cluster, err := wire.ParseClusterSubject(subject); err == nil {
		h, err := wire.DecodeHeartbeat(body, cluster)
		if err != nil {
			l.Refused(subject, err)
			return
		}
		l.Heartbeat(h, received)
		return
	}
	cluster, app, err := wire.ParseReportSubject(subject)
	if err != nil {
		l.Refused(subject, err)
		return
	}
	if !kept.admit(cluster, app, len(body)) {
		if l.Excess != nil {
			l.Excess(cluster, app)
		}
		return
	}
	r, err := wire.DecodeReport(body, cluster, app)
	if err != nil {
		l.Refused(subject, err)
		return
	}
	l.Report(r, received)
}
