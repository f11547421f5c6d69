package fleet

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong in a fleet repository, with all that a person needs
// to find and mend it.
type Problem struct { //nolint:errname // it is a value to show first, and an error second
	File    string `json:"file,omitempty"`    // path in the repository, with slashes
	Line    int    `json:"line,omitempty"`    // from 1; 0 where no line can be named
	Field   string `json:"field,omitempty"`   // path of the field, as in "spec.placement.clusterAffinity"
	Message string `json:"message"`           // what is wrong, in lower case
	Hint    string `json:"hint,omitempty"`    // what to do about it
	Warning bool   `json:"warning,omitempty"` // true: said, but it does not stop the commit
}

// Error gives the problem on one line: "file:line: field: message (hint)".
func (p Problem) Error() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		b.WriteString(": ")
	}
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	return b.String()
}

// Problems is every problem of a repository, sorted by file, line and field.
type Problems []Problem //nolint:errname // as above

// Error gives one problem per line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Err returns ps as an error when it holds more than warnings, and nil otherwise.
func (ps Problems) Err() error {
	if slices.ContainsFunc(ps, func(p Problem) bool { return !p.Warning }) {
		return ps
	}
	return nil
}

// Sorted returns ps in the order of file, line, field and message, each once.
func (ps Problems) Sorted() Problems {
	sorted := slices.Clone(ps)
	slices.SortFunc(sorted, compareProblems)
	return slices.Compact(sorted)
}

func compareProblems(a, b Problem) int {
	if c := strings.Compare(a.File, b.File); c != 0 {
		return c
	}
	if a.Line != b.Line {
		return a.Line - b.Line
	}
	if c := strings.Compare(a.Field, b.Field); c != 0 {
		return c
	}
	return strings.Compare(a.Message, b.Message)
}
