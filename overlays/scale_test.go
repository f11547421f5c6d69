package overlays_test

import (
	"fmt"
	"testing"

	"github.com/navarch/navarch/overlays"
)

// manyObjects is a repository with an app of n ConfigMaps, in one file each or in one.
func manyObjects(n int) map[string]string {
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("base/%05d.yaml", i)] = fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings-%05d}\ndata: {number: \"%d\"}\n", i, i)
	}
	return files
}

func BenchmarkBuildOfMany(b *testing.B) {
	for _, n := range []int{500, 1000, 2000, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			app := appAt("base")
			app.Namespace = "shop"
			repo := repository(manyObjects(n))
			source, err := overlays.Gather(repo, app)
			if err != nil {
				b.Fatal(err)
			}
			overlay, _, err := overlays.Render(repo, app, source, overlays.Difference{})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for b.Loop() {
				if _, err := overlays.Build(app.Name, source.Files, overlay.Files); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
