package repo

import (
	"context"

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

// rewound tells whether the visited head does not build on the head before. What
// cannot be shown to build on it counts as rewound.
func (r *Repo) rewound(ctx context.Context, v *visit, s *store, before plumbing.Hash) bool {
	verdict := s.descends(v.tip, before)
	for depth := window * step; verdict == unknown && depth <= deepest; depth *= step {
		want := request{haves: []plumbing.Hash{v.tip}, depth: depth}
		if r.remote.download(ctx, v, s, want) != nil {
			break // the commit itself is there, and more important
		}
		verdict = s.descends(v.tip, before)
	}
	return verdict != descends
}

// download fetches a commit, what it holds, and its history up to depth, unless
// the store has it.
func (r *Repo) download(ctx context.Context, v *visit, s *store, depth int) error {
	known, err := s.has(v.tip)
	if known || err != nil {
		return err
	}
	if known, err = s.has(s.head); err != nil {
		return err
	}
	var haves []plumbing.Hash
	if known {
		haves = append(haves, s.head)
	}
	return r.remote.download(ctx, v, s, request{haves: haves, depth: depth})
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
