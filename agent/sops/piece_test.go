package sops

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// in64 is data of a Secret.
func in64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

const value = "ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]"

func TestPieces(t *testing.T) {
	secret := func(data map[string]any) map[string]any {
		return map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "db"}, "data": data}
	}
	about := map[string]any{"mac": value}
	cases := map[string]struct {
		object map[string]any
		want   []string // what is encrypted, and in which format
	}{
		"an object":                    {map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "sops": about}, []string{" json"}},
		"a field of that name":         {map[string]any{"apiVersion": "v1", "kind": "Cook", "sops": map[string]any{"de": 1}}, nil},
		"one that decrypts for itself": {map[string]any{"apiVersion": "v1", "kind": "SopsSecret", "sops": about, "metadata": map[string]any{"annotations": map[string]any{AnnotationDecrypt: "disabled"}}}, nil},
		"a plain Secret":               {secret(map[string]any{"a": in64("x"), "b": in64("a text about sops and " + value)}), nil},
		"a YAML file":                  {secret(map[string]any{"a.yaml": in64("a: " + value + "\nsops:\n  mac: " + value)}), []string{"data.a.yaml yaml"}},
		"a JSON file":                  {secret(map[string]any{"data.json": in64(`{"data":"` + value + `","sops":{"mac":"` + value + `"}}`)}), []string{"data.data.json json"}},
		"any file":                     {secret(map[string]any{"key.pem": in64(`{"data":"` + value + `","sops":{"mac":"` + value + `"}}`)}), []string{"data.key.pem binary"}},
		"an INI file":                  {secret(map[string]any{"a": in64("[x]\na = " + value + "\n[sops]\nmac = " + value)}), []string{"data.a ini"}},
		"a file of lines":              {secret(map[string]any{".env": in64("A=" + value + "\nsops_mac=" + value + "\n")}), []string{"data..env dotenv"}},
		"lines":                        {secret(map[string]any{"A": in64(value), "sops_mac": in64(value), "sops_version": in64("3"), "PLAIN": in64("x")}), []string{"data dotenv"}},
		"two":                          {secret(map[string]any{"b": in64("sops:\n  mac: " + value), "A": in64(value), "sops_mac": in64(value)}), []string{"data.b yaml", "data dotenv"}},
		"of another kind":              {map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"a": in64("sops:\n  mac: " + value)}}, nil},
		"no base64":                    {secret(map[string]any{"a": "sops: " + value}), nil},
		"data that is none":            {map[string]any{"apiVersion": "v1", "kind": "Secret", "data": "x"}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, piece := range pieces(&unstructured.Unstructured{Object: c.object}) {
				got = append(got, piece.where+" "+piece.Format)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestLinesComeBack: the entries that were lines of an encrypted file are lines again, and
// what they are encrypted from takes their place.
func TestLinesComeBack(t *testing.T) {
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret", "data": map[string]any{
		"B": in64(value), "A": in64(value), "sops_mac": in64(value), "PLAIN": in64("x"), "EMPTY": "",
	}}}
	found := pieces(o)
	if want := "A=" + value + "\nB=" + value + "\nsops_mac=" + value + "\n"; len(found) != 1 || string(found[0].Content) != want {
		t.Fatalf("got %s\nwant %s", found[0].Content, want)
	}
	if err := found[0].put(o, []byte("A=1\nB=2=3\n")); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"A": in64("1"), "B": in64("2=3"), "PLAIN": in64("x"), "EMPTY": ""}
	if diff := cmp.Diff(want, o.Object["data"]); diff != "" {
		t.Error(diff)
	}
	if err := found[0].put(o, []byte("OTHER=1\n")); err == nil {
		t.Error("an entry that was not encrypted was taken")
	}
}

// TestAnotherObjectIsRefused: what is called otherwise when it is decrypted was not looked
// at under that name by anybody: neither in the inventory nor by a budget.
func TestAnotherObjectIsRefused(t *testing.T) {
	for name, plain := range map[string]string{
		"name":      "{apiVersion: v1, kind: Secret, metadata: {name: other, namespace: shop}}",
		"namespace": "{apiVersion: v1, kind: Secret, metadata: {name: db, namespace: kube-system}}",
		"kind":      "{apiVersion: v1, kind: ClusterRoleBinding, metadata: {name: db, namespace: shop}}",
		"no object": "[]",
	} {
		t.Run(name, func(t *testing.T) {
			o := &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "db", "namespace": "shop"}, "sops": map[string]any{"mac": value},
			}}
			content, err := yaml.YAMLToJSON([]byte(plain))
			if err != nil {
				t.Fatal(err)
			}
			if err := putObject(o, content); err == nil {
				t.Errorf("it became %v", o.Object)
			}
		})
	}
}

func FuzzPieces(f *testing.F) {
	f.Add([]byte(`{"apiVersion":"v1","kind":"Secret","data":{"A":"`+in64(value)+`","sops_mac":"`+in64(value)+`"}}`), []byte("A=x\n"))
	f.Add([]byte(`{"apiVersion":"v1","kind":"Secret","sops":{"mac":"x"}}`), []byte(`{"apiVersion":"v1","kind":"Secret"}`))
	f.Fuzz(func(t *testing.T, object, plain []byte) {
		var content map[string]any
		if json.Unmarshal(object, &content) != nil {
			return
		}
		o := &unstructured.Unstructured{Object: content}
		was := o.GetKind() + o.GetNamespace() + "/" + o.GetName()
		for _, piece := range pieces(o) {
			_ = piece.put(o, plain) // it may refuse; it may not panic, nor make another object of it
		}
		if is := o.GetKind() + o.GetNamespace() + "/" + o.GetName(); is != was {
			t.Errorf("%q became %q", was, is)
		}
	})
}
