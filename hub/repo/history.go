package repo

import (
	"context"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Only the last generations of the branch are fetched: files are read of the newest
// alone, and a few generations tell a push from a force-push. Where they do not,
// because the head before is further away, more are fetched, step by step.
const (
	window  = 50
	step    = 8 // times as many
	deepest = window * step * step
)

// rewound tells whether the visited head does not build on the last one that was not
// held. What cannot be shown to build on it counts as rewound.
func (r *Repo) rewound(ctx context.Context, v *visit, s *store) bool {
	before := r.before()
	if before.IsZero() {
		return false
	}
	if r.held.Held != nil && r.held.Hash == v.tip.String() {
		return r.held.Rewound
	}
	verdict := s.descends(v.tip, before)
	for depth := window * step; verdict == unknown && depth <= deepest; depth *= step {
		want := request{wants: []plumbing.Hash{v.tip}, haves: []plumbing.Hash{v.tip}, depth: depth}
		if r.remote.download(ctx, v, s, want) != nil {
			break // the commit itself is there, and more important
		}
		verdict = s.descends(v.tip, before)
	}
	return verdict != descends
}

// before returns the last head that was not held, of this run or the one before.
func (r *Repo) before() plumbing.Hash {
	if r.head.Tree != nil {
		return plumbing.NewHash(r.head.Hash)
	}
	if r.store != nil {
		return r.store.head
	}
	return plumbing.ZeroHash
}

// download fetches the visited head, what it holds, its history up to depth, and its
// tags, unless the store has them.
func (r *Repo) download(ctx context.Context, v *visit, s *store, depth int) error {
	wanted := []plumbing.Hash{v.tip}
	for _, tag := range v.tags {
		wanted = append(wanted, tag.hash)
	}
	var wants []plumbing.Hash
	for _, hash := range wanted {
		known, err := s.has(hash)
		if err != nil {
			return err
		}
		if !known {
			wants = append(wants, hash)
		}
	}
	if len(wants) == 0 {
		return nil
	}
	var haves []plumbing.Hash
	for _, hash := range []plumbing.Hash{v.tip, s.head} {
		known, err := s.has(hash)
		if err != nil {
			return err
		}
		if known && !slices.Contains(haves, hash) {
			haves = append(haves, hash)
		}
	}
	return r.remote.download(ctx, v, s, request{wants: wants, haves: haves, depth: depth})
}

// verdict is how two commits are related, as far as the store knows.
type verdict int

const (
	unknown verdict = iota
	descends
	diverged
)

// descends tells whether a commit has another among its ancestors.
func (s *store) descends(tip, ancestor plumbing.Hash) verdict {
	seen, whole := s.walk(tip, ancestor, nil)
	if seen[ancestor] {
		return descends
	}
	if !whole {
		// Nothing that the ancestor builds on can build on the ancestor.
		below, _ := s.walk(ancestor, plumbing.ZeroHash, nil)
		_, whole = s.walk(tip, plumbing.ZeroHash, below)
	}
	if whole {
		return diverged
	}
	return unknown
}

// walk returns a commit and its ancestors, without what is behind those to skip.
// It ends early when it meets target. It is whole when no ancestor was missing.
func (s *store) walk(from, target plumbing.Hash, skip map[plumbing.Hash]bool) (seen map[plumbing.Hash]bool, whole bool) {
	seen, whole = map[plumbing.Hash]bool{from: true}, true
	for queue := []plumbing.Hash{from}; len(queue) > 0 && !seen[target]; queue = queue[1:] {
		if skip[queue[0]] {
			continue
		}
		parents, err := s.parents(queue[0])
		if err != nil {
			whole = false
			continue
		}
		for _, parent := range parents {
			if !seen[parent] {
				seen[parent] = true
				queue = append(queue, parent)
			}
		}
	}
	return seen, whole
}

func (s *store) parents(hash plumbing.Hash) ([]plumbing.Hash, error) {
	content, err := s.object(plumbing.CommitObject, hash)
	if err != nil {
		return nil, err
	}
	c := &object.Commit{}
	err = c.Decode(encoded(plumbing.CommitObject, content))
	return c.ParentHashes, err
}
