package hostile

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/view"
	"github.com/navarch/navarch/manifests"
	"github.com/navarch/navarch/overlays"
	"github.com/navarch/navarch/wire"
)

// gathers tells what becomes of a kustomization of an app, and of the files beside it.
func gathers(t *testing.T, kustomization string, more fstest.MapFS) error {
	t.Helper()
	repo := fstest.MapFS{"base/kustomization.yaml": {Data: []byte(kustomization)}}
	for name, file := range more {
		repo[name] = file
	}
	app := fleet.App{Name: "shop", Source: fleet.Source{Path: "base"}}
	source, err := overlays.Gather(repo, app)
	if err == nil {
		_, _, err = overlays.Render(repo, app, source, overlays.Difference{})
	}
	return err
}

// refuses fails unless every kustomization is refused with a word.
func refuses(t *testing.T, word string, kustomizations ...string) {
	t.Helper()
	for _, k := range kustomizations {
		if err := gathers(t, k, fstest.MapFS{"base/good.yaml": {Data: []byte(good)}}); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s\nsays: %v", k, err)
		}
	}
}

// TestCVE202224877 (Flux): no path of a kustomization reads the hub's own files.
func TestCVE202224877(t *testing.T) {
	refuses(t, "leads out", "configMapGenerator: [{name: a, files: [../../../../etc/passwd]}]", "patches: [{path: ../../x}]", "resources: [../../../etc]")
	refuses(t, "absolute", "secretGenerator: [{name: a, files: [k=/proc/self/environ]}]", "resources: [/etc/passwd]")
}

// TestCVE202224878 (Flux): a path that leads nowhere or round and round is an error, and
// takes nobody down.
func TestCVE202224878(t *testing.T) {
	refuses(t, "leads back", "resources: [.]", "resources: [../base]")
	refuses(t, "leads out", "resources: ["+strings.Repeat("../", 5000)+"x]")
}

// TestCVE202239272 (Flux): a duration that cannot be read is a problem of its document.
// What else is wrong is found beside it, and nothing stops.
func TestCVE202239272(t *testing.T) {
	for _, duration := range []string{"'1y'", "'5'", "99999999999h", "-5s", "'1h1h1x'", "[]", "{}", "null"} {
		_, problems := fleet.Load(fstest.MapFS{"fleet.yaml": {Data: []byte(
			"apiVersion: fleet.navarch.dev/v1alpha1\nkind: Fleet\nmetadata: {name: f}\nspec: {failover: {silentAfter: " + duration + "}}\n")}})
		if problems.Err() == nil || problems[0].File != "fleet.yaml" || problems[0].Field != "spec.failover.silentAfter" {
			t.Errorf("%s: %v", duration, problems)
		}
	}
}

// link is a symlink of a repository.
func link(target string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
}

// linked fails unless a symlink is refused wherever a kustomization may name it.
func linked(t *testing.T, target string) {
	t.Helper()
	for _, k := range []string{
		"resources: [link]", "configMapGenerator: [{name: a, files: [link]}]", "patches: [{path: link}]", "components: [link]",
		"secretGenerator: [{name: a, envs: [link]}]", "crds: [link]", "configurations: [link]", "replacements: [{path: link}]",
	} {
		if err := gathers(t, k, fstest.MapFS{"base/link": link(target)}); err == nil || !strings.Contains(err.Error(), "symlink") {
			t.Errorf("%s to %s says: %v", k, target, err)
		}
	}
}

// TestCVE202224348 (Argo CD): a value file cannot be one of the hub's, by no kind of path.
func TestCVE202224348(t *testing.T) {
	refuses(t, "", "secretGenerator: [{name: a, envs: [/etc/passwd]}]", "secretGenerator: [{name: a, files: ['a=../../../secret']}]")
}

// TestCVE202224730 (Argo CD): a path is not followed out of the repository.
func TestCVE202224730(t *testing.T) { linked(t, "../../../etc/passwd") }

// TestCVE202224731 (Argo CD): nor is an absolute one.
func TestCVE202224731(t *testing.T) { linked(t, "/etc/passwd") }

// TestCVE202224904 (Argo CD): nor is a link, also within the repository.
func TestCVE202224904(t *testing.T) { linked(t, "good.yaml") }

// TestCVE202231036 (Argo CD): nor is a link to a link.
func TestCVE202231036(t *testing.T) { linked(t, "link") }

// TestCVE202231016 (Argo CD): a manifest that is far too large is refused, and read no
// further than its size.
func TestCVE202231016(t *testing.T) {
	large := fstest.MapFS{"base/large.yaml": {Data: make([]byte, overlays.MaxFile+1)}}
	if err := gathers(t, "resources: [large.yaml]", large); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Error(err)
	}
}

// TestCVE202340584 (Argo CD): an archive that says that it is huge is not unpacked.
func TestCVE202340584(t *testing.T) {
	files := overlays.Files{"a": make([]byte, overlays.MaxFile+1)}
	if _, err := overlays.Unpack(files.Pack()); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Error(err)
	}
}

// TestCVE202429893 (Argo CD): nothing is fetched from registries or chart repositories, so
// none of them can answer without end.
func TestCVE202429893(t *testing.T) {
	refuses(t, "never run", "helmCharts: [{name: a, repo: 'oci://example.com/a'}]")
	refuses(t, "remote", "resources: ['oci://example.com/a']", "resources: ['https://example.com/index.yaml']")
}

// TestCVE202644936 (Fleet): nor does a word in the repository make the hub ask any
// address.
func TestCVE202644936(t *testing.T) {
	refuses(t, "never run", "helmCharts: [{name: a, repo: 'http://169.254.169.254/'}]", "helmGlobals: {chartHome: 'http://169.254.169.254/'}")
	refuses(t, "remote", "resources: ['http://169.254.169.254/latest/meta-data']", "patches: [{path: 'http://127.0.0.1:8080/x'}]", "crds: ['http://10.0.0.1/x']")
}

// TestCVE202433396 (Karmada): no word in the repository runs a program.
func TestCVE202433396(t *testing.T) {
	const exec = "apiVersion: v1\n  kind: X\n  metadata: {name: x, annotations: {config.kubernetes.io/function: 'exec: {path: /bin/sh}'}}\n"
	refuses(t, "never run", "generators: [x.yaml]", "transformers: [x.yaml]", "validators: [x.yaml]", "generators:\n- |-\n  "+exec, "transformers:\n- |-\n  "+exec)
}

// TestCVE202456514 (Karmada): an archive has no way to a file outside of itself.
func TestCVE202456514(t *testing.T) {
	for _, name := range []string{"../x", "/etc/x", "a/../../x", `..\x`, "a/./b", ""} {
		if files, err := overlays.Unpack(overlays.Files{name: []byte("x")}.Pack()); err == nil {
			t.Errorf("%q is unpacked: %v", name, files.Paths())
		}
	}
}

// TestCVE202431989 (Argo CD): what agents run is signed and named by its digest, so that
// whoever can write to where it is kept changes nothing. [TestHostileBrokerServes] has
// every way to try.
func TestCVE202431989(t *testing.T) {
	c := newCaptor(t)
	base := overlays.Files{"a.yaml": []byte(settings + "# new")}
	index := c.index("eu-1", fleet.DesiredApp{Name: "shop", Base: base.Digest(), Overlay: c.shop.Overlay})
	_, other, err := wire.PackArtifact([]byte("something else"))
	check(t, err)
	check(t, c.stolen.PutArtifact(t.Context(), wire.AddressOf(base.Digest()), other))
	if _, err := c.fetcher.Accept(t.Context(), c.seal(announcement(6, 1, index))); err == nil {
		t.Error("it was accepted")
	}
	c.stands(t)
}

// TestCVE202431990 (Argo CD): an App in one namespace cannot take what is an App's in
// another: two Apps never hold one object.
func TestCVE202431990(t *testing.T) {
	s := newStage(t)
	app := func(name, namespace string) string {
		return fmt.Sprintf("apiVersion: fleet.navarch.dev/v1alpha1\nkind: App\nmetadata: {name: %s, namespace: %s}\nspec: {source: {path: %s}}\n", name, namespace, name)
	}
	object := strings.Replace(good, "name: good", "name: good, namespace: payments", 1)
	revision := s.push(map[string]string{
		"clusters.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: Cluster\nmetadata: {name: eu-1}\n",
		"payments.yaml": app("payments", "payments"), "payments/a.yaml": object, "thief.yaml": strings.Replace(app("thief", "tenant"), ", namespace: tenant", "", 1), "thief/a.yaml": object,
	})
	var c commits
	s.until("the hub to look at the commit", func() bool {
		c = commits{}
		s.api("fleet", &c)
		return c.Latest != nil && c.Latest.Revision == revision
	})
	if c.Latest.Accepted || !strings.Contains(c.Latest.Problems.Error(), "payments") || !strings.Contains(c.Latest.Problems.Error(), "thief") {
		t.Errorf("accepted: %t, %v", c.Latest.Accepted, c.Latest.Problems)
	}
}

// TestCVE202555191 (Argo CD): what agents say, and what people look at, may come at once.
// It means more with -race, which needs cgo.
func TestCVE202555191(t *testing.T) {
	board := view.NewBoard()
	var group sync.WaitGroup
	for n := range 4 {
		cluster := fleet.ClusterName(fmt.Sprint("c-", n%2))
		group.Go(func() {
			for i := range 500 {
				app := fleet.AppName(fmt.Sprint("a-", i%7))
				board.Report(wire.Report{Version: 1, Cluster: cluster, App: app, Conditions: []wire.Condition{{Type: wire.Ready, Message: strconv.Itoa(i)}}}, time.Now())
				board.Heartbeat(wire.Heartbeat{Version: 1, Cluster: cluster, Facts: wire.Facts{Pods: map[string]int{"Running": i}}}, time.Now())
				board.Snapshot(time.Now())
				if i%100 == 99 {
					board.Forget(cluster)
				}
			}
		})
	}
	group.Wait()
	if got := board.Received(); got.Reports != 2000 || got.Heartbeats != 2000 {
		t.Errorf("%+v", got)
	}
}

// TestCVE20249779 (Open Cluster Management): the hub asks no cluster for any right, not
// even the one that it runs in.
func TestCVE20249779(t *testing.T) {
	manifest, err := manifests.Hub(manifests.HubConfig{Repo: "https://git.example.com/fleet", Identity: map[string][]byte{"identity.json": []byte("{}")}})
	check(t, err)
	for _, word := range []string{"kind: Role", "kind: ClusterRole", "RoleBinding", "automountServiceAccountToken: true"} {
		if strings.Contains(string(manifest), word) {
			t.Errorf("the hub's manifest has %q", word)
		}
	}
}
