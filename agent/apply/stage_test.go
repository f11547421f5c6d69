package apply_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/fleet"
)

func TestStages(t *testing.T) {
	kinds := func(words ...[2]string) []apply.Object {
		var objects []apply.Object
		for _, word := range words {
			objects = append(objects, apply.Object{ID: fleet.ObjectID{Group: word[0], Kind: word[1]}})
		}
		return objects
	}
	for name, test := range map[string]struct {
		objects []apply.Object
		want    [][]string
	}{
		"nothing": {nil, nil},
		"one of everything": {
			kinds([2]string{"admissionregistration.k8s.io", "ValidatingWebhookConfiguration"}, [2]string{"apps", "Deployment"}, [2]string{"", "Secret"},
				[2]string{"", "Namespace"}, [2]string{"apiextensions.k8s.io", "CustomResourceDefinition"}, [2]string{"rbac.authorization.k8s.io", "Role"},
				[2]string{"", "Service"}, [2]string{"apiregistration.k8s.io", "APIService"}, [2]string{"storage.k8s.io", "StorageClass"}),
			[][]string{
				{"Namespace", "CustomResourceDefinition", "StorageClass"}, {"Secret", "Role"},
				{"Deployment", "Service"}, {"ValidatingWebhookConfiguration", "APIService"},
			},
		},
		"a kind that is called like another": {
			kinds([2]string{"example.com", "Namespace"}, [2]string{"apiextensions.k8s.io", "CustomResourceDefinition"}),
			[][]string{{"CustomResourceDefinition"}, {"Namespace"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got [][]string
			for _, stage := range apply.Stages(test.objects) {
				var kinds []string
				for _, o := range stage {
					kinds = append(kinds, o.ID.Kind)
				}
				got = append(got, kinds)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
