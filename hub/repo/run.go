package repo

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	echoAfter  = 2 * time.Second // a webhook may come before what it speaks of can be seen
	retryFirst = time.Second
	retryMost  = 2 * time.Minute // or as long as the poll interval
)

// Commits returns where Run puts every commit that it finds, held ones too. A commit
// that nobody has taken is replaced by a newer one, though a good one not by one that
// is held.
func (r *Repo) Commits() <-chan Commit { return r.commits }

// Run looks at the repository until ctx ends: now, then regularly, and at every
// nudge. While the server cannot be reached it goes on trying; when that is so from
// the beginning, or a commit is held, the commit of the last run is put out.
func (r *Repo) Run(ctx context.Context) error {
	p := pace{poll: r.poll}
	nudged := false
	for {
		before := r.Status()
		commit, changed, err := r.Fetch(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.tell(before, commit, err)
		if err != nil {
			commit, changed = r.stored()
		} else if commit.Held != nil {
			if good, ok := r.stored(); ok {
				r.put(good)
			}
		}
		if changed {
			r.put(commit)
		}
		wait := p.next(outcome{nudged: nudged, changed: changed, failed: err != nil}, rand.Float64()) //nolint:gosec // it spreads load, no more
		if err := r.tidy(ctx, !changed); err != nil && ctx.Err() == nil {
			r.log.Warn("the copy of the repository was not made anew: it is tried again", "err", err)
		}
		if nudged, err = r.wait(ctx, wait); err != nil {
			return err
		}
	}
}

// wait waits until it is time or somebody nudges.
func (r *Repo) wait(ctx context.Context, d time.Duration) (nudged bool, err error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-timer.C:
		return false, nil
	case <-r.nudges:
		return true, r.limit.Wait(ctx)
	}
}

// put puts out a commit in the place of those that nobody has taken. One that is held
// takes the place of no good one, which goes out before it.
func (r *Repo) put(commit Commit) {
	var good *Commit
	for range cap(r.commits) {
		select {
		case skipped := <-r.commits:
			if skipped.Held == nil {
				good = &skipped
			}
		default:
		}
	}
	switch {
	case good == nil:
	case commit.Held != nil:
		r.commits <- *good
	default:
		commit.Rewound = commit.Rewound || good.Rewound
	}
	r.commits <- commit
}

// tell logs what is new, not what goes on.
func (r *Repo) tell(before Status, commit Commit, err error) {
	switch {
	case err != nil && (before.Err == nil || before.Err.Error() != err.Error()):
		r.log.Warn("the repository cannot be read: the last commit stays, and it is tried again", "err", err)
	case err == nil && before.Err != nil:
		r.log.Info("the repository can be read again", "revision", commit.Revision)
	}
	r.fetching.Lock()
	notice := r.notice
	r.notice = nil
	r.fetching.Unlock()
	if notice != nil {
		r.log.Warn("there was something wrong with the copy of the repository", "err", notice)
	}
}

// pace decides how long to wait between two looks.
type pace struct {
	poll     time.Duration
	failures int // in a row
}

// outcome is what came of a look.
type outcome struct {
	nudged  bool // it was made because somebody nudged
	changed bool
	failed  bool
}

// next returns how long to wait. The luck, from 0 to 1, spreads those who would
// otherwise look at the same time.
func (p *pace) next(o outcome, luck float64) time.Duration {
	if o.failed {
		wait := max(p.poll, retryMost)
		if p.failures < 16 {
			wait = min(wait, retryFirst<<p.failures)
		}
		p.failures++
		return stretch(wait, 0.5, luck)
	}
	p.failures = 0
	if o.nudged && !o.changed {
		return min(echoAfter, p.poll)
	}
	return stretch(p.poll, 0.1, luck)
}

// stretch makes a time shorter or longer, by share at most.
func stretch(d time.Duration, share, luck float64) time.Duration {
	return time.Duration(float64(d) * (1 - share + 2*share*luck))
}
