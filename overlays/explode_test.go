package overlays_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/navarch/navarch/overlays"
)

// TestExplosions: a few kilobytes of a repository stand for gigabytes, or for hours, by
// what kustomize does with them. Each is refused, or stays small.
func TestExplosions(t *testing.T) {
	text := strings.Repeat("x", 900<<10)
	large := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: large}\ndata: {a: " + text + "}\n"
	crowd := func(n int, rest string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d}\ndata: {b: b%s}\n---\n", i, rest)
		}
		return b.String()
	}
	copies := func(n int) string {
		var ops []string
		for i := range n {
			ops = append(ops, fmt.Sprintf(`{"op":"copy","from":"/data","path":"/data/x%d"}`, i))
		}
		return "[" + strings.Join(ops, ",") + "]"
	}
	paths := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf("data.n%d", i))
		}
		return strings.Join(list, ", ")
	}
	for name, repo := range map[string]map[string]string{
		"a variable in every word": {
			"base/kustomization.yaml": "resources: [large.yaml, a.yaml]\nvars: [{name: A, objref: {kind: ConfigMap, name: large, apiVersion: v1}, fieldref: {fieldpath: data.a}}]\n",
			"base/large.yaml":         large,
			"base/a.yaml":             "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{name: a, image: a, args: ['" + strings.Repeat("$(A)", 100_000) + "']}]}}}\n",
		},
		"a replacement into everything": {
			"base/kustomization.yaml": "resources: [large.yaml, a.yaml]\nreplacements: [{path: r.yaml}]\n",
			"base/large.yaml":         large, "base/a.yaml": crowd(1500, ""),
			"base/r.yaml": "- source: {kind: ConfigMap, name: large, fieldPath: data.a}\n  targets: [{select: {kind: ConfigMap}, fieldPaths: [" + paths(200) + "], options: {create: true}}]\n",
		},
		"a replacement of each letter": {
			"base/kustomization.yaml": "resources: [large.yaml, a.yaml]\nreplacements:\n- source: {kind: ConfigMap, name: large, fieldPath: data.a}\n  targets:\n" +
				strings.Repeat("  - {select: {kind: ConfigMap, name: c0}, fieldPaths: [data.b], options: {delimiter: '', index: 100000}}\n", 200),
			"base/large.yaml": large, "base/a.yaml": crowd(1, ""),
		},
		"copies of copies": {
			"base/kustomization.yaml": "resources: [a.yaml]\npatches: [{target: {kind: ConfigMap}, patch: '" + copies(40) + "'}]\n",
			"base/a.yaml":             crowd(1, ""),
		},
		"a long annotation on everything": {
			"base/kustomization.yaml": "resources: [a.yaml]\ncommonAnnotations: {a: " + strings.Repeat("x", 8<<20) + "}\n",
			"base/a.yaml":             crowd(1500, ""),
		},
		"a long prefix, again and again": func() map[string]string {
			repo := map[string]string{"base/a.yaml": crowd(100, "")}
			dir := "base"
			for range 50 {
				repo[dir+"/kustomization.yaml"] = "resources: [n1]\nnamePrefix: " + strings.Repeat("x", 20_000) + "\n"
				dir += "/n1"
			}
			repo[dir+"/kustomization.yaml"] = "resources: [a.yaml]\n"
			repo[dir+"/a.yaml"] = crowd(100, "")
			delete(repo, "base/a.yaml")
			return repo
		}(),
		"patches of patches": {
			"base/kustomization.yaml": "resources: [a.yaml]\npatches:\n" + strings.Repeat("- {target: {kind: ConfigMap}, patch: '[{\"op\":\"add\",\"path\":\"/data/z\",\"value\":\"y\"}]'}\n", 2000),
			"base/a.yaml":             crowd(1500, ""),
		},
		"a generator of one large file, many times": {
			"base/kustomization.yaml": "configMapGenerator:\n" + func() string {
				var b strings.Builder
				for i := range 1000 {
					fmt.Fprintf(&b, "- {name: g%d, files: [k=large.bin]}\n", i)
				}
				return b.String()
			}(),
			"base/large.bin": strings.Repeat("x", 900<<10),
		},
		"a long literal": {
			"base/kustomization.yaml": "configMapGenerator: [{name: g, literals: ['a=" + strings.Repeat("x", 15<<20) + "']}]\n",
		},
		"a selector that takes for ever": {
			"base/kustomization.yaml": "resources: [a.yaml]\npatches: [{target: {name: '" + strings.Repeat("(a*)*", 10_000) + "b'}, patch: '[]'}]\n",
			"base/a.yaml":             crowd(1000, ""),
		},
		"deep": {
			"base/kustomization.yaml": "resources: [a.yaml]\n",
			"base/a.yaml":             "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: " + strings.Repeat("{a: ", 9000) + "b" + strings.Repeat("}", 9000) + "\n",
		},
		"aliases in the kustomization": {
			"base/kustomization.yaml": "resources: [a.yaml]\ncommonAnnotations:\n" + bomb(9),
			"base/a.yaml":             crowd(1, ""),
		},
		"aliases of text": {
			"base/kustomization.yaml": "resources: [a.yaml]\n",
			"base/a.yaml":             "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nx: &a " + strings.Repeat("x", 10_000) + "\ny: [" + strings.TrimSuffix(strings.Repeat("*a, ", 20_000), ", ") + "]\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begun := time.Now()
			source, err := overlays.Gather(repository(repo), appAt("base"))
			if err == nil {
				_, _, err = overlays.Render(repository(repo), appAt("base"), source, overlays.Difference{})
			}
			took := time.Since(begun)
			runtime.ReadMemStats(&after)
			if harmless := name == "a selector that takes for ever"; harmless != (err == nil) || err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("it says: %v", err)
			}
			if allocated := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 30*time.Second || allocated > 600 {
				t.Errorf("it took %s and %d MiB to find out", took, allocated)
			}
		})
	}
}
