package apply_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/fleet"
)

const deployer = `apiVersion: v1
kind: ServiceAccount
metadata: {name: deployer, namespace: NS}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: deployer, namespace: NS}
rules:
- {apiGroups: [""], resources: [configmaps], verbs: [VERBS]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: deployer, namespace: NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: deployer}
subjects: [{kind: ServiceAccount, name: deployer, namespace: NS}]
`

// as is a client with the rights of the deployer, who may do these things to ConfigMaps.
func (b *bed) as(verbs string) *apply.Client {
	b.t.Helper()
	b.must(strings.Replace(deployer, "VERBS", verbs, 1))
	c, err := b.client.As(b.t.Context(), apply.Account{Namespace: b.namespace, Name: "deployer"})
	check(b.t, err)
	// The authorizer takes a moment to hear of the role.
	b.until("the role to be in force", func() bool {
		_, err := c.ApplyAll(b.t.Context(), b.objects(strings.Replace(settings, "name: settings", "name: probe", 1)), anew)
		return err == nil
	})
	return c
}

// TestAccount: an app has the rights of its account, no more: for reading, applying,
// rehearsing, deleting and making namespaces.
func TestAccount(t *testing.T) {
	b := newBed(t)
	c := b.as("get, create, patch")
	user := "system:serviceaccount:" + b.namespace + ":deployer"
	says := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), user) || !strings.Contains(err.Error(), "ServiceAccount") || !strings.Contains(err.Error(), "no right") {
			t.Errorf("%s: %v", what, err)
		}
	}
	applied, err := c.ApplyAll(t.Context(), b.objects(settings+"---\n"+web), first)
	if diff := cmp.Diff([]string{"ConfigMap/settings"}, names(applied)); diff != "" {
		t.Error(diff)
	}
	says("a kind that it may not touch", err)
	says("asked beforehand", c.Rehearse(t.Context(), b.objects(web), anew))
	_, err = c.ApplyAll(t.Context(), b.objects(strings.Replace(settings, "namespace: NS", "namespace: default", 1)), first)
	says("another namespace", err)
	pruned, err := c.Prune(t.Context(), "shop", idsOf(applied), nil)
	says("deleting", err)
	if diff := cmp.Diff(apply.Pruned{Remaining: idsOf(applied)}, pruned); diff != "" || b.see(applied[0].ID) == nil {
		t.Errorf("what it may not delete: %s", diff)
	}
	if err := c.CreateNamespace(t.Context(), b.namespace+"-more"); err == nil || !strings.Contains(err.Error(), user) {
		t.Errorf("making a namespace: %v", err)
	}
	kind, err := c.Kind("", "", "ConfigMap")
	check(t, err)
	_, err = c.Look(t.Context(), kind, fleet.ObjectID{Kind: "ConfigMap", Namespace: "default", Name: "x"})
	if err == nil || !strings.Contains(err.Error(), user) {
		t.Errorf("reading: %v", err)
	}

	if _, err = b.client.Prune(t.Context(), "shop", idsOf(applied), nil); err != nil || b.see(applied[0].ID) != nil {
		t.Errorf("the agent itself may: %v", err)
	}
}

// TestAccountForeign: an account that may not list still does not take over what was
// there before.
func TestAccountForeign(t *testing.T) {
	b := newBed(t)
	c := b.as("get, create, patch")
	check(t, b.Client.Create(t.Context(), b.objects(strings.Replace(settings, ", labels: {navarch.dev/app: shop}", "", 1))[0]))
	_, err := c.ApplyAll(t.Context(), b.objects(settings), first)
	if !errors.Is(err, apply.ErrExists) {
		t.Errorf("it says %v", err)
	}
}

// TestNoAccount: an account that is not there has no rights, whatever was granted to its
// name.
func TestNoAccount(t *testing.T) {
	b := newBed(t)
	b.as("get, create, patch")
	account := b.getIn(b.namespace, "v1", "ServiceAccount", "deployer")
	check(t, b.Client.Delete(t.Context(), account))
	_, err := b.client.As(t.Context(), apply.Account{Namespace: b.namespace, Name: "deployer"})
	if !errors.Is(err, apply.ErrNoAccount) || !apply.Permanent(err) || !strings.Contains(err.Error(), "dependsOn") {
		t.Errorf("it says %v", err)
	}
}
