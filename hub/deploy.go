package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/artifacts"
	"github.com/navarch/navarch/hub/compile"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/hub/repo"
	"github.com/navarch/navarch/hub/view"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// retryAfter is how long the hub waits before it announces again what it could not.
const retryAfter = 2 * time.Second

// deployer turns commits, and what is observed of clusters, into announcements. One
// goroutine, run, owns it; what agents and people say reaches it over channels.
type deployer struct {
	log       *slog.Logger
	replicas  int // of the streams; 0: as many as the servers can
	metrics   *metrics
	compiler  compile.Compiler
	decider   fleet.Decider
	announcer announcer
	board     *view.Board

	contents fleet.Contents   // objects of everything published or wanted
	wanted   *wanted          // of the last commit that loaded and built; nil before the first
	live     *wanted          // what was announced last; nil before the first
	buried   orphans          // that a person agreed to remove
	held     bool             // something waits for a person
	lost     bool             // what the NATS server kept; nothing is known of it yet
	ahead    rate.Sometimes   // of the log: agents that remember more than this hub
	doubt    bool             // whether it still keeps what was announced
	retry    <-chan time.Time // when to publish again after a failure; nil: not
	heard    heard            // what agents said that decides something
	observed *observed
	excess   excess
	previous map[fleet.AppName]fleet.Previous // what is live was decided as; nil before the first
	again    time.Time                        // when time alone may decide otherwise; zero: never
	latest   atomic.Pointer[decision]

	signals  chan signal
	releases chan release
}

// wanted is what a commit says that the fleet should run, as it was decided last.
type wanted struct {
	*compile.Result
	revision string
	reading  *compile.Reading
	agreed   bool // a person agreed to what it deletes
}

// release is a person's go for what is held.
type release struct {
	revision string
	may      func(context.Context, *deployer) error // why that person may not; nil: whoever asks may
	done     chan error
}

func newDeployer(log *slog.Logger, identity *enrol.Identity, conn *natsconn.Conn, board *view.Board) *deployer {
	return &deployer{
		log:       log,
		metrics:   newMetrics(),
		announcer: announcer{identity: identity, conn: conn, epochs: map[fleet.ClusterName]uint64{}, published: fleet.Published{}, told: map[fleet.ClusterName]wire.Announcement{}, stored: map[fleet.ClusterName]wire.Announcement{}},
		board:     board,
		heard:     heard{removed: map[fleet.ClusterName]map[fleet.AppName]bool{}, orphans: orphans{}},
		observed:  newObserved(),
		ahead:     rate.Sometimes{First: 20, Interval: time.Minute},
		signals:   make(chan signal, 1024),
		releases:  make(chan release),
	}
}

// recall makes the streams where there are none and reads what they keep. It waits
// for as long as the NATS server is away.
func (d *deployer) recall(ctx context.Context) error {
	if err := d.announcer.conn.WaitConnected(ctx); err != nil {
		return err
	}
	for said := false; ; said = true {
		err := d.recallOnce(ctx)
		if !errors.Is(err, natsconn.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
		if !said {
			d.log.Warn("NATS keeps nothing yet: trying again until it does", "err", err)
		}
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *deployer) recallOnce(ctx context.Context) error {
	conn := d.announcer.conn
	if err := conn.EnsureStreams(ctx, d.replicas); err != nil {
		return fmt.Errorf("make the streams: %w", err)
	}
	var err error
	if d.announcer.store, err = artifacts.Open(ctx, conn); err != nil {
		return fmt.Errorf("open the artifacts: %w", err)
	}
	if err := d.announcer.recall(ctx, d.board); err != nil {
		return fmt.Errorf("recall what was announced: %w", err)
	}
	return nil
}

// run deploys every commit that comes until ctx ends.
func (d *deployer) run(ctx context.Context, commits <-chan repo.Commit) error {
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	d.republish(ctx) // by the newest key, where it was exchanged meanwhile
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case commit := <-commits:
			d.deploy(ctx, commit)
		case now := <-look.C:
			d.look(ctx, now)
			d.purge(ctx)
		case now := <-sweep.C:
			d.sweep(ctx, now)
			d.sweepReports(ctx)
		case <-d.retry:
			d.republish(ctx)
		case signal := <-d.signals:
			d.hear(ctx, signal)
		case r := <-d.releases:
			r.done <- d.release(ctx, r)
		}
	}
}

// deploy takes one commit through steps 2 to 8. A commit that cannot be loaded or
// built changes nothing but the problems on the dashboard.
func (d *deployer) deploy(ctx context.Context, commit repo.Commit) {
	start := time.Now()
	if commit.Held != nil {
		d.hold(commit, start)
		return
	}
	w, problems := d.compile(commit, start)
	defer func() { d.metrics.commit(problems.Err() == nil, time.Since(start)) }()
	d.board.Commit(view.Commit{
		Revision: commit.Revision, Message: commit.Message, Author: commit.Author, Time: commit.Time,
		Rewound: commit.Rewound, Problems: problems, Accepted: problems.Err() == nil,
	})
	if problems.Err() != nil {
		d.log.Warn("commit refused: the last good revision stays", "revision", commit.Revision, "problems", len(problems))
		return
	}
	d.wanted, d.buried = w, nil
	if err := d.publish(ctx, w); err != nil {
		d.log.Error("announce failed: it is tried again soon", "revision", commit.Revision, "err", err)
		return
	}
	d.log.Debug("commit handled", "revision", commit.Revision, "took", time.Since(start))
}

// compile is steps 2 to 5: definition, placement, overlays, and their objects.
func (d *deployer) compile(commit repo.Commit, now time.Time) (*wanted, fleet.Problems) {
	reading, problems := d.compiler.Read(commit.Tree)
	if problems.Err() != nil {
		return nil, problems
	}
	w, more := d.decide(reading, commit.Revision, now)
	w.agreed = fleet.AllowsDeletions(commit.Message)
	return w, slices.Concat(problems, more).Sorted()
}

// decide is steps 3 to 5 of a commit that was read.
func (d *deployer) decide(reading *compile.Reading, revision string, now time.Time) (*wanted, fleet.Problems) {
	d.observed.judge(now, time.Duration(reading.Definition.Settings.Failover.SilentAfter))
	state := d.state(now)
	outcomes := d.decider.Decide(reading.Definition, reading.Workloads, state)
	result, problems := d.compiler.Render(reading, outcomes)
	if problems.Err() == nil {
		d.latest.Store(&decision{reading: reading, state: state})
	}
	return &wanted{Result: result, revision: revision, reading: reading}, problems
}

// publish is steps 6 to 8 for what is wanted. It holds where the plan says so and
// nobody has agreed, and it may be repeated at any time: what has been announced
// already is not announced again.
func (d *deployer) publish(ctx context.Context, w *wanted) error {
	d.retry = nil
	if err := errors.Join(d.lookUp(ctx), d.announcer.reseal(ctx)); err != nil {
		d.retry = time.After(retryAfter)
		return err
	}
	plan, settled := d.plan(ctx, w)
	if w.agreed {
		plan.Holds = nil
	}
	held := len(plan.Holds) > 0
	if w == d.wanted {
		plan.Holds = append(plan.Holds, holdsFor(d.orphans(settled.Desired))...)
		d.held = len(plan.Holds) > 0
		d.board.Plan(view.Plan{
			Revision: w.revision, Definition: w.Definition, Outcomes: w.Outcomes,
			Changes: plan.Changes, Holds: plan.Holds, Held: d.held, Announced: !held,
		})
	}
	if held {
		d.log.Warn("commit held: nothing is announced until a person agrees", "revision", w.revision, "reasons", len(plan.Holds))
		return nil
	}
	if err := d.announcer.announce(ctx, w.revision, w.Files, plan); err != nil {
		d.retry = time.After(retryAfter)
		return err
	}
	d.metrics.announcements.Add(float64(len(plan.Changes)))
	d.contents, d.live = settled.Contents, w
	d.announcer.leave(plan.Left)
	d.board.Published(d.announcer.published, w.revision, time.Now())
	d.previous = w.Next()
	d.schedule(w)
	return nil
}

// plan is step 6: what announcing what is wanted changes.
func (d *deployer) plan(ctx context.Context, w *wanted) (fleet.Plan, fleet.Wanted) {
	published := fleet.Confirm(d.announcer.published, d.heard.removed)
	settled := fleet.Wanted{
		Revision: w.revision, Definition: w.Definition, Contents: d.known(ctx, w),
		Desired: fleet.Bury(fleet.Settle(w.Definition, w.Outcomes, w.Desired, published, w.revision), d.buried, w.revision),
	}
	return fleet.Diff(published, settled), settled
}

// known returns the objects of everything wanted and everything published. What
// was published before this hub started is built again from the artifacts; what is
// lost is missing from the result, and a person has to agree to its removal.
func (d *deployer) known(ctx context.Context, w *wanted) fleet.Contents {
	contents := maps.Clone(w.Contents)
	for _, cluster := range d.announcer.published {
		for _, app := range cluster.Apps {
			content := app.Content()
			if _, ok := contents[content]; ok {
				continue
			}
			objects, ok := d.contents[content]
			if !ok {
				var err error
				if objects, err = d.announcer.rebuild(ctx, app); err != nil {
					d.log.Warn("what an app runs now is not known any more", "app", app.Name, "err", err)
					continue
				}
			}
			contents[content] = objects
		}
	}
	return contents
}

// release announces what is held because a person agreed to what it deletes, and to
// the removal of what agents keep by now.
func (d *deployer) release(ctx context.Context, r release) error {
	if d.wanted == nil || !d.held || d.wanted.revision != r.revision {
		return fmt.Errorf("revision %q is not held: look at the dashboard for what is held now", r.revision)
	}
	if r.may != nil {
		if err := r.may(ctx, d); err != nil {
			return err
		}
	}
	d.wanted.agreed, d.buried = true, d.orphans(d.wanted.Desired)
	return d.publish(ctx, d.wanted)
}

// Release is a person's go for the revision that is held. It returns when what was
// held is announced.
func (d *deployer) Release(ctx context.Context, revision string) error {
	return d.releaseIf(ctx, revision, nil)
}

// releaseIf is a person's go if that person may.
func (d *deployer) releaseIf(ctx context.Context, revision string, may func(context.Context, *deployer) error) error {
	r := release{revision: revision, may: may, done: make(chan error, 1)}
	select {
	case d.releases <- r:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
