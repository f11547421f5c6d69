package agent_test

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

const migration = `---
apiVersion: batch/v1
kind: Job
metadata: {name: migrate, namespace: NS}
spec:
  ttlSecondsAfterFinished: 0
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
		o := job()
		o.SetFinalizers(nil)
		check(t, b.Client.Update(t.Context(), o))
		check(t, b.Client.Delete(t.Context(), o))
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
