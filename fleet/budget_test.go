package fleet

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBound(t *testing.T) {
	for text, test := range map[string]struct {
		want Bound
		json string // "" for an error
	}{
		`5`:                   {Bound{Count: 5, Set: true}, `5`},
		`"5"`:                 {Bound{Count: 5, Set: true}, `5`},
		`0`:                   {Bound{Set: true}, `0`},
		`"20%"`:               {Bound{Count: 20, Percent: true, Set: true}, `"20%"`},
		`"100%"`:              {Bound{Count: 100, Percent: true, Set: true}, `"100%"`},
		`null`:                {Bound{}, `null`},
		`"101%"`:              {},
		`"-1"`:                {},
		`-1`:                  {},
		`""`:                  {},
		`"%"`:                 {},
		`1.5`:                 {},
		`{}`:                  {},
		`"5 %"`:               {},
		`9999999999999999999`: {},
	} {
		t.Run(text, func(t *testing.T) {
			var got Bound
			err := json.Unmarshal([]byte(text), &got)
			if (err != nil) != (test.json == "") {
				t.Fatalf("error %v, want one: %v", err, test.json == "")
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("bound (-want +got):\n%s", diff)
			}
			if err != nil {
				return
			}
			if again, err := json.Marshal(got); err != nil || string(again) != test.json {
				t.Errorf("back to JSON: %s %v, want %s", again, err, test.json)
			}
		})
	}
}

func TestBoundExceeded(t *testing.T) {
	for name, test := range map[string]struct {
		bound       Bound
		part, whole int
		want        bool
	}{
		"no bound":           {Bound{}, 10, 10, false},
		"as many as a count": {Bound{Count: 3, Set: true}, 3, 3, false},
		"more than a count":  {Bound{Count: 3, Set: true}, 4, 100, true},
		"as much as a share": {Bound{Count: 20, Percent: true, Set: true}, 1, 5, false},
		"more than a share":  {Bound{Count: 20, Percent: true, Set: true}, 1, 4, true},
		"nothing of nothing": {Bound{Percent: true, Set: true}, 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.bound.exceededBy(test.part, test.whole); got != test.want {
				t.Errorf("%d of %d exceeds %s: %v, want %v", test.part, test.whole, test.bound, got, test.want)
			}
		})
	}
}
