package repo

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

const (
	maxWebhook     = 5 << 20 // of a body; more is not read
	maxWebhooks    = 16      // bodies that are read at a time
	webhookPatient = 10 * time.Second
)

// Webhook is where a Git server tells of a push. It understands GitHub, GitLab,
// Gitea, Forgejo and anybody who signs the body with the header
//
//	X-Navarch-Signature: sha256=<HMAC-SHA256 of the body in hexadecimal digits>
//
// Every request gets the same empty answer, before anybody has looked whether it is
// to be believed, and what it says is never taken over: a push that is believed makes
// the repository be looked at, no more. Who sends too often is told so, whoever it
// is.
type Webhook struct {
	secrets secrets
	target  target
	nudge   func()
	log     *slog.Logger
	refused *rate.Limiter // of words in the log
	senders *senders
	reading chan struct{}
}

// Webhook returns the handler of pushes to this repository. The secret is the one
// that the Git server signs with.
func (r *Repo) Webhook(secret string) (*Webhook, error) {
	if strings.TrimSpace(secret) == "" {
		return nil, errors.New("no secret given for webhooks: choose one, and tell it the Git server too")
	}
	secrets, err := newSecrets(secret)
	if err != nil {
		return nil, err
	}
	return &Webhook{
		secrets: secrets,
		target:  target{path: repositoryPath(r.remote.path), ref: r.remote.ref.String(), tags: r.remote.tags},
		nudge:   r.Nudge,
		log:     r.log,
		refused: rate.NewLimiter(rate.Every(time.Minute), 1),
		senders: newSenders(),
		reading: make(chan struct{}, maxWebhooks),
	}, nil
}

// ServeHTTP takes one webhook.
func (h *Webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if !h.senders.allow(r.RemoteAddr) {
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	body, ok := h.read(w, r)
	answer(w)
	switch {
	case !ok:
	case !h.secrets.signed(r.Header, body, time.Now()):
		if h.refused.Allow() {
			h.log.Warn("a webhook with a wrong signature was ignored: compare the secret with that of the Git server", "remote", r.RemoteAddr)
		}
	case h.target.concerns(r.Header, body):
		h.nudge()
	}
}

// answer answers as a whole, so that how long the rest takes tells nobody anything.
func answer(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusAccepted)
	_ = http.NewResponseController(w).Flush() // where that cannot be, it is answered a little later
}

// read reads a body of bounded size in bounded time. A few are read at once; who
// comes then has to wait.
func (h *Webhook) read(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	select {
	case h.reading <- struct{}{}:
		defer func() { <-h.reading }()
	case <-r.Context().Done():
		return nil, false
	}
	// Where the connection has no deadlines, the server's own have to do.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(webhookPatient))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWebhook))
	return body, err == nil
}

// target is the branch that pushes are waited for.
type target struct {
	path string // of the repository, as repositoryPath gives it
	ref  string
	tags bool // pushes of tags matter, too
}

// pushEvent is what the payloads of all servers have in common.
type pushEvent struct {
	Ref        string `json:"ref"`
	Repository struct {
		FullName string `json:"full_name"` // GitHub, Gitea, Forgejo
	} `json:"repository"`
	Project struct {
		PathWithNamespace string `json:"path_with_namespace"` // GitLab
	} `json:"project"`
}

// concerns tells whether a believed webhook may speak of a push to the target. What
// cannot be told may: a look too many is cheap.
func (t target) concerns(header http.Header, body []byte) bool {
	for _, name := range []string{"X-GitHub-Event", "X-Gitea-Event", "X-Forgejo-Event", "X-Gogs-Event", "X-Gitlab-Event"} {
		switch header.Get(name) {
		case "", "push", "Push Hook", "System Hook", "Tag Push Hook":
		default:
			return false // another event, such as a ping
		}
	}
	event, ok := parsePush(header.Get("Content-Type"), body)
	if !ok {
		return true
	}
	if event.Ref != "" && event.Ref != t.ref && (!t.tags || !strings.HasPrefix(event.Ref, "refs/tags/")) {
		return false
	}
	for _, name := range []string{event.Repository.FullName, event.Project.PathWithNamespace} {
		if name != "" && !t.named(name) {
			return false
		}
	}
	return true
}

// named tells whether a full name is that of the target, which may be served below
// some folder.
func (t target) named(name string) bool {
	name = repositoryPath(name)
	return t.path == name || strings.HasSuffix(t.path, "/"+name)
}

// repositoryPath gives a path in the form in which two are compared.
func repositoryPath(path string) string {
	return strings.ToLower(strings.TrimSuffix(strings.Trim(path, "/"), ".git"))
}

// parsePush reads a payload, which GitHub also sends as a field of a form.
func parsePush(contentType string, body []byte) (pushEvent, bool) {
	if kind, _, _ := mime.ParseMediaType(contentType); kind == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return pushEvent{}, false
		}
		body = []byte(form.Get("payload"))
	}
	var event pushEvent
	if err := json.Unmarshal(body, &event); err != nil {
		return pushEvent{}, false
	}
	return event, true
}
