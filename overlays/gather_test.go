package overlays_test

import (
	"strings"
	"testing"

	"github.com/navarch/navarch/overlays"
)

func TestGatherTakesTenThousandFiles(t *testing.T) {
	source, err := overlays.Gather(repository(manyFiles(overlays.MaxFiles)), appAt("base"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := overlays.Unpack(source.Files.Pack())
	if err != nil {
		t.Fatal(err)
	}
	if again.Digest() != source.Digest {
		t.Error("unpacking changed the files")
	}
}

func TestTouched(t *testing.T) {
	repo := repository(map[string]string{
		"plain/a.yaml": service, "plain/sub/b.yaml": strings.Replace(service, "web", "b", 1), "plain/README.md": "",
		"base/kustomization.yaml": "resources: [web.yaml, ../common]", "base/web.yaml": service, "base/unused.yaml": service,
		"common/kustomization.yaml": "resources: []",
	})
	tests := map[string]struct {
		source  string
		changed string
		want    bool
	}{
		"a file that is used":                {"base", "base/web.yaml", true},
		"a file of a base":                   {"base", "common/kustomization.yaml", true},
		"a second kustomization":             {"base", "common/Kustomization", true},
		"a file that is not used":            {"base", "base/unused.yaml", false},
		"another folder":                     {"base", "basement/web.yaml", false},
		"a file of a plain folder":           {"plain", "plain/sub/b.yaml", true},
		"a new file in a plain folder":       {"plain", "plain/new/c.yaml", true},
		"a folder that becomes a file":       {"plain", "plain", true},
		"a plain folder's neighbour":         {"plain", "plainer/c.yaml", false},
		"a file beside a single file":        {"plain/a.yaml", "plain/sub/b.yaml", false},
		"the single file":                    {"plain/a.yaml", "plain/a.yaml", true},
		"everything, when the root is plain": {".", "x/y/z.yaml", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			repo := repo
			if test.source == "." {
				repo = repository(map[string]string{"a.yaml": service})
			}
			source, err := overlays.Gather(repo, appAt(test.source))
			if err != nil {
				t.Fatal(err)
			}
			if got := overlays.Touched(source.Paths, []string{"unrelated", test.changed}); got != test.want {
				t.Errorf("%q touches %q: got %v, want %v", test.changed, source.Paths, got, test.want)
			}
		})
	}
}
