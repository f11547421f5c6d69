package main

import "fmt"

// apps is how many apps the measured fleet has. Each is a ServiceAccount, a
// Service, a Deployment without replicas and an Ingress.
const apps = 100

// fleetFiles returns the fleet's files: three clusters and its apps, all at mark.
func fleetFiles(mark string) map[string]string {
	files := map[string]string{
		"README.md": "# Measured\n",
		"fleet.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: Fleet\n" +
			"spec: {deletionBudget: {objects: 100%}}\n",
	}
	for _, name := range memberNames {
		files["clusters/"+name+".yaml"] = "apiVersion: fleet.navarch.dev/v1alpha1\nkind: Cluster\nmetadata: {name: " + name + "}\n"
	}
	for i := range apps {
		name := appName(i)
		files["apps/"+name+"/app.yaml"] = fmt.Sprintf(`apiVersion: fleet.navarch.dev/v1alpha1
kind: App
metadata: {name: %s, namespace: %s}
spec: {source: {path: base}}
`, name, namespace)
		files["apps/"+name+"/base/kustomization.yaml"] = "resources: [objects.yaml]\n"
		files["apps/"+name+"/base/objects.yaml"] = objectsYAML(name, mark)
	}
	return files
}

func appName(i int) string { return fmt.Sprintf("app-%03d", i) }

// objectsYAML returns the four objects of an app. The mark changes all of them.
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
