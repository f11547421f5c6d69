package main

import (
	"fmt"

	"github.com/navarch/navarch/e2e/env"
)

// fleetFiles returns the files of a fleet of these members without apps.
func fleetFiles(members []*env.Member) map[string]string {
	files := map[string]string{
		"README.md": "# Measured\n",
		"fleet.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: Fleet\n" +
			"spec: {deletionBudget: {objects: 100%}}\n",
	}
	for _, m := range members {
		files["clusters/"+m.Name+".yaml"] = "apiVersion: fleet.navarch.dev/v1alpha1\nkind: Cluster\nmetadata: {name: " + m.Name + "}\n"
	}
	return files
}

// appFiles adds the files of an app, all but its objects.
func appFiles(files map[string]string, name string) {
	files["apps/"+name+"/app.yaml"] = fmt.Sprintf(`apiVersion: fleet.navarch.dev/v1alpha1
kind: App
metadata: {name: %s, namespace: %s}
spec: {source: {path: base}}
`, name, namespace)
	files["apps/"+name+"/base/kustomization.yaml"] = "resources: [objects.yaml]\n"
}

// namespace is where the measured apps are. The floor and the rival have their own.
const (
	namespace      = "measured"
	floorNamespace = "floor"
	rivalNamespace = "rival"
)

func appName(i int) string { return fmt.Sprintf("app-%03d", i) }

// objectsYAML returns the four objects of an app: a ServiceAccount, a Service, a
// Deployment without replicas and an Ingress. The mark changes all of them.
func objectsYAML(name, mark string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: ServiceAccount
metadata: {name: %[1]s, annotations: {mark: %[2]q}}
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s, annotations: {mark: %[2]q}}
spec:
  selector: {app: %[1]s}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, annotations: {mark: %[2]q}}
spec:
  replicas: 0
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      serviceAccountName: %[1]s
      containers: [{name: main, image: "registry.example/%[1]s:1.0"}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: %[1]s, annotations: {mark: %[2]q}}
spec:
  rules:
  - host: %[1]s.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: %[1]s, port: {number: 80}}}}]}
`, name, mark)
}
