package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// FuzzRequest answers requests of any form. There is one result for each document or a
// problem, each result is a plain document or a refusal, and no error repeats a key.
func FuzzRequest(f *testing.F) {
	identity, other := newIdentity(f), newIdentity(f)
	good := encrypt(f, "yaml", secret, true, recipient(f, identity))
	key := identity.String()
	add := func(r request) {
		content, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	ours := map[string]string{"a.agekey": key}
	add(request{Identities: ours, Documents: []document{{Format: "yaml", Content: good}, {Format: "json", Content: good}, {Format: "yaml", Content: good, Edited: true}}})
	add(request{Identities: map[string]string{"b.agekey": other.String()}, Documents: []document{{Format: "yaml", Content: good}}})
	add(request{Identities: map[string]string{"c": key + "x"}})
	add(request{Environment: map[string]string{"HOME": "/"}})
	for _, format := range []string{"json", "dotenv", "ini", "binary"} {
		plain := map[string]string{"json": `{"a":"b"}`, "dotenv": "A=b\n", "ini": "[a]\nb = c\n", "binary": "x"}[format]
		add(request{Identities: ours, Documents: []document{{Format: format, Content: encrypt(f, format, plain, false, recipient(f, identity))}}})
	}
	f.Add([]byte(`{"documents":null}`))
	f.Add([]byte(`{"documents":[{}],"more":1}`))
	f.Fuzz(func(t *testing.T, asked []byte) {
		var r request
		decoder := json.NewDecoder(bytes.NewReader(asked))
		decoder.DisallowUnknownFields()
		wrong := decoder.Decode(&r) != nil
		if len(r.Environment) > 0 && !wrong {
			for name := range r.Environment {
				if _, known := environment[name]; known {
					t.Skip("it would ask a key service")
				}
			}
		}
		var out bytes.Buffer
		err := serve(bytes.NewReader(asked), &out)
		if wrong != (err != nil) || err != nil && (out.Len() > 0 || strings.Contains(err.Error(), key)) {
			t.Fatalf("%v, and an answer of %d bytes", err, out.Len())
		}
		if err != nil {
			return
		}
		var a answer
		if err := json.Unmarshal(out.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), key) {
			t.Error("the answer repeats a key")
		}
		if a.Problem == "" && len(a.Documents) != len(r.Documents) || a.Problem != "" && len(a.Documents) > 0 {
			t.Errorf("problem %q, %d results for %d documents", a.Problem, len(a.Documents), len(r.Documents))
		}
		for _, result := range a.Documents {
			if result.Refusal != "" && len(result.Content) > 0 {
				t.Errorf("refused as %q and yet made plain", result.Refusal)
			}
		}
	})
}

// FuzzDocument decrypts documents of any content. Nothing but a document that the key has
// authenticated becomes one with another password.
func FuzzDocument(f *testing.F) {
	identity := newIdentity(f)
	k, err := openKeys(request{Identities: map[string]string{"a.agekey": identity.String()}})
	if err != nil {
		f.Fatal(err)
	}
	good := encrypt(f, "yaml", secret, true, recipient(f, identity))
	f.Add("yaml", good)
	f.Add("json", encrypt(f, "json", `{"password":"`+canary+`"}`, false, recipient(f, identity)))
	f.Add("yaml", bytes.ReplaceAll(good, []byte("password"), []byte("username")))
	f.Add("yaml", []byte(bomb()))
	f.Add("dotenv", []byte("sops_version=3\nA=b\n"))
	f.Add("ini", []byte("[sops]\nversion = 3\n"))
	f.Fuzz(func(t *testing.T, format string, content []byte) {
		r := k.decrypt(document{Format: format, Content: content})
		if (r.Refusal == "") == (r.Content == nil) && len(r.Content) > 0 {
			t.Errorf("refused as %q with %d bytes", r.Refusal, len(r.Content))
		}
		if r.Refusal == "" && format == "yaml" && bytes.Contains(content, []byte("password: ENC[")) && bytes.Contains(r.Content, []byte("password:")) &&
			!bytes.Contains(r.Content, []byte(canary)) {
			t.Errorf("made plain as %q", r.Content)
		}
	})
}
