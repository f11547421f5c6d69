package overlays

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
)

func TestCommandOperations(t *testing.T) {
	add := fleet.CommandArgsOverrider{ContainerName: "web", Operator: "add", Value: []string{"-v", "-v"}}
	remove := fleet.CommandArgsOverrider{ContainerName: "web", Operator: "remove", Value: []string{"-v", "-x"}}
	tests := map[string]struct {
		object string
		o      fleet.CommandArgsOverrider
		want   string // or the error
	}{
		"appended": {
			`{"kind":"Pod","spec":{"containers":[{"name":"web","args":["run"]}]}}`, add,
			`[{"op":"replace","path":"/spec/containers/0/args","value":["run","-v","-v"]}]`,
		},
		"added where there are none": {
			`{"kind":"Job","spec":{"template":{"spec":{"containers":[{"name":"other"},{"name":"web"}]}}}}`, add,
			`[{"op":"add","path":"/spec/template/spec/containers/1/args","value":["-v","-v"]}]`,
		},
		"every equal item removed": {
			`{"kind":"DaemonSet","spec":{"template":{"spec":{"containers":[{"name":"web","args":["-v","run","-v"]}]}}}}`, remove,
			`[{"op":"replace","path":"/spec/template/spec/containers/0/args","value":["run"]}]`,
		},
		"init containers are left alone": {
			`{"kind":"Deployment","spec":{"template":{"spec":{"initContainers":[{"name":"web"}],"containers":[{"name":"other"}]}}}}`, add, `[]`,
		},
		"no workload":         {`{"kind":"CronJob","spec":{"jobTemplate":{}}}`, add, `[]`},
		"no containers":       {`{"kind":"Deployment","spec":{}}`, add, `[]`},
		"no list":             {`{"kind":"Pod","spec":{"containers":[{"name":"web","args":"run"}]}}`, add, `args of container "web" is no list of strings`},
		"an unknown operator": {`{"kind":"Pod","spec":{"containers":[{"name":"web"}]}}`, fleet.CommandArgsOverrider{ContainerName: "web", Operator: "replace"}, `operator "replace" is not known here: use add or remove`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var object map[string]any
			if err := json.Unmarshal([]byte(test.object), &object); err != nil {
				t.Fatal(err)
			}
			operations, err := commandOperations(object, test.o, "args")
			got := fmt.Sprint(err)
			if err == nil {
				printed, err := json.Marshal(operations)
				if err != nil {
					t.Fatal(err)
				}
				got = string(printed)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}
