package repo

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// witness is what a commit is judged by. One that is held is judged again at every
// look, because keys, tags and the time change.
type witness struct {
	commit plumbing.Hash
	keys   keyring
	tags   []tagRef
}

// witness gathers what the visited head will be judged by.
func (r *Repo) witness(v *visit) (witness, error) {
	w := witness{commit: v.tip, tags: v.tags}
	if r.verify.Mode == VerifyNothing {
		return w, nil
	}
	var err error
	w.keys, err = readKeys(r.verify.Keys)
	return w, err
}

// trust tells why a commit that a store has must not be deployed, nil where it may.
// The tree is what its reader takes for the commit's.
func (r *Repo) trust(s *store, w witness, tree plumbing.Hash, content []byte) (*Held, error) {
	if r.verify.Mode == VerifyNothing {
		return nil, nil
	}
	var tags []tag
	for _, ref := range w.tags {
		content, err := s.object(plumbing.TagObject, ref.hash)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			continue // it is no annotated tag, whatever the server says
		}
		if err != nil {
			return nil, s.damage(err)
		}
		tags = append(tags, tag{name: ref.name, content: content})
	}
	return r.verify.judge(w.keys, w.commit, tree, content, tags, time.Now()), nil
}

// read reads a commit from a store, and its folders where it may be deployed.
func (r *Repo) read(s *store, w witness) (Commit, error) {
	content, err := s.content(plumbing.CommitObject, w.commit)
	if err != nil {
		return Commit{}, err
	}
	c, tree, err := decodeCommit(w.commit, content)
	if err != nil {
		return Commit{}, err
	}
	c.Revision = r.remote.ref.Short() + "@sha1:" + c.Hash
	if c.Held, err = r.trust(s, w, tree, content); err != nil || c.Held != nil {
		return c, err
	}
	var before *folder
	if r.head.Tree != nil {
		before = r.head.Tree.root
	}
	root, err := readFolders(s, tree, before)
	if err != nil {
		return Commit{}, fmt.Errorf("read commit %s: %w", w.commit, err)
	}
	c.Tree = &Tree{store: s, root: root}
	return c, nil
}

// keep notes a commit as the head of its store, unless it is held.
func (s *store) keep(c Commit, w witness) error {
	if c.Held != nil {
		return nil
	}
	if err := s.setTags(w.tags); err != nil {
		return err
	}
	return s.setHead(w.commit)
}
