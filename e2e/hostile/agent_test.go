package hostile

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// TestHostileAgent is an enrolled agent that tries, one after the other, what it has no
// business with. Whatever it does, its neighbour is told and heard as before.
func TestHostileAgent(t *testing.T) {
	s := newStage(t)
	s.announced(s.push(twoClusters("")))
	neighbour, i := s.join("us-1"), s.join("eu-1")
	neighbour.report(wire.Report{App: "canary-app", Conditions: []wire.Condition{{Type: wire.Ready, Status: "True", Message: "canary-report"}}})
	neighbour.beat(wire.Heartbeat{Instance: "canary-instance"})
	their, _ := neighbour.index()
	mine, index := i.index()
	t.Run("is an agent", func(t *testing.T) { // else all that follows would prove nothing
		for _, app := range index.Apps {
			if n, err := objectsOf(app, i.artifact); err != nil || n != 1 {
				t.Errorf("app %q has %d objects: %v", app.Name, n, err)
			}
		}
		if len(index.Apps) != 2 || mine == their {
			t.Errorf("it should run %+v", index)
		}
	})
	t.Run("publishes", func(t *testing.T) { i.publishes(t, their) })
	t.Run("asks with another subject", func(t *testing.T) { i.asksOtherwise(t) })
	t.Run("subscribes", func(t *testing.T) { i.subscribes(t) })
	t.Run("has answers sent elsewhere", func(t *testing.T) { i.repliesElsewhere(t, neighbour, their) })
	t.Run("uses its inbox prefix for more", func(t *testing.T) { i.listensWide(t) })
	t.Run("enrols", func(t *testing.T) { i.enrols(t, neighbour) })
	t.Run("uses a stolen door", func(t *testing.T) { i.stealsDoor(t, neighbour) })
	t.Run("reports oddly", func(t *testing.T) { i.reportsOddly(t) })
	t.Run("forges and replays announcements", func(t *testing.T) { i.replays(t, neighbour) })

	after, _ := neighbour.index()
	if after != their {
		t.Error("the neighbour is told something else")
	}
	if !s.shown("us-1", "canary-report") || !s.shown("us-1", "canary-instance") {
		t.Error("what the neighbour said is no longer shown")
	}
}

// publishes tries every subject that could read, write or command something. What is
// not refused by name is a finding.
func (i *intruder) publishes(t *testing.T, their fleet.Digest) {
	address := wire.AddressOf(their)
	api := func(verb, stream string) string { return "$JS.API." + verb + "." + stream }
	subjects := map[string]string{
		"another's announcement":     wire.DirectGet(wire.StreamDesired, wire.DesiredSubject("us-1")),
		"every announcement":         wire.DirectGet(wire.StreamDesired, wire.AllDesired),
		"all that is announced":      wire.DirectGet(wire.StreamDesired, ">"),
		"another's report":           wire.DirectGet(wire.StreamReports, wire.ReportSubject("us-1", "canary-app")),
		"every report":               wire.DirectGet(wire.StreamReports, wire.AllReports),
		"another's heartbeat":        wire.DirectGet(wire.StreamReports, wire.ClusterSubject("us-1")),
		"its own report":             wire.DirectGet(wire.StreamReports, wire.ReportSubject("eu-1", "mine")),
		"everything stored":          wire.DirectGet(wire.StreamArtifacts, ">"),
		"deeper artifacts":           wire.DirectGet(wire.StreamArtifacts, "fleet.v1.artifact.>"),
		"announcements as artifacts": wire.DirectGet(wire.StreamArtifacts, wire.DesiredSubject("us-1")),
		"artifacts as announcements": wire.DirectGet(wire.StreamDesired, wire.ArtifactSubject(address, 0)),
		"a subject in the body":      "$JS.API.DIRECT.GET." + wire.StreamDesired,
		"artifacts in the body":      "$JS.API.DIRECT.GET." + wire.StreamArtifacts,
		"the account":                "$JS.API.INFO",
		"the list of streams":        "$JS.API.STREAM.LIST",
		"the names of streams":       "$JS.API.STREAM.NAMES",
		"a stream of its own":        "$JS.API.STREAM.CREATE.MINE",
		"another's desired state":    wire.DesiredSubject("us-1"),
		"its own desired state":      wire.DesiredSubject("eu-1"),
		"everybody's desired state":  "fleet.v1.desired.all",
		"an artifact":                wire.ArtifactSubject(address, 0),
		"another chunk":              wire.ArtifactSubject(address, 7),
		"another's report, spoofed":  wire.ReportSubject("us-1", "canary-app"),
		"all reports":                "fleet.v1.report.us-1.>",
		"a heartbeat, spoofed":       wire.ClusterSubject("us-1"),
		"another's enrolment":        wire.EnrolSubject("us-1"),
		"its own enrolment":          wire.EnrolSubject("eu-1"), // that is for the door
		"another's inbox":            wire.InboxPrefix("us-1") + ".guess",
		"another's door":             wire.DoorInboxPrefix("us-1") + ".guess",
		"the hub's inboxes":          "_INBOX.guess",
		"an answer across accounts":  "_R_.guess",
		"an acknowledgment":          "$JS.ACK." + wire.StreamReports + ".c.1.1.1.1.0",
		"flow control":               "$JS.FC." + wire.StreamReports + ".a.b",
		"an advisory":                "$JS.EVENT.ADVISORY.STREAM.DELETED." + wire.StreamReports,
		"the server":                 "$SYS.REQ.SERVER.PING",
		"its connections":            "$SYS.REQ.SERVER.PING.CONNZ",
		"reload":                     "$SYS.REQ.SERVER.NAVARCH.RELOAD",
		"claims":                     "$SYS.REQ.CLAIMS.UPDATE",
		"claims of an account":       "$SYS.REQ.ACCOUNT.A.CLAIMS.UPDATE",
		"accounts":                   "$SYS.REQ.ACCOUNT.PING",
		"who it is":                  "$SYS.REQ.USER.INFO",
		"a latency":                  "$SYS.LATENCY.M2.A",
	}
	for _, stream := range []string{wire.StreamDesired, wire.StreamArtifacts, wire.StreamReports} {
		for _, verb := range []string{
			"STREAM.INFO", "STREAM.UPDATE", "STREAM.PURGE", "STREAM.DELETE", "STREAM.SNAPSHOT", "STREAM.RESTORE", "STREAM.MSG.GET",
			"STREAM.MSG.DELETE", "STREAM.LEADER.STEPDOWN", "STREAM.PEER.REMOVE", "CONSUMER.CREATE", "CONSUMER.LIST", "CONSUMER.NAMES",
			"CONSUMER.DURABLE.CREATE",
		} {
			subjects[verb+" "+stream] = api(verb, stream)
		}
		subjects["a consumer of "+stream] = "$JS.API.CONSUMER.CREATE." + stream + ".c.>"
		subjects["the next of "+stream] = "$JS.API.CONSUMER.MSG.NEXT." + stream + ".c"
	}
	body := []byte(`{"last_by_subj":"` + wire.DesiredSubject("us-1") + `"}`)
	for _, subject := range subjects {
		check(t, i.nc.PublishRequest(subject, i.nc.NewInbox(), body))
	}
	for name, subject := range subjects {
		t.Run(name, func(t *testing.T) { i.refused(t, subject) })
	}
	headers := &nats.Msg{Subject: wire.DesiredSubject("us-1"), Header: nats.Header{
		"Nats-Rollup": {"all"}, "Nats-Msg-Id": {"1"}, "Nats-Trace-Dest": {wire.DesiredSubject("us-1")},
	}}
	check(t, i.nc.PublishMsg(headers))
	i.refused(t, headers.Subject)
}

// asksOtherwise puts another subject into what it may ask for: in the body and in the
// headers, in every form that a stream understands anywhere.
func (i *intruder) asksOtherwise(t *testing.T) {
	bodies := map[string]string{
		"last_by_subj": `{"last_by_subj":"fleet.v1.desired.us-1"}`,
		"next_by_subj": `{"next_by_subj":"fleet.v1.desired.us-1"}`,
		"multi_last":   `{"multi_last":["fleet.v1.desired.us-1"]}`,
		"all of them":  `{"multi_last":[">"],"batch":1000}`,
		"seq":          `{"seq":1}`,
		"many":         `{"seq":1,"batch":1000,"max_bytes":1000000}`,
		"since":        `{"start_time":"2020-01-01T00:00:00Z","batch":1000}`,
		"both":         `{"last_by_subj":"fleet.v1.desired.us-1","seq":1}`,
		"odd":          `[{"seq":1}]`,
		"nothing":      ``,
	}
	for name, body := range bodies {
		for _, subject := range []string{
			wire.DirectGet(wire.StreamDesired, wire.DesiredSubject("eu-1")),
			wire.DirectGet(wire.StreamArtifacts, wire.AllArtifacts),
		} {
			m := &nats.Msg{Subject: subject, Data: []byte(body), Header: nats.Header{
				"Nats-Subject": {wire.DesiredSubject("us-1")}, "Nats-Stream": {wire.StreamReports}, "Nats-Trace-Dest": {wire.DesiredSubject("us-1")},
			}}
			answer, err := i.nc.RequestMsg(m, 300*time.Millisecond) // some are never answered
			if errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) {
				continue
			}
			check(t, err)
			if got := answer.Header.Get("Nats-Subject"); strings.Contains(got, "us-1") || strings.Contains(got, "report") {
				t.Errorf("%s: %s was answered with %s", name, subject, got)
			}
			if found := canaryIn(answer.Data); found != "" {
				t.Errorf("%s: %s gave %q away", name, subject, found)
			}
		}
	}
}

// subscribes tries every subject on which something of others passes, alone and as one
// of a queue, which has been a way around rules before.
func (i *intruder) subscribes(t *testing.T) {
	nc := i.connect(nats.CustomInboxPrefix(wire.InboxPrefix(i.cluster)), nats.PermissionErrOnSubscribe(true))
	for name, subject := range map[string]string{
		"everything":             ">",
		"all of one word":        "*",
		"all of the protocol":    "fleet.>",
		"every announcement":     wire.AllDesired,
		"another's announcement": wire.DesiredSubject("us-1"),
		"every report":           wire.AllReports,
		"another's reports":      wire.ReportSubjects("us-1"),
		"its own reports":        wire.ReportSubjects("eu-1"),
		"heartbeats":             wire.AllClusters,
		"enrolments":             wire.AllEnrol,
		"artifacts":              wire.AllArtifacts,
		"every inbox":            "_INBOX.>",
		"another's inbox":        wire.InboxPrefix("us-1") + ".>",
		"inboxes of any cluster": "_INBOX.*.*",
		"doors":                  "_INBOX._door.>",
		"its own door":           wire.DoorInboxPrefix("eu-1") + ".>",
		"the server":             "$SYS.>",
		"the streams' events":    "$JS.EVENT.>",
		"the streams' API":       "$JS.>",
		"answers across":         "_R_.>",
		"a wildcard of its own":  "fleet.v1.desired.eu-1.>",
	} {
		for _, queue := range []string{"", "q"} {
			t.Run(name+queue, func(t *testing.T) {
				subscription, err := nc.QueueSubscribeSync(subject, queue)
				check(t, err)
				if message, err := subscription.NextMsg(10 * time.Second); !errors.Is(err, nats.ErrPermissionViolation) {
					t.Errorf("message %v, error %v", message, err)
				}
			})
		}
	}
}

// repliesElsewhere makes requests that it may make and has their answers go where it may
// not write itself.
func (i *intruder) repliesElsewhere(t *testing.T, neighbour *intruder, their fleet.Digest) {
	requests := []string{
		wire.DirectGet(wire.StreamDesired, wire.DesiredSubject("eu-1")), wire.DirectGet(wire.StreamArtifacts, wire.AllArtifacts),
		wire.ReportSubject("eu-1", "mine"), wire.ClusterSubject("eu-1"),
	}
	for _, request := range requests {
		for _, inbox := range []string{
			wire.DesiredSubject("us-1"), wire.ReportSubject("us-1", "canary-app"), wire.ClusterSubject("us-1"), wire.EnrolSubject("us-1"),
			wire.ArtifactSubject(wire.AddressOf(their), 0), wire.InboxPrefix("us-1") + ".x", "$JS.API.STREAM.PURGE." + wire.StreamDesired,
			"$JS.API.STREAM.DELETE." + wire.StreamReports, "$SYS.REQ.SERVER.PING", "_R_.x", ">", "fleet.v1.desired.*",
		} {
			if err := i.nc.PublishRequest(request, inbox, []byte("{}")); err != nil && !errors.Is(err, nats.ErrBadSubject) {
				t.Fatal(err)
			}
		}
	}
	// An answer to everywhere goes nowhere. It makes the server forget answers that are on
	// their way, which is asked for again: it is a delay, and says nothing to anybody.
	ask := wire.DirectGet(wire.StreamDesired, wire.DesiredSubject("us-1"))
	for range 200 {
		check(t, i.nc.PublishRequest(requests[0], ">", nil))
	}
	check(t, i.nc.Flush())
	answered := func(who *intruder, request string) {
		var err error
		for range 3 { // as agents ask
			if _, err = who.nc.Request(request, nil, 10*time.Second); err == nil {
				return
			}
		}
		t.Errorf("%s is not answered any more: %v", request, err)
	}
	answered(neighbour, ask)
	for _, request := range requests { // whose answers come after those of all others
		answered(i, request)
	}
}

// listensWide: under the prefix of its own inbox an agent hears only what it asked for.
func (i *intruder) listensWide(t *testing.T) {
	all, err := i.nc.SubscribeSync(wire.InboxPrefix(i.cluster) + ".>")
	check(t, err)
	const asked = 20
	inbox := wire.InboxPrefix(i.cluster) + ".mine"
	for range asked {
		check(t, i.nc.PublishRequest(wire.DirectGet(wire.StreamArtifacts, wire.AllArtifacts), inbox, nil))
	}
	for n := range asked {
		message, err := all.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatalf("answer %d: %v", n, err)
		}
		if message.Subject != inbox || canaryIn(message.Data) != "" {
			t.Errorf("heard %s: %q", message.Subject, canaryIn(message.Data))
		}
	}
	check(t, all.Unsubscribe())
}
