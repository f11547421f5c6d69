package enrol_test

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// TestClockOff: an agent and a hub whose clocks differ by an hour, in either
// direction, know each other.
func TestClockOff(t *testing.T) {
	identity := open(t, t.TempDir())
	config, err := identity.ServerTLS(nil)
	if err != nil {
		t.Fatal(err)
	}
	minted, err := config.GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(minted.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(identity.CA()) {
		t.Fatal("no certificate in the CA")
	}
	for name, off := range map[string]time.Duration{"behind": -time.Hour, "right": 0, "ahead": time.Hour} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "localhost", CurrentTime: time.Now().Add(off)}); err != nil {
			t.Errorf("the agent's clock is %s: %v", name, err)
		}
	}
	// What a broker checks against its own clock has no bounds at all.
	file, err := identity.AgentCredentials("eu-1")
	if err != nil {
		t.Fatal(err)
	}
	token, err := nkeys.ParseDecoratedJWT(file)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := identity.AccountJWTs()
	if err != nil {
		t.Fatal(err)
	}
	tokens["agent"] = token
	if tokens["operator"], err = identity.OperatorJWT(); err != nil {
		t.Fatal(err)
	}
	for name, token := range tokens {
		claims, err := jwt.Decode(token)
		if err != nil {
			t.Fatal(err)
		}
		if c := claims.Claims(); c.NotBefore != 0 || c.Expires != 0 {
			t.Errorf("the JWT %s is valid from %d to %d", name, c.NotBefore, c.Expires)
		}
	}
}
