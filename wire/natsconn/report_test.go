package natsconn_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// listen notes what a hub hears, as words.
func listen(t *testing.T, conn *natsconn.Conn) *inbox[string] {
	heard := newInbox[string]()
	listener := natsconn.Listener{
		Report: func(r wire.Report, received time.Time) {
			if since := time.Since(received); since < -time.Minute || since > time.Minute {
				t.Errorf("received %s", received)
			}
			heard.add(fmt.Sprintf("report %s %s %s", r.Cluster, r.App, r.Attempted.Revision))
		},
		Heartbeat: func(h wire.Heartbeat, _ time.Time) { heard.add(fmt.Sprintf("heartbeat %s %d", h.Cluster, h.Sequence)) },
		Refused:   func(subject string, err error) { heard.add("refused " + subject + ": " + err.Error()) },
		Current:   func() { heard.add("current") },
		Lost:      func() { heard.add("lost") },
	}
	run(t, func(ctx context.Context) error { return conn.Reports(ctx, listener) })
	return heard
}

func contains(word string) func([]string) bool {
	return func(words []string) bool { return slices.Contains(words, word) }
}

// say reports, again and again while there is nobody who keeps it, as agents do.
func say(t *testing.T, agent *natsconn.Conn, cluster fleet.ClusterName, revision string) {
	t.Helper()
	until(t, func() bool {
		err := agent.Report(t.Context(), wire.Report{Version: 1, Cluster: cluster, App: "shop", Attempted: wire.Applied{Revision: revision}})
		if err != nil && !errors.Is(err, natsconn.ErrUnavailable) {
			t.Fatal(err)
		}
		return err == nil
	})
}

func TestReports(t *testing.T) { everywhere(t, testReports) }

func testReports(t *testing.T, bed *bed) {
	eu, us := bed.agent("eu-1"), bed.agent("us-1")
	say(t, eu, "eu-1", "one")
	say(t, eu, "eu-1", "two")
	say(t, us, "us-1", "one")
	check(t, us.Heartbeat(t.Context(), wire.Heartbeat{Version: 1, Cluster: "us-1", Sequence: 7}))

	heard := listen(t, bed.hub)
	kept := heard.wait(t, "what is kept", contains("current"))
	if diff := cmp.Diff([]string{"report eu-1 shop two", "report us-1 shop one", "heartbeat us-1 7", "current"}, kept); diff != "" {
		t.Error(diff)
	}
	say(t, us, "us-1", "two")
	heard.wait(t, "a report", last("report us-1 shop two"))
	check(t, eu.Heartbeat(t.Context(), wire.Heartbeat{Version: 1, Cluster: "eu-1", Sequence: 8}))
	heard.wait(t, "a heartbeat", last("heartbeat eu-1 8"))
}

// TestReportsFromNothing: a hub whose streams are empty is current at once.
func TestReportsFromNothing(t *testing.T) { everywhere(t, testReportsFromNothing) }

func testReportsFromNothing(t *testing.T, bed *bed) {
	heard := listen(t, bed.hub)
	heard.wait(t, "nothing", contains("current"))
	say(t, bed.agent("eu-1"), "eu-1", "one")
	heard.wait(t, "a report", last("report eu-1 shop one"))
}

// TestReportsRefused: an agent whose words are about another cluster or app is
// not believed, and does not stop the others from being heard.
func TestReportsRefused(t *testing.T) { everywhere(t, testReportsRefused) }

func testReportsRefused(t *testing.T, bed *bed) {
	heard := listen(t, bed.hub)
	heard.wait(t, "nothing", contains("current"))
	nc := bed.raw("eu-1")
	report := func(cluster fleet.ClusterName, app fleet.AppName) []byte {
		body, err := wire.EncodeReport(wire.Report{Version: 1, Cluster: cluster, App: app})
		check(t, err)
		return body
	}
	beat, err := wire.EncodeHeartbeat(wire.Heartbeat{Version: 1, Cluster: "us-1"})
	check(t, err)
	for _, message := range []struct {
		subject string
		body    []byte
	}{
		{wire.ReportSubject("eu-1", "shop"), report("us-1", "shop")},
		{wire.ReportSubject("eu-1", "shop"), report("eu-1", "blog")},
		{wire.ReportSubjects("eu-1"), report("eu-1", "shop")},
		{"fleet.v1.report.eu-1.NOT_AN_APP", report("eu-1", "NOT_AN_APP")},
		{wire.ReportSubject("eu-1", "shop"), []byte("{")},
		{wire.ClusterSubject("eu-1"), beat},
	} {
		if _, err := nc.Request(message.subject, message.body, 5*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	say(t, bed.agent("us-1"), "us-1", "one")
	words := heard.wait(t, "the other agent's report", last("report us-1 shop one"))
	refused := 0
	for _, word := range words {
		if strings.HasPrefix(word, "refused fleet.v1.") {
			refused++
		} else if word != "current" && word != "report us-1 shop one" {
			t.Errorf("heard %q", word)
		}
	}
	if refused == 0 {
		t.Errorf("nothing refused: %q", words)
	}
}

// TestReportsAfterRestart: the broker goes and comes back, with what it kept and
// then without.
func TestReportsAfterRestart(t *testing.T) { everywhere(t, testReportsAfterRestart) }

func testReportsAfterRestart(t *testing.T, bed *bed) {
	hub, agent := bed.dialHub(false), bed.agent("eu-1")
	check(t, hub.EnsureStreams(t.Context(), 0))
	heard := listen(t, hub)
	heard.wait(t, "nothing", contains("current"))
	say(t, agent, "eu-1", "one")
	heard.wait(t, "a report", last("report eu-1 shop one"))

	restart := func() {
		t.Helper()
		made, next := agent.Connects()
		bed.stop()
		bed.start()
		<-next
		if again, _ := agent.Connects(); again <= made {
			t.Errorf("%d connections after %d", again, made)
		}
	}
	restart()
	heard.wait(t, "the kept report again", func(words []string) bool {
		return len(words) > 3 && slices.Equal(words[len(words)-2:], []string{"report eu-1 shop one", "current"})
	})
	say(t, agent, "eu-1", "two")
	heard.wait(t, "a report", last("report eu-1 shop two"))

	bed.stop()
	bed.lose()
	restart()
	heard.wait(t, "that nothing is kept", contains("lost"))
	say(t, agent, "eu-1", "three")
	heard.wait(t, "a report", contains("report eu-1 shop three"))
}

// TestReportsAfterStreamLoss: somebody deletes the stream under a hub that stays
// connected.
func TestReportsAfterStreamLoss(t *testing.T) { everywhere(t, testReportsAfterStreamLoss) }

func testReportsAfterStreamLoss(t *testing.T, bed *bed) {
	agent := bed.agent("eu-1")
	say(t, agent, "eu-1", "one")
	heard := listen(t, bed.hub)
	heard.wait(t, "what is kept", contains("current"))
	_, js := bed.streams()
	check(t, js.DeleteStream(t.Context(), wire.StreamReports))
	heard.wait(t, "that it is lost", contains("lost"))
	say(t, agent, "eu-1", "two")
	heard.wait(t, "a report", contains("report eu-1 shop two"))
}

func TestDeleteReports(t *testing.T) { everywhere(t, testDeleteReports) }

func testDeleteReports(t *testing.T, bed *bed) {
	bed.furnish()
	eu := bed.agent("eu-1")
	check(t, eu.Report(t.Context(), wire.Report{Version: 1, Cluster: "eu-1", App: "blog"}))
	reports := func() []string {
		var subjects []string
		for key := range bed.kept() {
			if stream, subject, _ := strings.Cut(key, " "); stream == wire.StreamReports {
				subjects = append(subjects, subject)
			}
		}
		slices.Sort(subjects)
		return subjects
	}
	check(t, bed.hub.DeleteReport(t.Context(), "eu-1", "shop"))
	us := []string{"fleet.v1.cluster.us-1", "fleet.v1.report.us-1.shop"}
	if diff := cmp.Diff([]string{"fleet.v1.cluster.eu-1", us[0], "fleet.v1.report.eu-1.blog", us[1]}, reports()); diff != "" {
		t.Error(diff)
	}
	check(t, bed.hub.DeleteReports(t.Context(), "eu-1"))
	if diff := cmp.Diff(us, reports()); diff != "" {
		t.Error(diff)
	}
}

// TestReportLimits: a report of an app that is far too large says so, at once and
// not as something to try again.
func TestReportLimits(t *testing.T) { everywhere(t, testReportLimits) }

func testReportLimits(t *testing.T, bed *bed) {
	agent := bed.agent("eu-1")
	r := wire.Report{Version: 1, Cluster: "eu-1", App: "shop"}
	for i := range 20_000 {
		r.Objects = append(r.Objects, wire.ObjectReport{ObjectID: fleet.ObjectID{Kind: "ConfigMap", Name: fmt.Sprint("settings-", i)}, Health: wire.Current})
	}
	check(t, agent.Report(t.Context(), r))
	r.Objects[0].Message = string(noise(2<<20, 1))
	if err := agent.Report(t.Context(), r); err == nil || errors.Is(err, natsconn.ErrUnavailable) {
		t.Errorf("a report of 2 MiB: %v", err)
	}
	facts := map[string]string{"cpu": strings.Repeat("9", 1<<20)}
	if err := agent.Heartbeat(t.Context(), wire.Heartbeat{Version: 1, Cluster: "eu-1", Facts: wire.Facts{Capacity: facts}}); err == nil || errors.Is(err, natsconn.ErrUnavailable) {
		t.Errorf("a heartbeat of 1 MiB: %v", err)
	}
}

// until repeats what fails as long as the other side is not ready.
func until(t testing.TB, holds func() bool) {
	t.Helper()
	ctx := within(t, 20*time.Second)
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatal("this has not happened")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func BenchmarkReport(b *testing.B) {
	bed := newBed(b)
	agent := bed.agent("eu-1")
	for b.Loop() {
		check(b, agent.Report(b.Context(), wire.Report{Version: 1, Cluster: "eu-1", App: "shop"}))
	}
}

// BenchmarkReports reads 10,000 reports that are kept.
func BenchmarkReports(b *testing.B) {
	bed := newBed(b)
	_, js := bed.streams()
	for i := range 10_000 {
		cluster := fleet.ClusterName(fmt.Sprintf("c-%d", i))
		body, err := json.Marshal(wire.Report{Version: 1, Cluster: cluster, App: "shop"})
		check(b, err)
		_, err = js.PublishAsync(wire.ReportSubject(cluster, "shop"), body)
		check(b, err)
	}
	<-js.PublishAsyncComplete()
	for b.Loop() {
		heard := map[fleet.ClusterName]bool{}
		ctx, cancel := context.WithCancel(b.Context())
		check(b, bed.hub.Reports(ctx, natsconn.Listener{
			Report:  func(r wire.Report, _ time.Time) { heard[r.Cluster] = true },
			Refused: func(subject string, err error) { b.Error(subject, err) },
			Current: cancel,
		}))
		if len(slices.Collect(maps.Keys(heard))) != 10_000 {
			b.Fatalf("heard %d", len(heard))
		}
	}
}
