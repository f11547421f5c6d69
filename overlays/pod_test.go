package overlays

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/navarch/navarch/fleet"
)

func TestRequestsOf(t *testing.T) {
	tests := map[string]struct {
		pod  string
		want fleet.Resources
	}{
		"nothing": {`{}`, fleet.Resources{}},
		"containers are summed": {
			`containers: [{resources: {requests: {cpu: 250m, memory: 1Gi}}}, {resources: {requests: {cpu: 1, nvidia.com/gpu: 2}}}, {}]`,
			fleet.Resources{"cpu": 1250, "memory": 1 << 30, "nvidia.com/gpu": 2},
		},
		"a limit without a request is one": {
			`containers: [{resources: {limits: {cpu: 2, memory: 1G}, requests: {cpu: 0.5}}}]`,
			fleet.Resources{"cpu": 500, "memory": 1e9},
		},
		"init containers run one after the other": {
			`{containers: [{resources: {requests: {cpu: 2, memory: 1}}}], initContainers: [{resources: {requests: {cpu: 3}}}, {resources: {requests: {cpu: 1, memory: 5}}}]}`,
			fleet.Resources{"cpu": 3000, "memory": 5},
		},
		"sidecars stay": {
			`{containers: [{resources: {requests: {cpu: 2}}}], initContainers: [
			  {resources: {requests: {cpu: 4}}}, {restartPolicy: Always, resources: {requests: {cpu: 1}}}, {resources: {requests: {cpu: 3, memory: 7}}}]}`,
			fleet.Resources{"cpu": 4000, "memory": 7},
		},
		"sidecars count beside containers": {
			`{containers: [{resources: {requests: {cpu: 2}}}], initContainers: [{restartPolicy: Always, resources: {requests: {cpu: 1}}}]}`,
			fleet.Resources{"cpu": 3000},
		},
		"the pod's own request, and its overhead": {
			`{resources: {requests: {cpu: 5}}, overhead: {cpu: 10m, memory: 1Mi}, containers: [{resources: {requests: {cpu: 7, memory: 1Mi}}}]}`,
			fleet.Resources{"cpu": 5010, "memory": 2 << 20},
		},
		"nothing asked for in so many words": {`containers: [{resources: {requests: {cpu: "0"}}}]`, fleet.Resources{}},
		"parts are rounded up":               {`containers: [{resources: {requests: {cpu: 1u, memory: 1500m}}}]`, fleet.Resources{"cpu": 1, "memory": 2}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var pod map[string]any
			if err := yaml.Unmarshal([]byte(test.pod), &pod); err != nil {
				t.Fatal(err)
			}
			got, err := requestsOf(pod)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

func TestDependencies(t *testing.T) {
	const pod = `{serviceAccountName: runner, imagePullSecrets: [{name: pull}],
	  containers: [{name: a, envFrom: [{configMapRef: {name: env}}, {secretRef: {name: env}}], env: [{name: X, value: x}, {name: Y, valueFrom: {configMapKeyRef: {name: key, key: k}}}]},
	    {name: b, env: [{name: Z, valueFrom: {secretKeyRef: {name: key, key: k}}}]}],
	  initContainers: [{name: c, envFrom: [{configMapRef: {name: init, optional: true}}], env: [{name: Z, valueFrom: {secretKeyRef: {name: init, key: k}}}]}],
	  volumes: [{name: v, configMap: {name: volume}}, {name: w, secret: {secretName: volume}}, {name: x, persistentVolumeClaim: {claimName: disk}}, {name: y, emptyDir: {}},
	    {name: z, projected: {sources: [{configMap: {name: projected}}, {secret: {name: projected}}, {downwardAPI: {}}]}},
	    {name: c, csi: {driver: d, nodePublishSecretRef: {name: csi}}}]}`
	inPod := []string{
		"ConfigMap shop/env", "ConfigMap shop/init", "ConfigMap shop/key", "ConfigMap shop/projected", "ConfigMap shop/volume",
		"PersistentVolumeClaim shop/disk",
		"Secret shop/csi", "Secret shop/env", "Secret shop/init", "Secret shop/key", "Secret shop/projected", "Secret shop/pull", "Secret shop/volume",
		"ServiceAccount shop/runner",
	}
	object := func(version, kind, spec string) string {
		return fmt.Sprintf("{apiVersion: %s, kind: %s, metadata: {name: a, namespace: shop}, spec: %s}\n", version, kind, spec)
	}
	inTemplate := "{template: {spec: " + pod + "}}"
	tests := map[string]struct {
		objects []string
		want    []string
	}{
		"Deployment":             {[]string{object("apps/v1", "Deployment", inTemplate)}, inPod},
		"ReplicaSet":             {[]string{object("apps/v1", "ReplicaSet", inTemplate)}, inPod},
		"StatefulSet":            {[]string{object("apps/v1", "StatefulSet", inTemplate)}, inPod},
		"DaemonSet":              {[]string{object("apps/v1", "DaemonSet", inTemplate)}, inPod},
		"Job":                    {[]string{object("batch/v1", "Job", inTemplate)}, inPod},
		"CronJob":                {[]string{object("batch/v1", "CronJob", "{jobTemplate: {spec: "+inTemplate+"}}")}, inPod},
		"Pod":                    {[]string{object("v1", "Pod", pod)}, inPod},
		"several, each once":     {[]string{object("v1", "Pod", pod), object("apps/v1", "Deployment", inTemplate)}, inPod},
		"of somebody else":       {[]string{object("example.com/v1", "Deployment", inTemplate)}, nil},
		"the default account":    {[]string{object("v1", "Pod", `{serviceAccountName: default}`)}, nil},
		"of another form":        {[]string{object("v1", "Pod", `{volumes: none, containers: [x], imagePullSecrets: [{name: 3}, {name: ""}]}`)}, nil},
		"the claims that it has": {[]string{object("apps/v1", "StatefulSet", `{volumeClaimTemplates: [{metadata: {name: disk}}], template: {spec: {volumes: [{persistentVolumeClaim: {claimName: disk}}, {persistentVolumeClaim: {claimName: other}}]}}}`)}, []string{"PersistentVolumeClaim shop/other"}},
		"Ingress":                {[]string{object("networking.k8s.io/v1", "Ingress", `{tls: [{secretName: b}, {hosts: [x]}, {secretName: a}]}`)}, []string{"Secret shop/a", "Secret shop/b"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var objects []*unstructured.Unstructured
			for _, text := range test.objects {
				object := &unstructured.Unstructured{}
				if err := yaml.Unmarshal([]byte(strings.ReplaceAll(text, "\t", " ")), &object.Object); err != nil {
					t.Fatal(err)
				}
				objects = append(objects, object)
			}
			var got []string
			for _, id := range Dependencies(objects) {
				got = append(got, id.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}
