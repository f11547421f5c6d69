package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Return says when an app goes back to a cluster that was lost and is well again:
// [ReturnAuto], [ReturnManual], or a time that the cluster has to be well for, as in
// "10m". The zero value means auto.
type Return string

// The words of a [Return].
const (
	ReturnAuto   Return = "auto"   // as soon as the cluster is well
	ReturnManual Return = "manual" // when a person says so
)

// ParseReturn reads "auto", "manual", "10m" and "after: 10m".
func ParseReturn(s string) (Return, error) {
	switch r := Return(s); r {
	case ReturnAuto, ReturnManual:
		return r, nil
	}
	text := strings.TrimPrefix(s, "after")
	if text != s {
		text = strings.TrimSpace(strings.TrimPrefix(text, ":"))
	}
	after, err := ParseDuration(text)
	if err != nil {
		return "", fmt.Errorf("is %q, want auto, manual, or how long the cluster has to be well before, as in {after: 10m}", s)
	}
	return Return(after.String()), nil
}

// After returns how long a cluster has to be well before the app goes back, and
// false when the app does not go back by itself.
func (r Return) After() (time.Duration, bool) {
	switch r {
	case "", ReturnAuto:
		return 0, true
	case ReturnManual:
		return 0, false
	}
	after, err := ParseDuration(string(r))
	return time.Duration(after), err == nil
}

// UnmarshalJSON reads what [ParseReturn] reads, and {"after": "10m"}.
func (r *Return) UnmarshalJSON(raw []byte) error {
	var text string
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		var form struct {
			After *string `json:"after"`
		}
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&form); err != nil || form.After == nil {
			return fmt.Errorf("is %s, want auto, manual or {after: 10m}", raw)
		}
		text = "after " + *form.After
	} else if err := json.Unmarshal(raw, &text); err != nil {
		return fmt.Errorf("is %s, want auto, manual or {after: 10m}", raw)
	}
	parsed, err := ParseReturn(text)
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}

// Duration is a time as people write it: "30s", "10m", "1h30m".
type Duration time.Duration

// ParseDuration reads a duration that is not negative.
func ParseDuration(s string) (Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("is %q, want a time such as 30s, 10m or 1h30m", s)
	}
	return Duration(d), nil
}

// String gives "10m", without the parts that are zero at its end.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalJSON gives the text of [Duration.String].
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads a text, as [ParseDuration] does.
func (d *Duration) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return fmt.Errorf("is %s, want a time such as 30s, 10m or 1h30m", raw)
	}
	parsed, err := ParseDuration(text)
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}
