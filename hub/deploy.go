package hub

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/artifacts"
	"github.com/navarch/navarch/hub/repo"
	"github.com/navarch/navarch/hub/view"
	"github.com/navarch/navarch/overlays"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// retryAfter is how long the hub waits before it announces again what it could not.
const retryAfter = 2 * time.Second

// deployer turns commits into announcements. One goroutine, run, owns it; what
// agents and people say reaches it over channels.
type deployer struct {
	log       *slog.Logger
	parser    parser
	renderer  renderer
	announcer announcer
	board     *view.Board

	contents fleet.Contents   // objects of everything published or wanted
	wanted   *wanted          // of the last commit that loaded and built; nil before the first
	agreed   bool             // a person agreed to what wanted deletes
	buried   orphans          // that a person agreed to remove
	held     bool             // something waits for a person
	lost     bool             // what the NATS server kept; nothing is known of it yet
	retry    <-chan time.Time // when to publish again after a failure; nil: not
	heard    heard            // what agents said that decides something

	signals  chan signal
	releases chan release
}

// wanted is what a commit says that the fleet should run, and the files of it.
type wanted struct {
	fleet.Wanted
	outcomes []fleet.Outcome
	files    map[fleet.Digest]overlays.Files
}

// release is a person's go for what is held.
type release struct {
	revision string
	done     chan error
}

func newDeployer(log *slog.Logger, key ed25519.PrivateKey, conn *natsconn.Conn, board *view.Board) *deployer {
	return &deployer{
		log:       log,
		announcer: announcer{key: key, conn: conn, epochs: map[fleet.ClusterName]uint64{}, published: fleet.Published{}, told: map[fleet.ClusterName]wire.Announcement{}},
		board:     board,
		heard:     heard{removed: map[fleet.ClusterName]map[fleet.AppName]bool{}, orphans: orphans{}},
		signals:   make(chan signal, 1024),
		releases:  make(chan release),
	}
}

// recall makes the streams where there are none and reads what they keep. It waits
// for as long as the NATS server is away.
func (d *deployer) recall(ctx context.Context) error {
	conn := d.announcer.conn
	if err := conn.WaitConnected(ctx); err != nil {
		return err
	}
	if err := conn.EnsureStreams(ctx, 1); err != nil {
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
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case commit := <-commits:
			d.deploy(ctx, commit)
		case <-d.retry:
			d.republish(ctx)
		case signal := <-d.signals:
			d.hear(ctx, signal)
		case r := <-d.releases:
			r.done <- d.release(ctx, r.revision)
		}
	}
}

// deploy takes one commit through steps 2 to 8. A commit that cannot be loaded or
// built changes nothing but the problems on the dashboard.
func (d *deployer) deploy(ctx context.Context, commit repo.Commit) {
	start := time.Now()
	w, problems := d.decide(commit)
	d.board.Commit(view.Commit{
		Revision: commit.Revision, Message: commit.Message, Author: commit.Author, Time: commit.Time,
		Rewound: commit.Rewound, Problems: problems, Accepted: problems.Err() == nil,
	})
	if problems.Err() != nil {
		d.log.Warn("commit refused: the last good revision stays", "revision", commit.Revision, "problems", len(problems))
		return
	}
	d.wanted, d.agreed, d.buried = w, fleet.AllowsDeletions(commit.Message), nil
	if err := d.publish(ctx); err != nil {
		d.log.Error("announce failed: it is tried again soon", "revision", commit.Revision, "err", err)
		return
	}
	d.log.Debug("commit handled", "revision", commit.Revision, "took", time.Since(start))
}

// decide is steps 2 to 5: definition, placement, overlays, and their objects.
func (d *deployer) decide(commit repo.Commit) (*wanted, fleet.Problems) {
	def, problems := d.parser.load(commit.Tree)
	if problems.Err() != nil {
		return nil, problems
	}
	outcomes := fleet.Decide(def)
	groups := make(map[fleet.AppName][]fleet.Variant, len(def.Apps))
	for i, app := range def.Apps {
		groups[app.Name] = fleet.Variants(app, def.Clusters, outcomes[i].Placed)
	}
	if err := d.renderer.render(commit.Tree, def, groups); err != nil {
		return nil, append(problems, asProblems(err, fleet.App{})...).Sorted()
	}
	desired, contents, files := d.renderer.desired(def, groups)
	problems = append(problems, fleet.Conflicts(desired, contents, def)...).Sorted()
	return &wanted{
		Wanted:   fleet.Wanted{Revision: commit.Revision, Definition: def, Desired: desired, Contents: contents},
		outcomes: outcomes,
		files:    files,
	}, problems
}

// publish is steps 6 to 8 for what is wanted. It holds where the plan says so and
// nobody has agreed, and it may be repeated at any time: what has been announced
// already is not announced again.
func (d *deployer) publish(ctx context.Context) error {
	d.retry = nil
	if err := d.lookUp(ctx); err != nil {
		d.retry = time.After(retryAfter)
		return err
	}
	w := d.wanted.Wanted
	w.Contents = d.known(ctx)
	w.Desired = fleet.Bury(w.Desired, d.buried, w.Revision)
	plan := fleet.Diff(fleet.Confirm(d.announcer.published, d.heard.removed), w)
	if d.agreed {
		plan.Holds = nil
	}
	held := len(plan.Holds) > 0
	plan.Holds = append(plan.Holds, holdsFor(d.orphans())...)
	d.held = len(plan.Holds) > 0
	d.board.Plan(view.Plan{
		Revision: w.Revision, Definition: w.Definition, Outcomes: d.wanted.outcomes,
		Changes: plan.Changes, Holds: plan.Holds, Held: d.held, Announced: !held,
	})
	if held {
		d.log.Warn("commit held: nothing is announced until a person agrees", "revision", w.Revision, "reasons", len(plan.Holds))
		return nil
	}
	if err := d.announcer.announce(ctx, w.Revision, d.wanted.files, plan); err != nil {
		d.retry = time.After(retryAfter)
		return err
	}
	d.contents = w.Contents
	d.announcer.leave(plan.Left)
	d.board.Published(d.announcer.published, w.Revision, time.Now())
	return nil
}

// lookUp finds out what the NATS server keeps, where it has lost something.
func (d *deployer) lookUp(ctx context.Context) error {
	if !d.lost {
		return nil
	}
	if err := d.announcer.store.Reload(ctx); err != nil {
		return fmt.Errorf("look up the artifacts: %w", err)
	}
	d.announcer.forget()
	d.lost = false
	return nil
}

// known returns the objects of everything wanted and everything published. What
// was published before this hub started is built again from the artifacts; what is
// lost is missing from the result, and a person has to agree to its removal.
func (d *deployer) known(ctx context.Context) fleet.Contents {
	contents := maps.Clone(d.wanted.Contents)
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
func (d *deployer) release(ctx context.Context, revision string) error {
	if d.wanted == nil || !d.held || d.wanted.Revision != revision {
		return fmt.Errorf("revision %q is not held: look at the dashboard for what is held now", revision)
	}
	d.agreed, d.buried = true, d.orphans()
	return d.publish(ctx)
}

// Release is a person's go for the revision that is held. It returns when what was
// held is announced.
func (d *deployer) Release(ctx context.Context, revision string) error {
	r := release{revision: revision, done: make(chan error, 1)}
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
