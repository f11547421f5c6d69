package fleet

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"regexp"
	"sort"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// documents yields the top of each document of a YAML file that is not empty,
// until the first that is not YAML.
func documents(content []byte) iter.Seq2[*yaml.Node, error] {
	return func(yield func(*yaml.Node, error) bool) {
		decoder := yaml.NewDecoder(bytes.NewReader(content))
		for {
			var root yaml.Node
			err := decoder.Decode(&root)
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield(nil, err)
				return
			case len(root.Content) == 0 || root.Content[0].ShortTag() == "!!null":
			case !yield(root.Content[0], nil):
				return
			}
		}
	}
}

var lineInError = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// messageOf returns what a parser's error says, without its line.
func messageOf(err error) string {
	return lineInError.ReplaceAllString(oneLine(err.Error()), "")
}

// lineOf returns the line of the mistake in a file that is not YAML. The parser
// tells the line where the block around it begins. The mistake is in the first line
// that the file cannot be cut off after without the same error.
func lineOf(err error, content []byte) int {
	message := messageOf(err)
	if message == "found unexpected end of stream" { // which any cut may cause
		found := lineInError.FindStringSubmatch(err.Error())
		if found == nil {
			return 0
		}
		line, _ := strconv.Atoi(found[1]) // "" gives 0: no line
		return line
	}
	lines := bytes.SplitAfter(content, []byte("\n"))
	return 1 + sort.Search(len(lines)-1, func(i int) bool {
		for _, err := range documents(bytes.Join(lines[:i+1], nil)) {
			if err != nil {
				return messageOf(err) == message
			}
		}
		return false
	})
}

// textAt returns the scalar at a path of keys, or "".
func textAt(n *yaml.Node, keys ...string) string {
	if found := nodeAt(n, keys...); found != nil {
		return found.Value
	}
	return ""
}

// nodeAt returns the node at a path of keys, or nil. Of a key that is there twice
// the last counts.
func nodeAt(n *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		var value *yaml.Node
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				value = n.Content[i+1]
			}
		}
		if value == nil {
			return nil
		}
		n = resolved(value)
	}
	return n
}

// resolved returns the node that an alias stands for.
func resolved(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}
