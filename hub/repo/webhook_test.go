package repo_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/navarch/navarch/hub/repo"
)

const webhookSecret = "between us"

// TestWebhook sends the requests in testdata/webhook as the named servers send them.
// The first line of each file says whether the repository is to be looked at.
func TestWebhook(t *testing.T) {
	files, err := filepath.Glob("testdata/webhook/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no requests: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(archive.Comment), ":")
			request := asRequest(t, archive)
			if got, want := nudged(t, webhookSecret, request), first == "look"; got != want {
				t.Errorf("looked %t, want %t", got, want)
			}
		})
	}
}

// asRequest makes the request of an archive with the files "headers" and "body".
// Where a header says SIGNATURE, the signature of the body stands.
func asRequest(t *testing.T, archive *txtar.Archive) *http.Request {
	t.Helper()
	parts := map[string][]byte{}
	for _, file := range archive.Files {
		parts[file.Name] = bytes.TrimSpace(file.Data)
	}
	body := parts["body"]
	if form := parts["form"]; form != nil {
		body = []byte(url.Values{"payload": {string(form)}}.Encode())
	}
	request := httptest.NewRequest(http.MethodPost, "/webhook", bytes.NewReader(body))
	for line := range strings.Lines(string(parts["headers"])) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		request.Header.Set(name, strings.ReplaceAll(value, "SIGNATURE", sign(webhookSecret, string(body))))
	}
	return request
}

func TestWebhookSignature(t *testing.T) {
	const body = `{"ref":"refs/heads/main"}`
	key := base64.StdEncoding.EncodeToString([]byte("a key of thirty-two bytes, so so"))
	now := strconv.FormatInt(time.Now().Unix(), 10)
	old := strconv.FormatInt(time.Now().Add(-6*time.Minute).Unix(), 10)
	ahead := strconv.FormatInt(time.Now().Add(6*time.Minute).Unix(), 10)
	right := sign(webhookSecret, body)
	cases := map[string]struct {
		secret string
		header map[string]string
		want   bool
	}{
		"none":                {webhookSecret, nil, false},
		"plain":               {webhookSecret, map[string]string{"X-Navarch-Signature": "sha256=" + right}, true},
		"plain, upper case":   {webhookSecret, map[string]string{"X-Navarch-Signature": "sha256=" + strings.ToUpper(right)}, true},
		"plain, no prefix":    {webhookSecret, map[string]string{"X-Navarch-Signature": right}, false},
		"plain, cut":          {webhookSecret, map[string]string{"X-Navarch-Signature": "sha256=" + right[:62]}, false},
		"plain, empty":        {webhookSecret, map[string]string{"X-Navarch-Signature": "sha256="}, false},
		"plain, other secret": {webhookSecret, map[string]string{"X-Navarch-Signature": "sha256=" + sign("other", body)}, false},
		"plain, other body":   {webhookSecret, map[string]string{"X-Navarch-Signature": "sha256=" + sign(webhookSecret, body+" ")}, false},
		"plain, no digits":    {webhookSecret, map[string]string{"X-Navarch-Signature": "sha256=" + strings.Repeat("zz", 32)}, false},
		"GitHub":              {webhookSecret, map[string]string{"X-Hub-Signature-256": "sha256=" + right}, true},
		"GitHub, SHA-1 only":  {webhookSecret, map[string]string{"X-Hub-Signature": "sha1=" + right[:40]}, false},
		"Gitea":               {webhookSecret, map[string]string{"X-Gitea-Signature": right}, true},
		"Forgejo":             {webhookSecret, map[string]string{"X-Forgejo-Signature": right}, true},
		"one of two":          {webhookSecret, map[string]string{"X-Hub-Signature-256": "sha256=00", "X-Gitea-Signature": right}, true},
		"GitLab":              {webhookSecret, map[string]string{"X-Gitlab-Token": webhookSecret}, true},
		"GitLab, cut":         {webhookSecret, map[string]string{"X-Gitlab-Token": webhookSecret[:5]}, false},
		"GitLab, empty":       {webhookSecret, map[string]string{"X-Gitlab-Token": ""}, false},
		"GitLab, longer":      {webhookSecret, map[string]string{"X-Gitlab-Token": webhookSecret + "x"}, false},
		"signing token":       {"whsec_" + key, standard(key, "id", now, body), true},
		"signing token, old":  {"whsec_" + key, standard(key, "id", old, body), false},
		"signing token, new":  {"whsec_" + key, standard(key, "id", ahead, body), false},
		"signing token, when": {"whsec_" + key, standard(key, "id", "soon", body), false},
		"signing token, body": {"whsec_" + key, standard(key, "id", now, body+" "), false},
		"signing token, two": {"whsec_" + key, func() map[string]string {
			header := standard(key, "id", now, body)
			header["Webhook-Signature"] = "v1,AAAA v2,x " + header["Webhook-Signature"]
			return header
		}(), true},
		"signing token, other id": {"whsec_" + key, func() map[string]string {
			header := standard(key, "id", now, body)
			header["Webhook-Id"] = "other"
			return header
		}(), false},
		"standard signature, plain secret": {webhookSecret, standard(base64.StdEncoding.EncodeToString([]byte(webhookSecret)), "id", now, body), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			request := httptest.NewRequest(http.MethodPost, "/webhook", strings.NewReader(body))
			for name, value := range c.header {
				request.Header.Set(name, value)
			}
			if got := nudged(t, c.secret, request); got != c.want {
				t.Errorf("believed %t, want %t", got, c.want)
			}
		})
	}
}

func TestWebhookSecret(t *testing.T) {
	r, err := repo.Open(repo.Config{URL: "https://git.example/fleet.git", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]string{"": "no secret", "\t": "no secret", "whsec_%%%": "signing token"} {
		_, err := r.Webhook(secret)
		expectError(t, err, want, "%%%")
	}
}

func TestWebhookRequest(t *testing.T) {
	large := strings.Repeat(" ", 5<<20) + "{}"
	cases := map[string]struct {
		method, body string
		status       int
		nudged       bool
	}{
		"get":       {http.MethodGet, "", http.StatusMethodNotAllowed, false},
		"empty":     {http.MethodPost, "", http.StatusAccepted, true},
		"no JSON":   {http.MethodPost, "push!", http.StatusAccepted, true},
		"null":      {http.MethodPost, "null", http.StatusAccepted, true},
		"odd":       {http.MethodPost, `{"ref": 5, "repository": "x"}`, http.StatusAccepted, true},
		"too large": {http.MethodPost, large, http.StatusAccepted, false},
		"large":     {http.MethodPost, large[2:], http.StatusAccepted, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			request := httptest.NewRequest(c.method, "/webhook", strings.NewReader(c.body))
			request.Header.Set("X-Navarch-Signature", "sha256="+sign(webhookSecret, c.body))
			handler, looked := watch(t, webhookSecret, slog.DiscardHandler)
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, request)
			if answer.Code != c.status || answer.Body.Len() != 0 || looked() != c.nudged {
				t.Errorf("status %d, body %q; want status %d, looked %t", answer.Code, answer.Body, c.status, c.nudged)
			}
		})
	}
}

// TestWebhookWords shows that strangers cannot fill the log.
func TestWebhookWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		handler, _ := watch(t, webhookSecret, slog.NewTextHandler(&log, nil))
		send := func() {
			handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/webhook", strings.NewReader("{}")))
		}
		for range 1000 {
			send()
		}
		if got := strings.Count(log.String(), "wrong signature"); got != 1 {
			t.Errorf("%d lines about 1000 requests", got)
		}
		<-time.After(2 * time.Minute)
		send()
		if got := strings.Count(log.String(), "wrong signature"); got != 2 {
			t.Errorf("%d lines two minutes later", got)
		}
	})
}

// FuzzWebhook sends anything with a right signature and with none.
func FuzzWebhook(f *testing.F) {
	files, err := filepath.Glob("testdata/webhook/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range txtar.Parse(content).Files {
			f.Add(part.Data, "application/json", "push", "sha256=00", "v1,AAAA", "0")
		}
	}
	r, err := repo.Open(repo.Config{URL: "https://git.example/team/fleet.git", Dir: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, kind, event, signature, standard, stamp string) {
		handler, err := r.Webhook(webhookSecret) // one that has heard of nobody
		if err != nil {
			t.Fatal(err)
		}
		for _, header := range []string{signature, "sha256=" + sign(webhookSecret, string(body))} {
			request := httptest.NewRequest(http.MethodPost, "/webhook", bytes.NewReader(body))
			request.Header = http.Header{
				"Content-Type": {kind}, "X-Github-Event": {event}, "X-Navarch-Signature": {header},
				"Webhook-Signature": {standard}, "Webhook-Timestamp": {stamp},
			}
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, request)
			if answer.Code != http.StatusAccepted || answer.Body.Len() > 0 {
				t.Errorf("status %d, body %q", answer.Code, answer.Body)
			}
		}
	})
}

func sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// standard returns the headers of a signature after the Standard Webhooks
// specification.
func standard(key, id, stamp, body string) map[string]string {
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		panic(err)
	}
	mac := hmac.New(sha256.New, raw)
	mac.Write([]byte(id + "." + stamp + "." + body))
	return map[string]string{
		"Webhook-Id": id, "Webhook-Timestamp": stamp,
		"Webhook-Signature": "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)),
	}
}

// nudged tells whether a request makes the repository be looked at.
func nudged(t *testing.T, secret string, request *http.Request) bool {
	t.Helper()
	handler, looked := watch(t, secret, slog.DiscardHandler)
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	if answer.Code != http.StatusAccepted || answer.Body.Len() > 0 {
		t.Errorf("the answer is %d with %q: a sender learns something from it", answer.Code, answer.Body)
	}
	return looked()
}

// watch returns the handler of a repository, and what tells whether it was nudged.
func watch(t *testing.T, secret string, log slog.Handler) (handler *repo.Webhook, looked func() bool) {
	t.Helper()
	r, err := repo.Open(repo.Config{URL: "https://git.example/code/team/fleet.git", Dir: t.TempDir(), Log: slog.New(log)})
	if err != nil {
		t.Fatal(err)
	}
	if handler, err = r.Webhook(secret); err != nil {
		t.Fatal(err)
	}
	return handler, r.Nudged
}
