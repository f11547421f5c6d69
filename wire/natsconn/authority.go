package natsconn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"

	"github.com/nats-io/nats.go"
)

// secure returns how the server proves who it is.
func (c Config) secure() (nats.Option, error) {
	security := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.Authorities == nil {
		pool, err := pool(c.CA)
		security.RootCAs = pool
		return nats.Secure(security), err
	}
	if _, err := pool(c.Authorities()); err != nil {
		return nil, err
	}
	return func(o *nats.Options) error {
		o.Secure, o.TLSConfig = true, security
		o.RootCAsCB = func() (*x509.CertPool, error) { return pool(c.Authorities()) }
		return nil
	}, nil
}

// pool returns the authorities in PEM; those of the system where there is none.
func pool(pem []byte) (*x509.CertPool, error) {
	if len(pem) == 0 {
		return nil, nil //nolint:nilnil // what nil means to crypto/tls
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("read the certificate authority: there is no certificate in it (want PEM)")
	}
	return pool, nil
}
