package fleet

import (
	"encoding/json"
	"testing"
	"time"
)

func TestReturn(t *testing.T) {
	type answer struct {
		after  time.Duration
		itself bool
	}
	for written, want := range map[string]answer{
		`"auto"`:            {0, true},
		`""`:                {0, true},
		`"manual"`:          {0, false},
		`"10m"`:             {10 * time.Minute, true},
		`"after 90s"`:       {90 * time.Second, true},
		`"after: 1h30m"`:    {90 * time.Minute, true},
		`{"after": "2h"}`:   {2 * time.Hour, true},
		` {"after": "30s"}`: {30 * time.Second, true},
	} {
		var r Return
		if written != `""` {
			if err := json.Unmarshal([]byte(written), &r); err != nil {
				t.Errorf("%s: %v", written, err)
				continue
			}
		}
		after, itself := r.After()
		if got := (answer{after, itself}); got != want {
			t.Errorf("%s: got %v, want %v", written, got, want)
		}
		raw, err := json.Marshal(r)
		var again Return
		if err == nil && r != "" {
			err = json.Unmarshal(raw, &again)
		}
		if err != nil || again != r {
			t.Errorf("%s: comes back as %q, %v", written, again, err)
		}
	}
	for _, written := range []string{`"soon"`, `"-1m"`, `10`, `{}`, `{"after": 10}`, `{"before": "1m"}`, `"after"`, `[]`} {
		var r Return
		if err := json.Unmarshal([]byte(written), &r); err == nil {
			t.Errorf("%s is read as %q", written, r)
		}
	}
}

func TestDurationString(t *testing.T) {
	for written, want := range map[string]string{
		"0s": "0s", "30s": "30s", "90s": "1m30s", "10m": "10m", "60m": "1h", "90m": "1h30m", "1h0m5s": "1h0m5s", "100ms": "100ms",
	} {
		d, err := ParseDuration(written)
		if got := d.String(); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", written, got, err, want)
		}
	}
}
