package hostile

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

const good = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\ndata: {a: b}\n"

// link is a file that stands for a symlink: "-> target"; module stands for a submodule.
const module = "-> a submodule"

// hostileCommits are what somebody with write access to the repository may push, each as
// the files that are added to a good one.
func hostileCommits() map[string]map[string]string {
	k := func(lines ...string) map[string]string {
		return map[string]string{"apps/base/kustomization.yaml": strings.Join(append([]string{"resources: [good.yaml]"}, lines...), "\n") + "\n"}
	}
	with := func(files map[string]string, more ...string) map[string]string {
		for i := 0; i+1 < len(more); i += 2 {
			files[more[i]] = more[i+1]
		}
		return files
	}
	app := func(spec string) map[string]string {
		return map[string]string{"apps/app.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: App\nmetadata: {name: shop, namespace: shop}\nspec:\n" + spec}
	}
	const source = "  source: {path: base}\n"
	deep := func(n int) string { return strings.Repeat("{a: ", n) + "b" + strings.Repeat("}", n) }
	commits := map[string]map[string]string{
		"a path out of the repository":   app("  source: {path: ../../../../etc}\n"),
		"an absolute path":               app("  source: {path: /etc/passwd}\n"),
		"a path of Windows":              app("  source: {path: '..\\..\\etc'}\n"),
		"a path with a NUL":              app("  source: {path: \"base\\0\"}\n"),
		"a URL as path":                  app("  source: {path: 'https://example.com/a'}\n"),
		"a path that nothing is at":      app("  source: {path: nowhere}\n"),
		"a link to a file of the hub":    {"apps/base/link.yaml": "-> /etc/passwd"},
		"a link out":                     {"apps/base/link.yaml": "-> ../../../secrets.yaml"},
		"a link in a loop":               {"apps/base/a.yaml": "-> b.yaml", "apps/base/b.yaml": "-> a.yaml"},
		"a link to a folder":             {"apps/base/more": "-> /etc"},
		"a link to /proc":                with(k("configMapGenerator: [{name: a, files: [environ]}]"), "apps/base/environ", "-> /proc/self/environ"),
		"a link as kustomization":        {"apps/base/kustomization.yaml": "-> ../../../../etc/passwd"},
		"a link as App":                  {"apps/more.yaml": "-> app.yaml"},
		"a link as source":               with(app("  source: {path: linked}\n"), "apps/linked", "-> base"),
		"a submodule as source":          with(app("  source: {path: sub}\n"), "apps/sub", module),
		"a submodule as resource":        with(k("components: [sub]"), "apps/base/sub", module),
		"a base of GitHub":               k("bases: [github.com/a/b//c?ref=main]"),
		"a base over http":               k("components: ['http://169.254.169.254/latest/meta-data']"),
		"a base over ssh":                k("components: ['git@github.com:a/b.git']"),
		"a base over git":                k("components: ['git::ssh://example.com/a']"),
		"a base of a file":               k("components: ['file:///etc']"),
		"a patch from the net":           k("patches: [{path: 'https://example.com/p.yaml'}]"),
		"a patch out of the folder":      k("patches: [{path: ../../secret.yaml}]"),
		"a file out of the folder":       k("configMapGenerator: [{name: a, files: [../../../../../etc/passwd]}]"),
		"an absolute file":               k("secretGenerator: [{name: a, files: [/var/run/secrets/kubernetes.io/serviceaccount/token]}]"),
		"an env file of the hub":         k("secretGenerator: [{name: a, envs: [/proc/self/environ]}]"),
		"a program":                      k("generators: [exec.yaml]"),
		"a container":                    k("transformers: [fn.yaml]"),
		"a program, inline":              k("transformers:", "- |-", "  apiVersion: v1", "  kind: X", "  metadata: {name: x, annotations: {config.kubernetes.io/function: 'exec: {path: /bin/sh}'}}"),
		"a validator":                    k("validators: [fn.yaml]"),
		"a schema":                       k("openapi: {path: schema.json}"),
		"a chart":                        k("helmCharts: [{name: a, repo: 'http://169.254.169.254/'}]"),
		"where charts are":               k("helmGlobals: {chartHome: /etc}"),
		"an inflator":                    k("helmChartInflationGenerator: [{chartName: a}]"),
		"plugins in odd letters":         k("GENERATORS: [exec.yaml]", "HelmCharts: [{name: a}]"),
		"configurations out":             k("configurations: [../../../../etc/passwd]"),
		"crds out":                       k("crds: [/etc/passwd]"),
		"replacements out":               k("replacements: [{path: ../../r.yaml}]"),
		"components in a cycle":          with(k("components: [a]"), "apps/base/a/kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\ncomponents: [../b]\n", "apps/base/b/kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\ncomponents: [../a]\n"),
		"a base that holds itself":       k("bases: [.]"),
		"definitions in a cycle":         with(k("crds: [c.json]"), "apps/base/c.json", `{"a.b.C":{"Schema":{"properties":{"kind":{},"apiVersion":{},"metadata":{},"self":{"$ref":"a.b.C"}}}}}`),
		"aliases that explode":           {"apps/base/bomb.yaml": good + "x:\n" + bomb(9)},
		"aliases that explode, in Git":   {"apps/app.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: App\nmetadata:\n  name: shop\n  labels:\n" + bomb(9) + "spec:\n" + source},
		"an alias of itself":             {"apps/base/self.yaml": good + "x: &a [*a]\n"},
		"a hundred levels and more":      {"apps/base/deep.yaml": strings.Replace(good, "{a: b}", deep(5000), 1)},
		"levels in an App":               app(source + "  placement: " + deep(5000) + "\n"),
		"a file of 20 MiB":               {"apps/base/large.yaml": good + "# " + strings.Repeat("x", 20<<20)},
		"an object of 2 MiB":             {"apps/base/large.yaml": strings.Replace(good, "b}", strings.Repeat("x", 2<<20)+"}", 1)},
		"a giant name":                   {"apps/base/a.yaml": strings.Replace(good, "good", strings.Repeat("x", 100_000), 1)},
		"a giant prefix":                 k("namePrefix: " + strings.Repeat("x", 100_000)),
		"copies of copies":               k("patches: [{target: {kind: ConfigMap}, patch: '[" + strings.TrimSuffix(strings.Repeat(`{"op":"copy","from":"/data","path":"/data/x"},{"op":"copy","from":"/data","path":"/data/y"},`, 30), ",") + "]'}]"),
		"replacements that explode":      k("replacements:", strings.Repeat("- {source: {kind: ConfigMap, name: good, fieldPath: data}, targets: [{select: {kind: ConfigMap}, fieldPaths: [data.x, data.y, data.z], options: {create: true}}]}\n", 60)),
		"text that is no UTF-8":          {"apps/base/bad.yaml": strings.Replace(good, "b}", "\xff\xfe\xc3\x28}", 1)},
		"an App that is no UTF-8":        {"apps/app2.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: App\nmetadata: {name: \"a\xff\"}\nspec:\n" + source},
		"one object twice":               {"apps/base/again.yaml": good},
		"two Apps of one name":           {"apps/two.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: App\nmetadata: {name: shop}\nspec:\n" + source},
		"an App over another's objects":  {"apps/two.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: App\nmetadata: {name: thief, namespace: shop}\nspec:\n" + source},
		"an object of the fleet":         {"apps/base/kustomization.yaml": "resources: [good.yaml, app.yaml]\n", "apps/base/app.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: App\nmetadata: {name: inner}\nspec: {source: {path: .}}\n"},
		"a name of a path":               {"apps/base/a.yaml": strings.Replace(good, "good", "../../../secrets/x", 1)},
		"a name for all":                 app(strings.Replace(source, "base", "base}\n  placement: {clusterAffinity: {clusterNames: ['../eu-1']}", 1)),
		"a cluster with a NATS wildcard": {"more.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: Cluster\nmetadata: {name: '>'}\n---\napiVersion: fleet.navarch.dev/v1alpha1\nkind: Cluster\nmetadata: {name: '*'}\n"},
		"a cluster with a dot":           {"more.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: Cluster\nmetadata: {name: 'eu-1.x'}\n"},
		"a duration that is none":        {"fleet.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: Fleet\nmetadata: {name: f}\nspec: {failover: {silentAfter: '1y2x'}}\n"},
		"a duration that is too long":    {"fleet.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: Fleet\nmetadata: {name: f}\nspec: {failover: {silentAfter: 99999999999999999999h}}\n"},
		"a duration below nothing":       {"fleet.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: Fleet\nmetadata: {name: f}\nspec: {failover: {silentAfter: -5s}}\n"},
		"no expression":                  app(source + "  healthCheckExprs: [{apiVersion: v1, kind: ConfigMap, current: 'x('}]\n"),
		"an endless expression":          app(source + "  healthCheckExprs: [{apiVersion: v1, kind: ConfigMap, current: '" + strings.Repeat("(", 5000) + "true" + strings.Repeat(")", 5000) + "'}]\n"),
		"a long expression":              app(source + "  healthCheckExprs: [{apiVersion: v1, kind: ConfigMap, current: 'data.a == \"" + strings.Repeat("x", 200_000) + "\"'}]\n"),
		"a regular expression of size":   app(source + "  healthCheckExprs: [{apiVersion: v1, kind: ConfigMap, current: 'data.a.matches(\"((a{500}){500}){500}\")'}]\n"),
		"an account without namespace":   {"apps/app.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: App\nmetadata: {name: shop}\nspec:\n" + source + "  serviceAccountName: deployer\n"},
		"an account of elsewhere":        app(source + "  serviceAccountName: kube-system/admin\n"),
		"an account that is a path":      app(source + "  serviceAccountName: '../../../kube-system/serviceaccounts/admin'\n"),
		"an unknown field":               app(source + "  kubeConfig: {exec: {command: /bin/sh}}\n"),
		"no YAML":                        {"apps/broken.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: App\n\t- {"},
		"everything gone":                {"apps/app.yaml": "", "apps/base/good.yaml": "", "clusters.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: Clusters\n"},
	}
	var crowd strings.Builder
	for i := range 10_001 {
		fmt.Fprintf(&crowd, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d}\n---\n", i)
	}
	commits["more objects than kustomize can join"] = map[string]string{"apps/base/kustomization.yaml": "resources: [crowd.yaml]\nnamePrefix: a-\n", "apps/base/crowd.yaml": crowd.String()}
	return commits
}

// bomb is YAML that expands to 9^depth words.
func bomb(depth int) string {
	var b strings.Builder
	b.WriteString("    a0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < depth; i++ {
		fmt.Fprintf(&b, "    a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), ", "))
	}
	return b.String()
}

// TestHostileRepository pushes each hostile commit to a Git server, from which a hub
// reads. The hub says what is wrong, where, and what to do; announces nothing; and takes
// the good commit that follows.
func TestHostileRepository(t *testing.T) {
	s := newStage(t)
	base := map[string]string{
		"clusters.yaml":        "apiVersion: fleet.navarch.dev/v1alpha1\nkind: Cluster\nmetadata: {name: eu-1}\n",
		"apps/app.yaml":        "apiVersion: fleet.navarch.dev/v1alpha1\nkind: App\nmetadata: {name: shop, namespace: shop}\nspec:\n  source: {path: base}\n",
		"apps/base/good.yaml":  good,
		"apps/exec.yaml":       "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: exec}\n",
		"secrets.yaml.example": "canary-secret",
	}
	announced := s.push(base)
	s.announced(announced)
	head := strings.TrimPrefix(announced, "main@sha1:")
	i := s.join("eu-1")
	before, _ := i.index()
	for name, files := range hostileCommits() {
		t.Run(name, func(t *testing.T) {
			revision := s.commit(head, files)
			begun := time.Now()
			var c commits
			s.until("the hub to look at the commit", func() bool {
				c = commits{}
				s.api("fleet", &c)
				return c.Latest != nil && c.Latest.Revision == revision
			})
			took := time.Since(begun)
			if c.Latest.Accepted || len(c.Latest.Problems) == 0 {
				t.Fatalf("the commit was accepted: %v", c.Latest.Problems)
			}
			for _, p := range c.Latest.Problems {
				if p.File == "" || p.Message == "" || strings.Contains(p.Error(), "\n") || len(p.Error()) > 8<<10 {
					t.Errorf("a problem that helps nobody: %.500q", p.Error())
				}
				if strings.Contains(p.Error(), "root:") || strings.Contains(p.Error(), "canary-secret") {
					t.Errorf("it tells what is in a file: %s", p.Error())
				}
			}
			if first := c.Latest.Problems[0]; first.Line == 0 && first.Field == "" && first.Hint == "" {
				t.Errorf("neither a line nor a field nor a hint: %s", first.Error())
			}
			if c.Announced == nil || c.Announced.Revision != announced {
				t.Errorf("announced is %+v", c.Announced)
			}
			if after, _ := i.index(); after != before {
				t.Error("the cluster was told something else")
			}
			if status, _ := s.answer("/healthz"); status != http.StatusOK || took > 50*time.Second {
				t.Errorf("healthz says %d, and the hub took %s", status, took)
			}
			t.Logf("%s; %.250s", took.Round(time.Millisecond), c.Latest.Problems[0].Error())
		})
	}
	runtime.GC()
	if grown := heap(); grown > mostGrowth {
		t.Errorf("the hub has %d MiB in memory after all of it", grown>>20)
	}
	last := s.commit(head, map[string]string{"apps/base/more.yaml": strings.Replace(good, "good", "more", 1)})
	s.announced(last)
}

// commit makes a commit of files on top of another and pushes it, whatever was there
// before. Symlinks and submodules are what Git makes of them.
func (s *stage) commit(parent string, files map[string]string) (revision string) {
	s.t.Helper()
	git := func(args ...string) string {
		out, err := s.work.Git(s.t.Context(), args...)
		check(s.t, err)
		return strings.TrimSpace(out)
	}
	git("reset", "--quiet", "--hard", parent)
	git("clean", "--quiet", "-fdx")
	plain := map[string]string{}
	for name, content := range files {
		switch target, link := strings.CutPrefix(content, "-> "); {
		case content == module:
			git("update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", 40)+","+name)
		case link:
			path := filepath.Join(s.work.Path, filepath.FromSlash(name))
			check(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
			check(s.t, os.Symlink(target, path))
			git("add", name)
		case content == "":
			git("rm", "--quiet", name)
		default:
			plain[name] = content
		}
	}
	check(s.t, s.work.Write(plain))
	for name := range plain {
		git("add", name)
	}
	git("commit", "--quiet", "--allow-empty", "-m", "hostile")
	git("push", "--quiet", "--force", "origin", "HEAD:main")
	return "main@sha1:" + git("rev-parse", "HEAD")
}
