package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// TestDropInjected: what a controller writes is not sent; what Git says is.
func TestDropInjected(t *testing.T) {
	for name, test := range map[string]struct{ object, want string }{
		"a placeholder in a webhook": {
			"apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nwebhooks: [{name: a, clientConfig: {caBundle: Cg==, url: x}}, {name: b, clientConfig: {caBundle: Y2E=}}]",
			"apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nwebhooks: [{name: a, clientConfig: {url: x}}, {name: b, clientConfig: {caBundle: Y2E=}}]",
		},
		"an annotation asks": {
			"apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\nmetadata: {annotations: {cert-manager.io/inject-ca-from: a/b}}\nwebhooks: [{name: b, clientConfig: {caBundle: Y2E=}}]",
			"apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\nmetadata: {annotations: {cert-manager.io/inject-ca-from: a/b}}\nwebhooks: [{name: b, clientConfig: {}}]",
		},
		"a conversion": {
			"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {conversion: {webhook: {clientConfig: {caBundle: \"\"}}}}",
			"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {conversion: {webhook: {clientConfig: {}}}}",
		},
		"an API service": {
			"apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {annotations: {cert-manager.io/inject-apiserver-ca: \"true\"}}\nspec: {caBundle: Y2E=, group: x}",
			"apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {annotations: {cert-manager.io/inject-apiserver-ca: \"true\"}}\nspec: {group: x}",
		},
		"of another kind": {
			"apiVersion: example.com/v1\nkind: Thing\nspec: {caBundle: \"\"}",
			"apiVersion: example.com/v1\nkind: Thing\nspec: {caBundle: \"\"}",
		},
		"without anything": {
			"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition",
			"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition",
		},
	} {
		var got, want unstructured.Unstructured
		for into, text := range map[*unstructured.Unstructured]string{&got: test.object, &want: test.want} {
			if err := yaml.Unmarshal([]byte(text), &into.Object); err != nil {
				t.Fatal(err)
			}
		}
		dropInjected(&got)
		if diff := cmp.Diff(want.Object, got.Object); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
