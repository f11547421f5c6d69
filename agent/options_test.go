package agent_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
