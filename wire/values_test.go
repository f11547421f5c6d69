package wire

import (
	"bytes"
	"encoding/json"
	"runtime"
	"strings"
	"testing"
)

// TestReportBombs: what is short on the wire is not long in memory.
func TestReportBombs(t *testing.T) {
	const head = `{"version":1,"cluster":"eu-1","app":"shop",`
	for name, body := range map[string]string{
		"objects of nothing":    head + `"objects":[` + strings.Repeat("{},", 5<<20) + `{}]}`,
		"no objects":            head + `"objects":[` + strings.Repeat("null,", 3<<20) + `null]}`,
		"objects of a kind":     head + `"objects":[` + strings.Repeat("0,", 7<<20) + `0]}`,
		"conditions":            head + `"conditions":[` + strings.Repeat("{},", 5<<20) + `{}]}`,
		"the fields of a drift": head + `"objects":[{"drift":{"fields":[` + strings.Repeat(`"",`, 5<<20) + `""]}}]}`,
		"twice and again":       head + strings.Repeat(`"objects":[{}],`, 1<<20) + `"objects":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			if !json.Valid([]byte(body)) {
				t.Fatal("this is no JSON")
			}
			message := compressor.EncodeAll([]byte(body), nil)
			if len(message) > MaxMessage {
				t.Fatalf("%d bytes do not fit a message", len(message))
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if r, err := DecodeReport(message, "eu-1", "shop"); err == nil {
				t.Errorf("decoded %d objects and %d conditions", len(r.Objects), len(r.Conditions))
			}
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > 2*maxReport {
				t.Errorf("it took %d MiB to refuse %d bytes", took>>20, len(message))
			}
		})
	}
}

// TestCountValues: brackets and commas count, but not those in text.
func TestCountValues(t *testing.T) {
	for text, want := range map[string]int{
		``: 1, `{}`: 2, `[1,2,3]`: 4, `{"a":[{},{}],"b":"x,[{\",y"}`: 7, `"a\\",1`: 2, `"`: 1, `"\`: 1,
	} {
		if got := countValues([]byte(text), 100); got != want {
			t.Errorf("%s: counted %d, want %d", text, got, want)
		}
	}
	if got := countValues(bytes.Repeat([]byte{','}, 1000), 10); got != 11 {
		t.Errorf("counted on: %d", got)
	}
	// A report as large as any that agents send stays below.
	r := reportOf(20_000)
	for i := range r.Objects {
		r.Objects[i].Message, r.Objects[i].Replicas = "2/3 replicas are ready", &Replicas{Wanted: 3, Updated: 3, Ready: 2, Available: 2}
	}
	message, err := EncodeReport(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeReport(message, "eu-1", "shop"); err != nil {
		t.Error(err)
	}
	if _, err := EncodeReport(reportOf(maxValues)); err == nil {
		t.Error("an agent would send what the hub refuses")
	}
}
