package stories

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/jsonpath"

	"github.com/navarch/navarch/e2e/env"
	"github.com/navarch/navarch/hub/compile"
)

// story is what the verbs of one script act on.
type story struct {
	*env.Fleet
	dir   string           // the fleet's files, as the script writes them
	marks map[string]int64 // cluster -> size of its audit log at mark

	browser *browser  // nil before the first look
	since   time.Time // of the last cut
	plan    compile.Preview
}

type storyKey struct{}

// verbs are the words that scripts are made of, besides those of testscript. Each
// waits for what it says, and fails the story when that does not come.
var verbs = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"push":          plain(push),
	"rewind":        plain(rewind),
	"ready":         plain(ready),
	"announced":     plain(announced),
	"see":           plain(see),
	"gone":          plain(gone),
	"absent":        plain(absent),
	"mark":          plain(mark),
	"writes":        plain(writes),
	"replace":       plain(replace),
	"problem":       plain(problem),
	"no-problem":    plain(noProblem),
	"held":          plain(held),
	"not-held":      plain(notHeld),
	"release":       plain(release),
	"hub":           plain(hub),
	"agent":         plain(agent),
	"nats":          plain(nats),
	"second-agent":  plain(secondAgent),
	"log":           plain(logSays),
	"page":          plain(page),
	"says":          plain(says),
	"browse":        plain(browse),
	"browser-sees":  plain(browserSees),
	"screenshot":    plain(screenshot),
	"git-password":  plain(gitPassword),
	"unreadable":    plain(unreadable),
	"readable":      plain(readable),
	"many-apps":     plain(manyApps),
	"some-applied":  plain(someApplied),
	"no-orphans":    plain(noOrphans),
	"same-as-stock": plain(sameAsStock),
	"navarch":       navarch,
}

// plain makes a verb of a function that knows its story.
func plain(verb func(ctx context.Context, ts *testscript.TestScript, s *story, args []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("this verb cannot be negated: there is another word for the opposite")
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s := ts.Value(storyKey{}).(*story)
		if err := verb(ctx, ts, s, args); err != nil {
			ts.Fatalf("%s%v", s.Describe(), err) // the reason comes last, where whoever cuts long output cuts least
		}
	}
}

// until calls check until it returns nil, and gives its last error when ctx ends.
func until(ctx context.Context, check func() error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// push [-trailer LINE] MESSAGE commits everything in fleet/ and pushes it.
func push(ctx context.Context, ts *testscript.TestScript, s *story, args []string) error {
	message := args[len(args)-1]
	if len(args) == 3 && args[0] == "-trailer" {
		message += "\n\n" + args[1]
	}
	revision, err := s.Push(ctx, s.dir, message)
	if err != nil {
		return err
	}
	ts.Setenv("REV", revision)
	ts.Setenv("SHORT_REV", s.Pushed.Commit[:7])
	return nil
}

// rewind N force-pushes the commit N before the last one.
func rewind(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	return s.Rewind(ctx, args[0])
}

// ready waits until every app is Ready at the last pushed commit, on every cluster.
func ready(ctx context.Context, _ *testscript.TestScript, s *story, _ []string) error {
	return s.Ready(ctx)
}

// announced waits until the hub has announced the last push, whoever has heard of it.
func announced(ctx context.Context, _ *testscript.TestScript, s *story, _ []string) error {
	return s.Announced(ctx)
}

// object is "CLUSTER KIND[.group] [NAMESPACE/]NAME" of a verb's arguments.
func (s *story) object(ctx context.Context, args []string) (*unstructured.Unstructured, error) {
	if len(args) < 3 {
		return nil, errors.New("want CLUSTER KIND[.group] [NAMESPACE/]NAME")
	}
	member := s.Member(args[0])
	if member == nil {
		return nil, fmt.Errorf("there is no cluster %q", args[0])
	}
	kind, group, _ := strings.Cut(args[1], ".")
	version := "v1"
	if group != "" {
		version = group + "/v1"
	}
	namespace, name, namespaced := strings.Cut(args[2], "/")
	if !namespaced {
		namespace, name = "", namespace
	}
	return member.Object(ctx, version, kind, namespace, name)
}

// see CLUSTER KIND NAME [PATH=VALUE ...] waits until the object is there and its
// fields have the values.
func see(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	return until(ctx, func() error {
		object, err := s.object(ctx, args)
		if err != nil {
			return err
		}
		for _, want := range args[3:] {
			path, value, _ := strings.Cut(want, "=")
			got, err := field(object, path)
			if err != nil {
				return err
			}
			if got != value {
				return fmt.Errorf("%s of %s in cluster %q is %q, want %q", path, args[2], args[0], got, value)
			}
		}
		return nil
	})
}

func field(object *unstructured.Unstructured, path string) (string, error) {
	query := jsonpath.New("field").AllowMissingKeys(true)
	if err := query.Parse("{." + path + "}"); err != nil {
		return "", err
	}
	var b strings.Builder
	err := query.Execute(&b, object.Object)
	return b.String(), err
}

// gone CLUSTER KIND NAME waits until the object is not there.
func gone(ctx context.Context, ts *testscript.TestScript, s *story, args []string) error {
	return until(ctx, func() error { return absent(ctx, ts, s, args) })
}

// absent CLUSTER KIND NAME fails when the object is there now.
func absent(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	_, err := s.object(ctx, args)
	if apierrors.IsNotFound(err) {
		return nil
	}
	return errors.Join(fmt.Errorf("%s %s is in cluster %q", args[1], args[2], args[0]), err)
}

// mark begins the time that writes looks back to.
func mark(_ context.Context, _ *testscript.TestScript, s *story, _ []string) error {
	s.marks = map[string]int64{}
	for _, member := range s.Members {
		_, size, err := member.Requests(0, false)
		if err != nil {
			return err
		}
		s.marks[member.Name] = size
	}
	return nil
}

// writes CLUSTER ['VERB RESOURCE NAMESPACE/NAME' ...] fails unless the agent wrote
// exactly these since mark, as the API server recorded it. The agent's own
// namespace does not count.
func writes(_ context.Context, _ *testscript.TestScript, s *story, args []string) error {
	member := s.Member(args[0])
	requests, _, err := member.Requests(s.marks[member.Name], false)
	if err != nil {
		return err
	}
	var got []string
	for _, request := range requests {
		if request.Writes() {
			got = append(got, request.String())
		}
	}
	want := slices.Sorted(slices.Values(args[1:]))
	if !slices.Equal(got, want) {
		return fmt.Errorf("the agent of cluster %q wrote %q, want %q", args[0], got, want)
	}
	return nil
}

// replace FILE OLD NEW replaces the only occurrence of a text in a file.
func replace(_ context.Context, ts *testscript.TestScript, _ *story, args []string) error {
	file := ts.MkAbs(args[0])
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if n := strings.Count(string(content), args[1]); n != 1 {
		return fmt.Errorf("%q is %d times in %s, want once", args[1], n, args[0])
	}
	return os.WriteFile(file, []byte(strings.Replace(string(content), args[1], args[2], 1)), 0o644)
}

// problem REGEXP waits until the hub tells of a problem that matches.
func problem(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	pattern, err := regexp.Compile(args[0])
	if err != nil {
		return err
	}
	return until(ctx, func() error {
		problems, err := s.Problems(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(problems, pattern.MatchString) {
			return fmt.Errorf("no problem matches %q among %q", args[0], problems)
		}
		return nil
	})
}

// no-problem waits until the hub tells of no problem.
func noProblem(ctx context.Context, _ *testscript.TestScript, s *story, _ []string) error {
	return until(ctx, func() error {
		problems, err := s.Problems(ctx)
		if err == nil && len(problems) > 0 {
			err = fmt.Errorf("there are problems: %q", problems)
		}
		return err
	})
}

// held REGEXP waits until the hub holds something for a reason that matches.
func held(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	pattern, err := regexp.Compile(args[0])
	if err != nil {
		return err
	}
	return until(ctx, func() error {
		holds, err := s.Holds(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(holds, pattern.MatchString) {
			return fmt.Errorf("no hold matches %q among %q", args[0], holds)
		}
		return nil
	})
}

// not-held waits until the hub holds nothing.
func notHeld(ctx context.Context, _ *testscript.TestScript, s *story, _ []string) error {
	return until(ctx, func() error {
		holds, err := s.Holds(ctx)
		if err == nil && len(holds) > 0 {
			err = fmt.Errorf("held: %q", holds)
		}
		return err
	})
}

// release is a person's go for what is held.
func release(ctx context.Context, ts *testscript.TestScript, s *story, _ []string) error {
	return s.Hub.Release(ctx, ts.Getenv("REV"))
}

// hub kill|stop|start|lose-data|flags FLAG...
func hub(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	switch args[0] {
	case "kill":
		s.Hub.Kill()
	case "stop":
		s.Hub.Stop()
	case "start":
		return s.Hub.Start(ctx)
	case "lose-data":
		return os.RemoveAll(s.Hub.Data)
	case "flags":
		s.Hub.AddFlags(args[1:]...)
	default:
		return fmt.Errorf("hub %q: want kill, stop, start, lose-data or flags", args[0])
	}
	return nil
}

// agent CLUSTER kill|stop|start
func agent(_ context.Context, _ *testscript.TestScript, s *story, args []string) error {
	a := s.Agents[args[0]]
	switch args[1] {
	case "kill":
		a.Kill()
	case "stop":
		a.Stop()
	case "start":
		return a.Start()
	default:
		return fmt.Errorf("agent %q: want kill, stop or start", args[1])
	}
	return nil
}

// second-agent CLUSTER start|stop
func secondAgent(_ context.Context, _ *testscript.TestScript, s *story, args []string) error {
	if args[1] == "stop" {
		s.Second.Stop()
		return nil
	}
	s.Second = s.Agents[args[0]].Second()
	return s.Second.Start()
}

// log PROGRAM REGEXP waits until a program's log has a line that matches.
func logSays(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	pattern, err := regexp.Compile(args[1])
	if err != nil {
		return err
	}
	return until(ctx, func() error {
		for _, program := range s.Programs() {
			if program.Name == args[0] && pattern.MatchString(program.Tail(100)) {
				return nil
			}
		}
		return fmt.Errorf("no line of the log of %q matches %q", args[0], args[1])
	})
}

// nats use|kill|start|lose-data: a NATS server of its own, in place of the one in
// the hub. Use and kill take a number of servers, which are then one cluster; those that
// are killed begin with the one that leads.
func nats(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	if len(args) == 2 {
		count, err := strconv.Atoi(args[1])
		switch {
		case err != nil:
			return err
		case args[0] == "use":
			return s.UseNATSCluster(ctx, count)
		case args[0] == "kill":
			return s.KillNATS(ctx, count)
		}
	}
	switch args[0] {
	case "use":
		return s.UseOwnNATS(ctx)
	case "kill":
		s.NATS.Kill()
	case "start":
		if s.Cluster != nil {
			return s.Cluster.Start(ctx)
		}
		return s.NATS.Start(ctx)
	case "lose-data":
		return os.RemoveAll(s.NATS.Data)
	default:
		return fmt.Errorf("nats %q: want use, kill, start or lose-data", args[0])
	}
	return nil
}

// git-password PASSWORD makes the Git server ask for a password from now on, which
// the hub does not know; an empty one makes it ask for none.
func gitPassword(_ context.Context, _ *testscript.TestScript, s *story, args []string) error {
	user := ""
	if args[0] != "" {
		user = "git"
	}
	s.Git.RequireLogin(user, args[0])
	return nil
}

// unreadable REGEXP waits until the hub says why it cannot read the repository.
func unreadable(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	pattern, err := regexp.Compile(args[0])
	if err != nil {
		return err
	}
	s.Hub.Nudge(ctx)
	return until(ctx, func() error {
		said, err := s.RepositoryError(ctx)
		if err == nil && !pattern.MatchString(said) {
			err = fmt.Errorf("the hub says %q of the repository, want %q", said, args[0])
		}
		return err
	})
}

// readable waits until the hub can read the repository.
func readable(ctx context.Context, _ *testscript.TestScript, s *story, _ []string) error {
	s.Hub.Nudge(ctx)
	return until(ctx, func() error {
		said, err := s.RepositoryError(ctx)
		if err == nil && said != "" {
			err = fmt.Errorf("the hub cannot read the repository: %s", said)
		}
		return err
	})
}

// page PATH prints a page of the hub, for stdout to look at.
func page(ctx context.Context, ts *testscript.TestScript, s *story, args []string) error {
	content, err := s.Hub.Fetch(ctx, args[0])
	if err != nil {
		return err
	}
	_, err = ts.Stdout().Write(content)
	return err
}

// says PATH REGEXP waits until a page of the hub matches.
func says(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	pattern, err := regexp.Compile(args[1])
	if err != nil {
		return err
	}
	return until(ctx, func() error {
		content, err := s.Hub.Fetch(ctx, args[0])
		if err == nil && !pattern.Match(content) {
			err = fmt.Errorf("nothing on %s matches %q", args[0], args[1])
		}
		return err
	})
}

// many-apps DIR N writes N apps of three objects each, placed on every cluster.
func manyApps(_ context.Context, ts *testscript.TestScript, _ *story, args []string) error {
	var n int
	if _, err := fmt.Sscan(args[1], &n); err != nil {
		return err
	}
	for i := range n {
		name := fmt.Sprintf("many-%03d", i)
		dir := filepath.Join(ts.MkAbs(args[0]), name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		app := fmt.Sprintf("apiVersion: fleet.navarch.dev/v1alpha1\nkind: App\nmetadata: {name: %s, namespace: many}\n"+
			"spec: {source: {path: objects.yaml}, placement: {clusterTolerations: [{operator: Exists}]}}\n", name)
		var objects strings.Builder
		for _, suffix := range []string{"a", "b", "c"} {
			fmt.Fprintf(&objects, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s-%s}\n", name, suffix)
		}
		for file, content := range map[string]string{"app.yaml": app, "objects.yaml": objects.String()} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// some-applied CLUSTER waits until the agent has written some objects.
func someApplied(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	return until(ctx, func() error {
		requests, _, err := s.Member(args[0]).Requests(0, false)
		if err != nil {
			return err
		}
		n := 0
		for _, request := range requests {
			if request.Writes() && request.Namespace == "many" {
				n++
			}
		}
		if n < 20 {
			return fmt.Errorf("the agent of cluster %q wrote %d objects, want some", args[0], n)
		}
		return nil
	})
}

// no-orphans CLUSTER fails when an object carries an app's label and is in no
// inventory, or is in an inventory and not there.
func noOrphans(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	return until(ctx, func() error { return s.Member(args[0]).Orphans(ctx) })
}

// same-as-stock DIR CLUSTER... fails unless what the stock kustomize builds from
// the rendered overlays in DIR is what runs in the clusters.
func sameAsStock(ctx context.Context, ts *testscript.TestScript, s *story, args []string) error {
	for _, cluster := range args[1:] {
		if err := s.Member(cluster).RunsWhatStockBuilds(ctx, s.Tools.Kustomize, filepath.Join(ts.MkAbs(args[0]), "clusters", cluster)); err != nil {
			return err
		}
	}
	return nil
}

// navarch ARG... runs the command line tool against the story's hub.
func navarch(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(storyKey{}).(*story)
	ts.Setenv("NAVARCH_HUB", s.Hub.URL)
	err := ts.Exec(s.Tools.Navarch, args...)
	if (err != nil) != neg {
		ts.Fatalf("navarch %s: %v", strings.Join(args, " "), err)
	}
}
