package fleet

import "testing"

func TestAsksToStay(t *testing.T) {
	for name, test := range map[string]struct {
		labels, annotations map[string]string
		want                string
	}{
		"nothing":                   {},
		"our annotation":            {annotations: map[string]string{"navarch.dev/prune": "disabled"}, want: "navarch.dev/prune: disabled"},
		"our label":                 {labels: map[string]string{"navarch.dev/prune": "disabled"}, want: "navarch.dev/prune: disabled"},
		"another word":              {labels: map[string]string{"navarch.dev/prune": "enabled"}},
		"Flux's label":              {labels: map[string]string{"kustomize.toolkit.fluxcd.io/prune": "disabled"}, want: "kustomize.toolkit.fluxcd.io/prune: disabled"},
		"Argo's option":             {annotations: map[string]string{"argocd.argoproj.io/sync-options": "Validate=false, Prune=false"}, want: "argocd.argoproj.io/sync-options: Prune=false"},
		"another option of Argo's":  {annotations: map[string]string{"argocd.argoproj.io/sync-options": "PruneLast=true"}},
		"Argo's option as a label":  {labels: map[string]string{"argocd.argoproj.io/sync-options": "Prune=false"}},
		"Flux's word for something": {annotations: map[string]string{"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := AsksToStay(test.labels, test.annotations); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
