package agent_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/navarch/navarch/manifests"
	"github.com/navarch/navarch/wire"
)

// install applies the manifest of an agent that is let into namespaces, and returns
// what acts as its ServiceAccount.
func (b *bed) install(own string, namespaces ...string) *rest.Config {
	b.t.Helper()
	manifest, err := manifests.Agent(manifests.AgentConfig{
		Cluster: "eu-1", Hub: []string{"tls://hub.example.com:4222"}, HubKey: []byte("key"), Token: "token", Door: []byte("door"), CA: []byte("ca"),
		Namespace: own, Namespaces: namespaces,
	})
	check(b.t, err)
	check(b.t, b.ApplyManifest(b.t.Context(), manifest))
	return b.as(own, "navarch-agent")
}

// as returns what acts as a ServiceAccount, by a token of its own.
func (b *bed) as(namespace, account string) *rest.Config {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "kubeconfig")
	check(b.t, b.KubeconfigAs(b.t.Context(), namespace, account, file))
	config, err := clientcmd.BuildConfigFromFlags("", file)
	check(b.t, err)
	config.QPS = -1
	return config
}

// TestNamespacesOnly: an agent with exactly the rights of the profile "namespaces"
// deploys, repairs and prunes in them, asks for nothing that it is refused, and says
// what it cannot do and how to allow it.
func TestNamespacesOnly(t *testing.T) {
	b := newBed(t)
	own, other := b.namespace+"-own", b.namespace+"-other"
	b.make("", "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+other+"}\n")
	config := b.install(own, b.namespace)
	var refused atomic.Value
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			answer, err := next.RoundTrip(r)
			if err == nil && answer.StatusCode == http.StatusForbidden {
				refused.Store(r.Method + " " + r.URL.Path)
			}
			return answer, err
		})
	})
	stop := b.agentAs(config, own, b.namespace)

	one := b.app("shop", configMap("a", "one")+configMap("b", "one")+deployment)
	b.announce(one)
	b.ready(one)
	b.edit("a", `{"data":{"word":"somebody's"}}`)
	b.until("the drift to be repaired", func() bool { return b.word("a") == "one" })
	two := b.app("shop", configMap("a", "two")+deployment)
	wide := b.app("wide", configMap("inside", "one")+strings.ReplaceAll(configMap("outside", "one"), "NS", other)+
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: NS}\n---\n"+
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: NS-new}\n---\n")
	b.announce(two, wide)
	b.ready(two)
	if b.get("b") != nil {
		t.Error("what the app no longer has is still there")
	}
	said := b.reported("wide", "stalled", func(r wire.Report) bool {
		return slices.ContainsFunc(r.Conditions, func(c wire.Condition) bool { return c.Type == wire.Stalled && c.Status == "True" })
	})
	for _, want := range []string{
		fmt.Sprintf("ConfigMap %s/outside: the agent of this cluster has no rights there: it is in namespace %q, and the agent was installed for the namespaces %s only "+
			"(install it with this one too: navarch token create --profile namespaces --namespaces %s,%s)", other, other, b.namespace, b.namespace, other),
		fmt.Sprintf("ClusterRole.rbac.authorization.k8s.io %s: the agent of this cluster has no rights there: it is in no namespace", b.namespace),
		"--profile cluster-admin",
	} {
		if !strings.Contains(said.Conditions[0].Message, want) {
			t.Errorf("the report does not say %q:\n%s", want, said.Conditions[0].Message)
		}
	}
	b.until("its sibling that may be applied", func() bool { return b.word("inside") == "one" })
	for _, absent := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.namespace + "-new"}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: other, Name: "outside"}},
	} {
		if err := b.Client.Get(t.Context(), client.ObjectKeyFromObject(absent), absent); !apierrors.IsNotFound(err) {
			t.Errorf("%s is there, error %v", absent.GetName(), err)
		}
	}
	b.until("pods in the facts", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.beat.Facts.Pods["Running"] == 1 })
	b.until("the Event that tells that the app was applied", func() bool {
		var events corev1.EventList
		check(t, b.Client.List(t.Context(), &events, client.InNamespace(own)))
		return slices.ContainsFunc(events.Items, func(e corev1.Event) bool { return e.InvolvedObject.Name == "shop" && e.Reason == "Applied" })
	})
	stop()
	facts := b.beat.Facts
	facts.Kubernetes, facts.Kinds = "", nil
	if diff := cmp.Diff(wire.Facts{Namespaces: []string{b.namespace}, Pods: map[string]int{"Running": 1}}, facts); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
	if path := refused.Load(); path != nil {
		t.Errorf("the agent asked for what it may not: %s", path)
	}
}

// deployment has one pod.
const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NS}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
---
`

// TestNamespacesGrantNothingElse compares the agent with a ServiceAccount to which
// nobody has given anything: outside of its namespaces both may do the same.
func TestNamespacesGrantNothingElse(t *testing.T) {
	b := newBed(t)
	own, other := b.namespace+"-own", b.namespace+"-other"
	b.make("", "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+other+"}\n")
	b.make(other, "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: nobody}\n")
	account, nobody := clientsFor(t, b.install(own, b.namespace)), clientsFor(t, b.as(other, "nobody"))
	for _, namespace := range []string{other, "default", "kube-system"} {
		if diff := cmp.Diff(rules(t, nobody, namespace), rules(t, account, namespace)); diff != "" {
			t.Errorf("in namespace %q the agent may (+):\n%s", namespace, diff)
		}
	}
	_, lists, err := clientsFor(t, b.Config).Discovery().ServerGroupsAndResources()
	check(t, err)
	asked := 0
	for _, list := range lists {
		group, _, _ := strings.Cut("/"+list.GroupVersion, "/")
		if parts := strings.Split(list.GroupVersion, "/"); len(parts) == 2 {
			group = parts[0]
		}
		for _, resource := range list.APIResources {
			name, sub, _ := strings.Cut(resource.Name, "/")
			for _, verb := range resource.Verbs {
				asked++
				// Of a kind in namespaces this is about all of them at once.
				a := authorizationv1.ResourceAttributes{Verb: verb, Group: group, Resource: name, Subresource: sub}
				if may, other := may(t, account, a), may(t, nobody, a); may && !other {
					t.Errorf("the agent may %s %s cluster-wide", verb, resource.Name)
				}
			}
		}
	}
	if asked < 500 {
		t.Errorf("only %d questions: these are not all kinds", asked)
	}
	for _, a := range []authorizationv1.ResourceAttributes{
		{Verb: "patch", Resource: "namespaces", Namespace: b.namespace, Name: b.namespace}, // its labels say what pods may do
		{Verb: "delete", Resource: "namespaces", Namespace: b.namespace, Name: b.namespace},
		{Verb: "create", Resource: "resourcequotas", Namespace: b.namespace},
		{Verb: "escalate", Group: "rbac.authorization.k8s.io", Resource: "roles", Namespace: b.namespace},
		{Verb: "bind", Group: "rbac.authorization.k8s.io", Resource: "clusterroles", Namespace: b.namespace},
		{Verb: "create", Group: "rbac.authorization.k8s.io", Resource: "rolebindings", Namespace: own},
		{Verb: "create", Resource: "pods", Namespace: own},
	} {
		if may(t, account, a) {
			t.Errorf("the agent may %s %s in namespace %q", a.Verb, a.Resource, a.Namespace)
		}
	}
	for _, a := range []authorizationv1.ResourceAttributes{
		{Verb: "patch", Group: "apps", Resource: "deployments", Namespace: b.namespace},
		{Verb: "patch", Group: "rbac.authorization.k8s.io", Resource: "roles", Namespace: b.namespace},
		{Verb: "impersonate", Resource: "serviceaccounts", Namespace: b.namespace},
		{Verb: "update", Group: "coordination.k8s.io", Resource: "leases", Namespace: own},
	} {
		if !may(t, account, a) {
			t.Errorf("the agent may not %s %s in namespace %q", a.Verb, a.Resource, a.Namespace)
		}
	}
}

func clientsFor(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	clients, err := kubernetes.NewForConfig(config)
	check(t, err)
	return clients
}

func may(t *testing.T, clients *kubernetes.Clientset, a authorizationv1.ResourceAttributes) bool {
	t.Helper()
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &a}}
	review, err := clients.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
	check(t, err)
	return review.Status.Allowed
}

func rules(t *testing.T, clients *kubernetes.Clientset, namespace string) []string {
	t.Helper()
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}
	review, err := clients.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(), review, metav1.CreateOptions{})
	check(t, err)
	var all []string
	for _, rule := range review.Status.ResourceRules {
		all = append(all, fmt.Sprint(rule))
	}
	for _, rule := range review.Status.NonResourceRules {
		all = append(all, fmt.Sprint(rule))
	}
	slices.Sort(all)
	return all
}

// TestCVE202644938: where a commit could change the labels of its namespace, it could
// lift what they say of pods. An agent that is let into namespaces cannot.
func TestCVE202644938(t *testing.T) {
	b := newBed(t)
	own := b.namespace + "-own"
	config := b.install(own, b.namespace)
	acting, err := client.New(config, client.Options{})
	check(t, err)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.namespace}}
	lift := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"privileged"}}}`))
	if err := acting.Patch(t.Context(), namespace, lift); !apierrors.IsForbidden(err) {
		t.Errorf("the agent's ServiceAccount may label a namespace: %v", err)
	}
	b.agentAs(config, own, b.namespace)
	lifts := b.app("lifts", "apiVersion: v1\nkind: Namespace\nmetadata: {name: NS, labels: {pod-security.kubernetes.io/enforce: privileged}}\n---\n")
	b.announce(lifts)
	b.reported("lifts", "stalled", func(r wire.Report) bool {
		return slices.ContainsFunc(r.Conditions, func(c wire.Condition) bool { return c.Type == wire.Stalled && c.Status == "True" })
	})
	check(t, b.Client.Get(t.Context(), client.ObjectKeyFromObject(namespace), namespace))
	if got := namespace.Labels["pod-security.kubernetes.io/enforce"]; got != "" {
		t.Errorf("the namespace enforces %q", got)
	}
}

// TestPodsAreRestricted has a namespace that enforces the Pod Security Standard
// "restricted" admit the pods of every manifest, and nothing less careful.
func TestPodsAreRestricted(t *testing.T) {
	b := newBed(t)
	agentOf := func(namespaces ...string) func(string) ([]byte, error) {
		return func(own string) ([]byte, error) {
			return manifests.Agent(manifests.AgentConfig{
				Cluster: "eu-1", Hub: []string{"tls://hub.example.com:4222"}, HubKey: []byte("key"), Token: "token", Door: []byte("door"), CA: []byte("ca"),
				Namespace: own, Namespaces: namespaces,
			})
		}
	}
	for name, manifest := range map[string]func(own string) ([]byte, error){
		"cluster-admin": agentOf(),
		"namespaces":    agentOf(b.namespace),
		"hub": func(own string) ([]byte, error) {
			return manifests.Hub(manifests.HubConfig{Repo: "https://git.example.com/fleet.git", Identity: map[string][]byte{"a": []byte("b")}, Namespace: own})
		},
		"hub-with-files": func(own string) ([]byte, error) {
			return manifests.Hub(manifests.HubConfig{
				Repo: "git@git.example.com:fleet.git", Identity: map[string][]byte{"a": []byte("b")}, Namespace: own, WebhookSecret: "open sesame", WebSocket: true,
				Hosts: []string{"hub.example.com"}, Access: map[string][]byte{manifests.AccessName: []byte("grants: []\n")},
				Git: manifests.HubGit{SSHKey: []byte("key"), KnownHosts: []byte("hosts"), Verify: "commits", VerifyKeys: map[string][]byte{"ada.pub": []byte("key")}},
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			own := b.namespace + "-" + name
			written, err := manifest(own)
			check(t, err)
			check(t, b.ApplyManifest(t.Context(), written))
			var namespace corev1.Namespace
			check(t, b.Client.Get(t.Context(), client.ObjectKey{Name: own}, &namespace))
			if got := namespace.Labels["pod-security.kubernetes.io/enforce"]; got != "restricted" {
				t.Fatalf("the namespace enforces %q", got)
			}
			template := podTemplate(t, b, own)
			for _, container := range template.Spec.Containers {
				if c := container.SecurityContext; c == nil || c.ReadOnlyRootFilesystem == nil || !*c.ReadOnlyRootFilesystem {
					t.Errorf("container %q can write to its root", container.Name)
				}
			}
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: own, Name: "try"}, Spec: template.Spec}
			check(t, b.Client.Create(t.Context(), pod.DeepCopy(), client.DryRunAll))
			yes := true
			pod.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = &yes
			if err := b.Client.Create(t.Context(), pod, client.DryRunAll); !apierrors.IsForbidden(err) {
				t.Errorf("a pod that may gain privileges: %v", err)
			}
		})
	}
}

// podTemplate is that of the only workload in a namespace.
func podTemplate(t *testing.T, b *bed, namespace string) corev1.PodTemplateSpec {
	t.Helper()
	var deployments appsv1.DeploymentList
	check(t, b.Client.List(t.Context(), &deployments, client.InNamespace(namespace)))
	var sets appsv1.StatefulSetList
	check(t, b.Client.List(t.Context(), &sets, client.InNamespace(namespace)))
	switch {
	case len(deployments.Items) == 1:
		return deployments.Items[0].Spec.Template
	case len(sets.Items) == 1:
		template := sets.Items[0].Spec.Template
		for _, claim := range sets.Items[0].Spec.VolumeClaimTemplates { // its controller adds them
			template.Spec.Volumes = append(template.Spec.Volumes, corev1.Volume{Name: claim.Name})
		}
		return template
	}
	t.Fatalf("namespace %q has no workload", namespace)
	return corev1.PodTemplateSpec{}
}
