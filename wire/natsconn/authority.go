package natsconn

import (
	"crypto/x509"
	"errors"
)

// roots returns the authorities that servers are checked against now; nil: those of
// the system. It is asked at every attempt to connect.
func (c Config) roots() (*x509.CertPool, error) {
	pem := c.CA
	if c.Authorities != nil {
		pem = c.Authorities()
	}
	if len(pem) == 0 {
		return nil, nil //nolint:nilnil // what nil means to crypto/tls
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("read the certificate authority: there is no certificate in it (want PEM)")
	}
	return pool, nil
}
