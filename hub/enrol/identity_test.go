package enrol_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
)

func open(t *testing.T, dir string) *enrol.Identity {
	t.Helper()
	identity, err := enrol.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

func TestOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "below", "identity")
	first := open(t, dir)
	second := open(t, dir)
	if !first.SigningKey().Equal(second.SigningKey()) || !bytes.Equal(first.CA(), second.CA()) {
		t.Error("opened again it is another")
	}
	if !first.PublicKey().Equal(first.SigningKey().Public().(ed25519.PublicKey)) {
		t.Error("the keys do not belong together")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	modes := map[string]string{}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		modes[entry.Name()] = info.Mode().String()
	}
	if diff := cmp.Diff(map[string]string{enrol.FileName: "-rw-------"}, modes); diff != "" {
		t.Error(diff)
	}
	if stat, err := os.Stat(dir); err != nil || stat.Mode().Perm() != 0o700 {
		t.Error(stat.Mode(), err)
	}
}

// TestOpenAtOnce starts several hubs on one empty folder: one makes the identity,
// and all have it.
func TestOpenAtOnce(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	certificates := make([][]byte, 8)
	var group sync.WaitGroup
	for i := range certificates {
		group.Go(func() {
			identity, err := enrol.Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			certificates[i] = identity.CA()
		})
	}
	group.Wait()
	for _, certificate := range certificates {
		if !bytes.Equal(certificate, certificates[0]) {
			t.Fatal("two identities")
		}
	}
}

func TestOpenDamaged(t *testing.T) {
	whole := t.TempDir()
	open(t, whole)
	content, err := os.ReadFile(filepath.Join(whole, enrol.FileName))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	open(t, elsewhere)
	other, err := os.ReadFile(filepath.Join(elsewhere, enrol.FileName))
	if err != nil {
		t.Fatal(err)
	}
	const hint = " (put back a copy of the file; with another identity every agent has to be installed again)"
	with := func(change func(fields map[string]any)) []byte {
		var fields map[string]any
		if err := json.Unmarshal(content, &fields); err != nil {
			t.Fatal(err)
		}
		change(fields)
		changed, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		return changed
	}
	field := func(content []byte, name string) any {
		var fields map[string]any
		if err := json.Unmarshal(content, &fields); err != nil {
			t.Fatal(err)
		}
		return fields[name]
	}
	tests := map[string]struct {
		file    string // default that of the identity
		content []byte
		mode    os.FileMode // default 0600
		want    string      // of the error, with FILE and DIR for the paths
	}{
		"empty":   {want: `identity "FILE" is damaged: EOF` + hint},
		"cut off": {content: content[:len(content)/2], want: `identity "FILE" is damaged: unexpected EOF` + hint},
		"no key": {
			content: with(func(f map[string]any) { delete(f, "agents") }),
			want:    `identity "FILE" is damaged: key "agents": nkeys: invalid encoded key` + hint,
		},
		"keys exchanged": {
			content: with(func(f map[string]any) { f["operator"], f["fleet"] = f["fleet"], f["operator"] }),
			want:    `identity "FILE" is damaged: key "operator": it is that of an account: want an operator` + hint,
		},
		"short key": {
			content: with(func(f map[string]any) { f["announcements"] = "AAAA" }),
			want:    `identity "FILE" is damaged: key "announcements" has 3 bytes: want 32` + hint,
		},
		"no certificate": {
			content: with(func(f map[string]any) { f["ca"] = "" }),
			want:    `identity "FILE" is damaged: key "ca": want a PEM block of kind "CERTIFICATE"` + hint,
		},
		"another's certificate": {
			content: with(func(f map[string]any) { f["ca"] = field(other, "ca") }),
			want:    `identity "FILE" is damaged: the certificate in "ca" does not belong to "caKey"` + hint,
		},
		"a later version": {
			content: with(func(f map[string]any) { f["version"] = 2 }),
			want:    `identity "FILE" has version 2, this hub knows 1 (run the hub that wrote it)`,
		},
		"readable for everybody": {
			content: content, mode: 0o644,
			want: `identity "FILE" has mode 0644: everybody on this machine can use its keys (chmod 600 it)`,
		},
		"another folder": {
			file: "notes.txt", content: []byte("hello"),
			want: `identity folder "DIR" has no identity.json but holds "notes.txt" (put the file back, or name an empty folder for a new identity)`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if test.file == "" {
				test.file = enrol.FileName
			}
			if test.mode == 0 {
				test.mode = 0o600
			}
			file := filepath.Join(dir, test.file)
			if err := os.WriteFile(file, test.content, test.mode); err != nil {
				t.Fatal(err)
			}
			_, err := enrol.Open(dir)
			want := strings.NewReplacer("FILE", file, "DIR", dir).Replace(test.want)
			if err == nil || err.Error() != want {
				t.Errorf("error %v\nwant  %s", err, want)
			}
			after, err := os.ReadFile(file)
			if diff := cmp.Diff(string(test.content), string(after)); diff != "" || err != nil {
				t.Errorf("the file was changed: %v %s", err, diff)
			}
		})
	}
}

func TestServerTLS(t *testing.T) {
	identity := open(t, t.TempDir())
	config, err := identity.ServerTLS([]string{"hub.example.com", "192.0.2.7", "2001:db8::7"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := config.GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(got.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(identity.CA()) {
		t.Fatal("no certificate in the CA")
	}
	for host, want := range map[string]bool{
		"hub.example.com": true, "192.0.2.7": true, "2001:db8::7": true, "localhost": true, "127.0.0.1": true, "::1": true,
		"example.com": false, "192.0.2.8": false,
	} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host}); (err == nil) != want {
			t.Errorf("host %q: %v", host, err)
		}
	}
	for _, host := range []string{"", "https://hub", "hub:4222", "a b"} {
		if _, err := identity.ServerTLS([]string{host}); err == nil {
			t.Errorf("host %q is accepted", host)
		}
	}
}

// TestAgentCredentials holds still all that an agent may do.
func TestAgentCredentials(t *testing.T) {
	identity := open(t, t.TempDir())
	file, err := identity.AgentCredentials("eu-1")
	if err != nil {
		t.Fatal(err)
	}
	token, err := nkeys.ParseDecoratedJWT(file)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := nkeys.ParseDecoratedUserNKey(file)
	if err != nil {
		t.Fatal(err)
	}
	if key, err := seed.PublicKey(); err != nil || key != claims.Subject {
		t.Errorf("the key %s is not that of the user %s: %v", key, claims.Subject, err)
	}
	allow := wire.AllowAgent("eu-1")
	want := jwt.UserPermissionLimits{
		Permissions: jwt.Permissions{
			Pub: jwt.Permission{Allow: allow.Publish},
			Sub: jwt.Permission{Allow: allow.Subscribe},
		},
		Limits:                 jwt.Limits{NatsLimits: jwt.NatsLimits{Subs: 16, Data: -1, Payload: wire.MaxMessage}},
		AllowedConnectionTypes: jwt.StringList{jwt.ConnectionTypeStandard, jwt.ConnectionTypeWebsocket},
	}
	if diff := cmp.Diff(want, claims.UserPermissionLimits); diff != "" {
		t.Error(diff)
	}
	if claims.Name != "eu-1" || !claims.Tags.Contains("cluster:eu-1") {
		t.Error(claims.Name, claims.Tags)
	}
	accounts, err := identity.AccountJWTs()
	if err != nil {
		t.Fatal(err)
	}
	account, err := jwt.DecodeAccountClaims(accounts[claims.Issuer])
	if err != nil || account.Name != "navarch-agents" || account.Limits.IsJSEnabled() {
		t.Errorf("the user is of account %q: %v", account.Name, err)
	}
	for _, cluster := range []fleet.ClusterName{"", "*", ">", "eu-1.us-1", "EU"} {
		if _, err := identity.AgentCredentials(cluster); err == nil {
			t.Errorf("credentials for cluster %q", cluster)
		}
	}
}

// TestAccounts checks what NATS would check before it trusts the accounts.
func TestAccounts(t *testing.T) {
	identity := open(t, t.TempDir())
	token, err := identity.OperatorJWT()
	if err != nil {
		t.Fatal(err)
	}
	operator, err := jwt.DecodeOperatorClaims(token)
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := identity.AccountJWTs()
	if err != nil {
		t.Fatal(err)
	}
	shared := map[string][2]int{}
	for key, token := range accounts {
		account, err := jwt.DecodeAccountClaims(token)
		if err != nil {
			t.Fatal(err)
		}
		var issues jwt.ValidationResults
		account.Validate(&issues)
		if len(issues.Issues) > 0 || account.Subject != key || account.Issuer != operator.Subject {
			t.Errorf("account %q of %s: %+v", account.Name, account.Issuer, issues.Issues)
		}
		shared[account.Name] = [2]int{len(account.Exports), len(account.Imports)}
	}
	want := map[string][2]int{"navarch-fleet": {6, 0}, "navarch-agents": {0, 6}, "navarch-system": {0, 0}}
	if diff := cmp.Diff(want, shared); diff != "" {
		t.Error(diff)
	}
	if accounts[operator.SystemAccount] == "" {
		t.Error("the system account is missing")
	}
}
