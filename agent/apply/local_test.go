package apply

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLocalFields(t *testing.T) {
	for name, test := range map[string]struct {
		wanted, live, pointer, want string
	}{
		"as it is in the cluster":   {`{"spec":{"replicas":2}}`, `{"spec":{"replicas":5}}`, "/spec/replicas", `{"spec":{"replicas":5}}`},
		"not there any more":        {`{"spec":{"replicas":2}}`, `{"spec":{}}`, "/spec/replicas", `{"spec":{}}`},
		"only in the cluster":       {`{}`, `{"spec":{"hard":{"pods":"5"}}}`, "/spec/hard/pods", `{"spec":{"hard":{"pods":"5"}}}`},
		"in neither":                {`{"spec":{}}`, `{}`, "/spec/replicas", `{"spec":{}}`},
		"a name with a slash":       {`{"metadata":{"annotations":{"a/b":"1","c":"2"}}}`, `{"metadata":{"annotations":{"a/b":"9"}}}`, "/metadata/annotations/a~1b", `{"metadata":{"annotations":{"a/b":"9","c":"2"}}}`},
		"an item of a list":         {`{"items":[{"v":1},{"v":2}]}`, `{"items":[{"v":7},{"v":8}]}`, "/items/1/v", `{"items":[{"v":1},{"v":8}]}`},
		"an item that is not there": {`{"items":[{"v":1}]}`, `{"items":[{"v":7},{"v":8}]}`, "/items/1/v", `{"items":[{"v":1}]}`},
		"an item taken away":        {`{"items":[1,2]}`, `{"items":[1]}`, "/items/1", `{"items":[1]}`},
		"through something else":    {`{"spec":"text"}`, `{"spec":{"replicas":5}}`, "/spec/replicas", `{"spec":"text"}`},
	} {
		t.Run(name, func(t *testing.T) {
			var wanted, live, want any
			for into, text := range map[*any]string{&wanted: test.wanted, &live: test.live, &want: test.want} {
				if err := json.Unmarshal([]byte(text), into); err != nil {
					t.Fatal(err)
				}
			}
			value, there := lookUp(live, steps(test.pointer))
			if diff := cmp.Diff(want, put(wanted, steps(test.pointer), value, there)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
