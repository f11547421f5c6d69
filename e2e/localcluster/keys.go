package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// admin is the user of the kubeconfig that people and tests get.
const admin = "admin"

// frontProxyName is whom the API server is towards aggregated API servers.
const frontProxyName = "front-proxy-client"

// users are those who get a kubeconfig, as their certificates name them. What the system users
// may do is in the roles that the API server makes at its first start.
var users = map[string]pkix.Name{
	admin:             {CommonName: "admin", Organization: []string{"system:masters"}},
	kwok:              {CommonName: "kwok", Organization: []string{"system:masters"}},
	controllerManager: {CommonName: "system:kube-controller-manager"},
	schedulerPart:     {CommonName: "system:kube-scheduler"},
	metricsServer:     {CommonName: "metrics-server", Organization: []string{"system:masters"}},
}

// keyPair is a certificate with its key, both PEM.
type keyPair struct{ cert, key []byte }

// authority signs certificates.
type authority struct {
	keyPair
	signer crypto.Signer
	parsed *x509.Certificate
	now    time.Time
}

// writeKeys makes the cluster's keys and certificates and the kubeconfigs that
// hold some of them.
func (c *cluster) writeKeys(now time.Time) error {
	ca, err := newAuthority(c.Name, now)
	if err != nil {
		return err
	}
	frontProxyCA, err := newAuthority(c.Name+"-front-proxy", now)
	if err != nil {
		return err
	}
	server, err := ca.issue(x509.Certificate{
		Subject:     pkix.Name{CommonName: apiServer},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + dnsDomain},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(serviceIP)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return err
	}
	frontProxy, err := frontProxyCA.issueClient(pkix.Name{CommonName: frontProxyName})
	if err != nil {
		return err
	}
	accountKey, accountPublicKey, err := newSigningKey()
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"ca.crt":                 ca.cert,
		"ca.key":                 ca.key,
		"apiserver.crt":          server.cert,
		"apiserver.key":          server.key,
		"front-proxy-ca.crt":     frontProxyCA.cert,
		"front-proxy-client.crt": frontProxy.cert,
		"front-proxy-client.key": frontProxy.key,
		"sa.key":                 accountKey,
		"sa.pub":                 accountPublicKey,
	} {
		if err := os.WriteFile(c.key(name), content, 0o600); err != nil {
			return err
		}
	}
	if c.Metrics != nil {
		if err := c.writeMeasurementKeys(ca); err != nil {
			return err
		}
	}
	return c.writeKubeconfigs(ca)
}

// writeKubeconfigs writes one self-contained kubeconfig for each user.
func (c *cluster) writeKubeconfigs(ca *authority) error {
	for user, subject := range users {
		client, err := ca.issueClient(subject)
		if err != nil {
			return err
		}
		config := clientcmdapi.NewConfig()
		config.Clusters[c.Name] = &clientcmdapi.Cluster{
			Server:                   fmt.Sprintf("https://127.0.0.1:%d", c.Port),
			CertificateAuthorityData: ca.cert,
		}
		config.AuthInfos[c.Name] = &clientcmdapi.AuthInfo{ClientCertificateData: client.cert, ClientKeyData: client.key}
		config.Contexts[c.Name] = &clientcmdapi.Context{Cluster: c.Name, AuthInfo: c.Name}
		config.CurrentContext = c.Name
		if err := clientcmd.WriteToFile(*config, c.kubeconfig(user)); err != nil {
			return fmt.Errorf("write kubeconfig of %s: %w", user, err)
		}
	}
	return nil
}

func newAuthority(name string, now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := &authority{signer: key, now: now}
	ca.parsed = &x509.Certificate{ // its own parent
		Subject:               pkix.Name{CommonName: name + "-ca"},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	ca.keyPair, err = ca.sign(ca.parsed, key)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(ca.cert)
	ca.parsed, err = x509.ParseCertificate(block.Bytes)
	return ca, err
}

// issueClient makes a key and a certificate for a client.
func (ca *authority) issueClient(subject pkix.Name) (keyPair, error) {
	return ca.issue(x509.Certificate{Subject: subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// issue makes a key and a certificate for it as template says.
func (ca *authority) issue(template x509.Certificate) (keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	return ca.sign(&template, key)
}

func (ca *authority) sign(template *x509.Certificate, key *ecdsa.PrivateKey) (keyPair, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return keyPair{}, err
	}
	template.SerialNumber = serial
	template.NotBefore = ca.now.Add(-time.Hour) // clocks of containers and virtual machines jump
	template.NotAfter = ca.now.AddDate(10, 0, 0)
	der, err := x509.CreateCertificate(rand.Reader, template, ca.parsed, key.Public(), ca.signer)
	if err != nil {
		return keyPair{}, fmt.Errorf("certificate of %q: %w", template.Subject.CommonName, err)
	}
	keyPEM, err := encodeKey(key)
	return keyPair{cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key: keyPEM}, err
}

// newSigningKey makes the key that ServiceAccount tokens are signed with.
func newSigningKey() (private, public []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if private, err = encodeKey(key); err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	return private, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), err
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), err
}
