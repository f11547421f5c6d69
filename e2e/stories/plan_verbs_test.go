package stories

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/compile"
	"github.com/navarch/navarch/overlays"
)

// planVerbs say what would happen, and whether it did.
var planVerbs = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"plan":       plain(planned),
	"as-planned": plain(asPlanned),
}

// plan asks what pushing fleet/ would do, against the story's hub, and begins the time
// that as-planned looks back to. The last line printed is the exit code.
func planned(ctx context.Context, ts *testscript.TestScript, s *story, args []string) error {
	if err := s.Checkout(s.dir); err != nil {
		return err
	}
	flags := append([]string{"plan", s.Work.Path, "--base", "HEAD", "--hub", s.Hub.URL}, args...)
	cmd := exec.CommandContext(ctx, s.Tools.Navarch, flags...)
	text, _ := cmd.Output() // its exit code says what is deleted
	if _, err := fmt.Fprintf(ts.Stdout(), "%sexit code %d\n", text, cmd.ProcessState.ExitCode()); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, s.Tools.Navarch, append(flags, "-o", "json")...).Output()
	s.plan = compile.Preview{}
	if decodeErr := json.Unmarshal(out, &s.plan); decodeErr != nil {
		return fmt.Errorf("navarch plan: %w: %s%s", decodeErr, out, stderrOf(err))
	}
	return mark(ctx, ts, s, nil)
}

func stderrOf(err error) string {
	if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // as exec returns it
		return string(exit.Stderr)
	}
	return ""
}

// as-planned fails unless each agent has written exactly the objects that the plan
// said, since then.
func asPlanned(_ context.Context, _ *testscript.TestScript, s *story, _ []string) error {
	want := map[string][]string{}
	for _, app := range s.plan.Apps {
		for _, effect := range app.Effects {
			for _, cluster := range effect.Clusters {
				for _, change := range effect.Objects {
					lines, err := s.requests(string(cluster), change)
					if err != nil {
						return err
					}
					want[string(cluster)] = append(want[string(cluster)], lines...)
				}
			}
		}
	}
	for _, member := range s.Members {
		requests, _, err := member.Requests(s.marks[member.Name], false)
		if err != nil {
			return err
		}
		got := map[string]bool{}
		for _, request := range requests {
			if request.Writes() && request.Resource != "namespaces" {
				got[request.String()] = true
			}
		}
		slices.Sort(want[member.Name])
		wrote := slices.Sorted(maps.Keys(got))
		if wanted := slices.Compact(want[member.Name]); !slices.Equal(wrote, wanted) {
			return fmt.Errorf("the agent of cluster %q wrote %q, the plan said %q", member.Name, wrote, wanted)
		}
	}
	return nil
}

// requests are what an agent asks of its API server to make a change.
func (s *story) requests(cluster string, change overlays.ObjectChange) ([]string, error) {
	line := func(verb string, id fleet.ObjectID) (string, error) {
		mapping, err := s.Member(cluster).Client.RESTMapper().RESTMapping(schema.GroupKind{Group: id.Group, Kind: id.Kind})
		if err != nil {
			return "", err
		}
		name := id.Name
		if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
			name = cmp.Or(id.Namespace, metav1.NamespaceDefault) + "/" + name
		}
		return fmt.Sprintf("%s %s %s", verb, mapping.Resource.GroupResource(), name), nil
	}
	verb := "patch"
	if change.Action == overlays.ObjectRemoved {
		verb = "delete"
	}
	first, err := line(verb, change.Object)
	if err != nil || change.Was == nil {
		return []string{first}, err
	}
	second, err := line("delete", *change.Was)
	return []string{first, second}, err
}
