package hub

import (
	"context"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/broker"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// sealed is what a cluster finds, as it travels.
func (b *bed) sealed(cluster fleet.ClusterName) []byte {
	b.t.Helper()
	kept, err := b.conn.KeptAnnouncements(b.t.Context())
	check(b.t, err)
	return kept[cluster]
}

// follows waits until a cluster is told by the identity's newest key, which an agent
// that trusts an older one can follow, and returns the announcement.
func (b *bed) follows(cluster fleet.ClusterName, trust wire.Trust) wire.Announcement {
	b.t.Helper()
	var a wire.Announcement
	b.until("the newest key", func() bool {
		opened, after, err := trust.Announcement(b.sealed(cluster), cluster)
		a = opened
		return err == nil && after.Key().Equal(b.identity.PublicKey())
	})
	return a
}

// TestRotation: however often the signing key is exchanged, every cluster is told by
// the newest, what it is told to run stays the same to the byte, and nothing is held
// or pruned by it. The hub takes it in while it runs, and when it starts.
func TestRotation(t *testing.T) {
	for name, running := range map[string]bool{"while the hub runs": true, "while the hub is away": false} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, repository("shop"))
			first := wire.NewTrust(b.identity.PublicKey())
			stop := b.start()
			before := map[fleet.ClusterName]wire.Announcement{"eu-1": b.apps("eu-1", "shop"), "us-1": b.apps("us-1", "shop")}
			if !running {
				stop()
			}
			for range 2 {
				_, err := enrol.Exchange(b.identityDir, enrol.SigningKey, time.Now())
				check(t, err)
			}
			if running {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go func() { _ = followIdentity(ctx, b.identity, b.deployer) }()
			} else {
				var err error
				b.identity, err = enrol.Open(b.identityDir)
				check(t, err)
				b.start()
			}
			b.until("the exchange to be taken in", func() bool { return !b.identity.PublicKey().Equal(first.Key()) })
			for cluster, was := range before {
				now := b.follows(cluster, first)
				if now.Index != was.Index || now.Revision != was.Revision || now.Epoch != was.Epoch || now.Sequence <= was.Sequence {
					t.Errorf("%s was told %+v, and %+v before", cluster, now, was)
				}
			}
			// What comes next goes its way.
			b.key = b.identity.SigningKey()
			b.push("second", repository("shop", "blog"))
			b.apps("eu-1", "blog", "shop")
		})
	}
}

// TestRotationKeepsTombstones: a hub that starts with another key than it announced by
// still knows what it announced, and tells agents what to remove.
func TestRotationKeepsTombstones(t *testing.T) {
	b := newBed(t, repository("shop", "blog"))
	stop := b.start()
	b.apps("eu-1", "blog", "shop")
	stop()
	_, err := enrol.Exchange(b.identityDir, enrol.SigningKey, time.Now())
	check(t, err)
	b.identity, err = enrol.Open(b.identityDir)
	check(t, err)
	b.key = b.identity.SigningKey()
	b.push("second\n\nNavarch-Allow-Deletions: yes", without("blog"))
	b.start()
	b.until("the tombstone", func() bool {
		_, err := wire.Open(b.sealed("eu-1"), b.identity.PublicKey(), "eu-1")
		if err != nil {
			return false
		}
		_, desired := b.told("eu-1")
		return len(desired.Apps) == 1 && len(desired.Tombstones) == 1 && desired.Tombstones[0].App == "blog"
	})
}

// TestRotationTells: an exchange is told at once also by a hub that cannot read its
// repository, and a second start has nothing to tell any more.
func TestRotationTells(t *testing.T) {
	b := newBed(t, repository("shop"))
	first := wire.NewTrust(b.identity.PublicKey())
	stop := b.start()
	b.apps("eu-1", "shop")
	stop()
	_, err := enrol.Exchange(b.identityDir, enrol.SigningKey, time.Now())
	check(t, err)
	b.identity, err = enrol.Open(b.identityDir)
	check(t, err)
	working := b.repo.URL
	b.repo.URL, b.repo.Dir = working+"-that-is-away", filepath.Join(t.TempDir(), "repository")
	stop = b.start()
	told := b.follows("eu-1", first)
	stop()
	b.repo.URL, b.repo.Dir, b.key = working, filepath.Join(t.TempDir(), "repository"), b.identity.SigningKey()
	b.start()
	b.until("the commit to be handled", func() bool { return b.board.Snapshot(time.Now()).Announced != nil })
	if now, _ := b.told("eu-1"); now != told {
		t.Errorf("told once more: %+v after %+v", now, told)
	}
}

// TestFollowIdentityEnds: it returns when its context ends.
func TestFollowIdentityEnds(t *testing.T) {
	b := newBed(t, repository("shop"))
	b.start()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { _ = followIdentity(ctx, b.identity, b.deployer) })
	cancel()
	group.Wait()
}

// TestInstallAfterExchange: a line from before an exchange still installs, and what it
// installs pins the newest keys.
func TestInstallAfterExchange(t *testing.T) {
	dir := t.TempDir()
	identity, err := enrol.Open(dir)
	check(t, err)
	desk, err := enrol.OpenDesk(enrol.DeskConfig{Identity: identity, File: filepath.Join(t.TempDir(), enrol.RollName), Log: discard})
	check(t, err)
	server := &broker.Broker{} // only asked whether there is one
	d := newDoor(Config{Join: Join{URLs: []string{"tls://hub.example.com:4222"}}, Log: discard}, identity, desk, server)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /install/{token}", d.install)
	token, err := identity.NewToken(wire.Invitation{Cluster: "eu-3", Expires: time.Now().Add(time.Hour)})
	check(t, err)
	before := get(mux, "/install/"+token.String()).Body.String()
	for _, what := range []string{enrol.SigningKey, enrol.Authority} {
		_, err := enrol.Exchange(dir, what, time.Now())
		check(t, err)
	}
	_, err = identity.Refresh()
	check(t, err)
	answer := get(mux, "/install/"+token.String())
	after := answer.Body.String()
	key := base64.StdEncoding.EncodeToString(identity.PublicKey())
	if answer.Code != http.StatusOK || !strings.Contains(after, key) || strings.Contains(before, key) {
		t.Errorf("answered %d with a manifest that pins another key", answer.Code)
	}
	lines := strings.Split(strings.TrimSpace(string(identity.CA())), "\n")
	line := lines[len(lines)-3] // of the signature, which no two certificates share
	if !strings.Contains(after, line) || strings.Contains(before, line) {
		t.Error("the manifest pins another authority")
	}
	check(t, enrol.Retire(dir, enrol.SigningKey))
	_, err = identity.Refresh()
	check(t, err)
	if got := get(mux, "/install/"+token.String()); got.Code != http.StatusNotFound {
		t.Errorf("a token of a retired key: answered %d", got.Code)
	}
}

// TestPinsAreNoted: what agents say that they obey is on the roll, also after a start.
func TestPinsAreNoted(t *testing.T) {
	identity, err := enrol.Open(t.TempDir())
	check(t, err)
	file := filepath.Join(t.TempDir(), enrol.RollName)
	check(t, os.WriteFile(file, []byte(`{"version":1,"members":{"eu-1":{"key":"A","joined":"2026-11-23T12:00:00Z"}}}`), 0o600))
	open := func() *enrol.Desk {
		desk, err := enrol.OpenDesk(enrol.DeskConfig{Identity: identity, File: file, Log: discard})
		check(t, err)
		return desk
	}
	desk, heard := open(), 0
	l := notePins(natsconn.Listener{Heartbeat: func(wire.Heartbeat, time.Time) { heard++ }}, desk)
	pins := wire.Pins{Signing: wire.KeyID(identity.PublicKey())}
	for _, h := range []wire.Heartbeat{
		{Cluster: "eu-1", Pins: pins}, {Cluster: "eu-1"}, // an agent of before says nothing
		{Cluster: "us-1", Pins: pins}, // no member
	} {
		l.Heartbeat(h, time.Now())
	}
	if got := desk.Roll().Members; heard != 3 || len(got) != 1 || got["eu-1"].Pins.Signing != pins.Signing {
		t.Errorf("heard %d, members %+v", heard, got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { _ = desk.Run(ctx) })
	defer group.Wait()
	defer cancel()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for open().Roll().Members["eu-1"].Pins.Signing != pins.Signing {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it is not written down")
		}
	}
}
