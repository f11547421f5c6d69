package overlays_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/overlays"
)

const onBase = "resources: [../../../bases/shop/base]\n"

func TestBuildRefuses(t *testing.T) {
	tests := map[string]struct {
		base, overlay map[string]string
		want          string
	}{
		"a remote base": {
			overlay: map[string]string{"kustomization.yaml": "resources: [github.com/a/b]\n"},
			want:    `kustomization.yaml:1: resources[0]: "github.com/a/b" is remote` + copyThere,
		},
		"a plugin, also in a kustomization that is not used": {
			overlay: map[string]string{"kustomization.yaml": onBase, "unused/Kustomization": "transformers: [exec.yaml]"},
			want:    `unused/Kustomization:1: transformers: ` + notRun + asYAML,
		},
		"a file outside the kustomization": {
			base:    map[string]string{"base/kustomization.yaml": "configMapGenerator: [{name: a, files: [../secret]}]", "secret": "s"},
			overlay: map[string]string{"kustomization.yaml": onBase},
			want:    `folder "base": loading KV pairs: file sources: [../secret]: security; file 'secret' is not in or below 'base'`,
		},
		"an absolute file": {
			overlay: map[string]string{"kustomization.yaml": "resources: [/etc/passwd]\n"},
			want:    `accumulating resources: accumulation err='accumulating resources from '/etc/passwd': '/etc/passwd' doesn't exist': new root '/etc/passwd' cannot be absolute`,
		},
		"a path that is not clean": {
			overlay: map[string]string{"kustomization.yaml": onBase, "../../x": ""},
			want:    `"../../x" is not a clean relative path`,
		},
		"no kustomization": {
			overlay: map[string]string{"a.yaml": service},
			want:    `unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '/clusters/cluster/shop'`,
		},
		"one object in two versions": {
			base:    map[string]string{"base/kustomization.yaml": "resources: [a.yaml]", "base/a.yaml": service + "---\n" + strings.Replace(service, "v1", "v2", 1)},
			overlay: map[string]string{"kustomization.yaml": onBase},
			want:    `Service web is there in two versions`,
		},
		"a document of the fleet": {
			base:    map[string]string{"base/kustomization.yaml": "resources: [a.yaml]", "base/a.yaml": "apiVersion: fleet.navarch.dev/v1\nkind: App\nmetadata: {name: a}\n"},
			overlay: map[string]string{"kustomization.yaml": onBase},
			want:    `App.fleet.navarch.dev a describes the fleet and cannot run in a cluster`,
		},
		"an object above 1 MB that only building makes": {
			base: map[string]string{
				"base/kustomization.yaml": "configMapGenerator: [{name: a, files: [a, b], options: {disableNameSuffixHash: true}}]",
				"base/a":                  strings.Repeat("a", 600_000), "base/b": strings.Repeat("b", 600_000),
			},
			overlay: map[string]string{"kustomization.yaml": onBase},
			want:    `ConfigMap a is larger than 1048576 bytes`,
		},
		"what makes kustomize panic": {
			base:    map[string]string{"base/kustomization.yaml": "resources: []\ncrds: [a]", "base/a": ""},
			overlay: map[string]string{"kustomization.yaml": onBase},
			want:    `kustomize panicked: runtime error: index out of range [0] with length 0`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := overlays.Build("shop", filesOf(test.base), filesOf(test.overlay))
			if diff := cmp.Diff(`build app "shop": `+test.want, fmt.Sprint(err)); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

func filesOf(content map[string]string) overlays.Files {
	files := overlays.Files{}
	for name, text := range content {
		files[name] = []byte(text)
	}
	return files
}

func TestObjectIDs(t *testing.T) {
	app, repo := benchApp()
	source, err := overlays.Gather(repo, app)
	if err != nil {
		t.Fatal(err)
	}
	_, objects, err := overlays.Render(repo, app, source, overlays.Difference{})
	if err != nil {
		t.Fatal(err)
	}
	want := []fleet.ObjectID{
		{Kind: "Service", Namespace: "shop", Name: "web"},
		{Kind: "ServiceAccount", Namespace: "shop", Name: "web"},
		{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"},
		{Group: "networking.k8s.io", Kind: "Ingress", Namespace: "shop", Name: "web"},
	}
	slices.Reverse(objects)
	if diff := cmp.Diff(want, overlays.ObjectIDs(objects)); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// TestRenderIsDeterministic renders the same app many times at once: the bytes are
// the same each time, whoever else builds, and nothing that was passed in changes.
func TestRenderIsDeterministic(t *testing.T) {
	app, repo := benchApp()
	source, err := overlays.Gather(repo, app)
	if err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprintf("%v %v", app, source)
	want, objects, err := overlays.Render(repo, app, source, overlays.Difference{Rules: app.Overrides})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			again, err := overlays.Gather(repo, app)
			if err != nil {
				t.Error(err)
				return
			}
			if diff := cmp.Diff(source, again); diff != "" {
				t.Errorf("another source:\n%s", diff)
			}
			got, built, err := overlays.Render(repo, app, again, overlays.Difference{Rules: app.Overrides})
			if err != nil {
				t.Error(err)
				return
			}
			if diff := cmp.Diff(want, got) + cmp.Diff(objects, built); diff != "" {
				t.Errorf("another overlay:\n%s", diff)
			}
		})
	}
	group.Wait()
	if after := fmt.Sprintf("%v %v", app, source); after != before {
		t.Error("an argument was written to")
	}
}

// TestOneCluster shows that an override changes the overlay where it matches and
// nowhere else, and that the base stays one for all.
func TestOneCluster(t *testing.T) {
	app, repo := benchApp()
	source, err := overlays.Gather(repo, app)
	if err != nil {
		t.Fatal(err)
	}
	digests := map[fleet.Digest][]string{}
	for name, rules := range map[string][]fleet.Override{"eu-1": nil, "eu-2": {}, "us-1": app.Overrides[:1], "us-2": app.Overrides[:1], "edge": app.Overrides} {
		overlay, _, err := overlays.Render(repo, app, source, overlays.Difference{Rules: rules})
		if err != nil {
			t.Fatal(err)
		}
		digests[overlay.Digest] = append(digests[overlay.Digest], name)
	}
	if len(digests) != 3 {
		t.Errorf("want three overlays, got %v", digests)
	}
}

// TestBuildStaysTheSame builds an app before and after others that could leave
// something behind in kustomize's package variables.
func TestBuildStaysTheSame(t *testing.T) {
	base := filesOf(map[string]string{"base/kustomization.yaml": "resources: [a.yaml]\nnamePrefix: p-", "base/a.yaml": service})
	overlay := filesOf(map[string]string{"kustomization.yaml": onBase})
	want, err := overlays.Build("shop", base, overlay)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = overlays.Build("shop", filesOf(map[string]string{
		"base/kustomization.yaml": "resources: [a.yaml]\ncrds: [crd.json]\nconfigurations: [conf.yaml]", "base/a.yaml": service,
		"base/crd.json": `{"a.Service": {"Schema": {"properties": {"kind": {}, "apiVersion": {}, "metadata": {}}}}}`, "base/conf.yaml": "namePrefix: []\n",
	}), overlay)
	got, err := overlays.Build("shop", base, overlay)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("before -, after +:\n%s", diff)
	}
}
