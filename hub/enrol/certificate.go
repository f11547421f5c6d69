package enrol

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	caLife     = 20 * 365 * 24 * time.Hour
	serverLife = 365 * 24 * time.Hour
	clockSkew  = 24 * time.Hour // how far behind an agent's clock may be
)

// CA returns the certificate that agents pin, as PEM.
func (i *Identity) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.ca.Raw})
}

// ServerTLS returns the configuration of a TLS server that proves to be hosts,
// names or addresses, and this machine's own. Its certificate lives in memory for
// a year and is replaced halfway.
func (i *Identity) ServerTLS(hosts []string) (*tls.Config, error) {
	m := &minter{identity: i, hosts: slices.Concat(hosts, []string{"localhost", "127.0.0.1", "::1"}), now: time.Now}
	for _, host := range hosts {
		if host == "" || strings.ContainsAny(host, "/: \t") && net.ParseIP(host) == nil {
			return nil, fmt.Errorf("host %q is neither a name nor an address (say --hosts without scheme and port)", host)
		}
	}
	if _, err := m.certificate(nil); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: m.certificate}, nil
}

// minter makes the certificates of a server.
type minter struct {
	identity *Identity
	hosts    []string
	now      func() time.Time

	mu      sync.Mutex
	minted  *tls.Certificate
	replace time.Time
}

func (m *minter) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if m.minted != nil && now.Before(m.replace) {
		return m.minted, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the server's key: %w", err)
	}
	template, err := newTemplate("navarch-hub", now, serverLife)
	if err != nil {
		return nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range m.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
			continue
		}
		template.DNSNames = append(template.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, m.identity.ca, &key.PublicKey, m.identity.caKey)
	if err != nil {
		return nil, fmt.Errorf("sign the server's certificate: %w", err)
	}
	m.minted = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	m.replace = now.Add(serverLife / 2)
	return m.minted, nil
}

// selfSign returns the certificate of an authority that signs servers and nothing
// below them.
func selfSign(key *ecdsa.PrivateKey, now time.Time) ([]byte, error) {
	template, err := newTemplate("navarch", now, caLife)
	if err != nil {
		return nil, err
	}
	template.KeyUsage = x509.KeyUsageCertSign
	template.BasicConstraintsValid = true
	template.IsCA = true
	template.MaxPathLenZero = true
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate authority: %w", err)
	}
	return der, nil
}

func newTemplate(name string, now time.Time, life time.Duration) (*x509.Certificate, error) {
	serial := make([]byte, 16)
	if _, err := rand.Read(serial); err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	t := &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: now.Add(-clockSkew),
		NotAfter:  now.Add(life),
	}
	t.SerialNumber = new(big.Int).SetBytes(serial)
	return t, nil
}
