package repo

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// Checkout reads a commit of a repository that somebody has checked out, named as
// for `git rev-parse`: a branch, a tag, HEAD~1, a hash. Dir is the checkout or a
// folder in it; inside is its path from the root of the commit's tree, "." for the
// root. The commit's Revision is the name that was given.
func Checkout(dir, revision string) (commit Commit, inside string, err error) {
	r, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return Commit{}, "", fmt.Errorf("%q is not in the checkout of a Git repository", dir)
	}
	if err != nil {
		return Commit{}, "", fmt.Errorf("open the repository of %q: %w", dir, err)
	}
	hash, err := r.ResolveRevision(plumbing.Revision(revision))
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return Commit{}, "", fmt.Errorf("the repository of %q has no revision %q (a shallow clone lacks older ones: fetch it first)", dir, revision)
	}
	if err != nil {
		return Commit{}, "", fmt.Errorf("find revision %q: %w", revision, err)
	}
	storage, ok := r.Storer.(*filesystem.Storage)
	if !ok {
		return Commit{}, "", fmt.Errorf("the repository of %q is not on disk", dir)
	}
	s := &store{objects: &storage.ObjectStorage, alarm: func() {}}
	if commit, err = s.commit(*hash); err != nil {
		return Commit{}, "", err
	}
	commit.Revision = revision
	inside, err = insideOf(r, dir)
	return commit, inside, err
}

// insideOf returns the path of a folder from the root of its checkout.
func insideOf(r *git.Repository, dir string) (string, error) {
	work, err := r.Worktree()
	if err != nil {
		return "", fmt.Errorf("find the root of the checkout: %w", err)
	}
	root, err := filepath.EvalSymlinks(work.Filesystem.Root())
	if err != nil {
		return "", fmt.Errorf("find the root of the checkout: %w", err)
	}
	if dir, err = filepath.Abs(dir); err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", fmt.Errorf("find the root of the checkout: %w", err)
	}
	inside, err := filepath.Rel(root, dir)
	return filepath.ToSlash(inside), err
}

// commit reads a commit and its folders.
func (s *store) commit(hash plumbing.Hash) (Commit, error) {
	content, err := s.content(plumbing.CommitObject, hash)
	if err != nil {
		return Commit{}, err
	}
	c, tree, err := decodeCommit(hash, content)
	if err != nil {
		return Commit{}, err
	}
	root, err := readFolders(s, tree, nil)
	if err != nil {
		return Commit{}, fmt.Errorf("read commit %s: %w", hash, err)
	}
	c.Tree = &Tree{store: s, root: root}
	return c, nil
}

// decodeCommit returns what a commit says of itself, and its tree.
func decodeCommit(hash plumbing.Hash, content []byte) (Commit, plumbing.Hash, error) {
	c := &object.Commit{}
	if err := c.Decode(encoded(plumbing.CommitObject, content)); err != nil {
		return Commit{}, plumbing.ZeroHash, fmt.Errorf("read commit %s: %w", hash, err)
	}
	return Commit{Hash: hash.String(), Message: c.Message, Author: c.Author.Name, Time: c.Committer.When}, c.TreeHash, nil
}
