package apply_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/navarch/navarch/agent/apply"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// counting is a client whose answers are counted that have some property.
func (b *bed) counting(property func(*http.Response) bool) (*apply.Client, *atomic.Int64) {
	b.t.Helper()
	var count atomic.Int64
	config := rest.CopyConfig(b.Config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			answer, err := next.RoundTrip(r)
			if err == nil && property(answer) {
				count.Add(1)
			}
			return answer, err
		})
	})
	c, err := apply.NewClient(config)
	check(b.t, err)
	return c, &count
}

const slowLane = `apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: PriorityLevelConfiguration
metadata: {name: NS}
spec: {type: Limited, limited: {nominalConcurrencyShares: 1, lendablePercent: 0, borrowingLimitPercent: 0, limitResponse: {type: Reject}}}
---
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: NS}
spec:
  priorityLevelConfiguration: {name: NS}
  matchingPrecedence: 2
  rules:
  - subjects: [{kind: ServiceAccount, serviceAccount: {namespace: NS, name: deployer}}]
    resourceRules: [{apiGroups: ["*"], resources: ["*"], namespaces: ["*"], verbs: ["*"]}]
`

// TestTooManyRequests: a server that has no room for more requests is asked again when
// it says, and everything is applied.
func TestTooManyRequests(t *testing.T) {
	b := newBed(t)
	b.as("get, create, patch")
	b.must(slowLane) // it is for the account of this test only
	c, turnedAway := b.counting(func(r *http.Response) bool { return r.StatusCode == http.StatusTooManyRequests })
	c, err := c.As(t.Context(), apply.Account{Namespace: b.namespace, Name: "deployer"})
	check(t, err)
	round := 0
	b.until("the server to turn requests away", func() bool {
		round++
		var many []string
		for i := range 60 {
			many = append(many, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: many-%d, namespace: NS, labels: {navarch.dev/app: shop}}\ndata: {round: \"%d\"}\n", i, round))
		}
		applied, err := c.ApplyAll(t.Context(), b.objects(strings.Join(many, "---\n")), anew)
		check(t, err)
		if len(applied) != len(many) {
			t.Fatalf("%d of %d were applied", len(applied), len(many))
		}
		return turnedAway.Load() > 0
	})
	t.Logf("%d requests were turned away in %d rounds", turnedAway.Load(), round)
}

// TestDiscovery: objects of kinds that nobody defines are told at once, without asking
// for those kinds again and again; an app that brings a kind beside them as well.
func TestDiscovery(t *testing.T) {
	b := newBed(t)
	c, asked := b.counting(func(r *http.Response) bool {
		return strings.Contains(r.Request.URL.Path, "/apis/unknown.example.com")
	})
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprintf("apiVersion: unknown.example.com/v1\nkind: Unknown\nmetadata: {name: many-%d, namespace: NS}\n", i))
	}
	many = append(many, strings.Replace(definition, "TYPE", "object", 1), thing)
	applied, err := c.ApplyAll(t.Context(), b.objects(strings.Join(many, "---\n")), anew)
	if len(applied) != 2 || strings.Count(err.Error(), "does not know this kind") != 20 {
		t.Errorf("applied %d: %v", len(applied), err)
	}
	if asked.Load() > 25 {
		t.Errorf("asked %d times", asked.Load())
	}
}
