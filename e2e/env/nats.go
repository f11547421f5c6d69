package env

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// NATS is a stock NATS server that serves a hub in place of the one in the hub.
type NATS struct {
	*Program
	URL string
	CA  string // file
	// Data is the folder of its streams, which may be lost.
	Data string
	path string
	dir  string
}

// NewNATS prepares a server that knows the hub's identity, as `navarch nats
// init` prints it, with its state below dir. Start starts it.
func (h *Hub) NewNATS(ctx context.Context, dir string) (*NATS, error) {
	dir = filepath.Join(dir, "nats")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	n := &NATS{
		URL: fmt.Sprintf("tls://127.0.0.1:%d", port), CA: filepath.Join(dir, "server.pem"), Data: filepath.Join(dir, "streams"),
		path: h.tools.NATS, dir: dir,
	}
	if err := selfSigned(n.CA, filepath.Join(dir, "server.key")); err != nil {
		return nil, err
	}
	printed, err := exec.CommandContext(ctx, h.tools.Navarch, "nats", "init", "--identity", h.Identity).Output()
	if err != nil {
		return nil, fmt.Errorf("navarch nats init: %w", err)
	}
	config := fmt.Sprintf("listen: 127.0.0.1:%d\njetstream { store_dir: %q }\ntls { cert_file: %q, key_file: %q }\n%s",
		port, n.Data, n.CA, filepath.Join(dir, "server.key"), printed)
	return n, os.WriteFile(filepath.Join(dir, "nats.conf"), []byte(config), 0o600)
}

// Start starts the server's process, after Kill or Stop too, and waits until it
// accepts connections.
func (n *NATS) Start(ctx context.Context) error {
	program, err := start(n.dir, "nats-server", n.path, "--config", filepath.Join(n.dir, "nats.conf"))
	if err != nil {
		return err
	}
	n.Program = program
	address, err := url.Parse(n.URL)
	if err != nil {
		return err
	}
	return until(ctx, func() error {
		select {
		case <-program.Ended():
			return fmt.Errorf("the NATS server ended:\n%s", program.Tail(5))
		default:
		}
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address.Host)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// UseNATS makes the hub use NATS servers of its own from the next start on, and agents
// that are installed from now on. URLs have commas between; the authority is a file.
func (h *Hub) UseNATS(urls, authority string) {
	h.NATSURL, h.NATSCA = urls, authority
	h.AddFlags("--nats-url", urls, "--nats-ca", authority)
}

// selfSigned writes a certificate for loopback that vouches for itself.
func selfSigned(certificate, key string) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a NATS server of these tests only"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true,
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	if err := os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600)
}
