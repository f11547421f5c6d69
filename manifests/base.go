package manifests

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// base is the objects of a kustomize base, with their comments.
type base []*yaml.Node

// edit sets one field of one object.
type edit struct {
	kind, name string
	path       string // keys and indexes, joined by dots
	value      any
}

// readBase reads the objects of a base in the order of its kustomization.
func readBase(folder string) (base, error) {
	content, err := files.ReadFile(folder + "/kustomization.yaml")
	if err != nil {
		return nil, err
	}
	var kustomization struct{ Resources []string }
	if err := yaml.Unmarshal(content, &kustomization); err != nil {
		return nil, fmt.Errorf("read base %q: %w", folder, err)
	}
	var objects base
	for _, resource := range kustomization.Resources {
		more, err := readFile(folder + "/" + resource)
		if err != nil {
			return nil, err
		}
		objects = append(objects, more...)
	}
	return objects, nil
}

// readFile reads the objects of one file of a base.
func readFile(name string) (base, error) {
	content, err := files.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var objects base
	for decoder := yaml.NewDecoder(bytes.NewReader(content)); ; {
		var object yaml.Node
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read base: %s: %w", name, err)
		}
		objects = append(objects, &object)
	}
}

// apply makes the edits. An edit that finds no object is an error.
func (b base) apply(edits []edit) error {
	for _, e := range edits {
		object := b.find(e.kind, e.name)
		if object == nil {
			return fmt.Errorf("the base has no %s %q", e.kind, e.name)
		}
		if err := set(object, e.path, e.value); err != nil {
			return fmt.Errorf("%s %q: set %s: %w", e.kind, e.name, e.path, err)
		}
	}
	return nil
}

func (b base) find(kind, name string) *yaml.Node {
	for _, object := range b {
		if value(object, "kind") == kind && value(object, "metadata.name") == name {
			return object
		}
	}
	return nil
}

// add adds an object behind the namespace, so that it is there before its users.
func (b *base) add(object any) error {
	var node yaml.Node
	if err := node.Encode(object); err != nil {
		return fmt.Errorf("encode object: %w", err)
	}
	*b = slices.Insert(*b, 1, &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{&node}})
	return nil
}

// move moves every object, and whatever names the namespace, to another namespace.
func (b base) move(namespace string) {
	if namespace == "" {
		return
	}
	for _, object := range b {
		for _, path := range []string{"metadata.namespace", "subjects.0.namespace"} {
			if at(object, path) != nil {
				at(object, path).SetString(namespace)
			}
		}
		if value(object, "kind") == "Namespace" {
			at(object, "metadata.name").SetString(namespace)
		}
	}
}

// encode writes the objects as one stream that begins with a comment, where there is one.
func (b base) encode(comment string) ([]byte, error) {
	var out bytes.Buffer
	if comment != "" {
		out.WriteString("# " + comment + "\n---\n")
	}
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	for _, object := range b {
		if err := encoder.Encode(object); err != nil {
			return nil, fmt.Errorf("encode manifest: %w", err)
		}
	}
	if err := encoder.Close(); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	return out.Bytes(), nil
}

// at returns the node at a path of keys and indexes, or nil.
func at(node *yaml.Node, path string) *yaml.Node {
	if node.Kind == yaml.DocumentNode {
		node = node.Content[0]
	}
	for step := range strings.SplitSeq(path, ".") {
		if node = child(node, step); node == nil {
			return nil
		}
	}
	return node
}

func child(node *yaml.Node, step string) *yaml.Node {
	if node.Kind == yaml.SequenceNode {
		i, err := strconv.Atoi(step)
		if err != nil || i >= len(node.Content) {
			return nil
		}
		return node.Content[i]
	}
	for i := 0; i+1 < len(node.Content) && node.Kind == yaml.MappingNode; i += 2 {
		if node.Content[i].Value == step {
			return node.Content[i+1]
		}
	}
	return nil
}

func value(node *yaml.Node, path string) string {
	if found := at(node, path); found != nil {
		return found.Value
	}
	return ""
}

// set sets the field at path, whose parent exists.
func set(object *yaml.Node, path string, content any) error {
	var node yaml.Node
	if err := node.Encode(content); err != nil {
		return err
	}
	if found := at(object, path); found != nil {
		*found = node
		return nil
	}
	dot := strings.LastIndexByte(path, '.')
	parent := at(object, path[:dot])
	if parent == nil || parent.Kind != yaml.MappingNode {
		return errors.New("the base has no such field")
	}
	parent.Content = append(parent.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: path[dot+1:]}, &node)
	return nil
}

// secret returns a Secret. Text is left readable, for the person who reviews what
// is about to be applied.
func secret(name, component string, content map[string][]byte) any {
	text, binary := map[string]string{}, map[string]string{}
	for key, value := range content {
		if utf8.Valid(value) {
			text[key] = string(value)
			continue
		}
		binary[key] = base64.StdEncoding.EncodeToString(value)
	}
	type metadata struct {
		Name      string            `yaml:"name"`
		Namespace string            `yaml:"namespace"`
		Labels    map[string]string `yaml:"labels"`
	}
	return struct {
		APIVersion string            `yaml:"apiVersion"`
		Kind       string            `yaml:"kind"`
		Metadata   metadata          `yaml:"metadata"`
		Type       string            `yaml:"type"`
		StringData map[string]string `yaml:"stringData,omitempty"`
		Data       map[string]string `yaml:"data,omitempty"`
	}{
		APIVersion: "v1",
		Kind:       "Secret",
		Metadata: metadata{Name: name, Namespace: DefaultNamespace, Labels: map[string]string{
			"app.kubernetes.io/name":    component,
			"app.kubernetes.io/part-of": "navarch",
		}},
		Type:       "Opaque",
		StringData: text,
		Data:       binary,
	}
}

// configAnnotation makes pods restart when their configuration changes.
func configAnnotation(contents ...map[string][]byte) map[string]string {
	hash := sha256.New()
	for _, content := range contents {
		for _, name := range slices.Sorted(maps.Keys(content)) {
			_, _ = fmt.Fprintf(hash, "%d %s %d %s", len(name), name, len(content[name]), content[name]) // a hash takes everything
		}
	}
	return map[string]string{"navarch.dev/config": hex.EncodeToString(hash.Sum(nil))}
}
