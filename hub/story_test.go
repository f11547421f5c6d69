package hub

import (
	"crypto/ed25519"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/view"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// repository is a fleet of two clusters with apps that run on both.
func repository(apps ...string) map[string]string {
	files := map[string]string{
		"clusters.yaml": "apiVersion: fleet.navarch.dev/v1alpha1\nkind: Cluster\nmetadata: {name: eu-1}\n---\n" +
			"apiVersion: fleet.navarch.dev/v1alpha1\nkind: Cluster\nmetadata: {name: us-1}\n",
	}
	for _, app := range apps {
		files[app+"/app.yaml"] = "apiVersion: fleet.navarch.dev/v1alpha1\nkind: App\nmetadata: {name: " + app + ", namespace: " + app + "}\nspec: {source: {path: base}}\n"
		files[app+"/base/settings.yaml"] = settings("one")
	}
	return files
}

func settings(word string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {word: " + word + "}\n"
}

// without are the files that make an app go.
func without(app string) map[string]string {
	return map[string]string{app + "/app.yaml": "", app + "/base": ""}
}

// TestDeploys: a commit is announced to whom it concerns, one that is wrong changes
// nothing, and a hub that starts anew announces nothing again.
func TestDeploys(t *testing.T) {
	b := newBed(t, repository("shop", "blog"))
	stop := b.start()
	eu, us := b.apps("eu-1", "blog", "shop"), b.apps("us-1", "blog", "shop")
	if eu.Sequence != 1 || eu.Epoch != 1 || us.Sequence != 1 {
		t.Errorf("announced %+v and %+v", eu, us)
	}

	bad := b.push("bad", map[string]string{"shop/base/settings.yaml": "kind: [", "blog/base/settings.yaml": settings("two")})
	s := b.handled(bad)
	if s.Latest.Accepted || len(s.Latest.Problems) == 0 || s.Latest.Problems[0].File != "shop/base/settings.yaml" {
		t.Errorf("handled as %+v", s.Latest)
	}
	if now, _ := b.told("eu-1"); now != eu {
		t.Errorf("a bad commit was announced: %+v", now)
	}
	stop()

	// The bad commit is still the newest. What was announced is known again.
	stop = b.start()
	b.handled(bad)
	if now, _ := b.told("eu-1"); now != eu {
		t.Errorf("announced again: %+v", now)
	}
	if got := len(b.deployer.announcer.published["eu-1"].Apps); got != 2 {
		t.Errorf("%d apps are remembered", got)
	}
	good := b.push("good", map[string]string{"shop/base/settings.yaml": settings("one"), "blog/base/settings.yaml": settings("one")})
	b.handled(good)
	stop()
	b.start()
	b.handled(good)
	b.quiet()
	for cluster, before := range map[fleet.ClusterName]wire.Announcement{"eu-1": eu, "us-1": us} {
		if now, _ := b.told(cluster); now != before {
			t.Errorf("what has not changed was announced again: %+v", now)
		}
	}
	b.push("two", map[string]string{"blog/base/settings.yaml": settings("two")})
	b.until("a change to be announced", func() bool { now, _ := b.told("eu-1"); return now.Sequence == 2 })
}

// TestHolds: what a commit deletes beyond the budget waits for a person, by the hub
// or by a trailer; a commit that takes it back is not held.
func TestHolds(t *testing.T) {
	b := newBed(t, repository("shop", "blog"))
	b.start()
	first := b.apps("eu-1", "blog", "shop")
	removed := b.push("remove", without("shop"))
	s := b.handled(removed)
	if s.Hold == nil || s.Hold.Announced || s.Hold.Deleted != 2 || len(s.Hold.Reasons) != 2 || !strings.Contains(s.Hold.Reasons[0].Message, "1 of 2 objects") {
		t.Fatalf("held as %+v", s.Hold)
	}
	if now, _ := b.told("eu-1"); now != first {
		t.Errorf("announced all the same: %+v", now)
	}
	b.push("restore", repository("shop", "blog"))
	b.until("nothing to be held", func() bool { return b.board.Snapshot(time.Now()).Hold == nil })
	if now, _ := b.told("eu-1"); now != first {
		t.Errorf("announced though nothing has changed: %+v", now)
	}

	removed = b.push("remove again", without("shop"))
	b.handled(removed)
	if err := b.deployer.Release(t.Context(), "main@sha1:another"); err == nil || !strings.Contains(err.Error(), "is not held") {
		t.Errorf("another revision: %v", err)
	}
	check(t, b.deployer.Release(t.Context(), removed))
	_, desired := b.told("eu-1")
	if diff := cmp.Diff([]fleet.Tombstone{{App: "shop", Revision: removed}}, desired.Tombstones); diff != "" {
		t.Error(diff)
	}
	if err := b.deployer.Release(t.Context(), removed); err == nil {
		t.Error("released twice")
	}
	b.push("remove\n\nNavarch-Allow-Deletions: yes", without("blog"))
	b.apps("eu-1")
}

// TestTombstoneStays until the agent says that nothing is left, and over a restart.
func TestTombstoneStays(t *testing.T) {
	b := newBed(t, repository("shop", "blog", "docs"))
	stop := b.start()
	b.apps("eu-1", "blog", "docs", "shop")
	gone := b.push("remove\n\nNavarch-Allow-Deletions: yes", without("shop"))
	b.apps("eu-1", "blog", "docs")
	stop()
	b.start()
	b.handled(gone)
	b.push("change", map[string]string{"blog/base/settings.yaml": settings("two")})
	b.until("a change", func() bool { a, _ := b.told("eu-1"); return a.Sequence == 3 })
	if _, desired := b.told("eu-1"); len(desired.Tombstones) != 1 {
		t.Errorf("tombstones %v", desired.Tombstones)
	}
	b.say(wire.Report{Cluster: "eu-1", App: "shop", Removed: true})
	b.quiet()
	if a, _ := b.told("eu-1"); a.Sequence != 3 {
		t.Error("announced only because a tombstone is of no use any more")
	}
	b.push("change", map[string]string{"blog/base/settings.yaml": settings("three")})
	b.until("a change", func() bool { a, _ := b.told("eu-1"); return a.Sequence == 4 })
	if _, desired := b.told("eu-1"); len(desired.Tombstones) != 0 {
		t.Errorf("tombstones %v", desired.Tombstones)
	}
	if _, desired := b.told("us-1"); len(desired.Tombstones) != 1 {
		t.Errorf("tombstones of another cluster %v", desired.Tombstones)
	}
}

// TestOrphans: what an agent keeps though nobody wants it is removed when a person
// has seen and released it, and by nothing that was agreed to before.
func TestOrphans(t *testing.T) {
	for name, test := range map[string]struct {
		message string // of a commit before
		release bool   // a person has released that commit
	}{
		"nobody has agreed to anything":   {"change", false},
		"a trailer agreed to a commit":    {"change\n\nNavarch-Allow-Deletions: yes", false},
		"a person agreed to a commit":     {"change", true},
		"a person agreed, and a trailer ": {"change\n\nNavarch-Allow-Deletions: yes", true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, repository("shop", "blog"))
			b.start()
			b.apps("eu-1", "blog", "shop")
			revision := b.push(test.message, without("shop"))
			b.handled(revision)
			if test.release {
				_ = b.deployer.Release(t.Context(), revision) // the trailer may have been enough
			}
			b.say(wire.Report{Cluster: "eu-1", App: "old", Held: true})
			b.until("the orphan to be held", func() bool {
				hold := b.board.Snapshot(time.Now()).Hold
				return hold != nil && strings.Contains(fmt.Sprint(hold.Reasons), `the agent keeps app "old"`)
			})
			if _, desired := b.told("eu-1"); strings.Contains(fmt.Sprint(desired.Tombstones), "old") {
				t.Fatal("it was removed without anybody's go")
			}
			check(t, b.deployer.Release(t.Context(), revision))
			_, desired := b.told("eu-1")
			if diff := cmp.Diff([]fleet.Tombstone{{App: "old", Revision: revision}, {App: "shop", Revision: revision}}, desired.Tombstones); diff != "" {
				t.Error(diff)
			}
			b.until("nothing to be held", func() bool { return b.board.Snapshot(time.Now()).Hold == nil })
			b.say(wire.Report{Cluster: "us-1", App: "old", Held: true})
			if hold := b.held(); len(hold.Reasons) != 1 || hold.Reasons[0].Cluster != "us-1" || !hold.Announced {
				t.Errorf("held %+v", hold)
			}
		})
	}
}

// TestRecall: what this hub's key did not sign, or whose index is lost, counts as
// never announced.
func TestRecall(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(b *bed, eu wire.Announcement)
		epoch uint64 // of the next announcement
	}{
		"nothing was lost": {func(*bed, wire.Announcement) {}, 0},
		"another's key": {func(b *bed, eu wire.Announcement) {
			_, key, err := ed25519.GenerateKey(nil)
			check(b.t, err)
			eu.Epoch, eu.Sequence = 9, 9
			b.announce(eu, key)
		}, 1},
		"garbage": {func(b *bed, _ wire.Announcement) { check(b.t, b.conn.Announce(b.t.Context(), "eu-1", []byte("{"))) }, 1},
		"the index is lost": {func(b *bed, eu wire.Announcement) {
			check(b.t, b.conn.DeleteArtifact(b.t.Context(), wire.AddressOf(eu.Index)))
		}, 1},
		"of a later epoch": {func(b *bed, eu wire.Announcement) {
			eu.Epoch = 7
			eu.Index = fleet.DigestOf([]byte("lost"))
			b.announce(eu, b.key)
		}, 7},
		"of the last epoch": {func(b *bed, eu wire.Announcement) {
			eu.Epoch = math.MaxUint64
			eu.Index = fleet.DigestOf([]byte("lost"))
			b.announce(eu, b.key)
		}, math.MaxUint64},
		"of a later sequence": {func(b *bed, eu wire.Announcement) {
			eu.Sequence = 50
			eu.Index = fleet.DigestOf([]byte("lost"))
			b.announce(eu, b.key)
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, repository("shop"))
			stop := b.start()
			eu, us := b.apps("eu-1", "shop"), b.apps("us-1", "shop")
			test.spoil(b, eu)
			before, err := b.conn.KeptAnnouncements(t.Context())
			check(t, err)
			stop()
			b.start()
			b.until("the commit to be handled", func() bool { s := b.board.Snapshot(time.Now()); return s.Announced != nil })
			b.quiet()
			now, _ := b.told("eu-1")
			if test.epoch == 0 {
				if now != eu {
					t.Errorf("announced again: %+v", now)
				}
			} else if string(before["eu-1"]) == "" || now.Epoch != test.epoch || now.Sequence <= eu.Sequence || now.Index != eu.Index {
				t.Errorf("announced as %+v after %+v", now, eu)
			}
			if now, _ := b.told("us-1"); now != us {
				t.Errorf("the other cluster was told again: %+v", now)
			}
		})
	}
}

// announce puts an announcement there as somebody else.
func (b *bed) announce(a wire.Announcement, key ed25519.PrivateKey) {
	b.t.Helper()
	sealed, err := wire.Seal(a, key)
	check(b.t, err)
	check(b.t, b.conn.Announce(b.t.Context(), a.Cluster, sealed))
}

// TestEpochOfOneCluster: an agent that has seen more than this hub remembers is told
// again in an epoch above; whatever it claims, nobody else hears of it.
func TestEpochOfOneCluster(t *testing.T) {
	b := newBed(t, repository("shop"))
	b.start()
	eu, us := b.apps("eu-1", "shop"), b.apps("us-1", "shop")
	for _, seen := range []uint64{1, 40, math.MaxUint64 - 1, math.MaxUint64} {
		claim := wire.Announcement{Epoch: seen, Sequence: 7}
		b.beat("eu-1", claim)
		b.until("an epoch above", func() bool { now, _ := b.told("eu-1"); return now.After(eu.Epoch, eu.Sequence) && now.Epoch >= seen })
		eu, _ = b.told("eu-1")
		b.quiet()
	}
	b.beat("us-1", us)
	b.quiet()
	if now, _ := b.told("us-1"); now != us {
		t.Errorf("the other cluster was told again: %+v", now)
	}
	b.push("change", map[string]string{"shop/base/settings.yaml": settings("two")})
	b.until("the change", func() bool { now, _ := b.told("us-1"); return now.Epoch == 1 && now.Sequence > us.Sequence })
}

// TestHalfAnnounced: an agent that has heard an announcement of which the hub does
// not know whether it arrived is not taken for a sign that data was lost.
func TestHalfAnnounced(t *testing.T) {
	b := newBed(t, repository("shop"))
	stop := b.start()
	b.apps("eu-1", "shop")
	d := b.deployer
	content, index, err := wire.EncodeIndex(wire.Index{Version: wire.Version, Cluster: "eu-1"})
	check(t, err)
	_, err = d.announcer.store.Put(t.Context(), content)
	check(t, err)
	stop() // the connection is closed: nothing can be announced any more
	plan := fleet.Plan{Changes: []fleet.Change{{Cluster: "eu-1"}}}
	if err := d.announcer.announce(t.Context(), "main@sha1:2", nil, plan); err == nil || d.announcer.sequence != 2 {
		t.Fatalf("announced %d without a connection: %v", d.announcer.sequence, err)
	}
	if d.announcer.behind(wire.Heartbeat{Cluster: "eu-1", Epoch: 1, Sequence: d.announcer.sequence, Index: index}) {
		t.Error("the hub believes that it has lost its data")
	}
}

// TestFlood: many reports at once, of whatever they are, announce nothing.
func TestFlood(t *testing.T) {
	b := newBed(t, repository("shop"))
	b.start()
	eu := b.apps("eu-1", "shop")
	for i := range 300 {
		b.say(wire.Report{Cluster: "eu-1", App: "shop", Attempted: wire.Applied{Revision: strconv.Itoa(i)}, Removed: i%2 == 0})
		b.say(wire.Report{Cluster: "eu-1", App: fleet.AppName(fmt.Sprintf("app-%d", i%5)), Held: i%3 == 0})
		b.beat("eu-1", eu)
	}
	b.quiet()
	if now, _ := b.told("eu-1"); now != eu {
		t.Errorf("announced %+v", now)
	}
}

// TestStreamsLost: what the NATS server has lost is put there again.
func TestStreamsLost(t *testing.T) {
	b := newBed(t, repository("shop"))
	b.start()
	eu := b.apps("eu-1", "shop")
	b.deployer.send(t.Context(), signal{lost: true})
	b.until("the announcement again", func() bool {
		now, _ := b.told("eu-1")
		return now.Sequence > eu.Sequence && now.Index == eu.Index && now.Epoch == 1
	})
}

// TestRefusesToStart: what keeps a hub from starting says what to do.
func TestRefusesToStart(t *testing.T) {
	taken, err := listen(t.Context(), "127.0.0.1:0")
	check(t, err)
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(file, nil, 0o600))
	for name, test := range map[string]struct {
		change func(*Config)
		says   []string
	}{
		"no repository":        {func(c *Config) { c.Repository.URL = "" }, []string{"--repo"}},
		"the port is taken":    {func(c *Config) { c.Listen = taken.Addr().String() }, []string{taken.Addr().String(), "taken", "--listen"}},
		"an address of none":   {func(c *Config) { c.Listen = "nowhere" }, []string{`nowhere`, "--listen HOST:PORT"}},
		"no data folder":       {func(c *Config) { c.Data = filepath.Join(file, "data") }, []string{"data folder", "--data"}},
		"no identity folder":   {func(c *Config) { c.Identity = filepath.Join(file, "identity") }, []string{"identity"}},
		"NATS' port is taken":  {func(c *Config) { c.NATS.Listen = taken.Addr().String() }, []string{taken.Addr().String(), "taken", "--nats-listen"}},
		"a repository of none": {func(c *Config) { c.Repository.URL = "ftp://example.com/x" }, []string{"https, http or ssh"}},
		"no known hosts":       {func(c *Config) { c.Repository.URL = "ssh://git@example.com/x"; c.Repository.SSH.KeyFile = file }, []string{"--git-known-hosts-file"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c := Config{
				Repository: Repository{URL: "http://127.0.0.1:1/fleet.git"}, Data: filepath.Join(dir, "data"), Identity: filepath.Join(dir, "identity"),
				Listen: "127.0.0.1:0", NATS: NATS{Listen: "127.0.0.1:0"}, Log: discard,
			}
			test.change(&c)
			err := Run(t.Context(), c)
			if err == nil {
				t.Fatal("it ran and ended")
			}
			for _, word := range test.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q is not in: %v", word, err)
				}
			}
		})
	}
}

// TestNotAcknowledged: an announcement that NATS did not acknowledge is not there, and
// agents may have heard of it all the same. The one before is not announced again.
func TestNotAcknowledged(t *testing.T) {
	b := newBed(t, repository("shop"))
	stop := b.start()
	b.apps("eu-1", "shop")
	stop()
	credentials, err := b.identity.HubCredentials()
	check(t, err)
	conn, err := natsconn.Dial(natsconn.Config{InProcess: b.broker, Credentials: credentials, Log: discard})
	check(t, err)
	t.Cleanup(conn.Close)
	d := newDeployer(discard, b.identity, conn, view.NewBoard())
	check(t, d.recall(t.Context()))
	next := d.announcer.told["eu-1"]
	next.Sequence++
	d.announcer.told["eu-1"] = next
	if again, err := d.announcer.check(t.Context(), nil); err != nil || len(again) > 0 {
		t.Errorf("to be announced again: %+v, %v", again, err)
	}
}
