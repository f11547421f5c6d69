package apply_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/fleet"
)

// TestRehearse: the cluster is asked about everything that can be asked, and nothing is
// changed by that, whatever it says.
func TestRehearse(t *testing.T) {
	illegal := strings.Replace(web, "replicas: 1", "replicas: -1", 1)
	other := strings.ReplaceAll(web, "app: web", "app: other")
	defined := strings.Replace(definition, "TYPE", "object", 1)
	elsewhere := strings.Replace(settings, "namespace: NS", "namespace: NS-new", 1)
	for name, test := range map[string]struct {
		before, manifests string
		terms             fleet.Terms
		adopting          bool     // every object is one that the app never applied
		refused           []string // kinds of those that would be refused
	}{
		"all is well":                        {manifests: settings + "---\n" + web},
		"one of many":                        {manifests: settings + "---\n" + illegal, refused: []string{"Deployment"}},
		"an unknown kind":                    {manifests: settings + "---\n" + thing, refused: []string{"Thing"}},
		"a kind that the app defines":        {manifests: thing + "---\n" + defined},
		"a definition that is wrong":         {manifests: thing + "---\n" + strings.Replace(definition, "TYPE", "nonsense", 1), refused: []string{"CustomResourceDefinition"}},
		"a namespace that is not there":      {manifests: elsewhere},
		"what cannot change":                 {before: web, manifests: settings + "---\n" + other, refused: []string{"Deployment"}},
		"what cannot change and is forced":   {before: web, manifests: other, terms: fleet.Terms{Force: true}},
		"somebody else's, forced":            {before: strings.Replace(web, "app: shop", "app: blog", 1), manifests: other, terms: fleet.Terms{Force: true}, refused: []string{"Deployment"}},
		"a Job that runs something else":     {before: job, manifests: strings.Replace(job, "migrate:1", "migrate:2", 1)},
		"what is there already":              {before: strings.Replace(settings, ", labels: {navarch.dev/app: shop}", "", 1), manifests: settings, adopting: true, refused: []string{"ConfigMap"}},
		"what is there and may be overtaken": {before: strings.Replace(settings, ", labels: {navarch.dev/app: shop}", "", 1), manifests: settings, adopting: true, terms: fleet.Terms{Adopt: true}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			var was *unstructured.Unstructured
			var id fleet.ObjectID
			if test.before != "" {
				id = b.must(test.before)[0].ID
				was = b.see(id)
			}
			objects := b.objects(test.manifests)
			way := apply.Way{Terms: test.terms, There: anew.There, New: func(fleet.ObjectID) bool { return test.adopting }}
			err := b.client.Rehearse(t.Context(), objects, way)
			var refused []string
			if joined, ok := err.(interface{ Unwrap() []error }); ok {
				for _, each := range flat(joined) {
					var failed *apply.ObjectError
					if errors.As(each, &failed) {
						refused = append(refused, failed.ID.Kind)
					}
				}
			}
			slices.Sort(refused)
			if diff := cmp.Diff(test.refused, refused); diff != "" || (err != nil) != errors.Is(err, apply.ErrRefused) {
				t.Errorf("%s%v", diff, err)
			}
			for _, o := range objects {
				prepared, err := b.client.Prepare(o)
				if err != nil || prepared.ID == id {
					continue
				}
				if b.see(prepared.ID) != nil {
					t.Errorf("%s was made", prepared.ID)
				}
			}
			if was == nil {
				return
			}
			is := b.see(id)
			if diff := cmp.Diff([]any{was.GetUID(), was.Object["spec"], was.Object["data"]}, []any{is.GetUID(), is.Object["spec"], is.Object["data"]}); diff != "" {
				t.Errorf("%s was changed: %s", id, diff)
			}
		})
	}
}

// flat are the errors that were joined, and joined again.
func flat(joined interface{ Unwrap() []error }) []error {
	var all []error
	for _, err := range joined.Unwrap() {
		if more, ok := err.(interface{ Unwrap() []error }); ok {
			all = append(all, flat(more)...)
			continue
		}
		all = append(all, err)
	}
	return all
}
