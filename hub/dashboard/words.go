package dashboard

import (
	"html/template"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/navarch/navarch/hub/view"
	"github.com/navarch/navarch/wire"
)

// words are the functions with which the templates say things to people.
func words() template.FuncMap {
	return template.FuncMap{
		"mark":     markOf,
		"object":   markOfObject,
		"glyph":    func(class string) mark { return mark{Class: class} },
		"short":    shortRevision,
		"hash":     shortHash,
		"number":   number,
		"plural":   plural,
		"web":      webLink,
		"marks":    func() []mark { return everyMark },
		"firstly":  firstLine,
		"quantity": quantity,
		"rollout":  rollout,
		"life":     lifeInWords,
	}
}

// mark is how a health looks: never a colour alone, always a shape and a word.
type mark struct {
	Class string // of the style sheet, and the name of the glyph
	Word  string
	Says  string // what the word means, in one sentence
}

var marks = map[view.Health]mark{
	view.Ready:       {"ready", "Ready", "runs exactly what was announced, and is healthy"},
	view.Pending:     {"pending", "Pending", "announced; the agent has not answered yet"},
	view.Progressing: {"progressing", "Progressing", "being applied, or not healthy yet"},
	view.Unknown:     {"unknown", "Unknown", "the agent cannot say"},
	view.NotHeard:    {"notheard", "Not heard from", "the agent is silent, so nothing is known"},
	view.Held:        {"held", "Held", "kept by the agent, although Git names neither it nor its removal"},
	view.Failed:      {"failed", "Failed", "does not get there by itself"},
}

// everyMark is all marks, worst first.
var everyMark = func() []mark {
	var all []mark
	for _, h := range view.Healths() {
		all = append(all, marks[h])
	}
	return all
}()

func markOf(h view.Health) mark { return marks[h] }

// markOfObject is how the health of an object looks, in kstatus' words.
func markOfObject(h wire.Health) mark {
	class := "unknown"
	switch h {
	case wire.Current:
		class = "ready"
	case wire.InProgress, wire.Terminating:
		class = "progressing"
	case wire.Failed, wire.NotFound:
		class = "failed"
	case wire.Unknown:
	}
	return mark{Class: class, Word: string(h)}
}

// rollout says how far a workload's pods are: "3 of 5 updated, 2 ready" while they
// change, and "5 replicas" when they are as they should be.
func rollout(r wire.Replicas) string {
	if r.Settled() && r.Ready >= r.Wanted {
		return plural(r.Wanted, "replica")
	}
	said := number(r.Updated) + " of " + number(r.Wanted) + " updated, " + number(r.Ready) + " ready"
	if r.Available != r.Ready {
		said += ", " + number(r.Available) + " available"
	}
	return said
}

// shortRevision gives "main@4f0c2a1" for "main@sha1:4f0c2a1…".
func shortRevision(revision string) string {
	branch, _, ok := strings.Cut(revision, "@")
	if !ok {
		return shortHash(revision)
	}
	return branch + "@" + shortHash(revision)
}

// shortHash gives "4f0c2a1" for "main@sha1:4f0c2a1…".
func shortHash(revision string) string {
	hash := revision[strings.LastIndexAny(revision, "@:")+1:]
	if len(hash) > 7 {
		return hash[:7]
	}
	return hash
}

// number writes n with a comma after each three digits.
func number(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// plural writes a count and its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// webLink returns an address only if a browser may be sent there.
func webLink(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return ""
	}
	return u.String()
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// quantity writes a Kubernetes quantity so that people can read it: bytes in the unit
// that fits, thousandths as fractions. What is no quantity stays as it is.
func quantity(s string) string {
	q, err := resource.ParseQuantity(s)
	if err != nil {
		return s
	}
	n := q.AsApproximateFloat64()
	if q.Format != resource.BinarySI {
		return strconv.FormatFloat(math.Round(n*10)/10, 'f', -1, 64)
	}
	if n < 1<<20 {
		return s
	}
	unit := "KiB"
	n /= 1 << 10
	for _, larger := range []string{"MiB", "GiB", "TiB"} {
		if n < 1<<10 {
			break
		}
		n, unit = n/(1<<10), larger
	}
	return strconv.FormatFloat(n, 'f', decimals(n), 64) + " " + unit
}

func decimals(n float64) int {
	if n < 10 {
		return 1
	}
	return 0
}

// lifeInWords gives "3 days" for "72h".
func lifeInWords(s string) string {
	d, err := time.ParseDuration(s)
	if err != nil {
		return s
	}
	if hours := int(d / time.Hour); hours < 24 {
		return plural(hours, "hour")
	}
	return plural(int(d/(24*time.Hour)), "day")
}

// moment is a time as seen from another. A script refreshes what it says, in the
// same words.
type moment struct {
	At, Now time.Time
}

// Known tells whether there was such a time at all.
func (m moment) Known() bool { return !m.At.IsZero() }

// ISO is the time for programs.
func (m moment) ISO() string { return m.At.UTC().Format(time.RFC3339) }

// Full is the time for people who want it exactly.
func (m moment) Full() string { return m.At.UTC().Format("2006-01-02 15:04:05 UTC") }

// Ago gives the age, as in "3 min ago".
func (m moment) Ago() string {
	if m.Now.Sub(m.At) < time.Second {
		return "just now"
	}
	return m.Lasts() + " ago"
}

// Lasts gives the age without "ago".
func (m moment) Lasts() string { return lasting(m.Now.Sub(m.At)) }

// lasting gives a duration in its largest unit.
func lasting(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(max(int(d/time.Second), 0)) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	}
	return strconv.Itoa(int(d/(24*time.Hour))) + " d"
}
