package apply_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/navarch/navarch/agent/apply"
	"github.com/navarch/navarch/fleet"
)

const password = `apiVersion: v1
kind: Secret
metadata: {name: db, namespace: NS, labels: {navarch.dev/app: shop}}
`

// TestCVE202523216: Argo CD gave away what a Secret holds when the API server could not
// take it and repeated it. Here nothing of it is in an error, whatever is wrong with it.
func TestCVE202523216(t *testing.T) {
	b := newBed(t)
	for name, c := range map[string]struct{ fields, said string }{
		"no text":             {"stringData: {password: [canary-of-the-mine]}", "password: expected string"},
		"a number":            {"stringData: {pin: 471147114711}", "pin: expected string"},
		"no base64":           {"data: {password: canary-of-the-mine!}", "illegal base64"},
		"a text for a map":    {"stringData: canary-of-the-mine", "expected map"},
		"a key that is none":  {"stringData: {\"a b\": canary-of-the-mine}", "a valid config key must consist of"},
		"of a type":           {"type: kubernetes.io/tls\nstringData: {password: canary-of-the-mine}", "Required value"},
		"docker, and no JSON": {"type: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: canary-of-the-mine}", "Invalid value"},
		"a name that is none": {"stringData: {password: canary-of-the-mine}\nmetadata: {name: Canary_, namespace: NS, labels: {navarch.dev/app: shop}}", "RFC 1123"},
	} {
		t.Run(name, func(t *testing.T) {
			manifest := password + c.fields
			if strings.Contains(c.fields, "metadata:") {
				manifest = "apiVersion: v1\nkind: Secret\n" + c.fields
			}
			_, err := b.apply(manifest)
			if err == nil || !strings.Contains(err.Error(), c.said) {
				t.Errorf("got %v, want %q", err, c.said)
			}
			for _, text := range []string{"canary-of-the-mine", "Y2FuYXJ5LW9mLXRoZS1taW5l", "471147114711"} {
				if err != nil && strings.Contains(err.Error(), text) {
					t.Errorf("%q is in %v", text, err)
				}
			}
		})
	}
}

// TestStringData: what a Secret has as text is the agent's as data, so that it goes when
// the app no longer has it, as anything else does.
func TestStringData(t *testing.T) {
	b := newBed(t)
	b.must(password + "data: {a: b25l, b: b25l}\nstringData: {b: two, c: three}")
	data, _, _ := unstructured.NestedStringMap(b.get("v1", "Secret", "db").Object, "data")
	if diff := cmp.Diff(map[string]string{"a": "b25l", "b": "dHdv", "c": "dGhyZWU="}, data); diff != "" {
		t.Error(diff)
	}
	b.must(password + "stringData: {c: three}")
	data, _, _ = unstructured.NestedStringMap(b.get("v1", "Secret", "db").Object, "data")
	if diff := cmp.Diff(map[string]string{"c": "dGhyZWU="}, data); diff != "" {
		t.Error(diff)
	}
}

// TestOpened: the plain form of an encrypted object is what is applied, and the encrypted
// one what identifies it. One that became another object, or that could not be opened, is
// not applied at all.
func TestOpened(t *testing.T) {
	b := newBed(t)
	sealed := b.objects(password + "stringData: {password: 'ENC[x]'}\nsops: {mac: 'ENC[y]'}")
	prepared, err := b.client.Prepare(sealed[0])
	check(t, err)
	way := anew
	applyAs := func(manifest string, why error) ([]apply.Applied, error) {
		opened := apply.Opened{Err: why}
		if manifest != "" {
			opened.Object = b.objects(manifest)[0]
		}
		way.Opened = map[fleet.ObjectID]apply.Opened{apply.IDOf(sealed[0]): opened}
		return b.client.ApplyAll(t.Context(), sealed, way)
	}
	applied, err := applyAs(password+"stringData: {password: plain}", nil)
	check(t, err)
	if applied[0].Hash != prepared.Hash() {
		t.Errorf("its hash is %s, want that of what is encrypted: %s", applied[0].Hash, prepared.Hash())
	}
	if is := b.get("v1", "Secret", "db"); is.Object["data"].(map[string]any)["password"] != "cGxhaW4=" {
		t.Errorf("applied: %v", is.Object)
	}
	for name, other := range map[string]string{
		"name": strings.Replace(password, "db", "other", 1), "app": strings.Replace(password, "shop", "blog", 1),
	} {
		if applied, err := applyAs(other, nil); err == nil || len(applied) > 0 {
			t.Errorf("another %s: applied %v, error %v", name, applied, err)
		}
	}
	if applied, err := applyAs("", apply.ErrForeign); err == nil || len(applied) > 0 {
		t.Errorf("applied %v, error %v", applied, err)
	}
}

// TestHashes: what a Secret holds cannot be tried out by the hash that the inventory has of
// it; whatever else, and what is encrypted, has the same hash everywhere.
func TestHashes(t *testing.T) {
	b := newBed(t)
	hash := func(key, manifest string, sealed bool) string {
		b.client.KeyHashes([]byte(key), func(*unstructured.Unstructured) bool { return sealed })
		o, err := b.client.Prepare(b.objects(manifest)[0])
		check(t, err)
		return o.Hash()
	}
	plain := password + "stringData: {password: plain}"
	one, two, again := hash("one", plain, false), hash("two", plain, false), hash("one", plain, false)
	if one == two || one != again {
		t.Error("the hash of a Secret does not depend on the key alone")
	}
	if hash("one", plain, false) == hash("one", password+"stringData: {password: other}", false) {
		t.Error("two Secrets have one hash")
	}
	if hash("one", plain, true) != hash("two", plain, true) || hash("one", settings, false) != hash("two", settings, false) {
		t.Error("a hash depends on the key that should not")
	}
}
