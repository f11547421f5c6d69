package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/aes"
	sopsage "github.com/getsops/sops/v3/age"
	"github.com/getsops/sops/v3/cmd/sops/common"
	"github.com/getsops/sops/v3/cmd/sops/formats"
	"github.com/getsops/sops/v3/config"
	"github.com/getsops/sops/v3/hcvault"
	sopskeys "github.com/getsops/sops/v3/keys"
	"github.com/google/go-cmp/cmp"
)

const canary = "canary-4711-of-the-mine"

// TestMain lets the tests start this program as the agent does.
func TestMain(m *testing.M) {
	if os.Getenv("NAVARCH_DECRYPT") == "1" {
		main()
		return
	}
	os.Exit(m.Run())
}

func newIdentity(t testing.TB) *age.X25519Identity {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

// encrypt encrypts what plain holds for a key, as the sops command would with
// --encrypted-regex '^(data|stringData)$' where only is set.
func encrypt(t testing.TB, format, plain string, only bool, to ...sopskeys.MasterKey) []byte {
	t.Helper()
	store := common.StoreForFormat(formats.FormatFromString(format), config.NewStoresConfig())
	branches, err := store.LoadPlainFile([]byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	tree := sops.Tree{Branches: branches, Metadata: sops.Metadata{KeyGroups: []sops.KeyGroup{to}, Version: "3.13.3", UnencryptedSuffix: "_unencrypted"}}
	if only {
		tree.Metadata.UnencryptedSuffix, tree.Metadata.EncryptedRegex = "", "^(data|stringData)$"
	}
	key, errs := tree.GenerateDataKey()
	for _, err := range errs {
		if _, isVault := to[0].(*hcvault.MasterKey); !isVault { // which is not there
			t.Fatal(err)
		}
	}
	if err := common.EncryptTree(common.EncryptTreeOpts{Tree: &tree, Cipher: aes.NewCipher(), DataKey: key}); err != nil {
		t.Fatal(err)
	}
	encrypted, err := store.EmitEncryptedFile(tree)
	if err != nil {
		t.Fatal(err)
	}
	return encrypted
}

func recipient(t testing.TB, of *age.X25519Identity) sopskeys.MasterKey {
	t.Helper()
	key, err := sopsage.MasterKeyFromRecipient(of.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// ask starts the program with a request and an empty environment.
func ask(t *testing.T, r request) (answer, error) {
	t.Helper()
	asked, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	program := exec.CommandContext(t.Context(), os.Args[0])
	program.Env = []string{"NAVARCH_DECRYPT=1"}
	program.Stdin = bytes.NewReader(asked)
	var stdout, stderr bytes.Buffer
	program.Stdout, program.Stderr = &stdout, &stderr
	err = program.Run()
	if strings.Contains(stderr.String(), canary) {
		t.Errorf("standard error shows a value: %s", &stderr)
	}
	var a answer
	if err != nil {
		return a, fmt.Errorf("%w: %.300s", err, &stderr)
	}
	if err := json.Unmarshal(stdout.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	return a, nil
}

const secret = `apiVersion: v1
kind: Secret
metadata:
    name: db
stringData:
    password: ` + canary + `
`

func TestEveryFormat(t *testing.T) {
	identity := newIdentity(t)
	plain := map[string]string{
		"yaml":   secret,
		"json":   "{\n\t\"user\": \"shop\",\n\t\"port\": 5432,\n\t\"password\": \"" + canary + "\"\n}\n",
		"dotenv": "USER=shop\nPASSWORD=" + canary + "\n",
		"ini":    "[db]\npassword = " + canary + "\n",
		"binary": "\x00\x01 bytes of " + canary + "\n",
	}
	for format, want := range plain {
		t.Run(format, func(t *testing.T) {
			encrypted := encrypt(t, format, want, format == "yaml", recipient(t, identity))
			if bytes.Contains(encrypted, []byte(canary)) {
				t.Fatal("it is not encrypted")
			}
			a, err := ask(t, request{Identities: map[string]string{"old": "# an older one\n" + newIdentity(t).String(), "new": identity.String()}, Documents: []document{{Format: format, Content: encrypted}}})
			if err != nil {
				t.Fatal(err)
			}
			if got := a.Documents[0]; got.Refusal != "" || strings.TrimSpace(string(got.Content)) != strings.TrimSpace(want) {
				t.Errorf("refusal %q, got\n%s\nwant\n%s", got.Refusal, got.Content, want)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	mine, other := newIdentity(t), newIdentity(t)
	sealed := encrypt(t, "yaml", secret, true, recipient(t, mine))
	edit := func(old, with string) []byte {
		if !bytes.Contains(sealed, []byte(old)) {
			t.Fatalf("nothing to edit in\n%s", sealed)
		}
		return bytes.Replace(sealed, []byte(old), []byte(with), 1)
	}
	vaultKey := &hcvault.MasterKey{VaultAddress: "http://metadata.internal", EnginePath: "sops", KeyName: "key", EncryptedKey: "vault:v1:x", CreationDate: time.Now()}
	cases := map[string]struct {
		document document
		want     result
	}{
		"another cluster's key": {
			document{Format: "yaml", Content: encrypt(t, "yaml", secret, true, recipient(t, other))},
			result{Refusal: noKey, Keys: []string{other.Recipient().String()}},
		},
		"a service without credentials": {
			document{Format: "yaml", Content: encrypt(t, "yaml", secret, true, vaultKey)},
			result{Refusal: noKey, Keys: []string{"http://metadata.internal/v1/sops/keys/key"}},
		},
		"a value that was moved":     {document{Format: "yaml", Content: edit("    password:", "    user:"), Edited: true}, result{Refusal: badValue, At: "stringData.user"}},
		"a plain value":              {document{Format: "yaml", Content: edit("    password:", "    user: "+canary+"\n    password:"), Edited: true}, result{Refusal: badValue, At: "stringData.user"}},
		"an edit":                    {document{Format: "yaml", Content: edit("name: db", "name: other")}, result{Refusal: badMAC}},
		"not encrypted":              {document{Format: "yaml", Content: []byte(secret)}, result{Refusal: malformed}},
		"an unknown format":          {document{Format: "toml", Content: sealed}, result{Refusal: malformed}},
		"not YAML":                   {document{Format: "yaml", Content: []byte("\t" + canary)}, result{Refusal: malformed}},
		"an alias that is in itself": {document{Format: "yaml", Content: append([]byte("a: &a [*a]\n"), sealed...)}, result{Refusal: malformed}},
		"aliases that fill memory":   {document{Format: "yaml", Content: append([]byte(bomb()), sealed...)}, result{Refusal: malformed}},
		"metadata of wrong types":    {document{Format: "json", Content: []byte(`{"sops": {"age": 3, "mac": ["` + canary + `"]}}`)}, result{Refusal: malformed}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a, err := ask(t, request{Identities: map[string]string{"own": mine.String()}, Documents: []document{c.document}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, a.Documents[0]); diff != "" {
				t.Error(diff)
			}
			if said, _ := json.Marshal(a); bytes.Contains(said, []byte(canary)) {
				t.Errorf("the answer shows a value: %s", said)
			}
		})
	}
	t.Run("an edit that is told", func(t *testing.T) {
		a, err := ask(t, request{Identities: map[string]string{"own": mine.String()}, Documents: []document{{Format: "yaml", Content: edit("name: db", "name: other"), Edited: true}}})
		if err != nil || !bytes.Contains(a.Documents[0].Content, []byte(canary)) {
			t.Errorf("%+v %v", a, err)
		}
	})
	t.Run("one does not keep the others back", func(t *testing.T) {
		a, err := ask(t, request{Identities: map[string]string{"own": mine.String()}, Documents: []document{{Format: "yaml", Content: []byte(":")}, {Format: "yaml", Content: sealed}}})
		if err != nil || a.Documents[0].Refusal != malformed || !bytes.Contains(a.Documents[1].Content, []byte(canary)) {
			t.Errorf("%+v %v", a, err)
		}
	})
}

// bomb is YAML that stands for a thousand million words.
func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x]\n")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), i-1)
	}
	return b.String()
}

func TestKeysAreNeverRepeated(t *testing.T) {
	identity := newIdentity(t).String()
	for name, r := range map[string]request{
		"a damaged identity":    {Identities: map[string]string{"mine.agekey": identity[:len(identity)-4] + "QQQQ"}},
		"another program's key": {Identities: map[string]string{"mine.agekey": "AGE-PLUGIN-RUN-1QQQ " + canary}},
		"an unknown credential": {Environment: map[string]string{"SOPS_AGE_KEY_CMD": canary}},
		"one of a program":      {Environment: map[string]string{"LD_PRELOAD": canary}},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := ask(t, r)
			if err != nil || a.Problem == "" || strings.Contains(a.Problem, identity[20:40]) || strings.Contains(a.Problem, canary) {
				t.Errorf("got %q %v, want a problem that does not repeat the key", a.Problem, err)
			}
		})
	}
}

// TestMemoryIsBounded has the process fill its memory: it has to end of it.
func TestMemoryIsBounded(t *testing.T) {
	if os.Getenv("NAVARCH_FILL") == "1" {
		if err := boundMemory(); err != nil {
			t.Fatal(err)
		}
		var held [][]byte
		for range 1024 {
			held = append(held, bytes.Repeat([]byte{1}, 1<<20))
		}
		fmt.Println(len(held), "MiB were to be had")
		return
	}
	program := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestMemoryIsBounded$", "-test.v")
	program.Env = []string{"NAVARCH_FILL=1"}
	if out, err := program.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("out of memory")) {
		t.Errorf("a process that fills its memory ended with %v:\n%.1000s", err, out)
	}
}
