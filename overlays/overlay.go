package overlays

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/navarch/navarch/fleet"
)

// kustomizationFile is what this package writes into a kustomization, in the order
// in which people read it.
type kustomizationFile struct {
	APIVersion string       `yaml:"apiVersion"`
	Kind       string       `yaml:"kind"`
	Namespace  string       `yaml:"namespace,omitempty"`
	Resources  []string     `yaml:"resources"`
	Components []string     `yaml:"components,omitempty"`
	Labels     []labelEntry `yaml:"labels,omitempty"`
	Patches    []patchEntry `yaml:"patches,omitempty"`
	Images     []imageEntry `yaml:"images,omitempty"`
	Replicas   []countEntry `yaml:"replicas,omitempty"`
}

type labelEntry struct {
	Pairs map[string]string `yaml:"pairs"`
}

type patchEntry struct {
	Target  *targetEntry    `yaml:"target,omitempty"`
	Options map[string]bool `yaml:"options,omitempty"`
	Path    string          `yaml:"path,omitempty"`
	Patch   block           `yaml:"patch,omitempty"`
}

type targetEntry struct {
	Group              string `yaml:"group,omitempty"`
	Version            string `yaml:"version,omitempty"`
	Kind               string `yaml:"kind,omitempty"`
	Name               string `yaml:"name,omitempty"`
	Namespace          string `yaml:"namespace,omitempty"`
	LabelSelector      string `yaml:"labelSelector,omitempty"`
	AnnotationSelector string `yaml:"annotationSelector,omitempty"`
}

// String names the target's objects for people.
func (t targetEntry) String() string {
	parts := []string{}
	for _, part := range []struct{ key, value string }{
		{"group", t.Group}, {"version", t.Version}, {"kind", t.Kind}, {"namespace", t.Namespace}, {"name", t.Name},
		{"labelSelector", t.LabelSelector}, {"annotationSelector", t.AnnotationSelector},
	} {
		if part.value != "" {
			parts = append(parts, fmt.Sprintf("%s %q", part.key, part.value))
		}
	}
	return strings.Join(parts, ", ")
}

type imageEntry struct {
	Name      string `yaml:"name"`
	NewName   string `yaml:"newName,omitempty"`
	NewTag    string `yaml:"newTag,omitempty"`
	TagSuffix string `yaml:"tagSuffix,omitempty"`
	Digest    string `yaml:"digest,omitempty"`
}

type countEntry struct {
	Name  string `yaml:"name"`
	Count int64  `yaml:"count"`
}

// block is a text that is written as a literal block where that is safe to read
// back, and quoted where it is not.
type block string

// MarshalYAML implements [yaml.Marshaler].
func (b block) MarshalYAML() (any, error) {
	node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: string(b), Style: yaml.DoubleQuotedStyle}
	if b.plain() {
		node.Style = yaml.LiteralStyle
	}
	return node, nil
}

// plain tells whether every line of b is printable ASCII without a tab or trailing
// space and the first is not indented.
func (b block) plain() bool {
	for i, line := range strings.Split(string(b), "\n") {
		if i == 0 && (line == "" || line[0] == ' ') || strings.HasSuffix(line, " ") {
			return false
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
			return false
		}
	}
	return true
}

// encode returns k as YAML, the same for the same k.
func (k kustomizationFile) encode() []byte {
	if k.Resources == nil {
		k.Resources = []string{}
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	// Strings, numbers and maps of them always encode, and memory takes them.
	if err := encoder.Encode(k); err != nil {
		panic(fmt.Sprintf("encode kustomization: %v", err))
	}
	if err := encoder.Close(); err != nil {
		panic(fmt.Sprintf("encode kustomization: %v", err))
	}
	return out.Bytes()
}

// appLabels is the label that every object of an app carries, in its metadata only.
func appLabels(app fleet.AppName) []labelEntry {
	return []labelEntry{{Pairs: map[string]string{LabelApp: string(app)}}}
}

// LabelApp is the label that names an object's app.
const LabelApp = "navarch.dev/app"
