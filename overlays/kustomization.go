package overlays

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/navarch/navarch/fleet"
)

// kustomization is a parsed kustomization file.
type kustomization struct {
	types.Kustomization
	file string
	size int64
	node *yaml.Node // to find lines; nil where they cannot be known
}

// use is what a kustomization does with a path that it names.
type use int

const (
	asResource  use = iota // a file of objects, or a folder with a kustomization
	asComponent            // a folder with a component
	asPatch                // a file of patches
	asInline               // not a path: the text of a patch
	asCRD                  // a file of OpenAPI definitions
	asEnv                  // a file of key=value lines
	asContent              // a file of anything
)

// reference is one path that a kustomization names, and where it does so.
type reference struct {
	use  use
	path string
	at   fleet.Problem
}

// isKustomization tells whether kustomize takes the file name for a kustomization.
func isKustomization(file string) bool {
	return slices.Contains(konfig.RecognizedKustomizationFileNames(), path.Base(file))
}

var unknownField = regexp.MustCompile(`unknown field "([^"]+)"`)

// parseKustomization reads a kustomization with kustomize's own decoder, so that
// both see the same, and refuses the words that reach outside its files. What
// kustomize would not read at all is nil.
func parseKustomization(file string, content []byte) (*kustomization, fleet.Problems) {
	if len(content) > maxKustomization {
		return nil, fleet.Problems{{File: file, Message: fmt.Sprintf("the kustomization is larger than %d bytes", maxKustomization), Hint: "put long text into files of their own"}}
	}
	k := &kustomization{file: file, size: int64(len(content))}
	var root yaml.Node
	if yaml.Unmarshal(content, &root) == nil && len(root.Content) > 0 {
		k.node = root.Content[0]
	}
	if err := k.Unmarshal(content); err != nil {
		line, message := yamlError(strings.TrimPrefix(err.Error(), "invalid Kustomization: "), 1)
		p := fleet.Problem{File: file, Line: line, Message: message}
		if found := unknownField.FindStringSubmatch(message); found != nil {
			p = k.at(found[1])
			p.Message = "kustomize knows no such field"
		}
		return nil, fleet.Problems{p}
	}
	fixed := k.Kustomization
	fixed.ConfigMapGenerator, fixed.SecretGenerator = slices.Clone(k.ConfigMapGenerator), slices.Clone(k.SecretGenerator)
	fixed.FixKustomization()
	if fixed.CheckEmpty() != nil {
		return nil, fleet.Problems{{File: file, Message: "the kustomization is empty"}}
	}
	if wrong := fixed.EnforceFields(); len(wrong) > 0 {
		return nil, fleet.Problems{{File: file, Message: strings.Join(wrong, "; ")}}
	}
	return k, k.refused()
}

// refused returns the fields that run programs, fetch from the network or change
// how kustomize reads everything else.
func (k kustomization) refused() fleet.Problems {
	const (
		inline = "write what it makes as YAML into the repository"
		chart  = "render the chart and keep the result in the repository"
		schema = "kustomize's built-in schema is used everywhere"
	)
	fields := []struct {
		name string
		used bool
		hint string
	}{
		{"generators", len(k.Generators) > 0, inline},
		{"transformers", len(k.Transformers) > 0, inline},
		{"validators", len(k.Validators) > 0, inline},
		{"helmCharts", len(k.HelmCharts) > 0, chart},
		{"helmGlobals", k.HelmGlobals != nil, chart},
		{"helmChartInflationGenerator", len(k.HelmChartInflationGenerator) > 0, chart},
		{"openapi", len(k.OpenAPI) > 0, schema},
	}
	var problems fleet.Problems
	for _, field := range fields {
		if !field.used {
			continue
		}
		p := k.at(field.name)
		p.Message, p.Hint = "plugins, functions, charts and schemas of a repository are never run", field.hint
		problems = append(problems, p)
	}
	for _, ref := range k.references() {
		if remote(ref.use, ref.path) {
			problems = append(problems, ref.refused())
		}
	}
	return problems
}

// refused says that r is remote.
func (r reference) refused() fleet.Problem {
	p := r.at
	p.Message = fmt.Sprintf("%q is remote, and nothing is fetched", oneLine(r.path))
	p.Hint = "copy it into the repository and name its folder or file"
	return p
}

// references lists every path that k names, in the order of kustomize's fields.
func (k kustomization) references() []reference {
	var refs []reference
	add := func(use use, name string, at ...any) {
		if name != "" {
			refs = append(refs, reference{use: use, path: name, at: k.at(at...)})
		}
	}
	list := func(use use, names []string, at ...any) {
		for i, name := range names {
			refs = append(refs, reference{use: use, path: name, at: k.at(append(at[:len(at):len(at)], i)...)})
		}
	}
	list(asResource, k.Resources, "resources")
	list(asResource, k.Bases, "bases") //nolint:staticcheck // deprecated, and still read by kustomize
	list(asComponent, k.Components, "components")
	list(asCRD, k.Crds, "crds")
	list(asContent, k.Configurations, "configurations")
	for i, patch := range k.PatchesStrategicMerge { //nolint:staticcheck // deprecated, and still read by kustomize
		add(mergeUse(string(patch)), string(patch), "patchesStrategicMerge", i)
	}
	patches := func(field string, patches []types.Patch) {
		for i, patch := range patches {
			add(asPatch, patch.Path, field, i, "path")
			add(asInline, patch.Patch, field, i, "patch")
		}
	}
	patches("patches", k.Patches)
	patches("patchesJson6902", k.PatchesJson6902) //nolint:staticcheck // deprecated, and still read by kustomize
	for i, replacement := range k.Replacements {
		add(asContent, replacement.Path, "replacements", i, "path")
	}
	sources := func(field string, i int, kv types.KvPairSources) {
		for j, source := range kv.FileSources {
			add(asContent, sourcePath(source), field, i, "files", j)
		}
		list(asEnv, kv.EnvSources, field, i, "envs")
		add(asEnv, kv.EnvSource, field, i, "env")
	}
	for i, generator := range k.ConfigMapGenerator {
		sources("configMapGenerator", i, generator.KvPairSources)
	}
	for i, generator := range k.SecretGenerator {
		sources("secretGenerator", i, generator.KvPairSources)
	}
	return refs
}

// mergeUse tells whether an entry of patchesStrategicMerge is a path or a patch.
func mergeUse(entry string) use {
	var root yaml.Node
	if yaml.Unmarshal([]byte(entry), &root) == nil && len(root.Content) > 0 && root.Content[0].Kind == yaml.MappingNode {
		return asInline
	}
	return asPatch
}

// sourcePath returns the path in a generator's "key=path" or "path".
func sourcePath(source string) string {
	if _, name, keyed := strings.Cut(source, "="); keyed {
		return name
	}
	return source
}

var (
	remoteScheme = regexp.MustCompile(`(?i)^(git::|https?:|ssh:|file:)`)
	remoteHost   = regexp.MustCompile(`(?i)^([a-z][a-z0-9-]*@|github\.com[/:])`)
)

// remote tells whether kustomize could take name for something to fetch. It is
// true of a little more than kustomize's own rule.
func remote(use use, name string) bool {
	name = strings.TrimSpace(name)
	if remoteScheme.MatchString(name) {
		return true
	}
	return use != asInline && (remoteHost.MatchString(name) || strings.Contains(name, "://"))
}

// at returns a problem that points at a field of k, found by keys and indexes.
func (k kustomization) at(keys ...any) fleet.Problem {
	p := fleet.Problem{File: k.file}
	n := k.node
	for _, key := range keys {
		switch key := key.(type) {
		case string:
			if p.Field != "" {
				p.Field += "."
			}
			p.Field += key
			n = foldedValue(n, key)
		case int:
			p.Field += fmt.Sprintf("[%d]", key)
			n = item(n, key)
		}
		if n != nil {
			p.Line = n.Line
		}
	}
	return p
}

// foldedValue is [value] for keys in any case, as encoding/json reads them.
func foldedValue(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if strings.EqualFold(n.Content[i].Value, key) {
			return follow(n.Content[i+1])
		}
	}
	return nil
}

func item(n *yaml.Node, i int) *yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode || i >= len(n.Content) {
		return nil
	}
	return follow(n.Content[i])
}
