package env

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// Hub is a hub's process. Its ports and its identity stay the same when it is
// started again.
type Hub struct {
	*Program
	URL      string // of the dashboard
	NATSURL  string
	NATSCA   string // file; empty: the hub's own authority
	Pprof    string // URL of its profiles; empty: neither it nor its agents serve any
	Data     string // folder that may be lost
	Identity string // folder that must not be
	tools    Tools
	args     []string
	dir      string
}

// WebhookSecret signs the pushes of the Git servers that this package starts.
const WebhookSecret = "a secret of these tests only"

// NewHub prepares a hub for a repository with its state below dir. Further
// arguments are flags of navarch-hub. Start starts it.
func NewHub(t Tools, dir, repository string, args ...string) (*Hub, error) {
	dashboard, err := freePort()
	if err != nil {
		return nil, err
	}
	nats, err := freePort()
	if err != nil {
		return nil, err
	}
	h := &Hub{
		URL:      fmt.Sprintf("http://127.0.0.1:%d", dashboard),
		NATSURL:  fmt.Sprintf("tls://127.0.0.1:%d", nats),
		Data:     filepath.Join(dir, "data"),
		Identity: filepath.Join(dir, "identity"),
		tools:    t,
		dir:      dir,
	}
	secret := filepath.Join(dir, "webhook-secret")
	if err := os.WriteFile(secret, []byte(WebhookSecret), 0o600); err != nil {
		return nil, err
	}
	h.args = append([]string{
		"--repo", repository, "--data", h.Data, "--identity", h.Identity, "--webhook-secret-file", secret,
		"--listen", fmt.Sprintf("127.0.0.1:%d", dashboard), "--nats-listen", fmt.Sprintf("127.0.0.1:%d", nats),
	}, args...)
	return h, nil
}

// AddFlags adds flags of navarch-hub for the next start and those after it.
func (h *Hub) AddFlags(flags ...string) { h.args = append(h.args, flags...) }

// Webhook is where a Git server tells the hub of a push.
func (h *Hub) Webhook() string { return h.URL + "/webhook" }

// Start starts the hub's process, after Kill or Stop too, and waits until it
// serves its dashboard.
func (h *Hub) Start(ctx context.Context) error {
	program, err := start(h.dir, "hub", h.tools.Hub, h.args...)
	if err != nil {
		return err
	}
	h.Program = program
	return until(ctx, func() error {
		select {
		case <-program.Ended():
			return fmt.Errorf("the hub ended:\n%s", program.Tail(5))
		default:
		}
		_, err := h.Fetch(ctx, "/healthz")
		return err
	})
}

// Fetch reads a page of the hub.
func (h *Hub) Fetch(ctx context.Context, path string) ([]byte, error) {
	return h.call(ctx, http.MethodGet, path, nil)
}

// API reads a page of the hub's JSON API into value.
func (h *Hub) API(ctx context.Context, path string, value any) error {
	content, err := h.Fetch(ctx, "/api/v1/"+path)
	if err != nil {
		return err
	}
	return json.Unmarshal(content, value)
}

// Release is a person's go for a held commit.
func (h *Hub) Release(ctx context.Context, revision string) error {
	body, err := json.Marshal(map[string]string{"revision": revision})
	if err != nil {
		return err
	}
	_, err = h.call(ctx, http.MethodPost, "/api/v1/release", body)
	return err
}

// Nudge tells the hub of a push, as a Git server would.
func (h *Hub) Nudge(ctx context.Context) {
	body := []byte(`{"ref":"refs/heads/main"}`)
	mac := hmac.New(sha256.New, []byte(WebhookSecret))
	mac.Write(body)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.Webhook(), bytes.NewReader(body))
	if err != nil {
		return
	}
	request.Header.Set("X-Navarch-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	if response, err := http.DefaultClient.Do(request); err == nil {
		_ = response.Body.Close() // it is empty
	}
}

func (h *Hub) call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, h.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, response.Status, bytes.TrimSpace(content))
	}
	return content, err
}

// ServeProfiles makes the hub, and the agents that are installed from then on, serve
// profiles when they start.
func (h *Hub) ServeProfiles() error {
	url, flags, err := pprof()
	h.Pprof, h.args = url, append(h.args, flags...)
	return err
}

// pprof returns a URL for a program to serve profiles at, and the flags that make it.
func pprof() (url string, flags []string, err error) {
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	return "http://" + address + "/debug/pprof/", []string{"--pprof", address}, nil
}
