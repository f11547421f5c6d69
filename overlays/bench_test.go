package overlays_test

import (
	"testing"
	"testing/fstest"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/overlays"
)

// benchApp is an app of four objects with an override in kustomize's words and one
// with overriders.
func benchApp() (fleet.App, fstest.MapFS) {
	app := fleet.App{
		Name: "shop", Namespace: "shop", Source: fleet.Source{Path: "base"},
		Overrides: []fleet.Override{
			{Kustomize: fleet.Kustomize{
				Images:   []fleet.Image{{Name: "nginx", NewTag: "1.26"}},
				Replicas: []fleet.ReplicaCount{{Name: "web", Count: 3}},
				Patches:  []fleet.Patch{{Path: "patches/region.yaml"}},
			}},
			{Overriders: fleet.Overriders{
				ImageOverrider:  []fleet.ImageOverrider{{Component: "Registry", Operator: "replace", Value: "registry.eu"}},
				LabelsOverrider: []fleet.LabelOverrider{{Operator: "add", Value: map[string]string{"region": "eu"}}},
			}},
		},
	}
	return app, repository(map[string]string{
		"base/kustomization.yaml": "resources: [account.yaml, service.yaml, deployment.yaml, ingress.yaml]\n",
		"base/account.yaml":       "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: web}\n",
		"base/service.yaml":       service + "spec: {selector: {app: web}, ports: [{port: 80}]}\n",
		"base/deployment.yaml": `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      serviceAccountName: web
      containers:
      - name: web
        image: nginx:1.25
        ports: [{containerPort: 80}]
        resources: {requests: {cpu: 100m, memory: 64Mi}}
`,
		"base/ingress.yaml": `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {rules: [{host: web.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`,
		"patches/region.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {nodeSelector: {region: eu}}}}\n",
	})
}

func BenchmarkGather(b *testing.B) {
	app, repo := benchApp()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := overlays.Gather(repo, app); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	app, repo := benchApp()
	source, err := overlays.Gather(repo, app)
	if err != nil {
		b.Fatal(err)
	}
	for name, rules := range map[string][]fleet.Override{"plain": nil, "words": app.Overrides[:1], "overriders": app.Overrides} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := overlays.Render(repo, app, source, overlays.Difference{Rules: rules}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	app, repo := benchApp()
	source, err := overlays.Gather(repo, app)
	if err != nil {
		b.Fatal(err)
	}
	overlay, _, err := overlays.Render(repo, app, source, overlays.Difference{Rules: app.Overrides[:1]})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := overlays.Build(app.Name, source.Files, overlay.Files); err != nil {
			b.Fatal(err)
		}
	}
}
