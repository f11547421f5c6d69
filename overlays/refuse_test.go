package overlays_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/overlays"
)

const service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"

// repository makes a repository of files; content that begins with "-> " is a
// symlink.
func repository(files map[string]string) fstest.MapFS {
	repo := fstest.MapFS{}
	for name, content := range files {
		file := &fstest.MapFile{Data: []byte(content)}
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			file.Data, file.Mode = []byte(target), fs.ModeSymlink|0o777
		}
		repo[name] = file
	}
	return repo
}

func appAt(path string) fleet.App {
	return fleet.App{
		Name: "shop", Position: fleet.Position{File: "app.yaml", Line: 1},
		Source: fleet.Source{Path: path, Position: fleet.Position{File: "app.yaml", Line: 4}},
	}
}

func lines(lines ...string) string { return strings.Join(lines, "\n") }

const (
	notRun    = "plugins, functions, charts and schemas of a repository are never run"
	asYAML    = " (write what it makes as YAML into the repository)"
	copyThere = ", and nothing is fetched (copy it into the repository and name its folder or file)"
)

func TestGatherRefuses(t *testing.T) {
	tests := map[string]struct {
		path string // "base" where empty
		repo map[string]string
		want string
	}{
		"missing source": {
			repo: map[string]string{"other/a.yaml": service},
			want: `app.yaml:4: spec.source.path: there is no file or folder "base" (paths are relative to the file that names them)`,
		},
		"source outside the repository": {
			path: "../base", repo: map[string]string{"a.yaml": service},
			want: `app.yaml:4: spec.source.path: "../base" leads out of the repository (copy it into the repository)`,
		},
		"absolute source": {
			path: "/etc", repo: map[string]string{"a.yaml": service},
			want: `app.yaml:4: spec.source.path: "/etc" is an absolute path (write it relative to this file)`,
		},
		"source of no objects": {
			repo: map[string]string{"base/README.md": "none", "base/app.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: App\n"},
			want: `app.yaml:4: spec.source.path: the source holds no objects (name a folder or file with Kubernetes objects)`,
		},
		"source that is no YAML": {
			path: "base/README.md", repo: map[string]string{"base/README.md": "none"},
			want: `app.yaml:4: spec.source.path: "base/README.md" is no file of objects (name a folder, or a file that ends in .yaml or .yml)`,
		},
		"symlinked source": {
			repo: map[string]string{"base": "-> other", "other/a.yaml": service},
			want: `app.yaml:4: spec.source.path: "base" is or lies behind a symlink, and links are never followed (put the file itself there)`,
		},
		"symlinks on the way, to files and to folders": {
			repo: map[string]string{
				"base/kustomization.yaml": "resources:\n- a.yaml\n- ../link/sub\n- b.yaml\n",
				"base/a.yaml":             "-> /etc/passwd", "base/b.yaml": service, "link": "-> real", "real/sub/kustomization.yaml": "resources: [a.yaml]",
			},
			want: lines(
				`base/kustomization.yaml:2: resources[0]: "base/a.yaml" is or lies behind a symlink, and links are never followed (put the file itself there)`,
				`base/kustomization.yaml:3: resources[1]: "link/sub" is or lies behind a symlink, and links are never followed (put the file itself there)`,
			),
		},
		"symlinked kustomization": {
			repo: map[string]string{"base/kustomization.yaml": "-> ../other.yaml", "other.yaml": "resources: []"},
			want: `app.yaml:4: spec.source.path: "base/kustomization.yaml" is or lies behind a symlink, and links are never followed (put the file itself there)`,
		},
		"symlink in a plain folder": {
			repo: map[string]string{"base/a.yaml": service, "base/more": "-> ../other"},
			want: `app.yaml:4: spec.source.path: "base/more" is or lies behind a symlink, and links are never followed (put the file itself there)`,
		},
		"remote bases of every form": {
			repo: map[string]string{"base/kustomization.yaml": lines("resources:",
				"- https://example.com/all.yaml",
				"- HTTPS://github.com/a/b",
				"- github.com/a/b?ref=v1",
				"- GitHub.com:a/b",
				"- git@example.com:a/b.git",
				"- org-1@example.com/a/b",
				"- git::https://example.com/a/b",
				"- ssh://git@example.com/a/b",
				"- file:///etc",
				"- s3::https://bucket/x",
				"bases: [github.com/a/b//sub]",
				"components: ['https://example.com/a/b.git?ref=main']")},
			want: lines(
				`base/kustomization.yaml:2: resources[0]: "https://example.com/all.yaml" is remote`+copyThere,
				`base/kustomization.yaml:3: resources[1]: "HTTPS://github.com/a/b" is remote`+copyThere,
				`base/kustomization.yaml:4: resources[2]: "github.com/a/b?ref=v1" is remote`+copyThere,
				`base/kustomization.yaml:5: resources[3]: "GitHub.com:a/b" is remote`+copyThere,
				`base/kustomization.yaml:6: resources[4]: "git@example.com:a/b.git" is remote`+copyThere,
				`base/kustomization.yaml:7: resources[5]: "org-1@example.com/a/b" is remote`+copyThere,
				`base/kustomization.yaml:8: resources[6]: "git::https://example.com/a/b" is remote`+copyThere,
				`base/kustomization.yaml:9: resources[7]: "ssh://git@example.com/a/b" is remote`+copyThere,
				`base/kustomization.yaml:10: resources[8]: "file:///etc" is remote`+copyThere,
				`base/kustomization.yaml:11: resources[9]: "s3::https://bucket/x" is remote`+copyThere,
				`base/kustomization.yaml:12: bases[0]: "github.com/a/b//sub" is remote`+copyThere,
				`base/kustomization.yaml:13: components[0]: "https://example.com/a/b.git?ref=main" is remote`+copyThere,
			),
		},
		"remote files": {
			repo: map[string]string{"base/kustomization.yaml": lines("resources: []",
				"crds: ['http://e/crd']",
				"configurations: ['http://e/conf']",
				"patchesStrategicMerge: ['http://e/patch', 'http://e/?a: b']",
				"patches: [{path: 'http://e/patch'}]",
				"patchesJson6902: [{path: 'http://e/patch'}]",
				"replacements: [{path: 'http://e/repl'}]",
				"configMapGenerator: [{name: a, files: ['k=http://e/f'], envs: ['http://e/e'], env: 'http://e/x'}]",
				"secretGenerator: [{name: a, files: ['https://e/f']}]")},
			want: lines(
				`base/kustomization.yaml:2: crds[0]: "http://e/crd" is remote`+copyThere,
				`base/kustomization.yaml:3: configurations[0]: "http://e/conf" is remote`+copyThere,
				`base/kustomization.yaml:4: patchesStrategicMerge[0]: "http://e/patch" is remote`+copyThere,
				`base/kustomization.yaml:4: patchesStrategicMerge[1]: "http://e/?a: b" is remote`+copyThere,
				`base/kustomization.yaml:5: patches[0].path: "http://e/patch" is remote`+copyThere,
				`base/kustomization.yaml:6: patchesJson6902[0].path: "http://e/patch" is remote`+copyThere,
				`base/kustomization.yaml:7: replacements[0].path: "http://e/repl" is remote`+copyThere,
				`base/kustomization.yaml:8: configMapGenerator[0].env: "http://e/x" is remote`+copyThere,
				`base/kustomization.yaml:8: configMapGenerator[0].envs[0]: "http://e/e" is remote`+copyThere,
				`base/kustomization.yaml:8: configMapGenerator[0].files[0]: "http://e/f" is remote`+copyThere,
				`base/kustomization.yaml:9: secretGenerator[0].files[0]: "https://e/f" is remote`+copyThere,
			),
		},
		"plugins, functions, charts and schemas, in any case": {
			repo: map[string]string{"base/kustomization.yaml": lines("resources: []",
				"Generators: [exec.yaml]",
				"transformers:",
				"- |-",
				"  apiVersion: builtin",
				"  kind: LabelTransformer",
				"validators: [function.yaml]",
				"helmCharts: [{name: a, repo: 'https://e'}]",
				"helmGlobals: {chartHome: charts}",
				"helmChartInflationGenerator: [{chartName: a}]",
				"openapi: {path: schema.json}")},
			want: lines(
				`base/kustomization.yaml:2: generators: `+notRun+asYAML,
				`base/kustomization.yaml:4: transformers: `+notRun+asYAML,
				`base/kustomization.yaml:7: validators: `+notRun+asYAML,
				`base/kustomization.yaml:8: helmCharts: `+notRun+" (render the chart and keep the result in the repository)",
				`base/kustomization.yaml:9: helmGlobals: `+notRun+" (render the chart and keep the result in the repository)",
				`base/kustomization.yaml:10: helmChartInflationGenerator: `+notRun+" (render the chart and keep the result in the repository)",
				`base/kustomization.yaml:11: openapi: `+notRun+" (kustomize's built-in schema is used everywhere)",
			),
		},
		"paths that lead nowhere, out, or beside": {
			repo: map[string]string{
				"base/kustomization.yaml": lines("resources:", "- missing.yaml", "- ../../outside", "- /etc/passwd", "- a\\b.yaml",
					"- ../beside.yaml", "- ''", "patches: [{path: folder}, {path: ../beside.yaml}]", "configMapGenerator: [{name: a, files: [none]}]", "components: [file.yaml]"),
				"beside.yaml": service, "base/folder/x.yaml": service, "base/file.yaml": service,
			},
			want: lines(
				`base/kustomization.yaml:2: resources[0]: there is no file or folder "base/missing.yaml" (paths are relative to the file that names them)`,
				`base/kustomization.yaml:3: resources[1]: "../../outside" leads out of the repository (copy it into the repository)`,
				`base/kustomization.yaml:4: resources[2]: "/etc/passwd" is an absolute path (write it relative to this file)`,
				`base/kustomization.yaml:5: resources[3]: "a\\b.yaml" is not a usable path (separate folders with /)`,
				`base/kustomization.yaml:6: resources[4]: file "beside.yaml" lies outside the folder of this kustomization, which kustomize does not allow (give the file's folder a kustomization of its own and name the folder)`,
				`base/kustomization.yaml:7: resources[5]: "" is not a usable path (separate folders with /)`,
				`base/kustomization.yaml:8: patches[0].path: "base/folder" is a folder`,
				`base/kustomization.yaml:8: patches[1].path: file "beside.yaml" lies outside the folder of this kustomization, which kustomize does not allow (give the file's folder a kustomization of its own and name the folder)`,
				`base/kustomization.yaml:9: configMapGenerator[0].files[0]: there is no file or folder "base/none" (paths are relative to the file that names them)`,
				`base/kustomization.yaml:10: components[0]: "base/file.yaml" is a file (name the folder of its kustomization)`,
			),
		},
		"cycle": {
			repo: map[string]string{
				"base/kustomization.yaml": "resources:\n- ../a\n", "a/kustomization.yaml": "resources:\n- ../b\n",
				"b/kustomization.yaml": "resources:\n- ../base\n",
			},
			want: `b/kustomization.yaml:2: resources[0]: folder "base" leads back to itself (a kustomization cannot build on itself or on a folder that it lies in)`,
		},
		"base above": {
			repo: map[string]string{"base/kustomization.yaml": "resources:\n- ..\n", "kustomization.yaml": "resources: []"},
			want: `base/kustomization.yaml:2: resources[0]: folder "." leads back to itself (a kustomization cannot build on itself or on a folder that it lies in)`,
		},
		"folder without a kustomization, or with two": {
			repo: map[string]string{
				"base/kustomization.yaml": "resources: [none, two]\n", "base/none/a.yaml": service,
				"base/two/kustomization.yaml": "resources: []", "base/two/Kustomization": "resources: []",
			},
			want: lines(
				`base/kustomization.yaml:1: resources[0]: folder "base/none" has no kustomization.yaml (add one that lists its files)`,
				`base/two/Kustomization: folder "base/two" has more than one kustomization (keep one)`,
			),
		},
		"components and kustomizations mixed up": {
			repo: map[string]string{
				"base/kustomization.yaml": "resources: [c]\ncomponents: [k]\n", "base/k/kustomization.yaml": "namePrefix: a\n",
				"base/c/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: a\n",
			},
			want: lines(
				`base/kustomization.yaml:1: resources[0]: folder "base/c" is a component (list it under components)`,
				`base/kustomization.yaml:2: components[0]: folder "base/k" is not a component (list it under resources)`,
			),
		},
		"kustomizations that kustomize would not read": {
			repo: map[string]string{
				"base/kustomization.yaml":   "resources:\n- a\n- b\n- c\n- d\n- e\n",
				"base/a/kustomization.yaml": "resources: []\nressources: []\n",
				"base/b/kustomization.yaml": "resources: [\n",
				"base/c/kustomization.yaml": "# nothing\n",
				"base/d/kustomization.yaml": "kind: Deployment\nresources: []\n",
				"base/e/kustomization.yaml": "resources: a.yaml\n",
			},
			want: lines(
				`base/a/kustomization.yaml:2: ressources: kustomize knows no such field`,
				`base/b/kustomization.yaml:1: not YAML: did not find expected node content`,
				`base/c/kustomization.yaml: the kustomization is empty`,
				`base/d/kustomization.yaml: kind should be Kustomization or Component`,
				`base/e/kustomization.yaml:1: cannot unmarshal string into Go struct field Kustomization.resources of type []string`,
			),
		},
		"documents that are no objects": {
			repo: map[string]string{"base/a.yaml": lines("apiVersion: v1", "kind: Service", "metadata: {name: a}", "---", "# next", "just: a map", "---",
				"apiVersion: v1", "kind: Service", "metadata: {generateName: a}", "---", "- a", "---", "apiVersion: v1", "kind: ServiceList", "items:", "- {kind: Service}")},
			want: lines(
				`base/a.yaml:6: a document that is no Kubernetes object: it has no apiVersion or no kind (keep other YAML out of the folders of an app)`,
				`base/a.yaml:8: metadata.name: Service without a name (an object of a fleet needs a fixed name; generateName is not enough)`,
				`base/a.yaml:12: a document that is no Kubernetes object: it has no apiVersion or no kind (keep other YAML out of the folders of an app)`,
				`base/a.yaml:17: a document that is no Kubernetes object: it has no apiVersion or no kind (keep other YAML out of the folders of an app)`,
			),
		},
		"unreadable YAML": {
			repo: map[string]string{
				"base/a.yaml": service + "---\n" + "apiVersion: v1\nkind: \"Service\nmetadata: {name: b}\n",
				"base/b.yaml": service + "--- {apiVersion: v1}\n" + service,
				"base/c.yaml": service + "...\n" + service,
				"base/e.yaml": strings.ReplaceAll(service+"---\n"+service, "\n", "\r"),
				"base/d.yaml": service + "spec: {a: 1}\n---\n" + service + "spec: {}\nspec: {}\n",
			},
			want: lines(
				`base/a.yaml:6: not YAML: found unexpected end of stream`,
				`base/b.yaml:4: content on the line of a document separator (begin the document on the line after ---)`,
				`base/c.yaml:4: not YAML: did not find expected <document start>`,
				`base/d.yaml:10: key "spec" is there twice (keep one)`,
				`base/e.yaml:1: a second document begins without a line --- before it, and kustomize would lose it`,
			),
		},
		"fleet documents in a kustomization": {
			repo: map[string]string{
				"base/kustomization.yaml": "resources: [a.yaml]",
				"base/a.yaml":             service + "---\napiVersion: fleet.navarch.dev/v1alpha1\nkind: App\nmetadata: {name: a}\n",
			},
			want: `base/a.yaml:5: App describes the fleet and cannot run in a cluster (take the file off the kustomization's resources)`,
		},
		"object above 1 MB": {
			repo: map[string]string{"base/a.yaml": service + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: big}\ndata: {a: " + strings.Repeat("x", 1<<20) + "}\n"},
			want: `base/a.yaml:5: ConfigMap "big" is larger than 1048576 bytes (clusters refuse such objects; split it)`,
		},
		"aliases that stand for gigabytes, or for themselves": {
			repo: map[string]string{
				"base/kustomization.yaml": "resources: [a.yaml]\npatches:\n- patch: '{a: &a [*a]}'\n",
				"base/a.yaml":             service + "---\n" + service + "spec:\n" + bomb(9),
			},
			want: lines(
				`base/a.yaml:5: the document's aliases expand to too much (write out what the aliases stand for)`,
			),
		},
		"patch that is an alias of itself": {
			repo: map[string]string{"base/kustomization.yaml": "resources: []\npatches:\n- target: {kind: A}\n  patch: |-\n    a: &a [*a]\n"},
			want: `base/kustomization.yaml:4: patches[0].patch: the document's aliases expand to too much (write out what the aliases stand for)`,
		},
		"definitions that refer to themselves": {
			repo: map[string]string{
				"base/kustomization.yaml": "resources: []\ncrds: [crd.json]\n",
				"base/crd.json":           `{"a.b.C": {"Schema": {"properties": {"kind": {}, "apiVersion": {}, "metadata": {}, "self": {"$ref": "a.b.C"}}}}}`,
			},
			want: `base/crd.json: the OpenAPI definitions refer to themselves (remove it from crds)`,
		},
		"env file with a line that kustomize would lose": {
			repo: map[string]string{
				"base/kustomization.yaml": "secretGenerator: [{name: a, envs: [a.env]}]",
				"base/a.env":              "A=1\nB=" + strings.Repeat("x", 1<<16) + "\nC=1\n",
			},
			want: `base/a.env:2: the line is longer than 65536 bytes (make the value a file of its own)`,
		},
		"file above the cap": {
			repo: map[string]string{"base/kustomization.yaml": "configMapGenerator: [{name: a, files: [a.bin]}]", "base/a.bin": strings.Repeat("x", overlays.MaxFile+1)},
			want: `base/kustomization.yaml:1: configMapGenerator[0].files[0]: file "base/a.bin" is larger than 16777216 bytes`,
		},
		"files above the total cap": {
			repo: map[string]string{
				"base/kustomization.yaml": "configMapGenerator: [{name: a, files: [a, b, c, d, e, f]}]", "base/a": strings.Repeat("x", overlays.MaxFile),
				"base/b": strings.Repeat("x", overlays.MaxFile), "base/c": strings.Repeat("x", overlays.MaxFile), "base/d": strings.Repeat("x", overlays.MaxFile),
				"base/e": "e", "base/f": "f",
			},
			want: `base/kustomization.yaml:1: configMapGenerator[0].files[3]: the app's files are larger than 67108864 bytes in all (split the app)`,
		},
		"too many files": {
			repo: manyFiles(overlays.MaxFiles + 1),
			want: `app.yaml:4: spec.source.path: the app has more than 10000 files (split the app)`,
		},
		"bases that double": {
			repo: doubling(20),
			want: doubled + `/kustomization.yaml:1: resources[1]: kustomize would have to read more than 20000 files and folders (split the app)`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := test.path
			if path == "" {
				path = "base"
			}
			source, err := overlays.Gather(repository(test.repo), appAt(path))
			if err == nil {
				t.Fatalf("gathered %v, want an error", source.Files.Paths())
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

// bomb is YAML that expands to 9^depth scalars.
func bomb(depth int) string {
	var b strings.Builder
	b.WriteString("  a0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < depth; i++ {
		fmt.Fprintf(&b, "  a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), ", "))
	}
	return b.String()
}

func manyFiles(n int) map[string]string {
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("base/%05d.yaml", i)] = fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: s%d}\n", i)
	}
	return files
}

// doubling is a chain of folders that each use the next one twice.
func doubling(depth int) map[string]string {
	files := map[string]string{"base/kustomization.yaml": "resources: [l0, l0]"}
	dir := "base"
	for i := range depth {
		dir += fmt.Sprintf("/l%d", i)
		files[dir+"/kustomization.yaml"] = fmt.Sprintf("resources: [l%d, l%d]", i+1, i+1)
	}
	files[dir+fmt.Sprintf("/l%d/kustomization.yaml", depth)] = "resources: []"
	return files
}

// doubled is the last folder but one of doubling(20).
const doubled = "base/l0/l1/l2/l3/l4/l5/l6/l7/l8/l9/l10/l11/l12/l13/l14/l15/l16/l17/l18/l19"
