package env

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/navarch/navarch/e2e/env/freeport"
)

// Program is one running process whose output goes to a log file. It dies with
// the process that started it.
type Program struct {
	Name string
	Log  string // file
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

// start starts a program with its output appended to a log in dir.
func start(dir, name, path string, args ...string) (*Program, error) {
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer log.Close()
	p := &Program{Name: name, Log: log.Name(), cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(p.cmd.SysProcAttr)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in its log
		close(p.done)
	}()
	return p, nil
}

// Kill ends the program at once, as a power failure would.
func (p *Program) Kill() { p.signal(syscall.SIGKILL) }

// Stop asks the program to end, and kills it when it has not after ten seconds.
func (p *Program) Stop() {
	kill := time.AfterFunc(10*time.Second, p.Kill)
	defer kill.Stop()
	p.signal(syscall.SIGTERM)
}

func (p *Program) signal(s syscall.Signal) {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(s) // it may have ended already
	<-p.done
}

// PID returns the number of the process.
func (p *Program) PID() int { return p.cmd.Process.Pid }

// Ended returns a channel that is closed when the program has ended.
func (p *Program) Ended() <-chan struct{} { return p.done }

// Tail returns the last lines of the program's log, without those of the NATS server
// in a hub, which says much.
func (p *Program) Tail(lines int) string {
	content, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	all := slices.DeleteFunc(bytes.Split(bytes.TrimSpace(content), []byte("\n")), func(line []byte) bool {
		return bytes.Contains(line, []byte(`msg="nats server"`)) && bytes.Contains(line, []byte("level=DEBUG"))
	})
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

// until calls check until it returns nil or ctx ends, and then gives its last error.
func until(ctx context.Context, check func() error) error {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// freePort returns a port of loopback that nobody listens on.
func freePort() (int, error) {
	ports, err := freeport.Find(1)
	if err != nil {
		return 0, err
	}
	return ports[0], nil
}
