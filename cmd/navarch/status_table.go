package main

import (
	"bytes"
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/navarch/navarch/fleet"
)

// text gives s as a table, as of now by the hub's clock, and below it what needs a
// person.
func (s status) text(now time.Time, wide bool) string {
	var out bytes.Buffer
	table := tabwriter.NewWriter(&out, 0, 0, 3, ' ', 0)
	columns := []string{"CLUSTER", "APP", "HEALTH", "DESIRED", "APPLIED", "LAG", "HEARD"}
	if wide {
		columns = append(columns, "NAMESPACE", "REGION", "AGENT", "BECAUSE")
	}
	row := func(values []string, message string) {
		for i, value := range values {
			values[i] = cmp.Or(value, "-")
		}
		_, _ = fmt.Fprintln(table, strings.Join(append(values, message), "\t")) // to memory, which takes everything
	}
	row(columns, "MESSAGE")
	for _, c := range s.Cells {
		values := []string{
			string(c.Cluster), string(c.App), c.Health, shortRevision(c.Desired), shortRevision(c.Applied),
			c.lag(now), age(c.Heard, now),
		}
		if wide {
			values = append(values, c.Namespace, c.Region, c.Agent, c.because())
		}
		row(values, c.message())
	}
	_ = table.Flush()
	var text strings.Builder
	for line := range strings.Lines(out.String()) {
		text.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	for _, notice := range s.notices() {
		text.WriteString("\n" + notice)
	}
	return text.String()
}

// lag says for how long a change has been announced that is not applied.
func (c cell) lag(now time.Time) string {
	switch {
	case !c.Behind:
		return ""
	case c.Announced.IsZero():
		return "?" // announced before the hub started
	}
	return age(c.Announced, now)
}

// message says in one line why the cell is not Ready.
func (c cell) message() string {
	line, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
	switch {
	case c.Said == "":
		return line
	case c.Heard.IsZero():
		return "no agent has connected yet"
	}
	return strings.TrimSpace("was " + c.Said + " when last heard. " + line)
}

func (c cell) because() string {
	if c.Because.Detail == "" {
		return c.Because.Rule
	}
	return c.Because.Rule + ": " + c.Because.Detail
}

// notices are what needs a person, each one or more whole lines.
func (s status) notices() []string {
	var notices []string
	if s.Error != "" {
		notices = append(notices, "The repository cannot be read: "+s.Error+"\n")
	}
	if s.Refused != "" {
		notices = append(notices, fmt.Sprintf("Commit %s was refused and changes nothing; %s stays:\n%s",
			shortRevision(s.Refused), cmp.Or(shortRevision(s.Revision), "nothing"), indented(s.Problems)))
	}
	if s.Refused == "" && len(s.Problems) > 0 {
		notices = append(notices, fmt.Sprintf("Commit %s has warnings:\n%s", shortRevision(s.Revision), indented(s.Problems)))
	}
	if s.Rewound != "" {
		notices = append(notices, fmt.Sprintf("Commit %s does not follow the one before it: a push was forced.\n", shortRevision(s.Rewound)))
	}
	if s.Hold != nil {
		notices = append(notices, s.Hold.text())
	}
	return notices
}

func indented(problems fleet.Problems) string {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString("  " + p.Error() + "\n")
	}
	return b.String()
}

func (h hold) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Commit %s is held: it deletes %s, and a person has to agree:\n", shortRevision(h.Revision), plural(h.Deleted, "object"))
	for _, reason := range h.Reasons {
		if reason.Cluster != "" {
			fmt.Fprintf(&b, "  cluster %s: %s\n", reason.Cluster, reason.Message)
			continue
		}
		fmt.Fprintf(&b, "  %s\n", reason.Message)
	}
	fmt.Fprintf(&b, "To agree: navarch release %s\n", h.Revision)
	return b.String()
}

// shortRevision gives "main@4f0c2a1" for "main@sha1:4f0c2a1...".
func shortRevision(revision string) string {
	branch, hash, ok := strings.Cut(revision, "@")
	if !ok {
		return revision
	}
	hash = hash[strings.LastIndexByte(hash, ':')+1:]
	return branch + "@" + hash[:min(7, len(hash))]
}

// age gives the time since t in its largest unit; "" when there was no such time.
func age(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := max(now.Sub(t), 0)
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	}
	return strconv.Itoa(int(d/(24*time.Hour))) + "d"
}
