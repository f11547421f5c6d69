package natsconn_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

func last(word string) func([]string) bool {
	return func(heard []string) bool { return len(heard) > 0 && heard[len(heard)-1] == word }
}

func TestDesired(t *testing.T) { everywhere(t, testDesired) }

func testDesired(t *testing.T, bed *bed) {
	heard := newInbox[string]()
	listen := func(conn *natsconn.Conn) func() {
		return run(t, func(ctx context.Context) error {
			return conn.Desired(ctx, "eu-1", func(sealed []byte) error {
				heard.add(string(sealed))
				return nil
			})
		})
	}
	agent := bed.agent("eu-1")
	stop := listen(agent)

	check(t, bed.hub.Announce(t.Context(), "us-1", []byte("for another")))
	check(t, bed.hub.Announce(t.Context(), "eu-1", []byte("one")))
	heard.wait(t, "the first announcement", last("one"))
	check(t, bed.hub.Announce(t.Context(), "eu-1", []byte("two")))
	heard.wait(t, "the second announcement", last("two"))

	stop()
	check(t, bed.hub.Announce(t.Context(), "eu-1", []byte("three")))
	listen(agent)
	words := heard.wait(t, "what was announced meanwhile", last("three"))
	if slices.Contains(words, "for another") {
		t.Errorf("another's announcement is among %q", words)
	}
}

// TestDesiredAfterRestart restarts the broker on the same port, the hub with it:
// the agent comes back by itself and looks at what is kept.
func TestDesiredAfterRestart(t *testing.T) { everywhere(t, testDesiredAfterRestart) }

func testDesiredAfterRestart(t *testing.T, bed *bed) {
	check(t, bed.hub.Announce(t.Context(), "eu-1", []byte("kept")))
	agent := bed.agent("eu-1")
	heard := newInbox[string]()
	run(t, func(ctx context.Context) error {
		return agent.Desired(ctx, "eu-1", func(sealed []byte) error {
			heard.add(string(sealed))
			return nil
		})
	})
	heard.wait(t, "the kept announcement", last("kept"))
	made, next := agent.Connects()

	bed.hub.Close()
	bed.stop()
	bed.start()
	<-next
	if again, _ := agent.Connects(); again <= made {
		t.Errorf("%d connections after %d", again, made)
	}
	heard.wait(t, "the kept announcement once more", func(words []string) bool { return len(words) >= 2 && last("kept")(words) })

	bed.hub = bed.dialHub(true)
	bed.ensure()
	check(t, bed.hub.Announce(t.Context(), "eu-1", []byte("new")))
	heard.wait(t, "the next announcement", last("new"))
}

// TestDesiredBeforeTheHub starts an agent that finds no server, then one without
// streams, then streams that keep nothing for it.
func TestDesiredBeforeTheHub(t *testing.T) { everywhere(t, testDesiredBeforeTheHub) }

func testDesiredBeforeTheHub(t *testing.T, bed *bed) {
	bed.hub.Close()
	bed.stop()
	bed.lose()
	credentials, err := bed.identity.AgentCredentials("eu-1")
	check(t, err)
	agent, err := natsconn.Dial(natsconn.Config{
		URL: bed.url, CA: bed.ca, Credentials: credentials,
		InboxPrefix: wire.InboxPrefix("eu-1"), Refresh: time.Hour, Log: quiet(t),
	})
	check(t, err)
	t.Cleanup(agent.Close)
	if agent.Connected() {
		t.Error("connected to nothing")
	}
	if err := agent.Heartbeat(t.Context(), wire.Heartbeat{Version: 1, Cluster: "eu-1"}); !errors.Is(err, natsconn.ErrUnavailable) {
		t.Errorf("a heartbeat without a server: %v", err)
	}
	heard := newInbox[string]()
	run(t, func(ctx context.Context) error {
		return agent.Desired(ctx, "eu-1", func(sealed []byte) error {
			heard.add(string(sealed))
			return nil
		})
	})
	bed.start()
	check(t, agent.WaitConnected(within(t, 30*time.Second)))
	if err := agent.Heartbeat(t.Context(), wire.Heartbeat{Version: 1, Cluster: "eu-1"}); !errors.Is(err, natsconn.ErrUnavailable) {
		t.Errorf("a heartbeat without streams: %v", err)
	}
	if _, err := agent.Artifact(t.Context(), fleet.DigestOf(nil)); !errors.Is(err, natsconn.ErrNotFound) {
		t.Errorf("an artifact without streams: %v", err)
	}
	bed.hub = bed.dialHub(true)
	bed.ensure()
	check(t, bed.hub.Announce(t.Context(), "eu-1", []byte("at last")))
	heard.wait(t, "the first announcement", last("at last"))
}

// TestDesiredRefused: after an announcement that is refused comes the one that is
// kept, whatever somebody put on the way.
func TestDesiredRefused(t *testing.T) { everywhere(t, testDesiredRefused) }

func testDesiredRefused(t *testing.T, bed *bed) {
	check(t, bed.hub.Announce(t.Context(), "eu-1", []byte("good")))
	agent := bed.agent("eu-1")
	heard := newInbox[string]()
	run(t, func(ctx context.Context) error {
		return agent.Desired(ctx, "eu-1", func(sealed []byte) error {
			heard.add(string(sealed))
			if string(sealed) != "good" {
				return wire.ErrSignature
			}
			return nil
		})
	})
	heard.wait(t, "the kept announcement", last("good"))
	// Another agent has the answer to its own request sent there.
	hostile := bed.raw("us-1")
	check(t, hostile.PublishRequest(wire.ClusterSubject("us-1"), wire.DesiredSubject("eu-1"), []byte("{}")))
	words := heard.wait(t, "the kept announcement after a forged one", func(words []string) bool {
		return len(words) == 3 && last("good")(words)
	})
	if words[1] == "good" {
		t.Errorf("no forged announcement among %q", words)
	}
}

// TestDesiredKeptLate: a server tells of an announcement before it keeps it. Who comes in
// between hears of it soon all the same.
func TestDesiredKeptLate(t *testing.T) {
	bed := newBed(t)
	agent := bed.agent("eu-1")
	nc, _ := bed.streams()
	for range 9000 { // more than the server keeps at once, and less than it refuses
		check(t, nc.Publish(wire.DesiredSubject("us-1"), make([]byte, 8<<10)))
	}
	check(t, nc.Publish(wire.DesiredSubject("eu-1"), []byte("one")))
	check(t, nc.Flush()) // the server has told of all, to nobody
	heard := newInbox[string]()
	run(t, desired(agent, heard))
	heard.wait(t, "the announcement", last("one"))
}

func TestKeptAnnouncements(t *testing.T) { everywhere(t, testKeptAnnouncements) }

func testKeptAnnouncements(t *testing.T, bed *bed) {
	kept, err := bed.hub.KeptAnnouncements(t.Context())
	if err != nil || len(kept) != 0 {
		t.Fatalf("%d announcements at the start, %v", len(kept), err)
	}
	want := map[fleet.ClusterName][]byte{}
	for i := range 1000 {
		want[fleet.ClusterName(fmt.Sprintf("c-%d", i))] = fmt.Appendf(nil, "announcement %d", i)
	}
	check(t, bed.hub.AnnounceAll(t.Context(), map[fleet.ClusterName][]byte{"c-1": []byte("older")}))
	check(t, bed.hub.AnnounceAll(t.Context(), want))
	if kept, err = bed.hub.KeptAnnouncements(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, kept); diff != "" {
		t.Error(diff)
	}
}

// TestEnsureStreams: again it changes nothing, and what somebody has changed it
// puts right.
func TestEnsureStreams(t *testing.T) { everywhere(t, testEnsureStreams) }

func testEnsureStreams(t *testing.T, bed *bed) {
	check(t, bed.hub.Announce(t.Context(), "eu-1", []byte("kept")))
	_, js := bed.streams()
	stream, err := js.Stream(t.Context(), wire.StreamDesired)
	check(t, err)
	before := stream.CachedInfo().Config
	check(t, bed.hub.EnsureStreams(t.Context(), 0))
	changed := before
	changed.MaxMsgsPerSubject = 5
	changed.Description = "somebody's"
	_, err = js.UpdateStream(t.Context(), changed)
	check(t, err)
	check(t, bed.hub.EnsureStreams(t.Context(), 0))
	stream, err = js.Stream(t.Context(), wire.StreamDesired)
	check(t, err)
	if diff := cmp.Diff(before, stream.CachedInfo().Config); diff != "" {
		t.Error(diff)
	}
	if kept, err := bed.hub.KeptAnnouncements(t.Context()); err != nil || string(kept["eu-1"]) != "kept" {
		t.Errorf("kept %q, %v", kept["eu-1"], err)
	}
}

func TestDialRefuses(t *testing.T) { everywhere(t, testDialRefuses) }

func testDialRefuses(t *testing.T, bed *bed) {
	credentials, err := bed.identity.AgentCredentials("eu-1")
	check(t, err)
	tests := map[string]natsconn.Config{
		"no credentials":          {URL: bed.url, CA: bed.ca},
		"broken credentials":      {URL: bed.url, CA: bed.ca, Credentials: credentials[:len(credentials)/2]},
		"an authority without it": {URL: bed.url, CA: []byte("none"), Credentials: credentials},
		"no address":              {URL: "tls://:x", CA: bed.ca, Credentials: credentials},
	}
	for name, config := range tests {
		t.Run(name, func(t *testing.T) {
			config.Log = quiet(t)
			conn, err := natsconn.Dial(config)
			if err == nil {
				conn.Close()
				t.Fatal("no error")
			}
			t.Log(err)
		})
	}
}

func BenchmarkAnnounce(b *testing.B) {
	bed := newBed(b)
	for name, conn := range map[string]*natsconn.Conn{"in process": bed.hub, "over TLS": bed.dialHub(false)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				check(b, conn.Announce(b.Context(), "eu-1", make([]byte, 500)))
			}
		})
	}
	all := map[fleet.ClusterName][]byte{}
	for i := range 1000 {
		all[fleet.ClusterName(fmt.Sprintf("c-%d", i))] = make([]byte, 500)
	}
	b.Run("to 1000 clusters", func(b *testing.B) {
		for b.Loop() {
			check(b, bed.hub.AnnounceAll(b.Context(), all))
		}
	})
	b.Run("read 1000 back", func(b *testing.B) {
		for b.Loop() {
			_, err := bed.hub.KeptAnnouncements(b.Context())
			check(b, err)
		}
	})
}
