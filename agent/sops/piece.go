package sops

import (
	"bytes"
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
)

// AnnotationDecrypt leaves an object as it is, for a controller of the cluster that
// decrypts by itself: value "disabled".
const AnnotationDecrypt = "navarch.dev/decrypt"

// field is where SOPS keeps what it needs to know of a document.
const field = "sops"

// mark begins every value that SOPS has encrypted.
const mark = "ENC[AES256_GCM,"

// Sealed tells whether an object has anything in it that is to be opened.
func Sealed(o *unstructured.Unstructured) bool { return len(pieces(o)) > 0 }

// piece is one encrypted document of an object.
type piece struct {
	document
	where string // in the object; empty: the object is the document
	// put lays the plain document in an object, in its place.
	put func(into *unstructured.Unstructured, plain []byte) error
}

// pieces returns the encrypted documents of an object. The object as a whole, which
// kustomize has edited since; or entries of a Secret, each a whole file that
// secretGenerator took as it was, and the entries that it made of the lines of one.
func pieces(o *unstructured.Unstructured) []piece {
	if o.GetAnnotations()[AnnotationDecrypt] == "disabled" {
		return nil
	}
	if about, ok := o.Object[field].(map[string]any); ok {
		if _, authenticated := about["mac"].(string); authenticated {
			content, err := json.Marshal(o.Object)
			if err != nil {
				return nil // it came from JSON
			}
			return []piece{{document{Format: "json", Content: content, Edited: true}, "", putObject}}
		}
	}
	if o.GetKind() != "Secret" || o.GroupVersionKind().Group != "" {
		return nil
	}
	data, _, _ := unstructured.NestedStringMap(o.Object, "data")
	var found []piece
	lines := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(data)) {
		if len(data[name]) < len(mark) {
			continue
		}
		content, err := base64.StdEncoding.DecodeString(data[name])
		if err != nil {
			continue
		}
		if format := formatOf(name, content); format != "" {
			found = append(found, piece{document{Format: format, Content: content}, "data." + name, putEntry(name)})
			continue
		}
		lines[name] = string(content)
	}
	if strings.HasPrefix(lines["sops_mac"], mark) {
		found = append(found, ofLines(data))
	}
	return found
}

var (
	yamlMark   = regexp.MustCompile(`(?m)^sops:\s*$`)
	iniMark    = regexp.MustCompile(`(?m)^\[sops\]\s*$`)
	dotenvMark = regexp.MustCompile(`(?m)^sops_mac=ENC\[AES256_GCM,`)
)

// formatOf returns the format of a file that SOPS has written, and nothing for others.
func formatOf(name string, content []byte) string {
	if !bytes.Contains(content, []byte(mark)) || !bytes.Contains(content, []byte(field)) {
		return ""
	}
	var entries map[string]stdjson.RawMessage
	if stdjson.Unmarshal(content, &entries) == nil {
		var about struct{ Mac string }
		switch {
		case stdjson.Unmarshal(entries[field], &about) != nil || about.Mac == "":
			return ""
		case len(entries) == 2 && entries["data"] != nil && !strings.HasSuffix(name, ".json"):
			return "binary"
		}
		return "json"
	}
	switch {
	case dotenvMark.Match(content):
		return "dotenv"
	case iniMark.Match(content):
		return "ini"
	case yamlMark.Match(content):
		return "yaml"
	}
	return ""
}

// ofLines makes a document of the entries that an encrypted file of key=value lines has
// become. Their order, and the comments between them, are lost.
func ofLines(data map[string]string) piece {
	var file strings.Builder
	names := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(data)) {
		content, err := base64.StdEncoding.DecodeString(data[name])
		text := string(content)
		about := strings.HasPrefix(name, field+"_")
		if err != nil || strings.Contains(text, "\n") || !about && !strings.HasPrefix(text, mark) {
			continue
		}
		names[name] = true
		file.WriteString(name + "=" + text + "\n")
	}
	put := func(into *unstructured.Unstructured, plain []byte) error {
		entries, _, err := unstructured.NestedMap(into.Object, "data")
		if err != nil {
			return err
		}
		for name := range names {
			delete(entries, name)
		}
		for line := range strings.Lines(string(plain)) {
			name, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			if !found || !names[name] {
				return errors.New("a line is no key=value")
			}
			entries[name] = base64.StdEncoding.EncodeToString([]byte(value))
		}
		return unstructured.SetNestedMap(into.Object, entries, "data")
	}
	return piece{document{Format: "dotenv", Content: []byte(file.String()), Edited: true}, "data", put}
}

// putEntry puts a plain file in the place of an entry of a Secret.
func putEntry(name string) func(*unstructured.Unstructured, []byte) error {
	return func(into *unstructured.Unstructured, plain []byte) error {
		return unstructured.SetNestedField(into.Object, base64.StdEncoding.EncodeToString(plain), "data", name)
	}
}

// putObject puts a plain object in the place of the encrypted one. It has to be the same
// object: what it is called is written down before it is opened.
func putObject(into *unstructured.Unstructured, plain []byte) error {
	var opened map[string]any
	if err := json.Unmarshal(plain, &opened); err != nil {
		return errors.New("it is no object")
	}
	was, is := into.GroupVersionKind().String()+into.GetNamespace()+"/"+into.GetName(), &unstructured.Unstructured{Object: opened}
	if is.GroupVersionKind().String()+is.GetNamespace()+"/"+is.GetName() != was {
		return errors.New("its kind or name is encrypted (encrypt only values: set encrypted_regex: ^(data|stringData)$ in .sops.yaml)")
	}
	into.Object = opened
	return nil
}
