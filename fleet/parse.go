package fleet

import (
	"bytes"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// settingsFile is the only file that may hold the document of kind Fleet.
const settingsFile = "fleet.yaml"

// group is the API group of the documents that this package reads.
var group, _, _ = strings.Cut(APIVersion, "/")

// Parsed is what one file says about a fleet. It depends on the file's path and
// content only, so it may be kept for as long as both stay; [Assemble] does not
// change it.
type Parsed struct {
	file     string
	settings []parsedSettings
	clusters []parsedCluster
	apps     []parsedApp

	policies  []propagationPolicy
	overrides []overridePolicy
	taints    []taintPolicy

	manifests      []manifest
	kustomizations []kustomization // at most one that kustomize would take

	// broken is set where the rest of the file cannot be read. It counts where the file
	// may hold something that policies claim.
	broken   *brokenFile
	problems Problems
}

// brokenFile is a file that cannot be read to its end. Where the mistake is takes
// long to find, and mostly nobody asks.
type brokenFile struct {
	file    string
	content []byte
	err     error
}

func (b *brokenFile) problem() Problem {
	return Problem{File: b.file, Line: lineOf(b.err, b.content), Message: "not YAML: " + messageOf(b.err)}
}

type parsedSettings struct {
	Settings
	*document
}

type parsedCluster struct {
	Cluster
	*document
}

type parsedApp struct {
	App
	*document
	dependsOn []AppName // as written
}

// form is a document of a Kubernetes API.
type form[Spec any] struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`
	Spec       Spec     `json:"spec"`
}

type metadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

type appSpec struct {
	Source      sourceSpec   `json:"source"`
	Placement   Placement    `json:"placement"`
	Overrides   []Override   `json:"overrides"`
	DependsOn   []AppName    `json:"dependsOn"`
	Constraints []Constraint `json:"constraints"`
	Failover    *Failover    `json:"failover"`
	Rollout
}

type sourceSpec struct {
	Path string `json:"path"`
}

type clusterSpec struct {
	Provider string   `json:"provider"`
	Region   string   `json:"region"`
	Zones    []string `json:"zones"`
	Taints   []Taint  `json:"taints"`
}

// Parse reads every document in one file: those that define the fleet, and of
// others as much as policies have to know. What is wrong is kept for [Assemble].
func Parse(path string, content []byte) Parsed {
	p := Parsed{file: path}
	ours := bytes.Contains(content, []byte(group)) || path == settingsFile
	if !ours && !isKustomization(path) && !bytes.Contains(content, []byte("apiVersion")) {
		return p
	}
	number := 0
	for root, err := range documents(content) {
		switch {
		case err != nil:
			p.broken = &brokenFile{path, content, err}
		case root.Kind == yaml.MappingNode:
			if isKustomization(path) {
				p.addKustomization(root)
			}
			p.add(root, number)
		}
		number++
	}
	if p.broken != nil && ours {
		p.problems = append(p.problems, p.broken.problem())
		p.broken = nil
	}
	if path == settingsFile && len(p.settings) == 0 && len(p.problems) == 0 {
		p.problems = append(p.problems, Problem{
			File: path, Message: "holds no document of kind Fleet",
			Hint: "this file holds the settings of the whole repository: apiVersion " + APIVersion + ", kind Fleet",
		})
	}
	p.problems = p.problems.Sorted()
	return p
}

// addKustomization reads what a kustomization takes in.
func (p *Parsed) addKustomization(root *yaml.Node) {
	k, err := kustomizationOf(p.file, root)
	if err != nil {
		p.problems = append(p.problems, Problem{File: p.file, Line: root.Line, Message: "the kustomization " + err.Error()})
		return
	}
	p.kustomizations = append(p.kustomizations, k)
}

// add reads one document.
func (p *Parsed) add(root *yaml.Node, number int) {
	d := &document{file: p.file, line: root.Line, lines: map[string]int{}}
	version := d.header(root, "apiVersion")
	if found, _, _ := strings.Cut(version, "/"); found != group {
		if p.addKarmada(root) {
			return
		}
		if m, ok := manifestOf(root); ok && !isKustomization(p.file) {
			m.file, m.document = p.file, number
			p.manifests = append(p.manifests, m)
		}
		return
	}
	defer func() { p.problems = append(p.problems, d.problems...) }()
	if version != APIVersion {
		d.refuse("apiVersion", "this version of Navarch reads "+APIVersion, "%q is not known", version)
		return
	}
	var e expansion
	root, err := e.expand(root, 0)
	if err != nil {
		d.refuse("", "", "the document %v", err)
		return
	}
	switch kind := d.header(root, "kind"); kind {
	case "App":
		var f form[appSpec]
		d.fill(root, &f)
		p.apps = append(p.apps, parsedApp{App: d.app(f), document: d, dependsOn: f.Spec.DependsOn})
	case "Cluster":
		var f form[clusterSpec]
		d.fill(root, &f)
		p.clusters = append(p.clusters, parsedCluster{Cluster: d.cluster(f), document: d})
	case "Fleet":
		var f form[Settings]
		d.fill(root, &f)
		if settings := d.settings(f); p.file == settingsFile {
			p.settings = append(p.settings, parsedSettings{Settings: settings, document: d})
		}
	case "":
		d.missing("kind", "App, Cluster or Fleet")
	default:
		hint := didYouMean(kind, []string{"App", "Cluster", "Fleet"})
		if hint == "" {
			hint = "known: App, Cluster, Fleet"
		}
		d.refuse("kind", hint, "unknown kind %q", kind)
	}
}

// fill decodes a whole document into a form.
func (d *document) fill(root *yaml.Node, form any) {
	d.decode(root, reflect.ValueOf(form).Elem(), "")
	d.misshapen = len(d.problems) > 0
}

// header returns a text at the top of a document and notes its line.
func (d *document) header(root *yaml.Node, key string) string {
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == key && root.Content[i+1].Kind == yaml.ScalarNode {
			d.lines[key] = root.Content[i].Line
			return root.Content[i+1].Value
		}
	}
	return ""
}

// app checks an App and makes the value.
func (d *document) app(f form[appSpec]) App {
	d.checkMetadata(f.Metadata)
	name, err := ParseAppName(f.Metadata.Name)
	d.checkName(f.Metadata.Name, err)
	d.checkNamespace(f.Metadata.Namespace, "metadata.namespace")
	d.checkPlacement(&f.Spec.Placement, "spec.placement")
	d.checkConstraints(f.Spec.Constraints, "spec.constraints")
	d.checkRollout(f.Spec.Rollout, "spec")
	d.checkServiceAccount(f.Spec.ServiceAccountName, f.Metadata.Namespace, "spec.serviceAccountName")
	d.checkFailover(f.Spec.Failover, "spec.failover")
	source := Source{Path: d.inRepository("spec.source.path", f.Spec.Source.Path), Position: d.at("spec.source.path")}
	overrides := f.Spec.Overrides
	for i := range overrides {
		field := index("spec.overrides", i)
		overrides[i].Position = d.at(field)
		d.checkOverride(&overrides[i], field)
	}
	checkNames(d, "app", f.Spec.DependsOn, "spec.dependsOn")
	dependsOn := slices.Clone(f.Spec.DependsOn)
	slices.Sort(dependsOn)
	return App{
		Name: name, Namespace: f.Metadata.Namespace, Labels: f.Metadata.Labels, Source: source,
		Placement: f.Spec.Placement, Overrides: overrides, DependsOn: slices.Compact(dependsOn),
		Constraints: f.Spec.Constraints, Rollout: f.Spec.Rollout, Failover: f.Spec.Failover,
		Position: d.at("metadata.name"),
	}
}

// cluster checks a Cluster and makes the value.
func (d *document) cluster(f form[clusterSpec]) Cluster {
	d.checkMetadata(f.Metadata)
	name, err := ParseClusterName(f.Metadata.Name)
	d.checkName(f.Metadata.Name, err)
	if f.Metadata.Namespace != "" {
		d.refuse("metadata.namespace", "remove it", "a Cluster has no namespace")
	}
	d.checkTaints(f.Spec.Taints, "spec.taints")
	for i, zone := range f.Spec.Zones {
		if zone == "" {
			d.refuse(index("spec.zones", i), "", "is empty")
		}
	}
	return Cluster{
		Name: name, Labels: f.Metadata.Labels, Provider: f.Spec.Provider, Region: f.Spec.Region,
		Zones: f.Spec.Zones, Taints: f.Spec.Taints, Position: d.at("metadata.name"),
	}
}

// settings checks a Fleet and makes the value.
func (d *document) settings(f form[Settings]) Settings {
	if d.file != settingsFile {
		d.refuse("kind", "there is one for the whole repository", "a Fleet stands in %s at the root of the repository only", settingsFile)
	}
	if f.Metadata.Namespace != "" {
		d.refuse("metadata.namespace", "remove it", "a Fleet has no namespace")
	}
	s := f.Spec
	if !d.has("spec.failover.cluster") {
		s.Failover.Cluster = true
	}
	switch field := "spec.failover.silentAfter"; {
	case !d.has(field):
		s.Failover.SilentAfter = defaultSilentAfter
	case s.Failover.SilentAfter == 0:
		d.refuse(field, "give agents the time to be heard, such as 30s", "is no time")
	}
	return s
}
