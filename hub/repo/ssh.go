package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"golang.org/x/crypto/ssh"
)

// SSH says how to reach a repository by ssh. Nothing is taken from the machine: no
// agent, no configuration, no key and no list of hosts that is not named here.
type SSH struct {
	KeyFile        string // of a private key
	PassphraseFile string // of that key; empty: it has none
	KnownHostsFile string // host keys that are trusted, as in ~/.ssh/known_hosts; others never are
}

// sshAccess reaches a repository by ssh. It is our own and not go-git's, which asks
// the configuration and the agent of the user that it runs as, and waits for a
// silent server for ever.
type sshAccess struct {
	address address
	hosts   knownHosts
	signer  ssh.Signer
	connect func(ctx context.Context, network, address string) (net.Conn, error)
}

// newSSHAccess reads the key. The file of known hosts has to be there.
func newSSHAccess(a address, c SSH) (*sshAccess, error) {
	if c.KeyFile == "" {
		return nil, errors.New("no private key given for ssh: name its file with --git-ssh-key-file")
	}
	if c.KnownHostsFile == "" {
		return nil, errors.New("no known hosts given for ssh: name a file with the host keys of the Git server with --git-known-hosts-file, without which anybody can answer in its place")
	}
	signer, err := readSSHKey(c.KeyFile, c.PassphraseFile)
	if err != nil {
		return nil, err
	}
	hosts := knownHosts(c.KnownHostsFile)
	if _, _, err := hosts.check(a.host); err != nil {
		return nil, err
	}
	return &sshAccess{address: a, hosts: hosts, signer: signer, connect: (&net.Dialer{Timeout: maxSilence}).DialContext}, nil
}

func readSSHKey(file, passphraseFile string) (ssh.Signer, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the private key for ssh: %w", err)
	}
	var signer ssh.Signer
	if passphraseFile == "" {
		signer, err = ssh.ParsePrivateKey(content)
	} else {
		var passphrase []byte
		if passphrase, err = os.ReadFile(passphraseFile); err != nil {
			return nil, fmt.Errorf("read the passphrase of the private key for ssh: %w", err)
		}
		signer, err = ssh.ParsePrivateKeyWithPassphrase(content, bytes.TrimRight(passphrase, "\r\n"))
	}
	switch {
	case errors.As(err, new(*ssh.PassphraseMissingError)):
		return nil, fmt.Errorf("the private key in %q has a passphrase: name its file with --git-ssh-passphrase-file", file)
	case err != nil && passphraseFile != "":
		return nil, fmt.Errorf("the private key in %q cannot be opened with the passphrase in %q", file, passphraseFile)
	case err != nil:
		return nil, fmt.Errorf("the file %q is not a private key for ssh: make one with ssh-keygen -t ed25519", file)
	}
	if signer.PublicKey().Type() != ssh.KeyAlgoRSA {
		return signer, nil
	}
	// By itself it would also sign with SHA-1, if the server asks for it.
	able, ok := signer.(ssh.AlgorithmSigner)
	if !ok {
		return nil, fmt.Errorf("the RSA key in %q cannot sign with SHA-2: make a key with ssh-keygen -t ed25519", file)
	}
	return ssh.NewSignerWithAlgorithms(able, []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256})
}

// open begins a session. The first request goes out with AdvertisedReferencesContext.
func (a *sshAccess) open() *sshSession { return &sshSession{access: a} }

// dial connects and runs git-upload-pack.
func (a *sshAccess) dial(ctx context.Context) (*sshCall, error) {
	check, algorithms, err := a.hosts.check(a.address.host)
	if err != nil {
		return nil, &hostKeyError{why: err.Error()}
	}
	client, err := a.handshake(ctx, check, algorithms)
	var none *ssh.AlgorithmNegotiationError
	if errors.As(err, &none) && len(algorithms) > 0 {
		// The host has no key of a known kind. Which one it has, which will be
		// refused, tells a person more.
		client, err = a.handshake(ctx, check, nil)
	}
	if err != nil {
		return nil, err
	}
	return begin(ctx, client, "git-upload-pack "+quoteWord(a.address.path))
}

// handshake connects, checks the host key, and only then offers the key.
func (a *sshAccess) handshake(ctx context.Context, check ssh.HostKeyCallback, algorithms []string) (*ssh.Client, error) {
	conn, err := a.connect(ctx, "tcp", a.address.host)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	err = conn.SetDeadline(time.Now().Add(maxSilence))
	if err == nil {
		c, channels, requests, failed := ssh.NewClientConn(conn, a.address.host, &ssh.ClientConfig{
			User:              a.address.user,
			Auth:              []ssh.AuthMethod{ssh.PublicKeys(a.signer)},
			HostKeyCallback:   check,
			HostKeyAlgorithms: algorithms,
		})
		if err = failed; err == nil {
			if err = conn.SetDeadline(time.Time{}); err == nil {
				return ssh.NewClient(c, channels, requests), nil
			}
		}
	}
	_ = conn.Close() // the first error says more
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errSilent
	}
	return nil, err
}

// sshCall is one run of git-upload-pack at the server.
type sshCall struct {
	client *ssh.Client
	shell  *ssh.Session
	stdin  io.WriteCloser
	stdout io.Reader
	stderr *scrap
	stop   func() bool // ends that the end of a context ends the call
}

func begin(ctx context.Context, client *ssh.Client, command string) (_ *sshCall, err error) {
	c := &sshCall{client: client, stderr: &scrap{}}
	c.stop = context.AfterFunc(ctx, func() { _ = client.Close() })
	// A server that keeps silent now would be waited for as long.
	patience := time.AfterFunc(maxSilence, func() { _ = client.Close() })
	defer func() {
		if !patience.Stop() && err != nil {
			err = errSilent
		}
		if err != nil {
			_ = c.Close()
		}
	}()
	if c.shell, err = client.NewSession(); err != nil {
		return nil, err
	}
	c.shell.Stderr = c.stderr
	if c.stdin, err = c.shell.StdinPipe(); err != nil {
		return nil, err
	}
	if c.stdout, err = c.shell.StdoutPipe(); err != nil {
		return nil, err
	}
	return c, c.shell.Start(command)
}

// output guards what comes from the server, until it is closed.
func (c *sshCall) output(most int64) *guardedBody {
	body := &guardedBody{cancel: func() { _ = c.client.Close() }, body: io.NopCloser(c.stdout), left: most}
	body.watch = time.AfterFunc(maxSilence, func() {
		body.silent.Store(true)
		_ = c.client.Close()
	})
	return body
}

// Close ends the call and its connection.
func (c *sshCall) Close() error {
	c.stop()
	err := c.client.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// said waits for the end of a call that has given nothing, and returns what the
// server said in words.
func (c *sshCall) said() string {
	patience := time.AfterFunc(maxSilence, func() { _ = c.client.Close() })
	defer patience.Stop()
	_ = c.shell.Wait() // that it failed is known
	return c.stderr.String()
}

// scrap keeps the beginning of what is written to it.
type scrap struct {
	mu      sync.Mutex
	content []byte
}

func (s *scrap) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.content = append(s.content, p[:min(len(p), maxMessage-len(s.content))]...)
	return len(p), nil
}

func (s *scrap) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.content)
}

// sshSession is one visit by ssh. Each download needs a call of its own; the first
// uses the one by which the references came.
type sshSession struct {
	access *sshAccess
	call   *sshCall // nil: used up
}

// refusalError is what a server says in words where it should have sent data.
type refusalError struct{ said string }

func (e *refusalError) Error() string { return e.said }

// AdvertisedReferencesContext asks what is where.
func (s *sshSession) AdvertisedReferencesContext(ctx context.Context) (*packp.AdvRefs, error) {
	call, err := s.access.dial(ctx)
	if err != nil {
		return nil, err
	}
	s.call = call
	out := call.output(maxRefs)
	defer out.watch.Stop()
	refs := packp.NewAdvRefs()
	err = refs.Decode(out)
	switch {
	case errors.Is(err, packp.ErrEmptyInput) && !out.silent.Load():
		return nil, &refusalError{said: call.said()}
	case errors.Is(err, packp.ErrEmptyAdvRefs), err == nil && refs.IsEmpty():
		return nil, transport.ErrEmptyRemoteRepository
	case err != nil && out.silent.Load():
		return nil, errSilent
	case err != nil:
		return nil, err
	}
	transport.FilterUnsupportedCapabilities(refs.Capabilities)
	return refs, nil
}

// UploadPack asks for objects. Who reads the answer closes it.
func (s *sshSession) UploadPack(ctx context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	if s.call == nil {
		if _, err := s.AdvertisedReferencesContext(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.ask(req); err != nil {
		return nil, err
	}
	out := s.call.output(maxPack)
	out.body = &closing{Reader: s.call.stdout, closer: s}
	answer := packp.NewUploadPackResponse(req)
	if err := answer.Decode(out); err != nil {
		silent := out.silent.Load()
		_ = out.Close() // the first error says more
		if silent {
			err = errSilent
		}
		return nil, err
	}
	return answer, nil
}

// ask sends a request. Nothing is flushed behind what is had already, which would be
// a question of its own.
func (s *sshSession) ask(req *packp.UploadPackRequest) error {
	var b bytes.Buffer
	req.Wants = slices.Clone(req.Wants) // they are sorted in place
	if err := errors.Join(req.UploadRequest.Encode(&b), req.UploadHaves.Encode(&b, false), pktline.NewEncoder(&b).EncodeString("done\n")); err != nil {
		return err
	}
	if _, err := s.call.stdin.Write(b.Bytes()); err != nil {
		return err
	}
	return s.call.stdin.Close()
}

// Close ends the visit.
func (s *sshSession) Close() error {
	if s.call == nil {
		return nil
	}
	call := s.call
	s.call = nil
	return call.Close()
}

// closing is a reader whose end is that of a session's call.
type closing struct {
	io.Reader
	closer io.Closer
}

func (c *closing) Close() error { return c.closer.Close() }
