package repo_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/navarch/navarch/hub/repo"
)

// post sends a webhook from an address, signed where it is to be believed.
func post(handler http.Handler, remote, body string, signed bool, header http.Header) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodPost, "/webhook", strings.NewReader(body))
	request.RemoteAddr = remote
	for name, values := range header {
		request.Header[name] = values
	}
	if signed {
		request.Header.Set("X-Navarch-Signature", "sha256="+sign(webhookSecret, body))
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	return answer
}

// oddPayloads are bodies that made receivers panic, or work for ever.
func oddPayloads() map[string]string {
	return map[string]string{
		"nothing":           "",
		"null":              "null",
		"list":              "[]",
		"number":            "1e999999999",
		"no repository":     `{"ref":"refs/heads/main"}`,
		"null repository":   `{"ref":"refs/heads/main","repository":null,"project":null}`,
		"null ref":          `{"ref":null,"repository":{"full_name":"team/fleet"}}`,
		"list of commits":   `{"ref":"refs/heads/main","commits":[null,{},[]],"repository":{}}`,
		"no changes":        `{"eventKey":"repo:refs_changed","changes":[],"repository":{"links":{"clone":[]}}}`,
		"links of another":  `{"repository":{"links":{"clone":{"href":5}}},"push":{"changes":[{"new":null,"old":null}]}}`,
		"azure":             `{"eventType":"git.push","resource":{"refUpdates":[],"repository":null}}`,
		"deep":              strings.Repeat(`{"a":[`, 100_000),
		"deep repository":   `{"repository":` + strings.Repeat(`{"repository":`, 20_000) + `1` + strings.Repeat(`}`, 20_001),
		"many names":        `{"repository":{` + strings.Repeat(`"full_name":"team/fleet",`, 50_000) + `"x":1}}`,
		"long name":         `{"repository":{"full_name":"` + strings.Repeat("a/", 1<<20) + `"}}`,
		"escapes":           `{"ref":"` + strings.Repeat(`\ud800`, 100_000) + `"}`,
		"invalid UTF-8":     "{\"ref\":\"\xff\xfe\"}",
		"zero bytes":        strings.Repeat("\x00", 1<<20),
		"form":              "payload=" + strings.Repeat("%7B", 100_000),
		"form of nothing":   "payload",
		"form with escapes": "payload=%zz&" + strings.Repeat("a=b&", 100_000),
	}
}

// withoutSecret sends odd payloads without a signature, as each server would, and
// expects that nothing is read out of them, and little needed.
func withoutSecret(t *testing.T, events map[string]string) {
	t.Helper()
	for name, body := range oddPayloads() {
		t.Run(name, func(t *testing.T) {
			handler, looked := watch(t, webhookSecret, slog.DiscardHandler)
			for header, event := range events {
				for _, kind := range []string{"application/json", "application/x-www-form-urlencoded", "a/b; =;;"} {
					answer := post(handler, "192.0.2.1:1", body, false, http.Header{header: {event}, "Content-Type": {kind}})
					if answer.Code != http.StatusAccepted || answer.Body.Len() > 0 {
						t.Errorf("status %d, body %q", answer.Code, answer.Body)
					}
				}
			}
			if looked() {
				t.Error("it was believed")
			}
			// Signed, it may be believed, and has to end as well.
			post(handler, "192.0.2.1:1", body, true, nil)
		})
	}
}

// TestCVE202440634 (Argo CD): a large body from anybody is not kept in memory.
func TestCVE202440634(t *testing.T) {
	handler, looked := watch(t, webhookSecret, slog.DiscardHandler)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	request := httptest.NewRequest(http.MethodPost, "/webhook", endless{})
	request.ContentLength = -1
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
		t.Errorf("%d bytes were used for a body without end", took)
	}
	if answer.Code != http.StatusAccepted || looked() {
		t.Errorf("status %d, looked %t", answer.Code, looked())
	}
	withoutSecret(t, map[string]string{"X-Github-Event": "push"})
}

// endless is a body that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte("a"), len(p))), nil }

// TestCVE202559531 (Argo CD): a payload of Bitbucket without what it should have ends
// no process.
func TestCVE202559531(t *testing.T) {
	withoutSecret(t, map[string]string{"X-Event-Key": "repo:refs_changed"})
}

// TestCVE202559537 (Argo CD): neither does one of Gogs.
func TestCVE202559537(t *testing.T) {
	withoutSecret(t, map[string]string{"X-Gogs-Event": "push"})
}

// TestCVE202559538 (Argo CD): neither does one of Azure DevOps.
func TestCVE202559538(t *testing.T) {
	withoutSecret(t, map[string]string{"X-Vss-Activityid": "1"})
}

// TestCVE202644937 (Fleet): a name in a payload is compared, and never a pattern.
func TestCVE202644937(t *testing.T) {
	for name, nudged := range map[string]bool{
		"team/fleet": true, "TEAM/Fleet": true, "code/team/fleet": true,
		".*": false, "team/.*": false, "^team/fleet$": false, "team/fleet|x": false, "(team/fleet)": false,
		"team/flee.": false, "[a-z/]+": false, "(a+)+$": false, "(?i)team/fleet": false, "eam/fleet": false, "": true,
	} {
		for _, body := range []string{
			fmt.Sprintf(`{"ref":"refs/heads/main","repository":{"full_name":%q}}`, name),
			fmt.Sprintf(`{"ref":"refs/heads/main","project":{"path_with_namespace":%q}}`, name),
		} {
			handler, looked := watch(t, webhookSecret, slog.DiscardHandler)
			post(handler, "192.0.2.1:1", body, false, nil)
			if looked() {
				t.Errorf("%s was believed without a signature", body)
			}
			post(handler, "192.0.2.1:1", body, true, nil)
			if got := looked(); got != nudged {
				t.Errorf("%s: looked %t, want %t", body, got, nudged)
			}
		}
	}
	handler, looked := watch(t, webhookSecret, slog.DiscardHandler)
	post(handler, "192.0.2.1:1", `{"ref":"refs/heads/(main|.*)"}`, true, nil)
	if looked() {
		t.Error("a ref is taken for a pattern")
	}
}

// TestCVE202640109 (Flux): a token that somebody else was given is none. The only
// thing that counts is the secret.
func TestCVE202640109(t *testing.T) {
	const token = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2FjY291bnRzLmdvb2dsZS5jb20iLCJhdWQiOiJzb21lYm9keSBlbHNlIn0.c2lnbmF0dXJl"
	for name, header := range map[string]http.Header{
		"bearer token":     {"Authorization": {"Bearer " + token}},
		"secret as bearer": {"Authorization": {"Bearer " + webhookSecret}},
		"token of GitLab":  {"X-Gitlab-Token": {token}},
		"signature":        {"X-Hub-Signature-256": {"sha256=" + sign(token, "{}")}},
		"no signature":     {"X-Hub-Signature-256": {"sha256="}},
		"other secret":     {"X-Navarch-Signature": {"sha256=" + sign("", "{}")}},
		"two signatures":   {"X-Navarch-Signature": {"sha256=00", "sha256=" + sign(webhookSecret, "{}")}},
	} {
		handler, looked := watch(t, webhookSecret, slog.DiscardHandler)
		post(handler, "192.0.2.1:1", "{}", false, header)
		if looked() {
			t.Errorf("%s is believed", name)
		}
	}
}

// TestWebhookRate shows that one sender cannot have all the attention, that all
// together have a bounded one, and that good and bad ones are told the same.
func TestWebhookRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler, looked := watch(t, webhookSecret, slog.DiscardHandler)
		flood := func(remote func(i int) string, signed bool) (taken int) {
			for i := range 1000 {
				switch answer := post(handler, remote(i), "{}", signed, nil); answer.Code {
				case http.StatusAccepted:
					taken++
				case http.StatusTooManyRequests:
					if answer.Header().Get("Retry-After") == "" || answer.Body.Len() > 0 {
						t.Errorf("refused with %v and %q", answer.Header(), answer.Body)
					}
				default:
					t.Errorf("status %d", answer.Code)
				}
			}
			return taken
		}
		one := func(i int) string { return fmt.Sprintf("192.0.2.1:%d", i+1) }
		if taken := flood(one, false); taken != 50 {
			t.Errorf("%d of a sender are taken", taken)
		}
		if post(handler, "198.51.100.7:1", "{}", true, nil); !looked() {
			t.Error("another sender is not heard any more")
		}
		if taken := flood(func(i int) string { return fmt.Sprintf("[2001:db8::%x]:1", i+1) }, false); taken != 50 {
			t.Errorf("%d of a sender with many addresses are taken", taken)
		}
		if taken := flood(func(i int) string { return fmt.Sprintf("10.0.%d.%d:1", i/256, i%256) }, false); taken != 99 {
			t.Errorf("%d of everybody are taken", taken)
		}
		<-time.After(time.Minute)
		if taken := flood(one, true); taken != 50 {
			t.Errorf("%d of a good sender are taken", taken)
		}
	})
}

// TestWebhookAnswersFirst shows that the answer is out before anybody has looked at
// what came, so that its time tells nothing.
func TestWebhookAnswersFirst(t *testing.T) {
	handler, looked := watch(t, webhookSecret, slog.DiscardHandler)
	answer := &flushed{ResponseRecorder: httptest.NewRecorder(), at: func() {
		if looked() {
			t.Error("it was believed before it was answered")
		}
	}}
	request := httptest.NewRequest(http.MethodPost, "/webhook", strings.NewReader("{}"))
	request.Header.Set("X-Navarch-Signature", "sha256="+sign(webhookSecret, "{}"))
	handler.ServeHTTP(answer, request)
	if !answer.out || !looked() {
		t.Errorf("answered %t", answer.out)
	}
}

// flushed notes when an answer goes out.
type flushed struct {
	*httptest.ResponseRecorder
	at  func()
	out bool
}

func (f *flushed) Flush() { f.out = true; f.at() }

// TestWebhookTags looks when a tag is pushed where tags matter.
func TestWebhookTags(t *testing.T) {
	for mode, want := range map[repo.Mode]bool{repo.VerifyNothing: false, repo.VerifyCommits: false, repo.VerifyTags: true, repo.VerifyBoth: true} {
		c := repo.Config{URL: "https://git.example/team/fleet.git", Dir: t.TempDir()}
		if mode != repo.VerifyNothing {
			c.Verify = repo.Verify{Mode: mode, Keys: keysOf(t, sshSigner(t, "ada"))}
		}
		r := open(t, c)
		handler, err := r.Webhook(webhookSecret)
		if err != nil {
			t.Fatal(err)
		}
		post(handler, "192.0.2.1:1", `{"ref":"refs/tags/v1"}`, true, nil)
		if got := r.Nudged(); got != want {
			t.Errorf("%q: looked %t, want %t", mode, got, want)
		}
	}
}
