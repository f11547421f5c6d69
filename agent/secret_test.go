package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/navarch/navarch/e2e/env"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// openSecret is one that is plain in Git.
const openSecret = "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: NS}\nstringData: {password: canary-of-git}\n"

// logged is a log at debug level that a test looks into.
type logged struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(line)
}

// watched has the agent log everything to where the test looks.
func (b *bed) watched() *logged {
	l := &logged{}
	b.log = slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return l
}

// silent fails where the agent has told a text: in its log, to the hub, or in the cluster
// where more people may read than Secrets.
func (b *bed) silent(l *logged, texts ...string) {
	b.t.Helper()
	var maps corev1.ConfigMapList
	var events corev1.EventList
	check(b.t, errors.Join(b.Client.List(b.t.Context(), &maps, client.InNamespace(b.namespace)), b.Client.List(b.t.Context(), &events, client.InNamespace(b.namespace))))
	b.mu.Lock()
	defer b.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, text := range texts {
		s := env.NewSearch(text)
		s.Look("the log", l.all.Bytes())
		for what, said := range map[string]any{"reports": b.reports, "the heartbeat": b.beat, "ConfigMaps": maps, "Events": events} {
			content, err := json.Marshal(said)
			check(b.t, err)
			s.Look(what, content)
		}
		if len(s.Found) > 0 {
			b.t.Errorf("%q is in %s", text, strings.Join(s.Found, ", "))
		}
	}
}

// password reads what the Secret of the tests holds, "" where there is none.
func (b *bed) password() string {
	var secret corev1.Secret
	if err := b.Client.Get(b.t.Context(), client.ObjectKey{Namespace: b.namespace, Name: "db"}, &secret); client.IgnoreNotFound(err) != nil {
		b.t.Fatal(err)
	}
	return string(secret.Data["password"])
}

// tools builds what encrypts and what decrypts, once.
var tools = sync.OnceValues(func() (map[string]string, error) {
	t := env.Tools{Decrypt: filepath.Join(programs, "navarch-decrypt")}
	if err := t.BuildDecrypt(context.Background()); err != nil {
		return nil, err
	}
	sops, err := t.BuildSops(context.Background())
	return map[string]string{"sops": sops, "decrypt": t.Decrypt}, err
})

// encrypted has the agent find its decrypter, and returns a manifest as sops encrypts it for
// the age key that the agent tells.
func (b *bed) encrypted(manifest string) string {
	b.t.Helper()
	var key string
	b.until("the agent to tell its age key", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		key = b.beat.Recipient
		return key != ""
	})
	built, err := tools()
	check(b.t, err)
	file := filepath.Join(b.t.TempDir(), "secret.yaml")
	check(b.t, os.WriteFile(file, []byte(strings.ReplaceAll(manifest, "NS", b.namespace)), 0o600))
	cmd := exec.CommandContext(b.t.Context(), built["sops"], "encrypt", "--age", key, "--encrypted-regex", "^(data|stringData)$", file)
	cmd.Env = []string{"HOME=" + b.t.TempDir()}
	out, err := cmd.Output()
	check(b.t, err)
	return string(out)
}

// TestCVE202452284: Fleet kept what was secret in plain where more could read it than
// should. Here what is encrypted is plain in its Secret, and nowhere that the agent keeps
// or tells anything; a plain one, which content has, shows that the search finds it there.
func TestCVE202452284(t *testing.T) {
	b := newBed(t)
	built, err := tools()
	check(t, err)
	b.decrypter = built["decrypt"]
	l := b.watched()
	b.agent()
	app := b.appOf("shop", b.encrypted(strings.Replace(openSecret, "canary-of-git", "canary-of-sops", 1)))
	open := b.app("open", strings.Replace(openSecret, "name: db", "name: open", 1))
	b.announce(app, open)
	b.ready(app, open)
	if got := b.password(); got != "canary-of-sops" {
		t.Fatalf("the Secret holds %q", got)
	}
	b.silent(l, "canary-of-sops", "canary-of-git")
	kept := func(text string) []string {
		s := env.NewSearch(text)
		for _, folder := range []string{b.cache, b.config.Dir} {
			check(t, s.Folder(folder))
		}
		var secrets corev1.SecretList
		check(t, b.Client.List(t.Context(), &secrets, client.InNamespace(b.namespace)))
		for _, secret := range secrets.Items {
			for key, value := range secret.Data {
				if secret.Name != "db" && secret.Name != "open" {
					check(t, s.Unpacked(secret.Name+" "+key, value))
				}
			}
		}
		return s.Found
	}
	b.until("the content to be kept", func() bool {
		found := kept("canary-of-git")
		return slices.ContainsFunc(found, func(where string) bool { return strings.HasPrefix(where, b.cache) }) &&
			slices.ContainsFunc(found, func(where string) bool { return strings.HasPrefix(where, "navarch-content-") })
	})
	if found := kept("canary-of-sops"); len(found) > 0 {
		t.Errorf("it is in %s", strings.Join(found, ", "))
	}
}

// TestCVE202642880: Argo CD's comparison by server-side apply gave away what Secrets hold.
// Here who is told of a difference is told which fields differ, and neither what Git says
// nor what somebody has written in the cluster.
func TestCVE202642880(t *testing.T) {
	b := newBed(t)
	l := b.watched()
	b.agent()
	app := b.app("shop", openSecret)
	app.Terms.Drift = fleet.DriftReport
	b.announce(app)
	b.ready(app)
	b.rewrite("canary-of-somebody")
	r := b.reported("shop", "told to differ", func(r wire.Report) bool { return len(r.Objects) == 1 && r.Objects[0].Drift != nil })
	if drift := r.Objects[0].Drift; !slices.Equal(drift.Fields, []string{".data.password"}) || !slices.Equal(drift.By, []string{"somebody"}) {
		t.Errorf("told: %+v", drift)
	}
	b.silent(l, "canary-of-git", "canary-of-somebody")
}

// rewrite changes the Secret of the tests as somebody else does.
func (b *bed) rewrite(password string) {
	b.t.Helper()
	secret := &corev1.Secret{}
	secret.Namespace, secret.Name = b.namespace, "db"
	patch, err := json.Marshal(map[string]any{"stringData": map[string]string{"password": password}})
	check(b.t, err)
	check(b.t, b.Client.Patch(b.t.Context(), secret, client.RawPatch("application/merge-patch+json", patch), client.FieldOwner("somebody")))
}

// TestCVE202645737: as above, by what a rehearsal is answered: the API server repeats the
// values that it does not take.
func TestCVE202645737(t *testing.T) {
	b := newBed(t)
	l := b.watched()
	b.agent()
	app := b.app("shop", strings.Replace(openSecret, "{password: canary-of-git}", "{password: [canary-of-list], user: shop}", 1))
	app.Terms.Atomic = true
	b.announce(app)
	r := b.reason("shop", "ApplyFailed")
	if said := r.Conditions[0].Message; !strings.Contains(said, "nothing of the app was changed") || !strings.Contains(said, "stringData.password: expected string") {
		t.Errorf("said: %s", said)
	}
	b.silent(l, "canary-of-list")
}

// TestNoProgram: without the program that decrypts, an app with something encrypted says
// what to do, and the rest of it runs.
func TestNoProgram(t *testing.T) {
	b := newBed(t)
	b.decrypter = filepath.Join(t.TempDir(), "navarch-decrypt")
	b.agent()
	b.announce(b.appOf("shop", strings.ReplaceAll(configMap("settings", "one"), "NS", b.namespace)+b.encrypted(openSecret)))
	r := b.reason("shop", "ApplyFailed")
	if said := r.Conditions[2]; said.Type != wire.Stalled || said.Status != "True" || !strings.Contains(said.Message, "navarch-decrypt is not beside navarch-agent (install both") {
		t.Errorf("said: %+v", said)
	}
	if b.word("settings") != "one" || b.password() != "" {
		t.Error("the rest of the app does not run, or the encrypted Secret does")
	}
}
