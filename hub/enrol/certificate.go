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

// CA returns the certificate that agents pin which are installed now, as PEM.
func (i *Identity) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.ring().ca.Raw})
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
	by      *ring // that it was minted with
	replace time.Time
}

func (m *minter) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, by := m.now(), m.identity.ring()
	if m.minted != nil && m.by == by && now.Before(m.replace) {
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
	der, err := x509.CreateCertificate(rand.Reader, template, by.ca, &key.PublicKey, by.caKey)
	if err != nil {
		return nil, fmt.Errorf("sign the server's certificate: %w", err)
	}
	m.minted = &tls.Certificate{Certificate: slices.Concat([][]byte{der}, by.crosses), PrivateKey: key}
	m.by, m.replace = by, now.Add(serverLife/2)
	return m.minted, nil
}

// newAuthority makes an authority and returns its certificate and its key, as PEM.
func newAuthority(now time.Time) (certificate, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("make the key of the certificate authority: %w", err)
	}
	template, err := authorityTemplate(now)
	if err != nil {
		return "", "", err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return "", "", fmt.Errorf("sign the certificate authority: %w", err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		return "", "", fmt.Errorf("encode the key of the certificate authority: %w", err)
	}
	return toPEM("CERTIFICATE", der), toPEM("EC PRIVATE KEY", secret), nil
}

// authorityTemplate is a certificate of an authority that may vouch for the one that
// comes after it. Who has its key can show any server anyway.
func authorityTemplate(now time.Time) (*x509.Certificate, error) {
	template, err := newTemplate("navarch", now, caLife)
	if err != nil {
		return nil, err
	}
	template.KeyUsage = x509.KeyUsageCertSign
	template.BasicConstraintsValid = true
	template.IsCA = true
	return template, nil
}

// vouch has an authority vouch for the one that comes after it: who trusts the old one
// then trusts the servers of the new one, for as long as the old one is good.
func vouch(old *x509.Certificate, oldKey *ecdsa.PrivateKey, next *x509.Certificate) (string, error) {
	template, err := authorityTemplate(next.NotBefore)
	if err != nil {
		return "", err
	}
	template.Subject, template.SubjectKeyId = next.Subject, next.SubjectKeyId
	template.NotBefore, template.NotAfter = next.NotBefore, next.NotAfter
	if old.NotAfter.Before(template.NotAfter) {
		template.NotAfter = old.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, template, old, next.PublicKey, oldKey)
	if err != nil {
		return "", fmt.Errorf("sign the new certificate authority with the old one: %w", err)
	}
	return toPEM("CERTIFICATE", der), nil
}

func toPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
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
