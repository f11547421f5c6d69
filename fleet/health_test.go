package fleet_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/json"

	"github.com/navarch/navarch/fleet"
)

func TestHealthCheck(t *testing.T) {
	phases := fleet.HealthCheckExpr{
		InProgress: "has(status.phase) && status.phase == 'Pending'", Failed: "status.phase == 'Failed'", Current: "status.phase == 'Running'",
	}
	conditions := fleet.HealthCheckExpr{
		Failed:  "has(status.conditions) && status.conditions.exists(c, c.type == 'Ready' && c.status == 'False')",
		Current: "has(status.conditions) && status.conditions.filter(c, c.type == 'Ready').all(c, c.observedGeneration == metadata.generation && c.status == 'True')",
	}
	tests := map[string]struct {
		expr         fleet.HealthCheckExpr
		object, want string
	}{
		"in progress":           {phases, `{"status":{"phase":"Pending"}}`, "InProgress"},
		"failed":                {phases, `{"status":{"phase":"Failed"}}`, "Failed"},
		"current":               {phases, `{"status":{"phase":"Running"}}`, "Current"},
		"none is true":          {phases, `{"status":{"phase":"Odd"}}`, "InProgress"},
		"a field is missing":    {phases, `{"status":{}}`, `the expression "failed" cannot tell: no such key: phase`},
		"no status yet":         {fleet.HealthCheckExpr{Current: "has(status.phase)"}, `{"kind":"Queue"}`, "InProgress"},
		"no field of that name": {phases, `{"status":null}`, `the expression "failed" cannot tell: no such key: phase`},
		"the first that is true decides": {
			fleet.HealthCheckExpr{InProgress: "true", Failed: "true", Current: "true"}, `{}`, "InProgress",
		},
		"conditions":          {conditions, `{"metadata":{"generation":2},"status":{"conditions":[{"type":"Ready","status":"True","observedGeneration":2}]}}`, "Current"},
		"an old condition":    {conditions, `{"metadata":{"generation":2},"status":{"conditions":[{"type":"Ready","status":"True","observedGeneration":1}]}}`, "InProgress"},
		"a bad condition":     {conditions, `{"metadata":{"generation":2},"status":{"conditions":[{"type":"Ready","status":"False"}]}}`, "Failed"},
		"not observed":        {phases, `{"metadata":{"generation":2},"status":{"phase":"Running","observedGeneration":1}}`, "InProgress"},
		"observed":            {phases, `{"metadata":{"generation":2},"status":{"phase":"Running","observedGeneration":2}}`, "Current"},
		"any top-level field": {fleet.HealthCheckExpr{Current: "data.ready == 'yes' && size(webhooks) > 0"}, `{"data":{"ready":"yes"},"webhooks":[1]}`, "Current"},
		"optional":            {fleet.HealthCheckExpr{Current: "object.?status.ready.orValue(true)"}, `{"object":{}}`, "Current"},
		"not a truth":         {fleet.HealthCheckExpr{Current: "status.phase"}, `{"status":{"phase":"Running"}}`, `the expression "current" gives string, neither true nor false`},
		"far too much work": {
			fleet.HealthCheckExpr{Current: "spec.all(a, spec.all(b, spec.all(c, spec.all(d, a + b + c + d >= 0))))"},
			`{"spec":[` + strings.Repeat("1,", 99) + `1]}`,
			`the expression "current" cannot tell: operation cancelled: actual cost limit exceeded`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			check, mistakes := test.expr.Compile()
			if len(mistakes) > 0 {
				t.Fatal(mistakes)
			}
			var object map[string]any
			if err := json.Unmarshal([]byte(test.object), &object); err != nil {
				t.Fatal(err)
			}
			verdict, err := check.Judge(object)
			got := string(verdict)
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func BenchmarkHealthCheck(b *testing.B) {
	expr := fleet.HealthCheckExpr{Failed: "status.phase == 'Failed'", Current: "status.phase == 'Running'"}
	b.Run("compile", func(b *testing.B) {
		for b.Loop() {
			expr.Compile()
		}
	})
	b.Run("judge", func(b *testing.B) {
		check, _ := expr.Compile()
		object := map[string]any{"status": map[string]any{"phase": "Running"}}
		for b.Loop() {
			if _, err := check.Judge(object); err != nil {
				b.Fatal(err)
			}
		}
	})
}
