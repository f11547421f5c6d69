package apply_test

import (
	"strings"
	"testing"

	"github.com/navarch/navarch/agent/apply"
)

const (
	grant = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: NS-all, labels: {navarch.dev/app: shop}}\n" +
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\nsubjects: [{kind: ServiceAccount, name: deployer, namespace: NS}]\n"
	lifted = "apiVersion: v1\nkind: Namespace\nmetadata: {name: NS, labels: {navarch.dev/app: shop, pod-security.kubernetes.io/enforce: privileged}}\n"
)

// refuses fails unless an account may not apply some objects.
func (b *bed) refuses(c *apply.Client, what, manifest string) {
	b.t.Helper()
	if applied, err := c.ApplyAll(b.t.Context(), b.objects(manifest), first); err == nil || len(applied) > 0 || !strings.Contains(err.Error(), "no right") {
		b.t.Errorf("%s: applied %v, %v", what, names(applied), err)
	}
}

// TestCVE202141254 (Flux): an app with an account cannot give itself more than it has.
func TestCVE202141254(t *testing.T) {
	b := newBed(t)
	b.refuses(b.as("get, create, patch"), "cluster-admin for itself", grant)
}

// TestCVE202641050 (Fleet): nothing of an app is read with other rights than it is
// applied with: rehearsing has those of the account too.
func TestCVE202641050(t *testing.T) {
	b := newBed(t)
	c := b.as("get, create, patch")
	if err := c.Rehearse(t.Context(), b.objects(grant), anew); err == nil || !strings.Contains(err.Error(), "no right") {
		t.Errorf("rehearsed: %v", err)
	}
}

// TestCVE202644935 (Fleet): an app with an account reaches nothing in other namespaces.
func TestCVE202644935(t *testing.T) {
	b := newBed(t)
	b.refuses(b.as("get, create, patch"), "another namespace", strings.Replace(settings, "namespace: NS", "namespace: kube-system", 1))
}

// TestCVE202644938 (Fleet): an app with an account cannot lift the Pod Security of its
// namespace: its labels are applied with the account's rights.
func TestCVE202644938(t *testing.T) {
	b := newBed(t)
	b.refuses(b.as("get, create, patch"), "the label of a namespace", lifted)
	if labels := b.getIn("", "v1", "Namespace", b.namespace).GetLabels(); labels["pod-security.kubernetes.io/enforce"] != "" {
		t.Errorf("the namespace has %v", labels)
	}
}
