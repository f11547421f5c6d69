package gate

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBundle: what a bundle holds is read elsewhere as it was here, wherever the
// reader stands.
func TestBundle(t *testing.T) {
	const content = `url: https://hub.example.com
oidc:
  issuer: https://login.example.com
  clientID: navarch
  clientSecretFile: oidc-secret
  caFile: login-ca.pem
`
	here, there := t.TempDir(), t.TempDir()
	server := httptest.NewTLSServer(nil)
	server.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	for name, text := range map[string]string{"people.yaml": content, "oidc-secret": "hush\n", "login-ca.pem": ca, "beside.key": "no business of anybody's"} {
		writeFile(t, filepath.Join(here, name), text)
	}
	bundle, err := Bundle(filepath.Join(here, "people.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]byte{BundleName: []byte(content), "oidc-secret": []byte("hush\n"), "login-ca.pem": []byte(ca)}
	if diff := cmp.Diff(want, bundle); diff != "" {
		t.Errorf("bundle (-want +got):\n%s", diff)
	}
	for name, text := range bundle {
		writeFile(t, filepath.Join(there, name), string(text))
	}
	t.Chdir(t.TempDir())
	s, err := ReadFile(filepath.Join(there, BundleName))
	if err != nil || string(s.OIDC.secret.content) != "hush\n" || string(s.OIDC.ca.content) != ca {
		t.Errorf("%+v %v", s.OIDC, err)
	}
}

// TestBundleRefuses: a mistake is said with its line, field and hint, and so is a file
// that would not be found elsewhere.
func TestBundleRefuses(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "secret"), "hush")
	writeFile(t, filepath.Join(dir, "empty"), "\n")
	const head = "url: https://hub.example.com\noidc:\n  issuer: https://login.example.com\n  clientID: navarch\n"
	for name, test := range map[string]struct{ content, want string }{
		"a mistake":       {"grants:\n- {who: group:platform, role: root}\n", `:2: grants[0].role: "root" is no role: want viewer, operator or admin`},
		"absolute":        {head + "  clientSecretFile: " + dir + "/secret\n", `:5: oidc.clientSecretFile: "` + dir + `/secret" is not beside the access file, and the hub would not find it where it runs (put the file into the folder of the access file and write its name alone, as in oidc-secret)`},
		"another folder":  {head + "  clientSecretFile: ../secret\n", `:5: oidc.clientSecretFile: "../secret" is not beside`},
		"the folder":      {head + "  clientSecretFile: ..\n", `:5: oidc.clientSecretFile: ".." cannot be the name of a file in a Secret`},
		"the access file": {head + "  caFile: access.yaml\n", `:5: oidc.caFile: "access.yaml" is what the access file itself is called`},
		"absent":          {head + "  clientSecretFile: none\n", `:5: oidc.clientSecretFile: open ` + dir + `/none: no such file or directory (name a file that the hub's user may read; a relative path begins in the folder of the access file)`},
		"empty":           {head + "  clientSecretFile: empty\n", `:5: oidc.clientSecretFile: the file "` + dir + `/empty" is empty`},
		"no certificate":  {head + "  caFile: secret\n", `:5: oidc.caFile: the file "secret" has no certificate in PEM (name the certificate`},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, "people.yaml")
			writeFile(t, file, test.content)
			bundle, err := Bundle(file)
			if err == nil || !strings.HasPrefix(err.Error(), file+test.want) || bundle != nil {
				t.Errorf("got %d files and error %v\nwant %s%s", len(bundle), err, file, test.want)
			}
		})
	}
	if _, err := Bundle(filepath.Join(dir, "none")); err == nil {
		t.Error("a file that is not there is bundled")
	}
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
