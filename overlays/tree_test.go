package overlays_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/overlays"
)

func TestTree(t *testing.T) {
	base := overlays.Files{"apps/shop/a.yaml": []byte("base")}
	overlay := overlays.Files{"kustomization.yaml": []byte("overlay"), "repo/x": []byte("x")}
	shop := overlays.Placed{App: "shop", Base: base, Overlay: overlay}
	blog := overlays.Placed{App: "blog", Base: base, Overlay: overlay}
	got := overlays.Tree(map[fleet.ClusterName][]overlays.Placed{"eu-1": {shop, blog}, "us-1": {shop}, "edge": nil})
	want := []string{
		"bases/blog/apps/shop/a.yaml", "bases/shop/apps/shop/a.yaml",
		"clusters/edge/kustomization.yaml",
		"clusters/eu-1/blog/kustomization.yaml", "clusters/eu-1/blog/repo/x", "clusters/eu-1/kustomization.yaml",
		"clusters/eu-1/shop/kustomization.yaml", "clusters/eu-1/shop/repo/x",
		"clusters/us-1/kustomization.yaml", "clusters/us-1/shop/kustomization.yaml", "clusters/us-1/shop/repo/x",
	}
	if diff := cmp.Diff(want, got.Paths()); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	const head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
	for name, want := range map[string]string{"eu-1": head + "resources:\n  - blog\n  - shop\n", "edge": head + "resources: []\n"} {
		if diff := cmp.Diff(want, string(got["clusters/"+name+"/kustomization.yaml"])); diff != "" {
			t.Errorf("cluster %s: want -, got +:\n%s", name, strings.TrimSpace(diff))
		}
	}
}
