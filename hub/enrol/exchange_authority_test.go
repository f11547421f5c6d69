package enrol_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
)

// server shows a certificate of the identity on a port of this machine.
func server(t *testing.T, identity *enrol.Identity) string {
	t.Helper()
	security, err := identity.ServerTLS(nil)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", security)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if conn.(*tls.Conn).Handshake() == nil {
					_, _ = conn.Read(make([]byte, 1)) // until who connected goes away
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// admits tells whether who pins an authority takes a server for the hub's.
func admits(address string, ca []byte) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", address, &tls.Config{RootCAs: roots})
	if err != nil {
		return err
	}
	return conn.Close()
}

// TestExchangeAuthority: who pins any authority of the hub knows its server at once,
// and until that authority is retired; who is connected stays so.
func TestExchangeAuthority(t *testing.T) {
	dir := t.TempDir()
	identity := open(t, dir)
	address := server(t, identity)
	manifest := identity.CA()
	pinned := [][]byte{manifest}
	trust := wire.NewTrust(identity.PublicKey())
	for range 2 {
		exchange(t, dir, enrol.Authority)
		refresh(t, identity)
		pinned = append(pinned, identity.CA())
	}
	for n, ca := range pinned {
		if err := admits(address, ca); err != nil {
			t.Errorf("pinned authority %d: %v", n, err)
		}
	}
	if err := admits(address, open(t, t.TempDir()).CA()); err == nil {
		t.Error("another hub's authority is as good")
	}
	learn := func() {
		t.Helper()
		sealed, err := identity.Seal(wire.Announcement{Version: 1, Cluster: "eu-1", Epoch: 1, Sequence: 1, Index: fleet.DigestOf(nil)})
		if err != nil {
			t.Fatal(err)
		}
		if _, trust, err = trust.Announcement(sealed, "eu-1"); err != nil {
			t.Fatal(err)
		}
	}
	learn()
	exchange(t, dir, enrol.SigningKey) // which signs anew what agents are told of authorities
	refresh(t, identity)
	if err := enrol.Retire(dir, enrol.Authority); err != nil {
		t.Fatal(err)
	}
	refresh(t, identity)
	for name, test := range map[string]struct {
		ca   []byte
		good bool
	}{
		"an agent away since the beginning":    {manifest, false},
		"an agent that has heard of the new":   {trust.Authorities(manifest), true},
		"an agent that is installed now":       {identity.CA(), true},
		"an agent of the authority in between": {pinned[1], false},
	} {
		if err := admits(address, test.ca); (err == nil) != test.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	learn()
	if diff := cmp.Diff(string(identity.CA()), string(trust.Authorities(manifest))); diff != "" {
		t.Errorf("an agent still trusts what was retired: %s", diff)
	}
}

// TestExchangeOldAuthority: an authority that may not vouch for another says so, and
// nothing changes.
func TestExchangeOldAuthority(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	file := filepath.Join(dir, enrol.FileName)
	before := withOldAuthority(t, file)
	_, err := enrol.Exchange(dir, enrol.Authority, noon)
	if err == nil || !strings.Contains(err.Error(), "by installing every agent again") {
		t.Error(err)
	}
	after, err := os.ReadFile(file)
	if err != nil || string(after) != string(before) {
		t.Error("the file has changed", err)
	}
}

// withOldAuthority gives an identity the authority that such files had once.
func withOldAuthority(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(content, &fields); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(fields["caKey"].(string)))
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	block, _ = pem.Decode([]byte(fields["ca"].(string)))
	template, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	template.MaxPathLen, template.MaxPathLenZero = 0, true
	der, err := x509.CreateCertificate(nil, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	fields["ca"] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	changed, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	return changed
}
