package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// lockDir waits until no other localcluster works on dir, makes dir if need be,
// and keeps others out until unlock is called.
func lockDir(ctx context.Context, dir string) (unlock func(), err error) {
	var locked *os.File
	err = wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(context.Context) (bool, error) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return false, err
		}
		f, err := os.Open(dir)
		if errors.Is(err, os.ErrNotExist) { // removed since
			return false, nil
		}
		if err != nil {
			return false, err
		}
		free, err := tryLock(f, syscall.LOCK_EX)
		if err != nil || !free || !stillAt(dir, f) {
			_ = f.Close()
			return false, err
		}
		locked = f
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { _ = locked.Close() }, nil // closing unlocks
}

// stillAt reports whether dir is the directory that f has open: the one who held
// the lock before may have removed it.
func stillAt(dir string, f *os.File) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(dir)
	return err == nil && os.SameFile(opened, there)
}

// tryLock takes the lock on f, how being LOCK_EX or LOCK_SH, unless somebody
// holds it.
func tryLock(f *os.File, how int) (bool, error) {
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("lock %s: %w", filepath.Base(f.Name()), err)
		}
		return true, nil
	}
}
