package fleet

import (
	"math"
	"testing"
)

// TestFitsLies: an agent may say anything of its nodes. No number of it turns room into
// a debt, which would move what other clusters run.
func TestFitsLies(t *testing.T) {
	huge := Resources{pods: math.MaxInt64, "cpu": math.MaxInt64}
	for name, test := range map[string]struct {
		nodes []NodeGroup
		want  int64
	}{
		"room without end":        {[]NodeGroup{{Count: math.MaxInt64, Free: huge}}, unlimited},
		"twice the most":          {[]NodeGroup{{Count: unlimited, Free: huge}, {Count: unlimited, Free: huge}}, unlimited},
		"a debt":                  {[]NodeGroup{{Count: math.MinInt64, Free: huge}, {Count: 1, Free: Resources{pods: 3, "cpu": 1000}}}, 3},
		"less than nothing free":  {[]NodeGroup{{Count: math.MaxInt64, Free: Resources{pods: math.MinInt64}}}, 0},
		"exactly the most":        {[]NodeGroup{{Count: 1, Free: Resources{pods: unlimited, "cpu": math.MaxInt64}}}, unlimited},
		"one more than the most":  {[]NodeGroup{{Count: 1, Free: Resources{pods: unlimited + 1, "cpu": math.MaxInt64}}}, unlimited},
		"one less than the most":  {[]NodeGroup{{Count: 1, Free: Resources{pods: unlimited - 1, "cpu": math.MaxInt64}}}, unlimited - 1},
		"nothing is said of pods": {[]NodeGroup{{Count: 5, Free: Resources{"cpu": 1}}}, 0},
	} {
		if got := Fits(test.nodes, Resources{"cpu": 1}); got != test.want {
			t.Errorf("%s: %d fit, want %d", name, got, test.want)
		}
	}
}
