package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// launcher does what the commands say to the clusters below root.
type launcher struct {
	root   string
	self   string // this program, which holds the parts
	stderr io.Writer
}

// sayer returns a function that tells people what happens to a cluster.
func (l *launcher) sayer(name string) func(format string, args ...any) {
	return func(format string, args ...any) {
		_, _ = fmt.Fprintf(l.stderr, name+": "+format+"\n", args...) // nobody reads it, then
	}
}

// lock keeps other commands from the cluster until unlock is called.
func (l *launcher) lock(ctx context.Context, name string) (unlock func(), err error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return lockDir(ctx, filepath.Join(l.root, name))
}

// upAll brings the clusters up side by side and prints the kubeconfigs of those
// that are. One that fails does not hold up the others.
func (l *launcher) upAll(ctx context.Context, stdout io.Writer, names []string, cfg upConfig) error {
	clusters := make([]*cluster, len(names))
	errs := make([]error, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() { clusters[i], errs[i] = l.up(ctx, name, cfg) })
	}
	group.Wait()
	for _, c := range clusters {
		if c != nil {
			_, err := fmt.Fprintln(stdout, c.kubeconfig(admin))
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// downRunning takes down those of the clusters that run: one that failed to start
// keeps its logs.
func (l *launcher) downRunning(ctx context.Context, names []string) error {
	var errs []error
	for _, name := range names {
		c, err := open(l.root, name)
		if err != nil {
			continue // it is gone
		}
		living, err := c.living()
		if len(living) > 0 {
			err = errors.Join(err, l.down(ctx, name, false))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// down ends all parts of a cluster and, unless it is to be kept, removes it. A
// cluster that is not there is down.
func (l *launcher) down(ctx context.Context, name string, keep bool) error {
	if err := checkName(name); err != nil {
		return err
	}
	say := l.sayer(name)
	c := &cluster{dir: filepath.Join(l.root, name), Name: name}
	if _, err := os.Stat(c.dir); errors.Is(err, fs.ErrNotExist) {
		say("is not there")
		return nil
	}
	unlock, err := l.lock(ctx, name)
	if err != nil {
		return fmt.Errorf("stop cluster %q: %w", name, err)
	}
	defer unlock()
	if err := c.checkFolder(); err != nil {
		return fmt.Errorf("stop cluster %q: %w", name, err)
	}
	if keep {
		if err := c.haltGently(); err != nil {
			return fmt.Errorf("stop cluster %q: %w", name, err)
		}
		say("stopped; `localcluster up %s` starts it again", name)
		return nil
	}
	if err := c.halt(syscall.SIGKILL, partNames...); err != nil {
		return fmt.Errorf("stop cluster %q: %w", name, err)
	}
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("remove cluster %q: %w", name, err)
	}
	say("removed")
	return nil
}

// startPart starts one part of a cluster, if it does not run.
func (l *launcher) startPart(ctx context.Context, name, part string) error {
	return l.withPart(ctx, name, part, func(c *cluster) error {
		alive, err := c.alive(part)
		if alive || err != nil {
			return err
		}
		client, err := c.newClient()
		if err != nil {
			return err
		}
		return c.startPart(ctx, part, l.self, client)
	})
}

// stopPart ends one part of a cluster with a signal.
func (l *launcher) stopPart(ctx context.Context, name, part string, sig syscall.Signal) error {
	return l.withPart(ctx, name, part, func(c *cluster) error { return c.halt(sig, part) })
}

// withPart calls do with the cluster, locked.
func (l *launcher) withPart(ctx context.Context, name, part string, do func(*cluster) error) error {
	if !slices.Contains(partNames, part) {
		return fmt.Errorf("cluster %q has no part %q: its parts are %s", name, part, strings.Join(partNames, ", "))
	}
	if _, err := open(l.root, name); err != nil {
		return err
	}
	unlock, err := l.lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := open(l.root, name)
	if err != nil {
		return err
	}
	if !slices.Contains(c.parts(), part) {
		return fmt.Errorf("cluster %q has no %s: it was made without --metrics", name, part)
	}
	if err := do(c); err != nil {
		return fmt.Errorf("cluster %q: %w", name, err)
	}
	return nil
}
