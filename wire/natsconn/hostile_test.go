package natsconn_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// raw connects with the credentials of a cluster's agent and nothing else of it.
func (b *bed) raw(cluster fleet.ClusterName, options ...nats.Option) *nats.Conn {
	b.t.Helper()
	credentials, err := b.identity.AgentCredentials(cluster)
	check(b.t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(b.ca)
	options = append(options, nats.UserCredentialBytes(credentials), nats.Secure(&tls.Config{RootCAs: roots}),
		nats.CustomInboxPrefix(wire.InboxPrefix(cluster)))
	nc, err := nats.Connect(b.url, options...)
	check(b.t, err)
	b.t.Cleanup(nc.Close)
	return nc
}

const secret = "the overlay of another cluster"

// furnish puts down what two clusters have: announcement, artifact, report and
// heartbeat. It returns the digest of the secret of us-1.
func (b *bed) furnish() fleet.Digest {
	b.t.Helper()
	ctx := b.t.Context()
	digest, chunks, err := wire.PackArtifact([]byte(secret))
	check(b.t, err)
	check(b.t, b.hub.PutArtifact(ctx, wire.AddressOf(digest), chunks))
	for _, cluster := range []fleet.ClusterName{"eu-1", "us-1"} {
		check(b.t, b.hub.Announce(ctx, cluster, []byte("announced to "+cluster)))
		agent := b.agent(cluster)
		check(b.t, agent.Report(ctx, wire.Report{Version: 1, Cluster: cluster, App: "shop"}))
		check(b.t, agent.Heartbeat(ctx, wire.Heartbeat{Version: 1, Cluster: cluster}))
	}
	return digest
}

// kept returns everything in the streams.
func (b *bed) kept() map[string]string {
	b.t.Helper()
	_, js := b.streams()
	all := map[string]string{}
	for _, name := range []string{wire.StreamDesired, wire.StreamArtifacts, wire.StreamReports} {
		stream, err := js.Stream(b.t.Context(), name)
		check(b.t, err)
		state := stream.CachedInfo().State
		for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
			if message, err := stream.GetMsg(b.t.Context(), seq); err == nil {
				all[name+" "+message.Subject] = string(message.Data)
			}
		}
	}
	return all
}

// TestAgentReads: what its allow-list is for, works.
func TestAgentReads(t *testing.T) { everywhere(t, testAgentReads) }

func testAgentReads(t *testing.T, bed *bed) {
	digest := bed.furnish()
	agent := bed.agent("us-1")
	heard := newInbox[string]()
	run(t, func(ctx context.Context) error {
		return agent.Desired(ctx, "us-1", func(sealed []byte) error {
			heard.add(string(sealed))
			return nil
		})
	})
	heard.wait(t, "its announcement", last("announced to us-1"))
	if content, err := agent.Artifact(t.Context(), digest); err != nil || string(content) != secret {
		t.Errorf("%q, %v", content, err)
	}
}

// TestAgentIsRefused tries everything that an agent has no business with. NATS
// says no, and what is kept stays as it is.
func TestAgentIsRefused(t *testing.T) { everywhere(t, testAgentIsRefused) }

func testAgentIsRefused(t *testing.T, bed *bed) {
	bed.furnish()
	before := bed.kept()
	publish := map[string]string{
		"another's announcement":      wire.DirectGet(wire.StreamDesired, wire.DesiredSubject("us-1")),
		"every announcement":          wire.DirectGet(wire.StreamDesired, wire.AllDesired),
		"everything announced":        wire.DirectGet(wire.StreamDesired, ">"),
		"a subject in the body":       "$JS.API.DIRECT.GET." + wire.StreamDesired,
		"another's report":            wire.DirectGet(wire.StreamReports, wire.ReportSubject("us-1", "shop")),
		"its own report":              wire.DirectGet(wire.StreamReports, wire.ReportSubject("eu-1", "shop")),
		"the slow way to a message":   "$JS.API.STREAM.MSG.GET." + wire.StreamDesired,
		"the stream's subjects":       "$JS.API.STREAM.INFO." + wire.StreamArtifacts,
		"the list of streams":         "$JS.API.STREAM.LIST",
		"what the account has":        "$JS.API.INFO",
		"a consumer":                  "$JS.API.CONSUMER.CREATE." + wire.StreamDesired,
		"purge":                       "$JS.API.STREAM.PURGE." + wire.StreamReports,
		"delete":                      "$JS.API.STREAM.DELETE." + wire.StreamReports,
		"a stream of its own":         "$JS.API.STREAM.CREATE.MINE",
		"forge its own announcement":  wire.DesiredSubject("eu-1"),
		"forge another's":             wire.DesiredSubject("us-1"),
		"forge an artifact":           wire.ArtifactSubject(wire.AddressOf(fleet.DigestOf([]byte(secret))), 0),
		"report for another":          wire.ReportSubject("us-1", "shop"),
		"report for all":              wire.AllReports,
		"another's heartbeat":         wire.ClusterSubject("us-1"),
		"an answer to another":        wire.InboxPrefix("us-1") + ".guess",
		"an answer to itself":         wire.InboxPrefix("eu-1") + ".guess",
		"the hub's inboxes":           "_INBOX.guess",
		"the server's API":            "$SYS.REQ.SERVER.PING",
		"who it is":                   "$SYS.REQ.USER.INFO",
		"anything":                    "hello",
		"a report of an app's detail": "fleet.v1.report.eu-1.shop.detail",
	}
	for name, subject := range publish {
		t.Run("publish/"+name, func(t *testing.T) {
			refused := newInbox[error]()
			nc := bed.raw("eu-1", nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused.add(err) }))
			body := []byte(`{"last_by_subj":"` + wire.DesiredSubject("us-1") + `"}`)
			check(t, nc.PublishRequest(subject, nc.NewInbox(), body))
			errs := refused.wait(t, "a refusal", func(errs []error) bool { return len(errs) > 0 })
			if !errors.Is(errs[0], nats.ErrPermissionViolation) || !strings.Contains(errs[0].Error(), subject) {
				t.Errorf("refused with %v", errs)
			}
		})
	}
	subscribe := map[string]string{
		"everything":             ">",
		"every announcement":     wire.AllDesired,
		"another's announcement": wire.DesiredSubject("us-1"),
		"every report":           wire.AllReports,
		"its own reports":        wire.ReportSubjects("eu-1"),
		"every inbox":            "_INBOX.>",
		"another's inbox":        wire.InboxPrefix("us-1") + ".>",
		"inboxes of any cluster": "_INBOX.*.*",
		"artifacts":              wire.AllArtifacts,
		"the server's events":    "$SYS.>",
		"the streams' events":    "$JS.EVENT.>",
		"answers across":         "_R_.>",
	}
	for name, subject := range subscribe {
		t.Run("subscribe/"+name, func(t *testing.T) {
			nc := bed.raw("eu-1", nats.PermissionErrOnSubscribe(true), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
			subscription, err := nc.SubscribeSync(subject)
			check(t, err)
			if message, err := subscription.NextMsg(5 * time.Second); !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("message %v, error %v", message, err)
			}
		})
	}
	if diff := cmp.Diff(before, bed.kept()); diff != "" {
		t.Errorf("what is kept has changed: %s", diff)
	}
}

// TestAgentNamesAnotherInbox sends requests that an agent may make and has their
// answers go where it may not write itself. NATS does not check that; the border
// between the accounts does.
func TestAgentNamesAnotherInbox(t *testing.T) { everywhere(t, testAgentNamesAnotherInbox) }

func testAgentNamesAnotherInbox(t *testing.T, bed *bed) {
	bed.furnish()
	nc := bed.raw("eu-1")
	requests := map[string]string{
		"its announcement": wire.DirectGet(wire.StreamDesired, wire.DesiredSubject("eu-1")),
		"a report":         wire.ReportSubject("eu-1", "shop"),
		"a heartbeat":      wire.ClusterSubject("eu-1"),
	}
	body, err := wire.EncodeReport(wire.Report{Version: 1, Cluster: "eu-1", App: "shop"})
	check(t, err)
	beat, err := wire.EncodeHeartbeat(wire.Heartbeat{Version: 1, Cluster: "eu-1"})
	check(t, err)
	bodies := map[string][]byte{"a report": body, "a heartbeat": beat}
	before := bed.kept()
	for name, request := range requests {
		for _, inbox := range []string{
			wire.DesiredSubject("us-1"),
			wire.DesiredSubject("eu-1"),
			wire.ReportSubject("us-1", "shop"),
			wire.ClusterSubject("us-1"),
			wire.ArtifactSubject(wire.AddressOf(fleet.DigestOf([]byte(secret))), 0),
			"$JS.API.STREAM.PURGE." + wire.StreamReports,
			"$JS.API.STREAM.DELETE." + wire.StreamReports,
			"$JS.API.DIRECT.GET." + wire.StreamDesired,
		} {
			check(t, nc.PublishRequest(request, inbox, bodies[name]))
		}
	}
	// One more of each, whose answers come after those of all others.
	for name, request := range requests {
		if _, err := nc.Request(request, bodies[name], 5*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(before, bed.kept()); diff != "" {
		t.Errorf("what is kept has changed: %s", diff)
	}
}

// TestAgentAsksForAnyArtifact asks for the last artifact of any address, which
// NATS answers: the content of the answers stays sealed, and no address is a way
// to the digest that opens it.
func TestAgentAsksForAnyArtifact(t *testing.T) { everywhere(t, testAgentAsksForAnyArtifact) }

func testAgentAsksForAnyArtifact(t *testing.T, bed *bed) {
	digest := bed.furnish()
	nc := bed.raw("eu-1")
	for _, subject := range []string{"fleet.v1.artifact.*.*", "fleet.v1.artifact.*.0", wire.ArtifactSubject(wire.AddressOf(digest), 0)} {
		answer, err := nc.Request(wire.DirectGet(wire.StreamArtifacts, subject), nil, 5*time.Second)
		if err != nil {
			t.Errorf("%s: %v", subject, err)
			continue
		}
		headers, err := json.Marshal(answer.Header)
		check(t, err)
		if bytes.Contains(answer.Data, []byte(secret)) || bytes.Contains(headers, []byte(digest.Hex())) {
			t.Errorf("%s gives it away: %s %q", subject, headers, answer.Data)
		}
		address, _, err := wire.ParseArtifactSubject(answer.Header.Get("Nats-Subject"))
		check(t, err)
		if _, err := wire.UnpackArtifact(fleet.Digest("sha256:"+string(address)), [][]byte{answer.Data}); !errors.Is(err, wire.ErrCorrupt) {
			t.Errorf("%s opens: %v", subject, err)
		}
	}
	refused := newInbox[error]()
	all := bed.raw("eu-1", nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused.add(err) }))
	check(t, all.PublishRequest(wire.DirectGet(wire.StreamArtifacts, "fleet.v1.artifact.>"), all.NewInbox(), nil))
	refused.wait(t, "a refusal", func(errs []error) bool { return len(errs) > 0 })
}

// TestAgentLimits: an agent cannot send what is too large or listen too often.
func TestAgentLimits(t *testing.T) { everywhere(t, testAgentLimits) }

func testAgentLimits(t *testing.T, bed *bed) {
	refused := newInbox[error]()
	nc := bed.raw("eu-1", nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused.add(err) }))
	if err := nc.Publish(wire.ClusterSubject("eu-1"), make([]byte, wire.MaxMessage+1)); !errors.Is(err, nats.ErrMaxPayload) {
		t.Errorf("a large message: %v", err)
	}
	for range 20 {
		_, err := nc.Subscribe(wire.DesiredSubject("eu-1"), func(*nats.Msg) {})
		check(t, err)
	}
	refused.wait(t, "a refusal", func(errs []error) bool { return len(errs) > 0 })
}
