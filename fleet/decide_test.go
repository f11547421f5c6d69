package fleet

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var threeClusters = []Cluster{
	{Name: "edge-1", Labels: map[string]string{"env": "edge"}, Region: "eu", Taints: []Taint{
		{Key: "edge", Value: "true", Effect: effectNoSchedule},
		{Key: "slow", Effect: effectPreferNoSchedule},
	}},
	{Name: "eu-1", Labels: map[string]string{"env": "prod"}, Provider: "huawei", Region: "eu", Zones: []string{"eu-a", "eu-b"}},
	{Name: "us-1", Labels: map[string]string{"env": "prod", "gpu": ""}, Provider: "aws", Region: "us", Zones: []string{"us-a"}},
}

func in(key string, values ...string) FieldExpression {
	return FieldExpression{Key: key, Operator: operatorIn, Values: values}
}

func notIn(key string, values ...string) FieldExpression {
	return FieldExpression{Key: key, Operator: operatorNotIn, Values: values}
}

func fields(expressions ...FieldExpression) *ClusterAffinity {
	return &ClusterAffinity{FieldSelector: &FieldSelector{MatchExpressions: expressions}}
}

func expression(key string, operator metav1.LabelSelectorOperator, values ...string) *ClusterAffinity {
	return &ClusterAffinity{LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: key, Operator: operator, Values: values},
	}}}
}

// TestExplain says for each placement what becomes of the three clusters, and that
// Decide says the same.
func TestExplain(t *testing.T) {
	anything := []Toleration{{Operator: operatorExists}}
	const untoleratedEdge = "out taint: edge=true:NoSchedule is not tolerated"
	for name, test := range map[string]struct {
		placement Placement
		want      [3]string // edge-1, eu-1, us-1
	}{
		"nothing said": {Placement{}, [3]string{untoleratedEdge, "in everywhere: ", "in everywhere: "}},
		"an empty affinity is everywhere": {
			Placement{ClusterAffinity: &ClusterAffinity{LabelSelector: &metav1.LabelSelector{}}, ClusterTolerations: anything},
			[3]string{"in everywhere: tolerates edge=true:NoSchedule", "in everywhere: ", "in everywhere: "},
		},
		"labels": {
			Placement{ClusterAffinity: &ClusterAffinity{LabelSelector: &metav1.LabelSelector{
				MatchLabels:      map[string]string{"env": "prod"},
				MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "gpu", Operator: metav1.LabelSelectorOpDoesNotExist}},
			}}},
			[3]string{
				"out labelSelector: env=prod: the cluster has env=edge",
				"in clusterAffinity: env=prod; !gpu",
				"out labelSelector: !gpu: the cluster has gpu=",
			},
		},
		"a label that only one has": {
			Placement{ClusterAffinity: expression("gpu", metav1.LabelSelectorOpExists)},
			[3]string{
				"out labelSelector: gpu: the cluster has no label gpu",
				"out labelSelector: gpu: the cluster has no label gpu",
				"in clusterAffinity: gpu",
			},
		},
		"a label that is not in a list may be absent": {
			Placement{ClusterAffinity: expression("gpu", metav1.LabelSelectorOpNotIn, "big"), ClusterTolerations: anything},
			[3]string{
				"in clusterAffinity: gpu notin (big); tolerates edge=true:NoSchedule",
				"in clusterAffinity: gpu notin (big)",
				"in clusterAffinity: gpu notin (big)",
			},
		},
		"a selector that is not valid selects nothing": {
			Placement{ClusterAffinity: expression("env", "Is", "prod")},
			[3]string{
				`out labelSelector: the selector is not valid: operator "Is" is none of a label selector`,
				`out labelSelector: the selector is not valid: operator "Is" is none of a label selector`,
				`out labelSelector: the selector is not valid: operator "Is" is none of a label selector`,
			},
		},
		"region and any of the zones": {
			Placement{ClusterAffinity: fields(in("region", "eu"), in("zone", "eu-b", "eu-c"))},
			[3]string{
				"out fieldSelector: zone in (eu-b,eu-c): the cluster has no zone",
				"in clusterAffinity: region in (eu); zone in (eu-b,eu-c)",
				"out fieldSelector: region in (eu): the cluster has region us",
			},
		},
		"none of the zones": {
			Placement{ClusterAffinity: fields(notIn("zone", "eu-b")), ClusterTolerations: anything},
			[3]string{
				"in clusterAffinity: zone notin (eu-b); tolerates edge=true:NoSchedule",
				"out fieldSelector: zone notin (eu-b): the cluster has zone eu-a,eu-b",
				"in clusterAffinity: zone notin (eu-b)",
			},
		},
		"a provider that is not set is in no list": {
			Placement{ClusterAffinity: fields(notIn("provider", "aws", "")), ClusterTolerations: anything},
			[3]string{
				"in clusterAffinity: provider notin (aws,); tolerates edge=true:NoSchedule",
				"in clusterAffinity: provider notin (aws,)",
				"out fieldSelector: provider notin (aws,): the cluster has provider aws",
			},
		},
		"names, of which one is excluded": {
			Placement{ClusterAffinity: &ClusterAffinity{ClusterNames: []ClusterName{"us-1", "eu-1"}, Exclude: []ClusterName{"eu-1"}}},
			[3]string{
				"out clusterNames: the cluster is not in clusterNames",
				"out exclude: the cluster is in exclude",
				"in clusterAffinity: in clusterNames; not in exclude",
			},
		},
		"the taint by value": {
			Placement{ClusterTolerations: []Toleration{{Key: "edge", Value: "true"}}},
			[3]string{"in everywhere: tolerates edge=true:NoSchedule", "in everywhere: ", "in everywhere: "},
		},
		"the taint with another value": {
			Placement{ClusterTolerations: []Toleration{{Key: "edge", Operator: operatorEqual, Value: "false"}}},
			[3]string{untoleratedEdge, "in everywhere: ", "in everywhere: "},
		},
		"the taint with another effect": {
			Placement{ClusterTolerations: []Toleration{{Key: "edge", Operator: operatorExists, Effect: effectNoExecute}}},
			[3]string{untoleratedEdge, "in everywhere: ", "in everywhere: "},
		},
		"another taint": {
			Placement{ClusterTolerations: []Toleration{{Key: "slow", Operator: operatorExists}}},
			[3]string{untoleratedEdge, "in everywhere: ", "in everywhere: "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			app := App{Name: "shop", Placement: test.placement}
			var got [3]string
			want := Outcome{App: "shop", Placed: []Decision{}}
			def := Definition{Clusters: threeClusters, Apps: []App{app}}
			explained, _ := Explain(def, "shop", nil, State{})
			for i, v := range explained.Verdicts {
				word := "out"
				if v.Placed {
					word = "in"
					want.Placed = append(want.Placed, Decision{v.Cluster, v.Because})
					want.Next.Clusters = append(want.Next.Clusters, v.Cluster)
				}
				got[i] = fmt.Sprintf("%s %s: %s", word, v.Because.Rule, v.Because.Detail)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("explain (-want +got):\n%s", diff)
			}
			outcomes := Decide(def, nil, State{})
			want.Problem = explained.Problem
			if (want.Problem != "") != (len(want.Placed) == 0) {
				t.Errorf("problem %q, placed on %d", want.Problem, len(want.Placed))
			}
			if diff := cmp.Diff([]Outcome{want}, outcomes); diff != "" {
				t.Errorf("decide (-explain +decide):\n%s", diff)
			}
		})
	}
}

func TestTolerates(t *testing.T) {
	noExecute := []Taint{{Key: "a", Value: "1", Effect: effectNoExecute}}
	for name, test := range map[string]struct {
		taints      []Taint
		tolerations []Toleration
		want        string // the taint that keeps off
	}{
		"no taint":                     {nil, nil, ""},
		"a wish never keeps off":       {[]Taint{{Key: "a", Effect: effectPreferNoSchedule}}, nil, ""},
		"NoExecute keeps off too":      {noExecute, nil, "a=1:NoExecute"},
		"exists ignores the value":     {noExecute, []Toleration{{Key: "a", Operator: operatorExists}}, ""},
		"equal needs the value":        {noExecute, []Toleration{{Key: "a", Value: "2"}}, "a=1:NoExecute"},
		"every effect where none said": {noExecute, []Toleration{{Key: "a", Value: "1"}}, ""},
		"an unknown operator":          {noExecute, []Toleration{{Key: "a", Operator: "Gt", Value: "0"}}, "a=1:NoExecute"},
		"every taint needs one": {
			[]Taint{{Key: "a", Effect: effectNoSchedule}, {Key: "b", Effect: effectNoSchedule}},
			[]Toleration{{Key: "a", Operator: operatorExists}}, "b:NoSchedule",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if taint, found := untolerated(test.taints, test.tolerations); found {
				got = taint.String()
			}
			if got != test.want {
				t.Errorf("kept off by %q, want %q", got, test.want)
			}
		})
	}
}

func TestVariants(t *testing.T) {
	everywhere := []Decision{{Cluster: "edge-1"}, {Cluster: "eu-1"}, {Cluster: "us-1"}}
	eu := Override{TargetCluster: fields(in("region", "eu"))}
	prod := Override{TargetCluster: &ClusterAffinity{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}}}
	nowhere := Override{TargetCluster: &ClusterAffinity{ClusterNames: []ClusterName{"gone"}}}
	always := Override{}
	for name, test := range map[string]struct {
		overrides []Override
		placed    []Decision
		want      []Variant
	}{
		"placed nowhere": {[]Override{eu}, nil, nil},
		"no overrides":   {nil, everywhere, []Variant{{Key: "", Clusters: []ClusterName{"edge-1", "eu-1", "us-1"}}}},
		"by the rules that apply": {[]Override{always, eu, nowhere, prod}, everywhere, []Variant{
			{Key: "0,1", Rules: []int{0, 1}, Clusters: []ClusterName{"edge-1"}},
			{Key: "0,1,3", Rules: []int{0, 1, 3}, Clusters: []ClusterName{"eu-1"}},
			{Key: "0,3", Rules: []int{0, 3}, Clusters: []ClusterName{"us-1"}},
		}},
		"only where it is placed": {[]Override{prod}, []Decision{{Cluster: "before"}, {Cluster: "eu-1"}, {Cluster: "us-1"}, {Cluster: "zz"}}, []Variant{
			{Key: "0", Rules: []int{0}, Clusters: []ClusterName{"eu-1", "us-1"}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Variants(App{Overrides: test.overrides}, threeClusters, Outcome{Placed: test.placed})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("variants (-want +got):\n%s", diff)
			}
		})
	}
}

// manyClusters and manyApps make a large fleet, the same every time.
func manyClusters(n int) []Cluster {
	clusters := make([]Cluster, n)
	regions := []string{"eu", "us", "ap", "af", "sa"}
	for i := range clusters {
		clusters[i] = Cluster{
			Name:     ClusterName(fmt.Sprintf("cluster-%05d", i)),
			Labels:   map[string]string{"env": []string{"prod", "test"}[i%2], "tier": strconv.Itoa(i % 7), "ring": strconv.Itoa(i % 10), "owner": "somebody"},
			Provider: []string{"aws", "huawei", "own"}[i%3],
			Region:   regions[i%5],
			Zones:    []string{regions[i%5] + "-a", regions[i%5] + "-b"},
		}
		if i%10 == 0 {
			clusters[i].Taints = []Taint{{Key: "edge", Effect: effectNoSchedule}}
		}
	}
	return clusters
}

func manyApps(n int) []App {
	apps := make([]App, n)
	for i := range apps {
		apps[i] = App{Name: AppName(fmt.Sprintf("app-%04d", i))}
		p := &apps[i].Placement
		switch i % 5 {
		case 0: // everywhere
			p.ClusterTolerations = []Toleration{{Key: "edge", Operator: operatorExists}}
		case 1:
			p.ClusterAffinity = &ClusterAffinity{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"env": "prod", "tier": strconv.Itoa(i % 7)}}}
		case 2:
			p.ClusterAffinity = fields(in("region", "eu", "us"), notIn("zone", "us-b"))
		case 3:
			p.ClusterAffinity = expression("tier", metav1.LabelSelectorOpIn, "1", "2", "3")
			p.ClusterAffinity.Exclude = []ClusterName{"cluster-00001"}
		case 4:
			p.ClusterAffinity = &ClusterAffinity{ClusterNames: []ClusterName{"cluster-00010", "cluster-00011"}}
		}
		for rule := range 10 {
			apps[i].Overrides = append(apps[i].Overrides, Override{TargetCluster: &ClusterAffinity{
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"ring": strconv.Itoa(rule)}},
			}})
		}
	}
	return apps
}

func BenchmarkDecide(b *testing.B) {
	for _, apps := range []int{1, 1000} {
		b.Run(fmt.Sprintf("clusters=10000/apps=%d", apps), func(b *testing.B) {
			def := Definition{Clusters: manyClusters(10_000), Apps: manyApps(apps)}
			b.ReportAllocs()
			for b.Loop() {
				Decide(def, nil, State{})
			}
		})
	}
}

func BenchmarkVariants(b *testing.B) {
	def := Definition{Clusters: manyClusters(10_000), Apps: manyApps(1)}
	outcome := Decide(def, nil, State{})[0]
	b.ReportAllocs()
	for b.Loop() {
		if n := len(Variants(def.Apps[0], def.Clusters, outcome)); n != 10 {
			b.Fatalf("%d variants", n)
		}
	}
}
