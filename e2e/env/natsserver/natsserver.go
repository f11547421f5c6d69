// Package natsserver runs stock NATS servers beside a test, one or a cluster, each a
// process that can be killed.
package natsserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/navarch/navarch/e2e/env/freeport"
	"github.com/navarch/navarch/hub/natsconf"
)

// Build builds the stock server into dir and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "nats-server")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/nats-io/nats-server/v2")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build nats-server: %w\n%s", err, out)
	}
	return path, nil
}

// Cluster is one server, or several that know each other.
type Cluster struct {
	Nodes []*Node
	CA    []byte // PEM of who signed their certificates
}

// Node is one server. Its ports and its store stay the same when it is started again.
type Node struct {
	Name      string
	URL       string // tls://
	WebSocket string // wss://
	Store     string // folder of its streams
	Monitor   string // "host:port" of loopback

	path, config string

	mu      sync.Mutex
	process *exec.Cmd
	ended   chan struct{}
	log     strings.Builder
}

// New prepares servers below dir that trust a hub. Start starts each.
func New(path, dir string, nodes int, trust natsconf.Trust) (*Cluster, error) {
	c := &Cluster{}
	signed, err := certify(dir)
	if err != nil {
		return nil, err
	}
	if c.CA, err = os.ReadFile(signed.ca); err != nil {
		return nil, err
	}
	ports, err := freeport.Find(4 * nodes)
	if err != nil {
		return nil, err
	}
	at := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
	var peers []string
	for i := range nodes {
		peers = append(peers, at(ports[4*i+2]))
	}
	for i := range nodes {
		n := &Node{
			Name: fmt.Sprintf("nats-%d", i+1), URL: "tls://" + at(ports[4*i]), WebSocket: "wss://" + at(ports[4*i+1]),
			Monitor: at(ports[4*i+3]), path: path,
		}
		folder := filepath.Join(dir, n.Name)
		n.Store, n.config = filepath.Join(folder, "store"), filepath.Join(folder, "nats.conf")
		written, err := natsconf.Node{
			Name: n.Name, Listen: at(ports[4*i]), WebSocket: at(ports[4*i+1]), Cluster: peers[i], Peers: peers,
			Store: n.Store, Certificate: signed.certificate, Key: signed.key, Authority: signed.ca,
		}.File()
		if err != nil {
			return nil, err
		}
		public, err := trust.File()
		if err != nil {
			return nil, err
		}
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, err
		}
		written = fmt.Appendf(written, "http: %q\n", n.Monitor)
		if err := errors.Join(os.WriteFile(n.config, written, 0o600), os.WriteFile(filepath.Join(folder, natsconf.TrustName), public, 0o600)); err != nil {
			return nil, err
		}
		c.Nodes = append(c.Nodes, n)
	}
	return c, nil
}

// Start starts every node that does not run and waits until all accept connections.
func (c *Cluster) Start(ctx context.Context) error {
	for _, n := range c.Nodes {
		if err := n.Start(); err != nil {
			return err
		}
	}
	for _, n := range c.Nodes {
		if err := n.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Trust has the nodes trust something else. It returns when those that run have read it:
// while a server reads, it refuses those whom it knows.
func (c *Cluster) Trust(ctx context.Context, trust natsconf.Trust) error {
	public, err := trust.File()
	if err != nil {
		return err
	}
	for _, n := range c.Nodes {
		if err := os.WriteFile(filepath.Join(filepath.Dir(n.config), natsconf.TrustName), public, 0o600); err != nil {
			return err
		}
		if err := n.reload(ctx); err != nil {
			return fmt.Errorf("have %s read what it trusts: %w", n.Name, err)
		}
	}
	return nil
}

// reload has the server read its configuration, if it runs.
func (n *Node) reload(ctx context.Context) error {
	n.mu.Lock()
	process := n.process
	n.mu.Unlock()
	if process == nil {
		return nil
	}
	before, err := n.loaded(ctx)
	if err != nil {
		return err
	}
	if err := process.Process.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	for {
		loaded, err := n.loaded(ctx)
		if err != nil || loaded.After(before) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Kill kills every node.
func (c *Cluster) Kill() {
	for _, n := range c.Nodes {
		n.Kill()
	}
}

// URLs returns where the nodes are, with commas between.
func (c *Cluster) URLs() string {
	var urls []string
	for _, n := range c.Nodes {
		urls = append(urls, n.URL)
	}
	return strings.Join(urls, ",")
}

// Start starts the server's process, unless it runs.
func (n *Node) Start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process != nil {
		return nil
	}
	process := exec.Command(n.path, "--config", n.config)
	process.SysProcAttr = &syscall.SysProcAttr{}
	dieWithParent(process.SysProcAttr)
	output := &tail{node: n}
	process.Stdout, process.Stderr = output, output
	if err := process.Start(); err != nil {
		return fmt.Errorf("start %s: %w", n.Name, err)
	}
	ended := make(chan struct{})
	n.process, n.ended = process, ended
	go func() {
		defer close(ended)
		_ = process.Wait() // it is killed in the end
	}()
	return nil
}

// tail keeps what a server says.
type tail struct{ node *Node }

// Write is part of [io.Writer].
func (t *tail) Write(p []byte) (int, error) {
	t.node.mu.Lock()
	defer t.node.mu.Unlock()
	return t.node.log.Write(p)
}

// Log returns what the server has said.
func (n *Node) Log() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.String()
}

// Kill kills the server with a signal that it does not see, and waits for its end.
func (n *Node) Kill() {
	n.mu.Lock()
	process, ended := n.process, n.ended
	n.process = nil
	n.mu.Unlock()
	if process != nil {
		_ = process.Process.Kill() // it may have ended by itself
		<-ended
	}
}

// Wait waits until the server accepts connections.
func (n *Node) Wait(ctx context.Context) error {
	address := strings.TrimPrefix(n.URL, "tls://")
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		n.mu.Lock()
		ended := n.ended
		n.mu.Unlock()
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", n.Name, err)
		case <-ended:
			return fmt.Errorf("%s ended:\n%s", n.Name, n.Log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
