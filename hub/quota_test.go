package hub

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// TestQuota says as an agent more than a hub remembers. Another agent's quota stays.
func TestQuota(t *testing.T) {
	name := func(i int) fleet.AppName { return fleet.AppName(fmt.Sprintf("app-%d", i)) }
	object := wire.ObjectReport{ObjectID: fleet.ObjectID{Kind: "ConfigMap", Name: "a"}, Message: strings.Repeat("x", 4<<10), Drift: &wire.Drift{Fields: []string{"f"}, By: []string{"b"}}}
	large := wire.Report{Cluster: "eu-1", Conditions: []wire.Condition{{Type: wire.Ready}}}
	for range 1000 {
		large.Objects = append(large.Objects, object)
	}
	for kind, test := range map[string]struct {
		report func(i int) wire.Report
		want   int // of the report that is too much, counted from 0
	}{
		"names":      {func(i int) wire.Report { return wire.Report{Cluster: "eu-1", App: name(i)} }, maxApps},
		"bytes":      {func(i int) wire.Report { r := large; r.App = name(i); return r }, maxSaid / sizeOf(large)},
		"never ends": {func(int) wire.Report { return large }, -1},
	} {
		t.Run(kind, func(t *testing.T) {
			q := newQuota(discard)
			first := -1
			for i := range maxApps + 1 {
				if q.take(test.report(i)) && first < 0 {
					first = i
				}
				if spent := q.of("eu-1"); spent.bytes > maxSaid || len(spent.apps) > maxApps {
					t.Fatalf("after %d reports: %d bytes of %d apps", i, spent.bytes, len(spent.apps))
				}
			}
			if first != test.want {
				t.Errorf("report %d was too much, want %d", first, test.want)
			}
			if q.take(wire.Report{Cluster: "us-1", App: "shop"}) {
				t.Error("another cluster has to pay for it")
			}
		})
	}
}

// TestQuotaOfLines: an agent fills no log, and does not silence another.
func TestQuotaOfLines(t *testing.T) {
	var log bytes.Buffer
	q := newQuota(slog.New(slog.NewTextHandler(&log, nil)))
	for range 1000 {
		q.warn(t.Context(), "eu-1", "refused")
	}
	q.warn(t.Context(), "us-1", "refused")
	if lines := strings.Count(log.String(), "\n"); lines < 2 || lines > 10 || !strings.Contains(log.String(), "cluster=us-1") {
		t.Errorf("%d lines:\n%s", lines, log.String())
	}
}
