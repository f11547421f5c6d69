package view

import (
	"fmt"
	"strings"
)

// Health is how an app does on one cluster, or the worst of many such. The zero
// value is Ready, and a higher value deserves a person's eye sooner.
type Health uint8

// The health words, best first.
const (
	Ready       Health = iota // runs what was announced
	Pending                   // announced, and the agent has not said a word about it
	Progressing               // being applied, or applied and not healthy yet
	Unknown                   // the agent does not know
	NotHeard                  // the agent is silent: nothing is known
	Held                      // kept by the agent although Git names neither it nor its removal
	Failed                    // the agent says that it does not get there by itself
	healths                   // how many there are
)

var healthWords = [healths]string{"Ready", "Pending", "Progressing", "Unknown", "NotHeard", "Held", "Failed"}

// Healths returns every health, worst first.
func Healths() []Health {
	return []Health{Failed, Held, NotHeard, Unknown, Progressing, Pending, Ready}
}

// ParseHealth is the inverse of [Health.String], whatever the case of its letters.
func ParseHealth(s string) (Health, error) {
	for h, word := range healthWords {
		if strings.EqualFold(word, s) {
			return Health(h), nil
		}
	}
	return 0, fmt.Errorf("health %q is not one of %s", s, strings.Join(healthWords[:], ", "))
}

// String gives the health as one word.
func (h Health) String() string {
	if h >= healths {
		return "Unknown"
	}
	return healthWords[h]
}

// MarshalText gives the health as one word.
func (h Health) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText gives.
func (h *Health) UnmarshalText(text []byte) error {
	parsed, err := ParseHealth(string(text))
	if err != nil {
		return err
	}
	*h = parsed
	return nil
}

// Counts counts things by their health.
type Counts [healths]int

// Of returns how many have a health.
func (c Counts) Of(h Health) int { return c[h] }

// Total returns how many there are.
func (c Counts) Total() int {
	total := 0
	for _, n := range c {
		total += n
	}
	return total
}

// Worst returns the worst health that is counted, Ready when nothing is.
func (c Counts) Worst() Health {
	for h := healths - 1; h > 0; h-- {
		if c[h] > 0 {
			return h
		}
	}
	return Ready
}
