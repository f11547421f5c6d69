package stories

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// memberVerbs act on a member cluster behind the agent's back, as its
// administrators and the world do.
var memberVerbs = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"members":     plain(members),
	"apply":       plain(applyFile),
	"patch":       plain(patchObject),
	"delete":      plain(deleteObject),
	"cut":         plain(cut),
	"restore":     plain(restore),
	"timed-see":   plain(timedSee),
	"ready-count": plain(readyCount),
	"measured":    plain(measured),
	"never-asked": plain(neverAsked),
	"event":       plain(eventSays),
	"recorded":    plain(recorded),
}

// members NAME=MEMBER ... gives the members other names, under which their agents
// are installed anew. Members that are not named have no agent.
func members(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	names := map[string]string{}
	for _, arg := range args {
		name, member, ok := strings.Cut(arg, "=")
		if !ok || s.Member(member) == nil {
			return fmt.Errorf("%q: want NAME=MEMBER", arg)
		}
		names[name] = member
	}
	return s.Rename(ctx, names)
}

// apply CLUSTER FILE makes objects of the file, as an administrator.
func applyFile(ctx context.Context, ts *testscript.TestScript, s *story, args []string) error {
	content, err := os.ReadFile(ts.MkAbs(args[1]))
	if err != nil {
		return err
	}
	return s.Member(args[0]).ApplyManifest(ctx, content)
}

// patch CLUSTER KIND NAME PATCH changes an object with a JSON merge patch.
func patchObject(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	object, err := s.object(ctx, args)
	if err != nil {
		return err
	}
	return s.Member(args[0]).Client.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(args[3])), client.FieldOwner("administrator"))
}

// delete CLUSTER KIND NAME deletes the object.
func deleteObject(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	object, err := s.object(ctx, args)
	if err != nil {
		return err
	}
	return s.Member(args[0]).Client.Delete(ctx, object)
}

// event CLUSTER NAMESPACE REGEXP waits for an Event of a namespace, in the form
// "reason kind/name message".
func eventSays(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	pattern, err := regexp.Compile(args[2])
	if err != nil {
		return err
	}
	return until(ctx, func() error {
		var list corev1.EventList
		if err := s.Member(args[0]).Client.List(ctx, &list, client.InNamespace(args[1])); err != nil {
			return err
		}
		var said []string
		for _, e := range list.Items {
			said = append(said, fmt.Sprintf("%s %s/%s %s", e.Reason, e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Message))
			if pattern.MatchString(said[len(said)-1]) {
				return nil
			}
		}
		return fmt.Errorf("no Event matches %q among %q", args[2], said)
	})
}

// recorded CLUSTER waits until the agent has written down what came of applying: one
// that is killed before has to apply it once more.
func recorded(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	return until(ctx, func() error {
		var kept corev1.ConfigMapList
		if err := s.Member(args[0]).Client.List(ctx, &kept, client.InNamespace("navarch-system")); err != nil {
			return err
		}
		apps := 0
		for _, configMap := range kept.Items {
			if !strings.HasPrefix(configMap.Name, "navarch-inventory-") {
				continue
			}
			for app, content := range configMap.Data {
				var record struct {
					Overlay string
					Partial bool
				}
				if err := json.Unmarshal([]byte(content), &record); err != nil {
					return err
				}
				if record.Overlay == "" || record.Partial {
					return fmt.Errorf("app %q is not recorded as applied", app)
				}
				apps++
			}
		}
		if apps == 0 {
			return errors.New("nothing is recorded")
		}
		return nil
	})
}

// cut CLUSTER ends the cluster's agent at once and halts its API server, as if its
// site had lost power.
func cut(_ context.Context, _ *testscript.TestScript, s *story, args []string) error {
	s.Agents[args[0]].Kill()
	s.since = time.Now()
	return s.Member(args[0]).Halt()
}

// restore CLUSTER undoes cut.
func restore(_ context.Context, _ *testscript.TestScript, s *story, args []string) error {
	return errors.Join(s.Member(args[0]).Resume(), s.Agents[args[0]].Start())
}

// timed-see CLUSTER KIND NAME PATH=VALUE ... is see, and logs how long after the last
// cut that was.
func timedSee(ctx context.Context, ts *testscript.TestScript, s *story, args []string) error {
	if err := see(ctx, ts, s, args); err != nil {
		return err
	}
	ts.Logf("%s in cluster %q is so %s after the cut", args[2], args[0], time.Since(s.since).Round(10*time.Millisecond))
	return nil
}

// ready-count TOTAL KIND NAME CLUSTER ... waits until the ready replicas of a
// workload in all of the clusters add up.
func readyCount(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	return until(ctx, func() error {
		var counts []string
		total := 0
		for _, cluster := range args[3:] {
			object, err := s.object(ctx, []string{cluster, args[1], args[2]})
			if err != nil {
				return err
			}
			ready, err := field(object, "status.readyReplicas")
			if err != nil {
				return err
			}
			var n int
			_, _ = fmt.Sscan(ready, &n) // absent: none
			total += n
			counts = append(counts, fmt.Sprintf("%s %d", cluster, n))
		}
		if strconv.Itoa(total) != args[0] {
			return fmt.Errorf("%d replicas of %s are ready (%s), want %s", total, args[2], strings.Join(counts, ", "), args[0])
		}
		return nil
	})
}

// measured CLUSTER waits until the cluster says what a node uses.
func measured(ctx context.Context, _ *testscript.TestScript, s *story, args []string) error {
	return until(ctx, func() error {
		list := &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": "metrics.k8s.io/v1beta1", "kind": "NodeMetricsList"}}
		if err := s.Member(args[0]).Client.List(ctx, list); err != nil {
			return err
		}
		if len(list.Items) == 0 {
			return fmt.Errorf("cluster %q has measured no node", args[0])
		}
		return nil
	})
}

// never-asked CLUSTER RESOURCE fails when the agent has asked for a resource since mark.
func neverAsked(_ context.Context, _ *testscript.TestScript, s *story, args []string) error {
	requests, _, err := s.Member(args[0]).Requests(s.marks[args[0]], true)
	for _, request := range requests {
		if request.Resource == args[1] {
			err = errors.Join(err, fmt.Errorf("the agent of cluster %q asked: %s", args[0], request))
		}
	}
	return err
}
