package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/getsops/sops/v3/hcvault"
)

// vaultServer is a Vault or OpenBao that runs beside a test and keeps everything in memory.
type vaultServer struct {
	t       *testing.T
	address string
	token   string // of who may do everything
}

// startVault starts the program that NAVARCH_VAULT names.
func startVault(t *testing.T) *vaultServer {
	t.Helper()
	program := os.Getenv("NAVARCH_VAULT")
	if program == "" {
		t.Skip("set NAVARCH_VAULT to the program of Vault or OpenBao to decrypt with its transit engine")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	v := &vaultServer{t: t, address: "http://" + address, token: "token-of-all-4711"}
	command := exec.CommandContext(t.Context(), program, "server", "-dev", "-dev-no-store-token", "-dev-root-token-id="+v.token, "-dev-listen-address="+address)
	command.Env = append(os.Environ(), "HOME="+t.TempDir())
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	var end error
	go func() {
		defer close(ended)
		end = command.Wait()
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill() // it may have ended by itself
		<-ended
	})
	for deadline := time.Now().Add(time.Minute); ; {
		response, err := http.Get(v.address + "/v1/sys/health")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return v
			}
		}
		select {
		case <-ended:
			t.Fatalf("it ended: %v\n%s", end, &output)
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not start\n%s", &output)
		}
	}
}

// post sends one request to the server's API and returns its answer.
func (v *vaultServer) post(path string, body any) (answer struct {
	Auth struct {
		Token string `json:"client_token"`
	} `json:"auth"`
},
) {
	v.t.Helper()
	asked, err := json.Marshal(body)
	if err != nil {
		v.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.address+"/v1/"+path, bytes.NewReader(asked))
	if err != nil {
		v.t.Fatal(err)
	}
	request.Header.Set("X-Vault-Token", v.token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusMultipleChoices {
		v.t.Fatalf("POST %s: %s", path, response.Status)
	}
	if response.StatusCode != http.StatusNoContent {
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			v.t.Fatal(err)
		}
	}
	return answer
}

// TestVault decrypts with a key that never leaves a real Vault, by a token that may do that
// and nothing else. Without the right, the answer gives Vault's reason and not the token.
func TestVault(t *testing.T) {
	v := startVault(t)
	v.post("sys/mounts/sops", map[string]string{"type": "transit"})
	for _, key := range []string{"mine", "other"} {
		v.post("sops/keys/"+key, map[string]string{})
	}
	v.post("sys/policies/acl/cluster", map[string]string{"policy": `path "sops/decrypt/mine" { capabilities = ["update"] }`})
	token := v.post("auth/token/create", map[string]any{"policies": []string{"cluster"}, "no_default_policy": true}).Auth.Token

	t.Setenv("VAULT_TOKEN", v.token) // of who encrypts
	sealed := func(key string) document {
		return document{Format: "yaml", Content: encrypt(t, "yaml", secret, true, hcvault.NewMasterKey(v.address, "sops", key))}
	}
	environment := map[string]string{"VAULT_ADDR": v.address, "VAULT_TOKEN": token}
	a, err := ask(t, request{Environment: environment, Documents: []document{sealed("mine"), sealed("other")}})
	if err != nil {
		t.Fatal(err)
	}
	if mine := a.Documents[0]; mine.Refusal != "" || !bytes.Contains(mine.Content, []byte(canary)) {
		t.Errorf("its own: refusal %q, said %q", mine.Refusal, mine.Said)
	}
	other := a.Documents[1]
	if other.Refusal != unavailable || !strings.Contains(other.Said, "permission denied") || strings.Contains(fmt.Sprint(a), token) {
		t.Errorf("another's: %+v", other)
	}

	environment["VAULT_ADDR"] = "http://127.0.0.1:1"
	a, err = ask(t, request{Environment: environment, Documents: []document{sealed("mine")}})
	if err != nil || a.Documents[0].Refusal != noKey {
		t.Errorf("of a Vault that the cluster does not name: %+v %v", a, err)
	}
}
