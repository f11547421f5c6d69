package fleet

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// withDefaults returns b with the defaults in place of the bounds that are not set.
func (b DeletionBudget) withDefaults() DeletionBudget {
	if !b.Objects.Set {
		b.Objects = Bound{Count: 20, Percent: true, Set: true}
	}
	return b
}

// defaultSilentAfter is how long nothing is heard of a cluster before it is not
// ready.
const defaultSilentAfter = Duration(30 * time.Second)

// withDefaults returns s with the defaults in place of what is not set.
func (s FailoverSettings) withDefaults() FailoverSettings {
	if s == (FailoverSettings{}) { // no fleet.yaml: one that is read has a time
		s = FailoverSettings{Cluster: true, SilentAfter: defaultSilentAfter}
	}
	return s
}

// ParseBound reads a count, as in "5", or a share, as in "20%".
func ParseBound(s string) (Bound, error) {
	digits, percent := strings.CutSuffix(s, "%")
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil || percent && n > 100 {
		return Bound{}, fmt.Errorf("is %q, want a count such as 5 or a share such as \"20%%\"", s)
	}
	return Bound{Count: int(n), Percent: percent, Set: true}, nil
}

// String gives "5", "20%", or "no bound".
func (b Bound) String() string {
	switch {
	case !b.Set:
		return "no bound"
	case b.Percent:
		return strconv.Itoa(b.Count) + "%"
	}
	return strconv.Itoa(b.Count)
}

// exceededBy tells whether part, out of whole, is more than b allows.
func (b Bound) exceededBy(part, whole int) bool {
	switch {
	case !b.Set:
		return false
	case b.Percent:
		return part*100 > b.Count*whole
	}
	return part > b.Count
}

// MarshalJSON gives a count as a number and a share as text; no bound is null.
func (b Bound) MarshalJSON() ([]byte, error) {
	switch {
	case !b.Set:
		return []byte("null"), nil
	case b.Percent:
		return json.Marshal(b.String())
	}
	return json.Marshal(b.Count)
}

// UnmarshalJSON reads what [Bound.MarshalJSON] writes, and a count as text.
func (b *Bound) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		*b = Bound{}
		return nil
	}
	text := string(raw)
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
	}
	parsed, err := ParseBound(text)
	if err != nil {
		return err
	}
	*b = parsed
	return nil
}
