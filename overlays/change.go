package overlays

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// How much of a change is written.
const (
	maxText  = 120 // characters of one value
	maxLines = 40  // lines of one text
)

// String writes c for people: a line that begins with +, - or ~, and one for each
// field. Texts of several lines are written as the lines that differ.
func (c ObjectChange) String() string {
	var b strings.Builder
	switch c.Action {
	case ObjectAdded:
		return "+ " + c.Object.String()
	case ObjectRemoved:
		return "- " + c.Object.String()
	case ObjectKept:
		if c.Object.Kind == "CustomResourceDefinition" {
			return "= " + c.Object.String() + ", stays in the cluster where there are objects of its kind"
		}
		return "= " + c.Object.String() + ", stays in the cluster"
	case ObjectReplaced:
		fmt.Fprintf(&b, "~ %s, in place of %s", c.Object, c.Was.Name)
	default:
		fmt.Fprintf(&b, "~ %s", c.Object)
	}
	for _, f := range c.Fields {
		b.WriteString("\n    " + strings.ReplaceAll(f.String(), "\n", "\n    "))
	}
	return b.String()
}

// String writes f for people, as in "spec.replicas: 2 -> 3".
func (f FieldChange) String() string {
	before, wasText := f.Before.(string)
	after, isText := f.After.(string)
	switch {
	case f.Before == nil:
		return fmt.Sprintf("%s: added %s", f.Path, brief(f.After))
	case f.After == nil:
		return fmt.Sprintf("%s: removed %s", f.Path, brief(f.Before))
	case before == Hidden && after == Hidden:
		return fmt.Sprintf("%s: changed %s", f.Path, Hidden)
	case wasText && isText && (strings.Contains(before, "\n") || strings.Contains(after, "\n")):
		return fmt.Sprintf("%s:\n%s", f.Path, linesText(before, after))
	}
	return fmt.Sprintf("%s: %s -> %s", f.Path, brief(f.Before), brief(f.After))
}

// brief writes a value on one line.
func brief(v any) string {
	text, ok := v.(string)
	if !ok || text == "" || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		var encoded strings.Builder
		encoder := json.NewEncoder(&encoded)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(v); err != nil {
			return fmt.Sprintf("(%v)", err)
		}
		text = strings.TrimSuffix(encoded.String(), "\n")
	}
	if runes := []rune(text); len(runes) > maxText {
		return string(runes[:maxText]) + "…"
	}
	return text
}

// linesText writes the lines that differ between two texts, in order.
func linesText(before, after string) string {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	var out []string
	for _, line := range lineChanges(a, b) {
		text := []rune(line)
		if len(text) > maxText {
			line = string(text[:maxText]) + "…"
		}
		out = append(out, strings.TrimRight(line, " \r"))
	}
	if more := len(out) - maxLines; more > 0 {
		out = append(out[:maxLines], fmt.Sprintf("… and %d more lines", more))
	}
	return strings.Join(out, "\n")
}

// maxTable bounds the work and memory of finding the lines that two texts share.
const maxTable = 1 << 20

// lineChanges returns the lines of a that b does not have, after "- ", and the
// other way round, after "+ ".
func lineChanges(a, b []string) []string {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	if len(a)*len(b) > maxTable {
		return append(prefixed("- ", a), prefixed("+ ", b)...)
	}
	// common[i][j] is how many lines a[i:] and b[j:] have in common, in order.
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i, line := range slices.Backward(a) {
		for j, other := range slices.Backward(b) {
			common[i][j] = max(common[i+1][j], common[i][j+1])
			if line == other {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}
	var changes []string
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common[i+1][j] >= common[i][j+1]):
			changes = append(changes, "- "+a[i])
			i++
		default:
			changes = append(changes, "+ "+b[j])
			j++
		}
	}
	return changes
}

func prefixed(prefix string, lines []string) []string {
	changes := make([]string, len(lines))
	for i, line := range lines {
		changes[i] = prefix + line
	}
	return changes
}
