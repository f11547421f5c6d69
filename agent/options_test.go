package agent_test

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

const migration = `---
apiVersion: batch/v1
kind: Job
metadata: {name: migrate, namespace: NS}
spec:
  ttlSecondsAfterFinished: 600
  template:
    spec: {restartPolicy: Never, containers: [{name: migrate, image: "example.com/migrate:1"}]}
`

// TestRunsOnce: a Job that the cluster deletes when it has finished is not missed, also
// by an agent that starts anew, and runs again when what it runs has changed.
func TestRunsOnce(t *testing.T) {
	b := newBed(t)
	stop := b.agent()
	job := func() *unstructured.Unstructured {
		o, err := b.Object(t.Context(), "batch/v1", "Job", b.namespace, "migrate")
		if err != nil {
			return nil
		}
		return o
	}
	shop := b.app("shop", configMap("a", "one")+migration)
	b.announce(shop)
	b.until("the Job to run", func() bool { return job() != nil })
	ran := job().GetUID()
	finish := func() {
		check(t, b.Client.Delete(t.Context(), job(), client.PropagationPolicy(metav1.DeletePropagationBackground)))
		b.until("the Job to be gone", func() bool { return job() == nil })
	}
	finish()
	b.ready(shop)

	stop()
	b.agent()
	shop = b.app("shop", configMap("a", "two")+strings.Replace(migration, "name: migrate, namespace", "annotations: {note: two}, name: migrate, namespace", 1))
	b.announce(shop)
	b.ready(shop)
	if job() != nil || b.word("a") != "two" {
		t.Error("it runs again though nothing of it has changed")
	}
	shop = b.app("shop", configMap("a", "two")+strings.Replace(migration, "migrate:1", "migrate:2", 1))
	b.announce(shop)
	b.until("the Job to run again", func() bool { o := job(); return o != nil && o.GetUID() != ran })
	finish()
	b.ready(shop)
}

// TestAtomic: an app that would not be taken whole is left as it is, and so is what it
// no longer has; it says which of its objects are refused. The next commit is taken.
func TestAtomic(t *testing.T) {
	b := newBed(t)
	b.agent()
	atomic := func(manifests string) fleet.DesiredApp {
		app := b.app("shop", manifests)
		app.Namespace, app.Terms.Atomic = b.namespace+"-made", true
		return app
	}
	whole := atomic(configMap("a", "one") + configMap("b", "one"))
	b.announce(whole)
	b.ready(whole)
	torn := atomic(configMap("a", "two") + configMap("c", "two") + configMap("BAD", "two"))
	b.announce(torn)
	r := b.reason("shop", "ApplyFailed")
	if said := r.Conditions[0].Message; !strings.HasPrefix(said, "nothing of the app was changed") || !strings.Contains(said, "ConfigMap "+b.namespace+"/BAD") {
		t.Errorf("it says %q", said)
	}
	if r.Conditions[2].Type != wire.Stalled || r.Conditions[2].Status != "True" {
		t.Errorf("not stalled: %+v", r.Conditions[2])
	}
	if got := fmt.Sprintf("%s %s %v", b.word("a"), b.word("b"), b.get("c")); got != "one one <nil>" {
		t.Errorf("while it is refused it runs %s", got)
	}
	whole = atomic(configMap("a", "two") + configMap("c", "two"))
	b.announce(whole)
	b.ready(whole)
	if got := fmt.Sprintf("%s %v %s", b.word("a"), b.get("b"), b.word("c")); got != "two <nil> two" {
		t.Errorf("it runs %s", got)
	}
}

const rights = `apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: deployer, namespace: NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects: [{kind: ServiceAccount, name: deployer, namespace: NS}]
`

// TestAccount: an app is applied with the rights of the ServiceAccount that it names,
// and not at all before that is there. It goes also when the account has gone.
func TestAccount(t *testing.T) {
	b := newBed(t)
	b.agent()
	app := func(manifests string) fleet.DesiredApp {
		app := b.app("shop", manifests)
		app.Namespace, app.Terms.ServiceAccount = b.namespace, "deployer"
		return app
	}
	shop := app(configMap("a", "one"))
	b.announce(shop)
	r := b.reason("shop", "ApplyFailed")
	if said := r.Conditions[0].Message; !strings.Contains(said, "ServiceAccount "+b.namespace+"/deployer") || r.Conditions[2].Status != "True" {
		t.Errorf("without the account: %+v", r.Conditions)
	}
	b.make(b.namespace, rights)
	b.make(b.namespace, "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: deployer}\n")
	b.ready(shop)

	more := app(configMap("a", "two") + strings.ReplaceAll("---\n"+rights, "deployer", "mine"))
	b.announce(more)
	b.reported("shop", "refused", func(r wire.Report) bool {
		said := r.Conditions[0].Message
		return strings.Contains(said, "RoleBinding") && strings.Contains(said, "system:serviceaccount:"+b.namespace+":deployer")
	})
	b.until("what it may change to be changed", func() bool { return b.word("a") == "two" })
	b.edit("a", `{"data":{"word":"theirs"}}`)
	shop = app(configMap("a", "three"))
	b.announce(shop)
	b.ready(shop)
	b.edit("a", `{"data":{"word":"theirs"}}`)
	b.until("a repair", func() bool { return b.word("a") == "three" })

	account, err := b.Object(t.Context(), "v1", "ServiceAccount", b.namespace, "deployer")
	check(t, err)
	check(t, b.Client.Delete(t.Context(), account))
	b.tell(fleet.Desired{Tombstones: []fleet.Tombstone{{App: "shop", Namespace: b.namespace, ServiceAccount: "deployer"}}})
	b.reported("shop", "removed", func(r wire.Report) bool { return r.Removed })
	if b.get("a") != nil {
		t.Error("it is still there")
	}
}

// TestLingers: what an app no longer has and what takes its time to go does not keep the
// app from being ready once it is gone.
func TestLingers(t *testing.T) {
	b := newBed(t)
	b.agent()
	shop := b.app("shop", configMap("a", "one")+configMap("slow", "one"))
	b.announce(shop)
	b.ready(shop)
	b.edit("slow", `{"metadata":{"finalizers":["example.com/slow"]}}`)
	shop = b.app("shop", configMap("a", "two"))
	b.announce(shop)
	b.until("the other to be on its way out", func() bool { return b.get("slow").GetDeletionTimestamp() != nil })
	b.edit("slow", `{"metadata":{"finalizers":null}}`)
	b.until("it to go", func() bool { return b.get("slow") == nil })
	b.ready(shop)
	b.reported("shop", "whole", func(r wire.Report) bool { return len(r.Objects) == 1 && r.Conditions[0].Status == "True" })
}
