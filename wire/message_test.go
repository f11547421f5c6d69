package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
)

func reportOf(objects int) Report {
	r := Report{Version: Version, Cluster: "eu-1", App: "shop", Conditions: []Condition{}}
	for i := range objects {
		r.Objects = append(r.Objects, ObjectReport{
			ObjectID: fleet.ObjectID{Kind: "ConfigMap", Namespace: "shop", Name: fmt.Sprintf("settings-%d", i)},
			Health:   Current,
		})
	}
	return r
}

func TestReportOnTheWire(t *testing.T) {
	for name, test := range map[string]struct {
		objects int
		plain   bool
	}{
		"short": {objects: 10, plain: true},
		"long":  {objects: 20_000},
	} {
		t.Run(name, func(t *testing.T) {
			message, err := EncodeReport(reportOf(test.objects))
			if err != nil {
				t.Fatal(err)
			}
			if len(message) > MaxMessage || json.Valid(message) != test.plain {
				t.Errorf("%d bytes, JSON: %v", len(message), json.Valid(message))
			}
			got, err := DecodeReport(message, "eu-1", "shop")
			if diff := cmp.Diff(reportOf(test.objects), got); diff != "" || err != nil {
				t.Error(diff, err)
			}
		})
	}
}

func TestDecodeReport(t *testing.T) {
	encode := func(change func(*Report)) []byte {
		r := reportOf(1)
		change(&r)
		message, err := EncodeReport(r)
		if err != nil {
			t.Fatal(err)
		}
		return message
	}
	tests := map[string]struct {
		message []byte
		want    string // of the error
	}{
		"another cluster": {
			message: encode(func(r *Report) { r.Cluster = "us-1" }),
			want:    `report is about app "shop" of cluster "us-1", its subject about app "shop" of cluster "eu-1"`,
		},
		"another app": {
			message: encode(func(r *Report) { r.App = "blog" }),
			want:    `report is about app "blog" of cluster "eu-1", its subject about app "shop" of cluster "eu-1"`,
		},
		"a later version": {
			message: encode(func(r *Report) { r.Version = 2 }),
			want:    "report has version 2, this hub knows 1: update the older of the two",
		},
		"empty":              {want: "decode report: unexpected end of JSON input"},
		"an acknowledgment":  {message: []byte(`{"stream":"NAVARCH_REPORTS","seq":3}`), want: "report has version 0, this hub knows 1: update the older of the two"},
		"a bomb":             {message: compressor.EncodeAll(make([]byte, 4*maxReport), nil), want: "decode report: it does not say that it is at most 16777216 bytes"},
		"cut off":            {message: compressor.EncodeAll(noise(1000), nil)[:500], want: "decode report: decompress 1000 bytes: unexpected EOF"},
		"compressed nothing": {message: compressor.EncodeAll(bytes.Repeat([]byte("x"), 1000), nil), want: "decode report: invalid character 'x' looking for beginning of value"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := DecodeReport(test.message, "eu-1", "shop"); err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

func TestDecodeHeartbeat(t *testing.T) {
	encode := func(h Heartbeat) []byte {
		message, err := EncodeHeartbeat(h)
		if err != nil {
			t.Fatal(err)
		}
		return message
	}
	tests := map[string]struct {
		message []byte
		want    string // of the error; empty: decodes
	}{
		"of this cluster": {message: encode(Heartbeat{Version: Version, Cluster: "eu-1"})},
		"of another": {
			message: encode(Heartbeat{Version: Version, Cluster: "us-1"}),
			want:    `heartbeat is of cluster "us-1", its subject of cluster "eu-1"`,
		},
		"of a later version": {
			message: encode(Heartbeat{Version: 2, Cluster: "eu-1"}),
			want:    "heartbeat has version 2, this hub knows 1: update the older of the two",
		},
		"too long": {message: make([]byte, maxHeartbeat+1), want: "decode heartbeat: it is 65537 bytes, a heartbeat has 65536"},
		"empty":    {want: "decode heartbeat: unexpected end of JSON input"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := DecodeHeartbeat(test.message, "eu-1")
			if test.want != "" {
				if err == nil || err.Error() != test.want {
					t.Errorf("error %v, want %s", err, test.want)
				}
				return
			}
			if err != nil || got.Cluster != "eu-1" {
				t.Error(got, err)
			}
		})
	}
}

// FuzzDecodeReport looks for bytes that take more than they may, or that are
// accepted for another app.
func FuzzDecodeReport(f *testing.F) {
	for _, objects := range []int{0, 3, 2000} {
		message, err := EncodeReport(reportOf(objects))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(message)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		r, err := DecodeReport(message, "eu-1", "shop")
		if err == nil && (r.Cluster != "eu-1" || r.App != "shop") {
			t.Errorf("accepted for app %q of cluster %q", r.App, r.Cluster)
		}
	})
}

func FuzzDecodeHeartbeat(f *testing.F) {
	f.Add([]byte(`{"version":1,"cluster":"eu-1","facts":{"nodes":3}}`))
	f.Fuzz(func(t *testing.T, message []byte) {
		h, err := DecodeHeartbeat(message, "eu-1")
		if err == nil && h.Cluster != "eu-1" {
			t.Errorf("accepted for cluster %q", h.Cluster)
		}
	})
}
