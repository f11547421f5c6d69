package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/dashboard"
	"github.com/navarch/navarch/hub/gate"
	"github.com/navarch/navarch/hub/view"
	"github.com/navarch/navarch/wire"
)

const (
	oldRevision = "main@sha1:1111111aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	newRevision = "main@sha1:2222222bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	badRevision = "main@sha1:3333333ccccccccccccccccccccccccccccccccc"
)

// story is the time at which the hub of these tests stands still.
var story = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// startHub serves the real dashboard over a board that a test writes on.
func startHub(t *testing.T, board *view.Board) string {
	t.Helper()
	released := func(_ context.Context, revision string) error {
		if revision != newRevision {
			return fmt.Errorf("revision %q is not held", revision)
		}
		board.Plan(view.Plan{Revision: newRevision, Definition: definition()})
		return nil
	}
	return serveHub(t, dashboard.Config{Board: board, Release: released}, gate.Config{Open: true})
}

// serveHub serves a dashboard behind a gate, on this machine.
func serveHub(t *testing.T, c dashboard.Config, g gate.Config) string {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	journal, err := gate.OpenJournal(filepath.Join(t.TempDir(), gate.JournalName), log)
	if err != nil {
		t.Fatal(err)
	}
	c.Version, c.Now = "v1", func() time.Time { return story }
	pages := dashboard.New(c)
	g.Journal, g.Log, g.Refuse = journal, log, pages.Refuse
	before, err := gate.New(g)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := before.Handler(pages.Routes())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func definition() fleet.Definition {
	return fleet.Definition{
		Clusters: []fleet.Cluster{{Name: "edge-1", Region: "eu"}, {Name: "eu-1", Region: "eu"}, {Name: "new"}, {Name: "spare"}, {Name: "us-1", Region: "us"}},
		Apps:     []fleet.App{{Name: "blog"}, {Name: "shop", Namespace: "shop"}},
	}
}

// tellStory puts a fleet on the board in which everything happens that a status
// can show.
func tellStory(board *view.Board) {
	because := fleet.Because{Rule: fleet.RuleAffinity, Detail: "env=prod"}
	everywhere := []fleet.Decision{{Cluster: "edge-1", Because: because}, {Cluster: "eu-1", Because: because}, {Cluster: "us-1", Because: because}}
	plan := view.Plan{
		Revision: oldRevision, Definition: definition(),
		Outcomes: []fleet.Outcome{{App: "blog", Placed: everywhere[1:2]}, {App: "shop", Placed: everywhere}},
	}
	before, after := app("shop", "before"), app("shop", "after")
	board.Repository(view.Repository{URL: "https://git.example.com/fleet.git", Branch: "main", Fetched: story})
	board.Commit(view.Commit{Revision: oldRevision, Message: "Begin", Accepted: true})
	board.Plan(plan)
	board.Published(fleet.Published{
		"edge-1": {Apps: []fleet.DesiredApp{before}}, "eu-1": {Apps: []fleet.DesiredApp{app("blog", "blog"), before}},
		"new": {Apps: []fleet.DesiredApp{before}}, "spare": {}, "us-1": {Apps: []fleet.DesiredApp{before}},
	}, oldRevision, story.Add(-time.Hour))
	board.Published(fleet.Published{
		"edge-1": {Apps: []fleet.DesiredApp{before}}, "eu-1": {Apps: []fleet.DesiredApp{app("blog", "blog"), after}},
		"new": {Apps: []fleet.DesiredApp{before}}, "spare": {}, "us-1": {Apps: []fleet.DesiredApp{after}},
	}, newRevision, story.Add(-90*time.Second))

	for cluster, heard := range map[fleet.ClusterName]time.Duration{"edge-1": 10 * time.Minute, "eu-1": 2 * time.Second, "spare": 7 * time.Second, "us-1": 0} {
		board.Heartbeat(wire.Heartbeat{Cluster: cluster, Agent: "v1.2.3", Epoch: 1, Sequence: 2}, story.Add(-heard))
	}
	board.Report(report("edge-1", before, wire.Condition{Type: wire.Ready, Status: "True"}), story.Add(-10*time.Minute))
	board.Report(report("eu-1", app("blog", "blog"), wire.Condition{Type: wire.Ready, Status: "True"}), story.Add(-2*time.Second))
	board.Report(report("eu-1", after, wire.Condition{Type: wire.Stalled, Status: "True", Message: "Deployment shop/web: image \"shop:2\" cannot be pulled"}), story.Add(-2*time.Second))
	board.Report(report("us-1", before, wire.Condition{Type: wire.Ready, Status: "True"}), story)
}

func app(name fleet.AppName, content string) fleet.DesiredApp {
	return fleet.DesiredApp{Name: name, Overlay: fleet.DigestOf([]byte(content)), Base: fleet.DigestOf([]byte("base of " + content))}
}

func report(cluster fleet.ClusterName, app fleet.DesiredApp, condition wire.Condition) wire.Report {
	revision := oldRevision
	if app.Overlay == fleet.DigestOf([]byte("after")) {
		revision = newRevision
	}
	applied := wire.Applied{Revision: revision, Overlay: app.Overlay, Base: app.Base}
	return wire.Report{Cluster: cluster, App: app.Name, Attempted: applied, Applied: applied, Conditions: []wire.Condition{condition}}
}

// holdStory makes the newest commit of the story wait for a person.
func holdStory(board *view.Board) {
	board.Plan(view.Plan{
		Revision: newRevision, Definition: definition(), Held: true,
		Holds: []fleet.Hold{{Message: "the commit removes 1 app"}, {Cluster: "eu-1", Message: "2 of 3 objects would be deleted, the budget is 20%"}},
		Changes: []fleet.Change{{Cluster: "eu-1", Removed: []fleet.AppName{"blog"}, Deleted: []fleet.ObjectID{
			{Kind: "ConfigMap", Namespace: "blog", Name: "words"}, {Kind: "Service", Namespace: "blog", Name: "web"},
		}}},
	})
}

// navarch runs one command line.
func navarch(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return out.String(), errs.String(), code
}

func TestStatus(t *testing.T) {
	board := view.NewBoard()
	tellStory(board)
	url := startHub(t, board)
	tests := map[string]struct {
		args []string
		want string
		code int
	}{
		"table": {want: `
CLUSTER   APP    HEALTH     DESIRED        APPLIED        LAG   HEARD   MESSAGE
edge-1    shop   NotHeard   main@1111111   main@1111111   -     10m     was Ready when last heard.
eu-1      blog   Ready      main@1111111   main@1111111   -     2s
eu-1      shop   Failed     main@2222222   main@2222222   -     2s      Deployment shop/web: image "shop:2" cannot be pulled
new       shop   NotHeard   main@1111111   -              1h    -       no agent has connected yet
spare     -      Ready      -              -              -     7s
us-1      shop   Pending    main@2222222   main@1111111   1m    0s      announced; the agent's last word is about earlier content
`},
		"wide, one cluster": {args: []string{"-o", "wide", "--cluster", "us-1"}, want: `
CLUSTER   APP    HEALTH    DESIRED        APPLIED        LAG   HEARD   NAMESPACE   REGION   AGENT    BECAUSE                     MESSAGE
us-1      shop   Pending   main@2222222   main@1111111   1m    0s      -           us       v1.2.3   clusterAffinity: env=prod   announced; the agent's last word is about earlier content
`},
		"one app": {args: []string{"--app", "blog"}, want: `
CLUSTER   APP    HEALTH   DESIRED        APPLIED        LAG   HEARD   MESSAGE
eu-1      blog   Ready    main@1111111   main@1111111   -     2s
`},
		"yaml": {args: []string{"-o", "yaml", "--app", "blog"}, want: `
at: "2026-11-23T12:00:00Z"
cells:
- agent: v1.2.3
  announced: "2026-11-23T11:00:00Z"
  app: blog
  applied: main@sha1:1111111aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
  because:
    detail: env=prod
    rule: clusterAffinity
  behind: false
  cluster: eu-1
  desired: main@sha1:1111111aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
  health: Ready
  heard: "2026-11-23T11:59:58Z"
  region: eu
revision: main@sha1:1111111aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
`},
		"failed": {args: []string{"--exit-code", "--app", "shop", "--cluster", "eu-1"}, code: exitProblem, want: `
CLUSTER   APP    HEALTH   DESIRED        APPLIED        LAG   HEARD   MESSAGE
eu-1      shop   Failed   main@2222222   main@2222222   -     2s      Deployment shop/web: image "shop:2" cannot be pulled
`},
		"not failed": {args: []string{"--exit-code", "--app", "blog"}, want: `
CLUSTER   APP    HEALTH   DESIRED        APPLIED        LAG   HEARD   MESSAGE
eu-1      blog   Ready    main@1111111   main@1111111   -     2s
`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out, errs, code := navarch(t, append([]string{"status", "--hub", url}, test.args...)...)
			if diff := cmp.Diff(strings.TrimPrefix(test.want, "\n"), out); diff != "" || errs != "" || code != test.code {
				t.Errorf("exit code %d, want %d; stderr %q; stdout (-want +got):\n%s", code, test.code, errs, diff)
			}
		})
	}
}

func TestStatusSaysWhatNeedsAPerson(t *testing.T) {
	board := view.NewBoard()
	tellStory(board)
	holdStory(board)
	board.Repository(view.Repository{URL: "https://git.example.com/fleet.git", Error: "fetch: no route to host"})
	board.Commit(view.Commit{Revision: badRevision, Rewound: true, Problems: fleet.Problems{
		{File: "apps/shop.yaml", Line: 7, Field: "spec.source.path", Message: `"bse" does not exist`, Hint: `did you mean "base"?`},
	}})
	out, _, code := navarch(t, "status", "--app", "none", "--hub", startHub(t, board))
	want := `CLUSTER   APP   HEALTH   DESIRED   APPLIED   LAG   HEARD   MESSAGE

The repository cannot be read: fetch: no route to host

Commit main@3333333 was refused and changes nothing; main@1111111 stays:
  apps/shop.yaml:7: spec.source.path: "bse" does not exist (did you mean "base"?)

Commit main@3333333 does not follow the one before it: a push was forced.

Commit main@2222222 is held: it deletes 2 objects, and a person has to agree:
  the commit removes 1 app
  cluster eu-1: 2 of 3 objects would be deleted, the budget is 20%
To agree: navarch release ` + newRevision + "\n"
	if diff := cmp.Diff(want, out); diff != "" || code != exitOK {
		t.Errorf("exit code %d; stdout (-want +got):\n%s", code, diff)
	}
}

func TestRelease(t *testing.T) {
	tests := map[string]struct {
		revision    string
		held        bool
		out, errors string
		code        int
	}{
		"whole":    {revision: newRevision, held: true, out: "released " + newRevision + ", which deletes 2 objects\n"},
		"hash":     {revision: "2222222b", held: true, out: "released " + newRevision + ", which deletes 2 objects\n"},
		"branch":   {revision: "main@2222222", held: true, out: "released " + newRevision + ", which deletes 2 objects\n"},
		"another":  {revision: oldRevision, held: true, code: exitProblem, errors: `Error: revision "` + oldRevision + `" is not held, ` + newRevision + " is: look at what it deletes before you release it\n"},
		"short":    {revision: "222222", held: true, code: exitProblem, errors: `Error: revision "222222" is not held, ` + newRevision + " is: look at what it deletes before you release it\n"},
		"branches": {revision: "live@2222222", held: true, code: exitProblem, errors: `Error: revision "live@2222222" is not held, ` + newRevision + " is: look at what it deletes before you release it\n"},
		"nothing":  {revision: newRevision, code: exitProblem, errors: `Error: nothing is held: there is no need to release "` + newRevision + "\"\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			board := view.NewBoard()
			tellStory(board)
			if test.held {
				holdStory(board)
			}
			out, errs, code := navarch(t, "release", test.revision, "--hub", startHub(t, board))
			if diff := cmp.Diff([]any{test.out, test.errors, test.code}, []any{out, errs, code}); diff != "" {
				t.Errorf("stdout, stderr and exit code (-want +got):\n%s", diff)
			}
			if held := board.Snapshot(story).Hold != nil; held != (test.held && test.code != exitOK) {
				t.Errorf("held afterwards: %v", held)
			}
		})
	}
}

// TestWatch follows a real hub over its stream of events.
func TestWatch(t *testing.T) {
	board := view.NewBoard()
	tellStory(board)
	url := startHub(t, board)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		code := run(ctx, []string{"status", "--watch", "-o", "json", "--hub", url, "--cluster", "us-1"}, strings.NewReader(""), writer, io.Discard)
		_ = writer.Close() // a pipe's always succeeds
		ended <- code
	}()
	seen := json.NewDecoder(reader)
	next := func() status {
		var s status
		if err := seen.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		return s
	}
	if first := next(); first.Cells[0].Health != "Pending" {
		t.Fatalf("at first us-1 is %q, want Pending", first.Cells[0].Health)
	}
	board.Report(report("us-1", app("shop", "after"), wire.Condition{Type: wire.Ready, Status: "True"}), story)
	for s := next(); s.Cells[0].Health != "Ready"; {
		s = next() // the stream may have told an earlier version first
	}
	cancel()
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	if code := <-ended; code != exitOK {
		t.Errorf("an interrupted watch exits with %d", code)
	}
}

func TestHubErrors(t *testing.T) {
	other := httptest.NewServer(nil) // answers 404 to everything
	t.Cleanup(other.Close)
	gone := httptest.NewServer(nil)
	gone.Close()
	tests := map[string]struct {
		args []string
		code int
		want string
	}{
		"no hub":    {args: []string{"status", "--hub", gone.URL}, code: exitProblem, want: "(start it, or say where it is with --hub or NAVARCH_HUB)\n"},
		"other":     {args: []string{"status", "--hub", other.URL}, code: exitProblem, want: "answered 404 Not Found (is this the address of its dashboard?)\n"},
		"not a URL": {args: []string{"status", "--hub", "hub:8080"}, code: exitUsage, want: "want the address of the dashboard, as in http://127.0.0.1:8080\nRun 'navarch status --help' for usage.\n"},
		"watch":     {args: []string{"status", "-w", "--hub", gone.URL}, code: exitProblem, want: "(start it, or say where it is with --hub or NAVARCH_HUB)\n"},
		"both":      {args: []string{"status", "-w", "--exit-code"}, code: exitUsage, want: "--exit-code has no meaning with --watch: nothing is final yet\nRun 'navarch status --help' for usage.\n"},
		"argument":  {args: []string{"release"}, code: exitUsage, want: "want one revision, got 0 arguments: `navarch status` names what is held\nRun 'navarch release --help' for usage.\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out, errs, code := navarch(t, test.args...)
			if out != "" || !strings.HasPrefix(errs, "Error: ") || !strings.HasSuffix(errs, test.want) || code != test.code {
				t.Errorf("exit code %d, want %d; stdout %q; stderr %q, want it to end with %q", code, test.code, out, errs, test.want)
			}
		})
	}
}

func TestFit(t *testing.T) {
	tests := map[string]struct {
		text          string
		width, height int
		want          string
	}{
		"fits":     {text: "one\ntwo\n", width: 10, height: 10, want: "one\ntwo\n"},
		"exactly":  {text: "one\ntwo\n", width: 3, height: 3, want: "one\ntwo\n"},
		"too wide": {text: "größer\n", width: 4, height: 3, want: "größ\n"},
		"too high": {text: "1\n2\n3\n4\n", width: 40, height: 4, want: "1\n2\n... and 2 lines more\n"},
		"tiny":     {text: "1\n2\n3\n", width: 40, height: 1, want: "... and 3 lines more\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, fit(test.text, test.width, test.height)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
