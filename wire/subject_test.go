package wire_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

func TestSubjects(t *testing.T) {
	address := wire.AddressOf(fleet.DigestOf([]byte("content")))
	got := map[string]string{
		"announcement": wire.DesiredSubject("eu-1"),
		"report":       wire.ReportSubject("eu-1", "shop"),
		"heartbeat":    wire.ClusterSubject("eu-1"),
		"chunk":        wire.ArtifactSubject(address, 12),
		"read it":      wire.DirectGet(wire.StreamDesired, wire.DesiredSubject("eu-1")),
		"inbox":        wire.InboxPrefix("eu-1"),
	}
	want := map[string]string{
		"announcement": "fleet.v1.desired.eu-1",
		"report":       "fleet.v1.report.eu-1.shop",
		"heartbeat":    "fleet.v1.cluster.eu-1",
		"chunk":        "fleet.v1.artifact.df2dbc083eef8d29b4506f57764405da64bdb0461fde89ceb887268abf9cd8bf.12",
		"read it":      "$JS.API.DIRECT.GET.NAVARCH_DESIRED.fleet.v1.desired.eu-1",
		"inbox":        "_INBOX.eu-1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestAllowAgent holds still what the credentials that are out there say.
func TestAllowAgent(t *testing.T) {
	want := wire.Allow{
		Publish: []string{
			"$JS.API.DIRECT.GET.NAVARCH_DESIRED.fleet.v1.desired.eu-1",
			"$JS.API.DIRECT.GET.NAVARCH_ARTIFACTS.fleet.v1.artifact.*.*",
			"fleet.v1.report.eu-1.*",
			"fleet.v1.cluster.eu-1",
		},
		Subscribe: []string{"fleet.v1.desired.eu-1", "_INBOX.eu-1.>"},
	}
	if diff := cmp.Diff(want, wire.AllowAgent("eu-1")); diff != "" {
		t.Error(diff)
	}
}

func TestParseSubjects(t *testing.T) {
	bad := map[string]string{
		"empty":             "",
		"another's":         "fleet.v1.other.eu-1.shop",
		"too short":         "fleet.v1.report.eu-1",
		"too long":          "fleet.v1.report.eu-1.shop.web",
		"no cluster":        "fleet.v1.report..shop",
		"every app":         "fleet.v1.report.eu-1.*",
		"every cluster":     "fleet.v1.report.*.shop",
		"upper case":        "fleet.v1.report.EU-1.shop",
		"another version":   "fleet.v2.report.eu-1.shop",
		"no chunk":          "fleet.v1.artifact.df2dbc083eef8d29b4506f57764405da64bdb0461fde89ceb887268abf9cd8bf",
		"chunk with zeros":  "fleet.v1.artifact.df2dbc083eef8d29b4506f57764405da64bdb0461fde89ceb887268abf9cd8bf.01",
		"chunk below zero":  "fleet.v1.artifact.df2dbc083eef8d29b4506f57764405da64bdb0461fde89ceb887268abf9cd8bf.-1",
		"short address":     "fleet.v1.artifact.c6a6fb.0",
		"two clusters":      "fleet.v1.cluster.eu-1.us-1",
		"every desired":     "fleet.v1.desired.*",
		"everything at all": ">",
	}
	for name, subject := range bad {
		t.Run(name, func(t *testing.T) {
			if c, a, err := wire.ParseReportSubject(subject); err == nil {
				t.Errorf("a report of %q in %q", a, c)
			}
			if c, err := wire.ParseClusterSubject(subject); err == nil {
				t.Errorf("a heartbeat of %q", c)
			}
			if c, err := wire.ParseDesiredSubject(subject); err == nil {
				t.Errorf("an announcement for %q", c)
			}
			if a, n, err := wire.ParseArtifactSubject(subject); err == nil {
				t.Errorf("chunk %d of %q", n, a)
			}
		})
	}
}

// FuzzParseSubjects looks for a subject that is read as something and is not how
// that is written.
func FuzzParseSubjects(f *testing.F) {
	f.Add(wire.ReportSubject("eu-1", "shop"))
	f.Add(wire.ClusterSubject("eu-1"))
	f.Add(wire.DesiredSubject("eu-1"))
	f.Add(wire.ArtifactSubject(wire.AddressOf("sha256:"), 3))
	f.Add("fleet.v1.report.*.>")
	f.Fuzz(func(t *testing.T, subject string) {
		if c, app, err := wire.ParseReportSubject(subject); err == nil && wire.ReportSubject(c, app) != subject {
			t.Errorf("%q is read as the report of %q in %q", subject, app, c)
		}
		if c, err := wire.ParseClusterSubject(subject); err == nil && wire.ClusterSubject(c) != subject {
			t.Errorf("%q is read as the heartbeat of %q", subject, c)
		}
		if c, err := wire.ParseDesiredSubject(subject); err == nil && wire.DesiredSubject(c) != subject {
			t.Errorf("%q is read as the announcement for %q", subject, c)
		}
		if a, n, err := wire.ParseArtifactSubject(subject); err == nil && wire.ArtifactSubject(a, n) != subject {
			t.Errorf("%q is read as chunk %d of %q", subject, n, a)
		}
	})
}
