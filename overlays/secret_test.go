package overlays_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/overlays"
)

// TestCVE202340029: Argo CD showed what a cluster's Secret holds because kubectl had
// repeated it in an annotation. Here no comparison shows it, in any form or direction.
func TestCVE202340029(t *testing.T) {
	const canary = "canary-of-the-mine"
	secret := func(password string) string {
		encoded := base64.StdEncoding.EncodeToString([]byte(password))
		applied, err := json.Marshal(`{"kind":"Secret","data":{"password":"` + encoded + `"},"stringData":{"password":"` + password + `"}}`)
		if err != nil {
			t.Fatal(err)
		}
		return "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  annotations: {kubectl.kubernetes.io/last-applied-configuration: " + string(applied) +
			", note: " + password + "}\ndata: {password: " + encoded + "}\n"
	}
	with, without := objectsIn(t, secret(canary)), objectsIn(t, secret("another-password"))
	none := objectsIn(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\n")
	for name, changes := range map[string][]overlays.ObjectChange{
		"comes": overlays.Compare(without, with), "goes": overlays.Compare(with, without),
		"added": overlays.Compare(none, with), "removed": overlays.Compare(with, none),
		"new": overlays.Compare(nil, with),
	} {
		said := textOf(changes) + jsonOf(t, changes)
		if strings.Contains(said, canary) || strings.Contains(said, "Y2FuYXJ5LW9mLXRoZS1taW5l") {
			t.Errorf("%s: %s", name, said)
		}
		if len(changes) != 1 || name != "new" && !strings.Contains(said, "last-applied-configuration") {
			t.Errorf("%s: the change itself is not told: %s", name, said)
		}
	}
}

// TestPlainSecrets: check warns of each Secret that whoever reads the repository can read.
func TestPlainSecrets(t *testing.T) {
	const sealed = "ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]"
	repo := fstest.MapFS{}
	for name, content := range map[string]string{
		"app/kustomization.yaml": "resources: [all.yaml]\nsecretGenerator:\n- {name: words, literals: [a=b]}\n- {name: open, files: [open.pem]}\n- {name: closed, files: [key=closed.pem], envs: [closed.env]}\n- {name: lines, env: open.env}\n",
		"app/all.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: plain}\nstringData: {a: b}\n---\n" +
			"apiVersion: v1\nkind: Secret\nmetadata: {name: encoded}\ndata: {a: Yg==}\n---\n" +
			"apiVersion: v1\nkind: Secret\nmetadata: {name: empty}\ndata: {a: ''}\n---\n" +
			"apiVersion: v1\nkind: Secret\nmetadata: {name: sealed}\ndata: {a: '" + sealed + "'}\nsops: {mac: '" + sealed + "'}\n---\n" +
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: b}\n",
		"app/open.pem": "a key", "app/open.env": "A=b\n",
		"app/closed.pem": `{"data": "` + sealed + `", "sops": {"mac": "` + sealed + `"}}`, "app/closed.env": "A=" + sealed + "\nsops_mac=" + sealed + "\n",
	} {
		repo[name] = &fstest.MapFile{Data: []byte(content)}
	}
	source, err := overlays.Gather(repo, fleet.App{Name: "shop", Source: fleet.Source{Path: "app"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range source.Warnings {
		if !w.Warning {
			t.Errorf("%v stops the commit", w)
		}
		w.Hint = ""
		got = append(got, w.Error())
	}
	want := []string{
		`app/all.yaml:1: stringData: Secret "plain" is plain: whoever can read the repository can read it`,
		`app/all.yaml:6: data: Secret "encoded" is plain: whoever can read the repository can read it`,
		`app/kustomization.yaml:3: secretGenerator[0].literals: Secret "words" is plain: whoever can read the repository can read it`,
		`app/kustomization.yaml:4: secretGenerator[1]: Secret "open" is plain: whoever can read the repository can read it`,
		`app/kustomization.yaml:6: secretGenerator[3]: Secret "lines" is plain: whoever can read the repository can read it`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestEncryptedNames: an object of which nobody can tell what it is has no place.
func TestEncryptedNames(t *testing.T) {
	const sealed = "ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]"
	for field, manifest := range map[string]string{
		"kind":               "apiVersion: v1\nkind: " + sealed + "\nmetadata: {name: db}\n",
		"metadata.name":      "apiVersion: v1\nkind: Secret\nmetadata: {name: '" + sealed + "'}\n",
		"metadata.namespace": "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: '" + sealed + "'}\n",
	} {
		repo := fstest.MapFS{"app/db.yaml": {Data: []byte(manifest)}}
		_, err := overlays.Gather(repo, fleet.App{Name: "shop", Source: fleet.Source{Path: "app/db.yaml"}})
		want := "app/db.yaml:1: " + field + ": it is encrypted, so nobody can tell what the object is or where it belongs (encrypt only values: set encrypted_regex: ^(data|stringData)$ in .sops.yaml)"
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

// TestErrorsShowNoSecret: what kustomize says of a Secret that it cannot make holds nothing
// of it.
func TestErrorsShowNoSecret(t *testing.T) {
	const canary = "canary-of-the-mine"
	for name, files := range map[string]map[string]string{
		"merge with nothing":        {"kustomization.yaml": "secretGenerator: [{name: db, behavior: merge, literals: [a=" + canary + "]}]"},
		"two of a name":             {"kustomization.yaml": "secretGenerator: [{name: db, literals: [a=" + canary + "]}, {name: db, literals: [a=" + canary + "]}]"},
		"a literal that is none":    {"kustomization.yaml": "secretGenerator: [{name: db, literals: [" + canary + "]}]"},
		"a literal twice":           {"kustomization.yaml": "secretGenerator: [{name: db, literals: [a=" + canary + ", a=" + canary + "]}]"},
		"a line that is no text":    {"kustomization.yaml": "secretGenerator: [{name: db, envs: [db.env]}]", "db.env": "a=" + canary + "\xff\n"},
		"a patch of nothing":        {"kustomization.yaml": "resources: [s.yaml]\npatches: [{patch: '{apiVersion: v1, kind: Secret, metadata: {name: none}, stringData: {a: " + canary + "}}'}]"},
		"a patch that does not fit": {"kustomization.yaml": "resources: [s.yaml]\npatches: [{target: {kind: Secret}, patch: '[{op: replace, path: /data/none, value: " + canary + "}]'}]"},
		"a patch that tests":        {"kustomization.yaml": "resources: [s.yaml]\npatches: [{target: {kind: Secret}, patch: '[{op: test, path: /data/a, value: " + canary + "}]'}]"},
		"a patch of another form":   {"kustomization.yaml": "resources: [s.yaml]\npatches: [{target: {kind: Secret}, patch: '" + canary + "'}]"},
		"a patch of a wrong type":   {"kustomization.yaml": "resources: [s.yaml]\npatches: [{patch: '{apiVersion: v1, kind: Secret, metadata: {name: db}, data: [" + canary + "]}'}]"},
		"a replacement":             {"kustomization.yaml": "resources: [s.yaml]\nreplacements: [{source: {kind: Secret, fieldPath: data.a}, targets: [{select: {kind: Secret}, fieldPaths: [data.none.b]}]}]"},
		"no YAML":                   {"kustomization.yaml": "resources: [s.yaml, t.yaml]", "t.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: t}\nstringData: {a: " + canary + "\n"},
		"a document for a map":      {"kustomization.yaml": "resources: [s.yaml, t.yaml]", "t.yaml": canary + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			repo := fstest.MapFS{"app/s.yaml": {Data: []byte("apiVersion: v1\nkind: Secret\nmetadata: {name: db}\ndata: {a: Y2FuYXJ5LW9mLXRoZS1taW5l}\n")}}
			for file, content := range files {
				repo["app/"+file] = &fstest.MapFile{Data: []byte(content)}
			}
			app := fleet.App{Name: "shop", Source: fleet.Source{Path: "app"}}
			source, err := overlays.Gather(repo, app)
			if err == nil {
				_, _, err = overlays.Render(repo, app, source, overlays.Difference{})
			}
			if err == nil {
				t.Fatal("it builds")
			}
			if strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "Y2FuYXJ5") {
				t.Errorf("the error shows it: %v", err)
			}
		})
	}
}
