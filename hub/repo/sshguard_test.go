package repo

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
)

// advertised is what git-upload-pack begins with.
const advertised = "003f1111111111111111111111111111111111111111 refs/heads/main\x00x\n0000"

// TestSSHGuard plays servers that keep silent at some step of a fetch over ssh.
func TestSSHGuard(t *testing.T) {
	cases := map[string]silence{
		"at once":         {},
		"at a command":    {handshake: true},
		"before the refs": {handshake: true, accepts: true},
		"in the refs":     {handshake: true, accepts: true, says: advertised[:20]},
		"before the pack": {handshake: true, accepts: true, says: advertised},
	}
	for name, server := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				access := silentAccess(t, server, near, far)
				start := time.Now()
				session := access.open()
				defer session.Close()
				_, err := session.AdvertisedReferencesContext(t.Context())
				if err == nil {
					req := packp.NewUploadPackRequest()
					req.Wants = []plumbing.Hash{plumbing.NewHash("1111111111111111111111111111111111111111")}
					_, err = session.UploadPack(t.Context(), req)
				}
				if took := time.Since(start); !errors.Is(err, errSilent) || took != maxSilence {
					t.Errorf("%v after %s", err, took)
				}
			})
		})
	}
}

// TestSSHTooMuch plays a server whose list of branches has no end.
func TestSSHTooMuch(t *testing.T) {
	ref := fmt.Sprintf("%04x%s refs/heads/%s\n", 4+40+1+11+900+1, strings.Repeat("1", 40), strings.Repeat("x", 900))
	first := fmt.Sprintf("%04x%s HEAD\x00shallow\n", 4+40+1+4+1+7+1, strings.Repeat("1", 40))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	near, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	session := silentAccess(t, silence{handshake: true, accepts: true, says: first + strings.Repeat(ref, maxRefs/len(ref)+100)}, near, far).open()
	defer session.Close()
	if _, err := session.AdvertisedReferencesContext(t.Context()); !errors.Is(err, errTooMuch) {
		t.Error(err)
	}
}

// silence is how far a server gets.
type silence struct {
	handshake bool
	accepts   bool   // the command
	says      string // and then nothing more
}

// silentAccess returns an access to a server at the other end of a connection.
func silentAccess(t *testing.T, s silence, near, far net.Conn) *sshAccess {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	hosts := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(hosts, []byte(knownhosts.Line([]string{"git.example:22"}, signer.PublicKey())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	go s.serve(far, signer)
	return &sshAccess{
		address: address{overSSH: true, host: "git.example:22", user: "git", path: "x"}, hosts: knownHosts(hosts), signer: signer,
		connect: func(context.Context, string, string) (net.Conn, error) { return addressed{near}, nil },
	}
}

func (s silence) serve(far net.Conn, signer ssh.Signer) {
	defer far.Close()
	if !s.handshake {
		_, _ = io.Copy(io.Discard, far)
		return
	}
	config := &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return &ssh.Permissions{}, nil }}
	config.AddHostKey(signer)
	_, channels, requests, err := ssh.NewServerConn(&polite{Conn: far}, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		channel, asked, err := offered.Accept()
		if err != nil {
			return
		}
		go func() {
			for request := range asked {
				if s.accepts && request.Type == "exec" {
					_ = request.Reply(true, nil)
					_, _ = io.WriteString(channel, s.says)
				}
			}
		}()
	}
}

// polite is the end of a pipe that listens to the version of the other before it says
// its own: a pipe takes nothing that is not read.
type polite struct {
	net.Conn
	heard bytes.Buffer
	begun bool
}

func (p *polite) Write(b []byte) (int, error) {
	if !p.begun {
		p.begun = true
		first := make([]byte, 255)
		n, err := p.Conn.Read(first)
		if err != nil {
			return 0, err
		}
		p.heard.Write(first[:n])
	}
	return p.Conn.Write(b)
}

func (p *polite) Read(b []byte) (int, error) {
	if p.heard.Len() > 0 {
		return p.heard.Read(b)
	}
	return p.Conn.Read(b)
}

// addressed gives a pipe the address that a host key is looked up by.
type addressed struct{ net.Conn }

func (addressed) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 22} }
