package repo

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// Verify says what has to be signed for a commit to be deployed. Only the head of
// the branch is looked at: who signs it answers for what it holds, whoever wrote the
// commits before.
type Verify struct {
	Mode Mode   // default VerifyNothing
	Keys string // file, or folder of files, with the keys that may sign; read at every look
}

// Mode says what has to be signed.
type Mode string

// The modes.
const (
	VerifyNothing Mode = ""
	VerifyCommits Mode = "commits" // the commit
	VerifyTags    Mode = "tags"    // an annotated tag of the commit
	VerifyBoth    Mode = "both"
)

// Set makes the mode the one with a name.
func (m *Mode) Set(name string) error {
	switch mode := Mode(name); mode {
	case VerifyCommits, VerifyTags, VerifyBoth:
		*m = mode
		return nil
	}
	return errors.New("want commits, tags or both")
}

func (m Mode) commits() bool { return m == VerifyCommits || m == VerifyBoth }
func (m Mode) tags() bool    { return m == VerifyTags || m == VerifyBoth }

// Held is why a commit is not deployed.
type Held struct {
	Why  string
	Hint string // what to do about it
}

// check reads the keys once, so that a hub that could deploy nothing does not start.
func (v Verify) check() error {
	switch v.Mode {
	case VerifyNothing:
		if v.Keys != "" {
			return errors.New("keys that may sign are given, and nothing has to be signed: say --verify commits, tags or both")
		}
		return nil
	case VerifyCommits, VerifyTags, VerifyBoth:
	default:
		return fmt.Errorf("--verify %q: want commits, tags or both", string(v.Mode))
	}
	if v.Keys == "" {
		return fmt.Errorf("--verify %s needs the keys that may sign: name a file or folder with --verify-keys", v.Mode)
	}
	_, err := readKeys(v.Keys)
	return err
}

// tag is an annotated tag with its content.
type tag struct {
	name    string // by which the server has it
	content []byte
}

// judge decides whether a commit may be deployed. The tree is the one that its
// reader understood, the tags are those that are said to be of the commit. It returns
// nil when it may.
func (v Verify) judge(keys keyring, hash, tree plumbing.Hash, content []byte, tags []tag, now time.Time) *Held {
	commit, err := parseCommit(content)
	if err != nil {
		return &Held{Why: "the commit is not one that Git writes: " + err.Error(), Hint: "find out who made it, and push another"}
	}
	if commit.target != tree {
		return &Held{Why: "the commit can be read as one of two trees", Hint: "find out who made it, and push another"}
	}
	if v.Mode.commits() {
		if err := keys.verify(commit, now); err != nil {
			return &Held{Why: "the commit " + err.Error(), Hint: "sign it with a key that is listed, by git commit --amend --no-edit -S, and push it; or list the key"}
		}
	}
	if v.Mode.tags() {
		return keys.judgeTags(hash, tags, now)
	}
	return nil
}

// judgeTags wants one good tag. Bad ones beside it do no harm.
func (k keyring) judgeTags(commit plumbing.Hash, tags []tag, now time.Time) *Held {
	var whys []string
	for _, t := range tags {
		err := k.verifyTag(commit, t, now)
		if err == nil {
			return nil
		}
		whys = append(whys, fmt.Sprintf("tag %q %v", t.name, err))
	}
	held := &Held{Why: "no annotated tag names the commit", Hint: "tag it with a key that is listed, by git tag -s NAME, and push the tag"}
	if len(whys) > 0 {
		held.Why = strings.Join(whys, "; ")
	}
	return held
}

func (k keyring) verifyTag(commit plumbing.Hash, t tag, now time.Time) error {
	s, err := parseTag(t.content)
	switch {
	case err != nil:
		return fmt.Errorf("is not one that Git writes: %w", err)
	case s.target != commit:
		return errors.New("is of another commit")
	case s.name != t.name:
		return fmt.Errorf("was made as %q", s.name)
	}
	return k.verify(s, now)
}
