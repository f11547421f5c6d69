package gitserver

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// SSH serves the repositories of a Server by ssh on a port of loopback, to who has a
// key that was admitted. Commands go to git-shell, as on a machine that serves Git
// and nothing else.
type SSH struct {
	server   *Server
	listener net.Listener
	host     ssh.PublicKey
	config   *ssh.ServerConfig
	calls    sync.WaitGroup

	mu       sync.Mutex
	admitted map[string]bool // public keys in wire format
	conns    map[net.Conn]bool
}

// ServeSSH begins to serve by ssh, until Close of what it returns.
func (s *Server) ServeSSH() (*SSH, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return s.ServeSSHAs(key, "127.0.0.1:0")
}

// ServeSSHAs is ServeSSH with a host key and an address.
func (s *Server) ServeSSHAs(key any, address string) (*SSH, error) {
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return nil, fmt.Errorf("serve ssh: %w", err)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve ssh: %w", err)
	}
	h := &SSH{server: s, listener: listener, host: signer.PublicKey(), admitted: map[string]bool{}, conns: map[net.Conn]bool{}}
	h.config = &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if !h.admitted[string(key.Marshal())] {
			return nil, errors.New("this key was not admitted")
		}
		return &ssh.Permissions{}, nil
	}}
	h.config.AddHostKey(signer)
	h.calls.Go(h.accept)
	return h, nil
}

// Close ends all connections.
func (h *SSH) Close() error {
	err := h.listener.Close()
	h.mu.Lock()
	for conn := range h.conns {
		_ = conn.Close() // who was there is told so
	}
	h.mu.Unlock()
	h.calls.Wait()
	return err
}

// Address returns the host and port that it listens at.
func (h *SSH) Address() string { return h.listener.Addr().String() }

// URL returns the address of a repository.
func (h *SSH) URL(name string) string {
	return "ssh://git@" + h.Address() + h.server.Dir(name)
}

// KnownHosts returns the line by which a client knows this host.
func (h *SSH) KnownHosts() string { return knownhosts.Line([]string{h.Address()}, h.host) + "\n" }

// Admit lets the holder of a key in, given as a line of authorized_keys.
func (h *SSH) Admit(line []byte) error {
	key, _, _, _, err := ssh.ParseAuthorizedKey(line)
	if err != nil {
		return fmt.Errorf("admit a key: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.admitted[string(key.Marshal())] = true
	return nil
}

// MakeKey makes a key and returns the path of its private file in dir, and the line
// of its public part.
func MakeKey(dir, name string) (file string, line []byte, err error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, name)
	if err != nil {
		return "", nil, err
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return "", nil, err
	}
	file = filepath.Join(dir, name)
	line = append([]byte(strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))), " "+name+"\n"...)
	err = errors.Join(os.WriteFile(file, pem.EncodeToMemory(block), 0o600), os.WriteFile(file+".pub", line, 0o600))
	return file, line, err
}

func (h *SSH) accept() {
	for {
		conn, err := h.listener.Accept()
		if err != nil {
			return // it was closed
		}
		h.mu.Lock()
		h.conns[conn] = true
		h.mu.Unlock()
		h.calls.Go(func() {
			if err := h.serve(conn); err != nil {
				h.server.log.Printf("ssh from %s: %v", conn.RemoteAddr(), err)
			}
			_ = conn.Close() // it may be closed already
			h.mu.Lock()
			delete(h.conns, conn)
			h.mu.Unlock()
		})
	}
}

func (h *SSH) serve(conn net.Conn) error {
	_, channels, requests, err := ssh.NewServerConn(conn, h.config)
	if err != nil {
		return err
	}
	var calls sync.WaitGroup
	defer calls.Wait()
	calls.Go(func() { ssh.DiscardRequests(requests) })
	for offered := range channels {
		if offered.ChannelType() != "session" {
			_ = offered.Reject(ssh.UnknownChannelType, "sessions only")
			continue
		}
		channel, asked, err := offered.Accept()
		if err != nil {
			return err
		}
		calls.Go(func() { h.session(channel, asked) })
	}
	return nil
}

// session runs the one command of a session.
func (h *SSH) session(channel ssh.Channel, asked <-chan *ssh.Request) {
	defer channel.Close()
	for request := range asked {
		var exec struct{ Command string }
		if request.Type != "exec" || ssh.Unmarshal(request.Payload, &exec) != nil {
			_ = request.Reply(false, nil)
			continue
		}
		_ = request.Reply(true, nil)
		status := struct{ Status uint32 }{h.run(exec.Command, channel)}
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(status))
		return
	}
}

// run runs a command by git-shell, and announces what it pushed.
func (h *SSH) run(command string, channel ssh.Channel) uint32 {
	ctx := context.Background()
	name, pushes := h.pushes(command)
	if pushes {
		h.server.remember(ctx, name)
	}
	cmd := exec.Command("git-shell", "-c", command)
	cmd.Dir, cmd.Stdout, cmd.Stderr = h.server.dir, channel, channel.Stderr()
	cmd.Env = append(os.Environ(), environment...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 1
	}
	go func() {
		_, _ = io.Copy(stdin, channel) // it ends with the channel
		_ = stdin.Close()
	}()
	err = cmd.Run()
	if pushes {
		h.server.announce(ctx, name)
	}
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		return uint32(max(ended.ExitCode(), 1))
	case err != nil:
		_, _ = fmt.Fprintln(channel.Stderr(), err) // who went away needs none
		return 1
	}
	return 0
}

// pushes returns which repository a command pushes to.
func (h *SSH) pushes(command string) (name string, ok bool) {
	path, ok := strings.CutPrefix(command, "git-receive-pack '"+h.server.dir+string(filepath.Separator))
	name, suffix := strings.CutSuffix(path, ".git'")
	return name, ok && suffix && validName.MatchString(name)
}
