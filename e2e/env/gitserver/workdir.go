package gitserver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// WorkDir is a clone with a work tree, as a person has one.
type WorkDir struct {
	Path string
}

// Pushed is a commit that the server has taken.
type Pushed struct {
	Commit string    // its hash
	At     time.Time // when git push was called
}

// Clone clones the repository at url, which may hold a user name and password,
// into path. The branch of an empty repository is main.
func Clone(ctx context.Context, url, path string) (*WorkDir, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("clone: %w", err)
	}
	w := &WorkDir{Path: path}
	_, err := w.Git(ctx, "clone", "--quiet",
		"--config", "user.name=Ada Example", "--config", "user.email=ada@example.com",
		"--config", "gc.auto=0", // nothing goes on after a command has ended
		url, ".")
	return w, err
}

// Git runs any git command in the clone and returns what it printed, without the
// space around it.
func (w *WorkDir) Git(ctx context.Context, args ...string) (string, error) {
	return run(ctx, w.Path, args...)
}

// Write writes files by their path in the repository.
func (w *WorkDir) Write(files map[string]string) error {
	for name, content := range files {
		path := filepath.Join(w.Path, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("write %q: %w", name, err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return fmt.Errorf("write %q: %w", name, err)
		}
	}
	return nil
}

// Remove removes files and folders by their path in the repository.
func (w *WorkDir) Remove(names ...string) error {
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(w.Path, filepath.FromSlash(name))); err != nil {
			return fmt.Errorf("remove %q: %w", name, err)
		}
	}
	return nil
}

// Commit commits everything in the work tree, also when nothing has changed, and
// returns the hash of the commit.
func (w *WorkDir) Commit(ctx context.Context, message string) (string, error) {
	if _, err := w.Git(ctx, "add", "--all"); err != nil {
		return "", err
	}
	if _, err := w.Git(ctx, "commit", "--quiet", "--allow-empty", "--message", message); err != nil {
		return "", err
	}
	return w.Git(ctx, "rev-parse", "HEAD")
}

// Push pushes the branch that is checked out. Arguments go to git push, as in
// "--force".
func (w *WorkDir) Push(ctx context.Context, args ...string) (Pushed, error) {
	commit, err := w.Git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return Pushed{}, err
	}
	args = append([]string{"push", "--quiet"}, args...)
	pushed := Pushed{Commit: commit, At: time.Now()}
	_, err = w.Git(ctx, append(args, "origin", "HEAD")...)
	return pushed, err
}

// Publish writes files, commits them and pushes the commit.
func (w *WorkDir) Publish(ctx context.Context, message string, files map[string]string) (Pushed, error) {
	if err := w.Write(files); err != nil {
		return Pushed{}, err
	}
	if _, err := w.Commit(ctx, message); err != nil {
		return Pushed{}, err
	}
	return w.Push(ctx)
}
