package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// grace is how long a part may take to end when it was asked to.
const grace = 10 * time.Second

// launched begins the line that goes before what a part logs.
const launched = "launched by localcluster"

// alive reports whether the part runs: whether somebody holds the lock on its file.
func (c *cluster) alive(part string) (bool, error) {
	f, err := os.Open(c.lockFile(part))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close() // unlocks
	free, err := tryLock(f, syscall.LOCK_SH)
	return !free, err
}

// living returns the parts that run.
func (c *cluster) living() ([]string, error) {
	var living []string
	for _, name := range partNames {
		alive, err := c.alive(name)
		if err != nil {
			return nil, fmt.Errorf("look for %s of cluster %q: %w", name, c.Name, err)
		}
		if alive {
			living = append(living, name)
		}
	}
	return living, nil
}

// pid returns the process number of a part that is alive.
func (c *cluster) pid(part string) (int, error) {
	content, err := os.ReadFile(c.lockFile(part))
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil || pid <= 1 {
		return 0, fmt.Errorf("%s holds no process number, but the lock on it is held", c.lockFile(part))
	}
	return pid, nil
}

// launch starts a part in a session of its own, in the cluster's folder, with its
// output appended to its log. The part inherits the lock on its file and so holds
// it exactly as long as it lives.
func (c *cluster) launch(p part) error {
	run, err := os.OpenFile(c.lockFile(p.name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer run.Close() // the part has its own copy
	// Nobody holds the lock but, for an instant, those who look whether it is free.
	if err := syscall.Flock(int(run.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", run.Name(), err)
	}
	if err := run.Truncate(0); err != nil {
		return err
	}
	log, err := os.OpenFile(c.log(p.name), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()

	cmd := exec.Command(p.program, p.args...)
	cmd.Dir = c.dir
	cmd.Env = c.environment()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{run}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if _, err := fmt.Fprintf(log, "%s %s: %s\n", launched, time.Now().Format(time.RFC3339), strings.Join(cmd.Args, " ")); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // reaps the part if it ends before this process
	_, err = run.WriteString(strconv.Itoa(cmd.Process.Pid) + "\n")
	return err
}

// environment is what the parts see of ours: nothing that could configure them
// (ETCD_*, KWOK_*, a kwok.yaml in the home folder).
func (c *cluster) environment() []string {
	env := []string{"HOME=" + c.dir, "PATH=" + os.Getenv("PATH")}
	if dir, ok := os.LookupEnv("TMPDIR"); ok {
		env = append(env, "TMPDIR="+dir)
	}
	return env
}

// halt ends the parts together, and returns when they are gone. Parts that do not
// end on sig within the grace time are killed.
func (c *cluster) halt(sig syscall.Signal, parts ...string) error {
	for _, sig := range []syscall.Signal{sig, syscall.SIGKILL} {
		var err error
		if parts, err = c.signal(sig, parts); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		err = wait.PollUntilContextCancel(ctx, 10*time.Millisecond, true, func(context.Context) (bool, error) {
			for _, name := range parts {
				if alive, err := c.alive(name); alive || err != nil {
					return false, err
				}
			}
			return true, nil
		})
		cancel()
		if !wait.Interrupted(err) {
			return err
		}
	}
	return fmt.Errorf("%s of cluster %q did not end when killed", strings.Join(parts, ", "), c.Name)
}

// haltGently ends the parts in the order in which none misses another.
func (c *cluster) haltGently() error {
	for _, parts := range [][]string{{metricsServer, kwok, schedulerPart, controllerManager}, {apiServer}, {etcd}} {
		if err := c.halt(syscall.SIGTERM, parts...); err != nil {
			return err
		}
	}
	return nil
}

// signal sends sig to those of the parts that are alive, and returns them.
func (c *cluster) signal(sig syscall.Signal, parts []string) ([]string, error) {
	var living []string
	for _, name := range parts {
		alive, err := c.alive(name)
		if err != nil {
			return nil, err
		}
		if !alive {
			continue
		}
		pid, err := c.pid(name)
		if err != nil {
			return nil, err
		}
		// Its session is its process group.
		if err := syscall.Kill(-pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return nil, fmt.Errorf("signal %s of cluster %q: %w", name, c.Name, err)
		}
		living = append(living, name)
	}
	return living, nil
}

// tail returns the last lines that the part has logged since it was launched.
func (c *cluster) tail(part string, lines int) []string {
	content, err := os.ReadFile(c.log(part))
	if err != nil {
		return []string{err.Error()}
	}
	all := strings.Split(strings.TrimSpace(string(content)), "\n")
	for i := len(all) - 1; i >= max(0, len(all)-lines); i-- {
		if strings.HasPrefix(all[i], launched) {
			return all[i+1:]
		}
	}
	return all[max(0, len(all)-lines):]
}
