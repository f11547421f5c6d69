package fleet

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSettle(t *testing.T) {
	since := Eviction{Reason: EvictedCluster, Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	noted := func(d Desired) Desired {
		d.Apps[0].Decided.Evicted = &since
		return d
	}
	for name, test := range map[string]struct {
		rollout            Rollout
		outcome            Outcome
		desired, published Published
		want               Published
	}{
		"nothing special": {
			desired: Published{"eu": desired("shop=b")}, published: Published{"eu": desired("shop=a")},
			want: Published{"eu": desired("shop=b")},
		},
		"suspended everywhere: nothing new, and nothing gone": {
			rollout: Rollout{Suspension: &Suspension{Dispatching: true}},
			desired: Published{"eu": desired("base=b", "shop=b"), "us": desired("shop=b")}, published: Published{"eu": desired("shop=a"), "ap": desired("shop=a")},
			want: Published{"eu": desired("base=b", "shop=a"), "us": {Apps: []DesiredApp{}}, "ap": desired("shop=a")},
		},
		"suspended in one cluster": {
			rollout: Rollout{Suspension: &Suspension{DispatchingOnClusters: &SuspensionClusters{ClusterNames: []ClusterName{"us"}}}},
			desired: Published{"eu": desired("shop=b"), "us": desired("shop=b")}, published: Published{"eu": desired("shop=a"), "us": desired("shop=a")},
			want: Published{"eu": desired("shop=b"), "us": desired("shop=a")},
		},
		"not suspended after all": {
			rollout: Rollout{Suspension: &Suspension{}},
			desired: Published{"eu": desired("shop=b")}, published: Published{"eu": desired("shop=a")},
			want: Published{"eu": desired("shop=b")},
		},
		"kept where a cluster is lost, and noted there": {
			outcome: Outcome{Kept: []ClusterName{"eu"}, Evicted: map[ClusterName]Eviction{"eu": since}},
			desired: Published{"us": desired("shop=b")}, published: Published{"eu": desired("shop=a"), "us": desired("shop=a")},
			want: Published{"eu": noted(desired("shop=a")), "us": desired("shop=b")},
		},
		"taken away from a cluster that is back, and noted on the tombstone": {
			outcome: Outcome{Evicted: map[ClusterName]Eviction{"eu": since}},
			desired: Published{"us": desired("shop=b")}, published: Published{"eu": desired("shop=a")},
			want: Published{"eu": {Tombstones: []Tombstone{{App: "shop", Revision: "r1", Evicted: &since}}}, "us": desired("shop=b")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			def := clustersNamed("ap", "eu", "us")
			def.Apps = []App{{Name: "shop", Rollout: test.rollout}}
			test.outcome.App = "shop"
			before := encode(t, test.published)
			got := Settle(def, []Outcome{test.outcome}, test.desired, test.published, "r1")
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, encode(t, test.published)); diff != "" {
				t.Errorf("what is published has changed:\n%s", diff)
			}
		})
	}
}
