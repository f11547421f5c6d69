package repo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// DefaultPoll is how often a repository is looked at when nobody nudges.
const DefaultPoll = time.Minute

// ErrEmpty is the error of a repository that holds no commit at all.
var ErrEmpty = errors.New("the repository has no commits")

// patience is how long a new store has to last before another is made in its place.
const patience = time.Minute

// Config says what to watch. URL and Dir have no default.
type Config struct {
	URL      string        // https, http, or ssh, also as user@host:path; a user name and password in it are used when none are given below
	Branch   string        // default main
	Dir      string        // folder of the store; what is in it can be fetched again
	Username string        // default git, where a password is given
	Password string        // or token; default: none
	App      App           // instead of a password; default: none
	CAFile   string        // certificates that the server's is checked against; default the system's
	SSH      SSH           // needed where URL is one of ssh
	Verify   Verify        // default: nothing has to be signed
	Poll     time.Duration // default DefaultPoll; each wait is up to a tenth shorter or longer
	Log      *slog.Logger  // used by Run; default: none
}

// Commit is the head of the branch at some time.
type Commit struct {
	Hash     string
	Revision string // as in main@sha1:6fd1…
	Message  string
	Author   string    // name
	Time     time.Time // when it was committed
	Rewound  bool      // does not build on the last that was not held: the branch was force-pushed
	Held     *Held     // why it must not be deployed; nil: it may be
	Tree     *Tree     // nil where it is held: what it holds was not looked at
}

// Status is what is known of the repository. It is a value that does not change.
type Status struct {
	Revision string    // of the last commit fetched; empty: none yet
	Checked  time.Time // when the server last answered as it should; zero: never
	Err      error     // why the last attempt failed; nil when it did not
	Failing  time.Time // when the first of the failures in a row was; zero when Err is nil
}

// Repo is a watched repository. Fetch, Nudge, Status and Webhook may be called from
// any goroutine; Run runs once.
type Repo struct {
	dir     string
	poll    time.Duration
	log     *slog.Logger
	remote  *remote
	nudges  chan struct{}
	limit   *rate.Limiter // of fetches that somebody nudged for
	commits chan Commit
	crowd   int // packs above which a store is made anew
	verify  Verify
	status  atomic.Pointer[Status]

	fetching sync.Mutex // held by Fetch and tidy, guards what is below
	store    *store     // nil before the first fetch of an empty folder
	old      *store     // replaced by store, and still read by trees given out before
	head     Commit     // the last one that was not held; without Tree before the first
	held     Commit     // the newest, where that is held; otherwise zero
	notice   error      // what Run has to say; nil: nothing
}

// Open prepares the watch of a repository. It reads only the folder of the store;
// the first Fetch goes to the server.
func Open(c Config) (*Repo, error) {
	c = c.withDefaults()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	remote, err := c.prepare()
	if err != nil {
		return nil, err
	}
	if c.Dir == "" {
		return nil, errors.New("no folder given for the copy of the repository")
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for the copy of the repository: %w", err)
	}
	r := &Repo{
		dir:     c.Dir,
		poll:    c.Poll,
		log:     c.Log,
		remote:  remote,
		nudges:  make(chan struct{}, 1),
		limit:   rate.NewLimiter(10, 20),
		commits: make(chan Commit, 2), // a good one and one that is held
		crowd:   maxPacks,
		verify:  c.Verify,
	}
	r.status.Store(&Status{})
	if r.store, err = openStore(c.Dir, remote); err != nil {
		return nil, err
	}
	if r.store != nil {
		r.store.alarm = r.Nudge
	}
	return r, nil
}

// Status returns what is known of the repository now.
func (r *Repo) Status() Status { return *r.status.Load() }

// Nudge makes Run look at the repository now. Nudges that come while it looks are
// answered by looking once more.
func (r *Repo) Nudge() {
	select {
	case r.nudges <- struct{}{}:
	default:
	}
}

// URL returns where the repository is, without credentials.
func (r *Repo) URL() string { return r.remote.shown }

// Fetch looks at the repository once. It returns the head of the branch, and
// whether that is another than the last Fetch of this Repo returned, or is held for
// another reason. After an error the last commit is returned, which is without Tree
// when there is none.
func (r *Repo) Fetch(ctx context.Context) (Commit, bool, error) {
	r.fetching.Lock()
	defer r.fetching.Unlock()
	last := r.last()
	commit, err := r.fetch(ctx)
	r.note(commit, err)
	if err != nil {
		return last, false, err
	}
	if commit.Held == nil {
		r.head, r.held = commit, Commit{}
		return commit, commit.Tree != last.Tree, nil
	}
	r.held = commit
	return commit, last.Held == nil || commit.Hash != last.Hash || *commit.Held != *last.Held, nil
}

// last returns what the last Fetch did.
func (r *Repo) last() Commit {
	if r.held.Held != nil {
		return r.held
	}
	return r.head
}

func (r *Repo) fetch(ctx context.Context) (Commit, error) {
	v, err := r.remote.visit(ctx)
	if err != nil {
		return Commit{}, err
	}
	defer v.Close()
	if r.head.Tree != nil && r.head.Hash == v.tip.String() && !r.store.damaged.Load() {
		return r.head, nil
	}
	w, err := r.witness(v)
	if err != nil {
		return Commit{}, err
	}
	if r.store != nil && !r.store.damaged.Load() {
		commit, err := r.advance(ctx, v, w)
		if !errors.As(err, new(*damageError)) {
			return commit, err
		}
	}
	return r.renew(ctx, v, w)
}

// note keeps what came of an attempt.
func (r *Repo) note(commit Commit, err error) {
	before, now := r.Status(), time.Now()
	if err == nil {
		r.status.Store(&Status{Revision: commit.Revision, Checked: now})
		return
	}
	if before.Err == nil {
		before.Failing = now
	}
	before.Err = err
	r.status.Store(&before)
}

// advance fetches the visited head into the store that there is.
func (r *Repo) advance(ctx context.Context, v *visit, w witness) (Commit, error) {
	if err := r.download(ctx, v, r.store, window); err != nil {
		return Commit{}, err
	}
	commit, err := r.read(r.store, w)
	if err != nil {
		return Commit{}, err
	}
	commit.Rewound = r.rewound(ctx, v, r.store)
	return commit, r.store.keep(commit, w)
}

// renew fetches the visited head into a new store, which becomes the store.
func (r *Repo) renew(ctx context.Context, v *visit, w witness) (Commit, error) {
	number := 1
	if r.store != nil {
		number = r.store.number + 1
		if damaged := r.store.damaged.Load(); damaged && time.Since(r.store.created) < patience {
			return Commit{}, errors.New("the copy of the repository is damaged again, soon after it was fetched anew: check the disk of the hub's data")
		}
	}
	s, err := createStore(r.dir, number, r.remote)
	if err != nil {
		return Commit{}, err
	}
	commit, err := r.fill(ctx, v, w, s)
	if err != nil {
		_ = s.remove() // or Open does
		return Commit{}, err
	}
	if r.store != nil && r.store.damaged.Load() {
		r.notice = errors.New("it was damaged and has been fetched anew")
	}
	r.replace(s)
	return commit, nil
}

// fill fetches the visited head into a store that is empty.
func (r *Repo) fill(ctx context.Context, v *visit, w witness, s *store) (Commit, error) {
	if err := r.download(ctx, v, s, window); err != nil {
		return Commit{}, err
	}
	commit, err := r.read(s, w)
	if err != nil {
		return Commit{}, err
	}
	commit.Rewound = r.rewound(ctx, v, s)
	return commit, s.keep(commit, w)
}

// replace puts a new store in the place of the store. The one before is kept for
// the trees that read from it, the one before that goes.
func (r *Repo) replace(s *store) {
	if r.old != nil {
		if err := r.old.remove(); err != nil {
			r.notice = fmt.Errorf("an old one cannot be removed: %w", err)
		}
	}
	r.old, r.store = r.store, s
	s.alarm = r.Nudge
}

// tidy makes the store anew when many packs have gathered in it, because each makes
// reading slower. It waits for a quiet time, though not for ever. The trees that
// were given out are not touched.
func (r *Repo) tidy(ctx context.Context, quiet bool) error {
	r.fetching.Lock()
	defer r.fetching.Unlock()
	crowd := r.crowd
	if !quiet {
		crowd *= 2
	}
	if r.store == nil || r.store.packs <= crowd {
		return nil
	}
	v, err := r.remote.visit(ctx)
	if err != nil {
		return err
	}
	defer v.Close()
	if v.tip.String() != r.head.Hash {
		return nil // another time, after the next commit
	}
	w, err := r.witness(v)
	if err != nil {
		return err
	}
	tree := r.head.Tree
	commit, err := r.renew(ctx, v, w)
	if err != nil || commit.Held != nil {
		return err // a key is listed no more: what was trusted once stays, and the next commit says so
	}
	r.head.Tree = &Tree{store: r.store, root: tree.root}
	return nil
}

// stored returns the commit of the last run, for when the server is away or has a
// newer one that is held. It is held to the keys of now.
func (r *Repo) stored() (Commit, bool) {
	r.fetching.Lock()
	defer r.fetching.Unlock()
	if r.store == nil || r.store.head.IsZero() || r.head.Tree != nil {
		return Commit{}, false
	}
	tags, err := r.store.tags()
	if err != nil {
		return Commit{}, false
	}
	w, err := r.witness(&visit{tip: r.store.head, tags: tags})
	if err != nil {
		return Commit{}, false
	}
	commit, err := r.read(r.store, w)
	if err != nil || commit.Held != nil {
		return Commit{}, false // the next fetch that succeeds makes the store anew, or says why it is held
	}
	r.head = commit
	return commit, true
}

// storePath is where the store with a number is.
func storePath(dir string, number int) string {
	return filepath.Join(dir, fmt.Sprintf("store-%06d", number))
}
