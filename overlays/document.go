package overlays

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/navarch/navarch/fleet"
)

// document is one document of a YAML file.
type document struct {
	line int    // of its first line in the file, from 1
	text string // without the separators around it
	node *yaml.Node
}

// separator is what kustomize splits a file at, before it parses the parts.
var separator = regexp.MustCompile(`\n---.*\n`)

// documents splits and parses a file exactly as kustomize does, and refuses the
// files of which kustomize would silently lose a part. Empty documents are left out.
func documents(file string, content []byte) ([]document, fleet.Problems) {
	text := strings.ReplaceAll(string(content), "\r\n", "\n")
	var docs []document
	var problems fleet.Problems
	start, line := 0, 1
	add := func(part string) {
		doc, err := parseDocument(part, line)
		if err != nil {
			at, message := yamlError(err.Error(), line)
			problems = append(problems, fleet.Problem{File: file, Line: at, Message: message})
		}
		if doc.node != nil {
			docs = append(docs, doc)
		}
		line += strings.Count(part, "\n")
	}
	for _, found := range separator.FindAllStringIndex(text, -1) {
		add(text[start:found[0]] + "\n")
		rest := strings.TrimSpace(text[found[0]+len("\n---") : found[1]])
		if rest != "" && rest[0] != '#' {
			problems = append(problems, fleet.Problem{
				File: file, Line: line, Message: "content on the line of a document separator",
				Hint: "begin the document on the line after ---",
			})
		}
		start = found[1]
		line++
	}
	add(text[start:])
	return docs, problems
}

func parseDocument(text string, line int) (document, error) {
	decoder := yaml.NewDecoder(strings.NewReader(text))
	var root yaml.Node
	if err := decoder.Decode(&root); errors.Is(err, io.EOF) {
		return document{}, nil
	} else if err != nil {
		return document{}, err
	}
	for {
		var more yaml.Node
		if err := decoder.Decode(&more); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return document{}, err
		}
		if !isNull(&more) {
			return document{}, errors.New("a second document begins without a line --- before it, and kustomize would lose it")
		}
	}
	if isNull(&root) {
		return document{}, nil
	}
	return document{line: line, text: text, node: root.Content[0]}, nil
}

func isNull(root *yaml.Node) bool {
	return len(root.Content) == 0 || root.Content[0].Kind == yaml.ScalarNode && root.Content[0].ShortTag() == "!!null"
}

var lineInError = regexp.MustCompile(`^yaml: (?:unmarshal errors:\s*)?line (\d+): `)

// yamlError returns the line and the message of a parser's error about a document
// that begins at the given line.
func yamlError(message string, first int) (int, string) {
	message = oneLine(message)
	found := lineInError.FindStringSubmatch(message)
	if found == nil {
		return first, strings.TrimPrefix(strings.TrimPrefix(message, "yaml: "), "json: ")
	}
	n, _ := strconv.Atoi(found[1])
	return first + n - 1, "not YAML: " + message[len(found[0]):]
}

// lineOf returns the line of a node of d in its file.
func (d document) lineOf(n *yaml.Node) int { return d.line + n.Line - 1 }

// value returns the value of a key of a mapping, or nil.
func value(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return follow(n.Content[i+1])
		}
	}
	return nil
}

// follow returns what an alias stands for.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// scalar returns a string at a path of keys, or "".
func scalar(n *yaml.Node, keys ...string) string {
	for _, key := range keys {
		n = value(n, key)
	}
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

// isFleet tells whether d describes the fleet, not something to run in a cluster.
func (d document) isFleet() bool {
	group, _, _ := strings.Cut(scalar(d.node, "apiVersion"), "/")
	return isFleetGroup(group)
}

// isFleetGroup tells whether an API group is one of documents that describe a fleet:
// our own, and Karmada's.
func isFleetGroup(group string) bool {
	own, _, _ := strings.Cut(fleet.APIVersion, "/")
	return group == own || group == "policy.karmada.io" || group == "cluster.karmada.io"
}

// items returns the objects of a list, or the document itself.
func (d document) items() []*yaml.Node {
	items := value(d.node, "items")
	if !strings.HasSuffix(scalar(d.node, "kind"), "List") || items == nil || items.Kind != yaml.SequenceNode {
		return []*yaml.Node{d.node}
	}
	objects := make([]*yaml.Node, len(items.Content))
	for i, item := range items.Content {
		objects[i] = follow(item)
	}
	return objects
}

// checkObjects refuses what no cluster could take: documents that are no objects,
// objects without a name, objects that are too large.
func (d document) checkObjects(file string) fleet.Problems {
	var problems fleet.Problems
	for _, object := range d.items() {
		at := fleet.Problem{File: file, Line: d.lineOf(object)}
		kind := scalar(object, "kind")
		switch {
		case sealedIdentity(object) != "":
			at.Field = sealedIdentity(object)
			at.Message = "it is encrypted, so nobody can tell what the object is or where it belongs"
			at.Hint = "encrypt only values: set encrypted_regex: ^(data|stringData)$ in .sops.yaml"
		case kind == "" || scalar(object, "apiVersion") == "":
			at.Message = "a document that is no Kubernetes object: it has no apiVersion or no kind"
			at.Hint = "keep other YAML out of the folders of an app"
		case scalar(object, "metadata", "name") == "" && !strings.HasSuffix(kind, "List"):
			at.Field, at.Message = "metadata.name", kind+" without a name"
			at.Hint = "an object of a fleet needs a fixed name; generateName is not enough"
		case weigh(object, MaxObject, 0) > MaxObject:
			at.Message = fmt.Sprintf("%s %q is larger than %d bytes", kind, scalar(object, "metadata", "name"), MaxObject)
			at.Hint = "clusters refuse such objects; split it"
		default:
			continue
		}
		problems = append(problems, at)
	}
	return problems
}

// maxAliases is how deep aliases may stand for aliases.
const maxAliases = 16

// weigh returns how many bytes n takes with its aliases expanded, or some number
// above limit when it takes more: an alias can stand for itself, or for gigabytes.
func weigh(n *yaml.Node, limit, aliases int) int {
	if n.Kind == yaml.AliasNode {
		if aliases == maxAliases {
			return limit + 1
		}
		return weigh(n.Alias, limit, aliases+1)
	}
	weight := len(n.Value) + 1
	for _, child := range n.Content {
		if weight > limit {
			break
		}
		weight += weigh(child, limit-weight, aliases)
	}
	return weight
}

// repeatedKey returns a key that is there twice in one mapping, or nil.
func repeatedKey(n *yaml.Node) *yaml.Node {
	seen := map[string]bool{}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && child.Kind == yaml.ScalarNode && child.ShortTag() != "!!merge" {
			if seen[child.Value] {
				return child
			}
			seen[child.Value] = true
			continue
		}
		if key := repeatedKey(child); key != nil {
			return key
		}
	}
	return nil
}

// oneLine joins the lines of a message.
func oneLine(message string) string { return strings.Join(strings.Fields(message), " ") }
