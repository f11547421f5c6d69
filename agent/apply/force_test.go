package apply_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/fleet"
)

const stateful = `apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: NS, labels: {navarch.dev/app: shop}}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: "example.com/db:1"}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`

const binding = `apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: read, namespace: NS, labels: {navarch.dev/app: shop}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: one}
`

const service = `apiVersion: v1
kind: Service
metadata: {name: web, namespace: NS, labels: {navarch.dev/app: shop}}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}
`

// forcing is how objects of an app are applied that says force.
func forcing(pruneAlso ...string) apply.Way {
	way := anew
	way.Terms = fleet.Terms{Force: true, PruneAlso: pruneAlso}
	return way
}

// TestForce: an object is made again where a field cannot change, if it says so or its
// app does. One that is not this app's is never deleted for that.
func TestForce(t *testing.T) {
	const labels, asking = "labels: {navarch.dev/app: shop}", "labels: {navarch.dev/app: shop}, annotations: {navarch.dev/force: enabled}"
	small, large := strings.ReplaceAll(claim, "SIZE", "1Gi"), strings.ReplaceAll(claim, "SIZE", "1Mi")
	for name, test := range map[string]struct {
		before, after string
		way           apply.Way
	}{
		"a Deployment's selector":                     {web, strings.ReplaceAll(web, "app: web", "app: other"), forcing()},
		"a StatefulSet's claims":                      {stateful, strings.Replace(stateful, "storage: 1Gi", "storage: 2Gi", 1), forcing()},
		"a RoleBinding's role":                        {binding, strings.Replace(binding, "name: one", "name: other", 1), forcing()},
		"a Service's address":                         {service, strings.Replace(service, "clusterIP: None, ", "clusterIP: ADDRESS, ", 1), forcing()},
		"a claim's size":                              {small, large, forcing("PersistentVolumeClaim")},
		"a Deployment's selector, as the object says": {web, strings.Replace(strings.ReplaceAll(web, "app: web", "app: other"), labels, asking, 1), anew},
		"a claim's size, as the object says":          {small, strings.Replace(large, labels, asking, 1), anew},
		"a claim's size, as the object says to Flux": {
			small, strings.Replace(large, labels, strings.Replace(asking, "navarch.dev/force", "kustomize.toolkit.fluxcd.io/force", 1), 1), anew,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			after := strings.Replace(test.after, "ADDRESS", b.freeAddress(), 1)
			id := b.must(test.before)[0].ID
			was := b.see(id)
			if _, err := b.apply(strings.ReplaceAll(after, "enabled", "disabled")); err == nil || !strings.Contains(err.Error(), "annotate the object") {
				t.Errorf("where nobody says so: %v", err)
			}
			b.edit(b.see(id), func(o *unstructured.Unstructured) { o.SetLabels(nil) })
			if _, err := b.client.ApplyAll(t.Context(), b.objects(after), test.way); err == nil || !strings.Contains(err.Error(), "does not belong to the app") {
				t.Errorf("where it is somebody else's: %v", err)
			}
			if is := b.see(id); is == nil || is.GetUID() != was.GetUID() {
				t.Fatal("somebody else's was deleted")
			}
			b.must(test.before)
			_, err := b.client.ApplyAll(t.Context(), b.objects(after), test.way)
			check(t, err)
			if is := b.see(id); is == nil || is.GetUID() == was.GetUID() {
				t.Error("it was not made again")
			}
		})
	}
}

// TestForceSpares: what an app says of all its objects does not mean a claim.
func TestForceSpares(t *testing.T) {
	b := newBed(t)
	id := b.must(strings.ReplaceAll(claim, "SIZE", "1Gi"))[0].ID
	was := b.see(id)
	_, err := b.client.ApplyAll(t.Context(), b.objects(strings.ReplaceAll(claim, "SIZE", "1Mi")), forcing())
	if err == nil || strings.Contains(err.Error(), "force: true") || !strings.Contains(err.Error(), "annotate the object") {
		t.Errorf("it says %v", err)
	}
	if is := b.see(id); is == nil || is.GetUID() != was.GetUID() {
		t.Error("it was deleted")
	}
}

const job = `apiVersion: batch/v1
kind: Job
metadata: {name: migrate, namespace: NS, labels: {navarch.dev/app: shop}}
spec:
  ttlSecondsAfterFinished: 600
  template:
    spec: {restartPolicy: Never, containers: [{name: migrate, image: "example.com/migrate:1"}]}
`

// TestJob: a Job is made again where what it runs has changed, whatever the app says,
// and only then.
func TestJob(t *testing.T) {
	b := newBed(t)
	one := b.must(job)[0]
	first := b.see(one.ID)
	same := b.must(strings.Replace(job, "ttlSecondsAfterFinished: 600", "ttlSecondsAfterFinished: 60", 1))[0]
	if is := b.see(one.ID); is.GetUID() != first.GetUID() || same.Runs != one.Runs {
		t.Error("it runs again when it is only to be forgotten sooner")
	}
	two := b.must(strings.Replace(job, "migrate:1", "migrate:2", 1))[0]
	if is := b.see(one.ID); is == nil || is.GetUID() == first.GetUID() || two.Runs == one.Runs {
		t.Error("it does not run again")
	}
}

// TestSpent: what may not be there any more is known by what it ran.
func TestSpent(t *testing.T) {
	b := newBed(t)
	for name, test := range map[string]struct {
		manifest string
		spent    bool
	}{
		"a Job that deletes itself": {job, true},
		"a Job that stays":          {strings.Replace(job, "  ttlSecondsAfterFinished: 600\n", "", 1), false},
		"what is no Job":            {settings, false},
	} {
		t.Run(name, func(t *testing.T) {
			built := b.objects(test.manifest)[0]
			o, err := b.client.Prepare(built)
			check(t, err)
			if got := (apply.Item{Body: "sent", Runs: o.Runs}).Spent(); got != test.spent {
				t.Errorf("spent is %v", got)
			}
			if (apply.Item{Runs: o.Runs}).Spent() {
				t.Error("spent before it was applied")
			}
		})
	}
}

// see reads an object by its id, or returns nil where there is none.
func (b *bed) see(id fleet.ObjectID) *unstructured.Unstructured {
	b.t.Helper()
	kind, err := b.client.Kind(id.Group, "", id.Kind)
	check(b.t, err)
	return b.getIn(id.Namespace, kind.GroupVersion().String(), id.Kind, id.Name)
}

// freeAddress is one that no Service has.
func (b *bed) freeAddress() string {
	b.t.Helper()
	name := b.must(strings.Replace(strings.Replace(service, "name: web", "name: probe", 1), "clusterIP: None, ", "", 1))[0].ID
	probe := b.see(name)
	address, _, _ := unstructured.NestedString(probe.Object, "spec", "clusterIP")
	check(b.t, b.Client.Delete(b.t.Context(), probe))
	return address
}
