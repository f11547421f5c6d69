package hub

import (
	"context"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/navarch/navarch/e2e/env/natsserver"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/broker"
	"github.com/navarch/navarch/hub/natsconf"
	"github.com/navarch/navarch/wire"
)

// stockServer builds a stock NATS server that is there until a test ends.
func stockServer(t *testing.T) string {
	t.Helper()
	path, err := natsserver.Build(t.Context(), t.TempDir())
	check(t, err)
	return path
}

// outside puts stock servers in place of the one in the hub.
func (b *bed) outside(path string, nodes int) {
	b.t.Helper()
	var err error
	b.servers, err = natsserver.New(path, b.t.TempDir(), nodes, natsconf.Trust{
		Operator: b.config.Operator, System: b.identity.SystemAccount(), Accounts: b.config.Accounts,
	})
	check(b.t, err)
	b.t.Cleanup(b.servers.Kill)
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	check(b.t, b.servers.Start(ctx))
}

// A damage is what a failure of the power leaves of a store. Before is a copy of what was
// there before the last announcements, which the server had acknowledged and had not yet
// brought to the disk for certain.
var damages = map[string]func(t *testing.T, store, before string){
	"what was written last is lost": func(t *testing.T, store, before string) {
		check(t, os.RemoveAll(store))
		check(t, os.CopyFS(store, os.DirFS(before)))
	},
	"files end in their middle": func(t *testing.T, store, _ string) {
		blocks(t, store, func(path string, content []byte) error { return os.WriteFile(path, content[:len(content)/2], 0o600) })
	},
	"files are garbled": func(t *testing.T, store, _ string) {
		blocks(t, store, func(path string, content []byte) error {
			for i := 16; i < len(content); i += 97 {
				content[i] ^= 0x5a
			}
			return os.WriteFile(path, content, 0o600)
		})
	},
	"one bit is another": func(t *testing.T, store, _ string) {
		blocks(t, store, func(path string, content []byte) error {
			if len(content) > 0 {
				content[len(content)/3] ^= 1
			}
			return os.WriteFile(path, content, 0o600)
		})
	},
	"files are full of nothing": func(t *testing.T, store, _ string) {
		blocks(t, store, func(path string, content []byte) error { return os.WriteFile(path, make([]byte, len(content)), 0o600) })
	},
	"everything is lost": func(t *testing.T, store, _ string) { check(t, os.RemoveAll(store)) },
}

// blocks changes the files that hold the messages of streams, and takes away what was
// derived from them.
func blocks(t *testing.T, store string, change func(path string, content []byte) error) {
	t.Helper()
	count := 0
	check(t, filepath.WalkDir(store, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if entry.Name() == "index.db" {
			return os.Remove(path)
		}
		if !strings.HasSuffix(path, ".blk") || !strings.Contains(path, "NAVARCH_") {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		count++
		return change(path, content)
	}))
	if count == 0 {
		t.Fatal("there are no files to damage")
	}
}

// TestPowerFailure: what a server has acknowledged and lost is announced again, and so
// that an agent which has heard of it takes it.
func TestPowerFailure(t *testing.T) {
	stock := ""
	if !testing.Short() { // it takes a while
		stock = stockServer(t)
	}
	for name, damage := range damages {
		t.Run("in the hub/"+name, func(t *testing.T) { powerFails(t, damage, "") })
		if stock != "" {
			t.Run("outside/"+name, func(t *testing.T) { powerFails(t, damage, stock) })
		}
	}
}

func powerFails(t *testing.T, damage func(t *testing.T, store, before string), stock string) {
	b := newBed(t, repository("shop", "blog"))
	store := b.config.Dir
	if stock != "" {
		b.outside(stock, 1)
		store = b.servers.Nodes[0].Store
	}
	stop := b.start()
	first := b.apps("eu-1", "blog", "shop")
	b.beat("eu-1", first)
	before := filepath.Join(t.TempDir(), "before")
	check(t, copyLive(before, store))

	b.push("second", map[string]string{"shop/base/settings.yaml": settings("two")})
	b.until("the second announcement", func() bool { a, _ := b.told("eu-1"); return a.Sequence > first.Sequence })
	b.push("third", map[string]string{"shop/base/settings.yaml": settings("three")})
	var third wire.Announcement
	var wanted fleet.Desired
	b.until("the third announcement", func() bool { third, wanted = b.told("eu-1"); return third.Sequence > first.Sequence+1 })
	b.beat("eu-1", third)

	if stock != "" {
		b.servers.Nodes[0].Kill() // the hub goes on
		damage(t, store, before)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		check(t, b.servers.Start(ctx))
	} else {
		image := filepath.Join(t.TempDir(), "disk") // as it is now, with a server that writes
		check(t, copyLive(image, store))
		stop()
		b.broker.Shutdown()
		damage(t, image, before)
		b.config.Dir = image
		u, err := url.Parse(b.broker.ClientURL())
		check(t, err)
		b.config.Listen = u.Host
		b.broker, err = broker.Start(b.config)
		check(t, err)
		b.start()
		check(t, b.agent("eu-1").WaitConnected(t.Context()))
	}
	// The agent says what it has accepted, as it does after every connection, and again.
	b.until("what was lost to be announced again", func() bool {
		_ = b.agent("eu-1").Heartbeat(t.Context(), wire.Heartbeat{
			Version: wire.Version, Cluster: "eu-1", Epoch: third.Epoch, Sequence: third.Sequence, Index: third.Index,
		})
		now, desired, err := b.kept("eu-1")
		if err != nil || len(desired.Apps) != 2 {
			return false
		}
		newer := now.After(third.Epoch, third.Sequence) || now.Epoch == third.Epoch && now.Sequence == third.Sequence
		return newer && desired.Apps[0].Content() == wanted.Apps[0].Content() && desired.Apps[1].Content() == wanted.Apps[1].Content()
	})
}

// kept is as told, where there may be nothing, or less than was announced.
func (b *bed) kept(cluster fleet.ClusterName) (wire.Announcement, fleet.Desired, error) {
	ctx, cancel := context.WithTimeout(b.t.Context(), 5*time.Second)
	defer cancel()
	var none fleet.Desired
	kept, err := b.conn.KeptAnnouncements(ctx)
	if err != nil {
		return wire.Announcement{}, none, err
	}
	a, err := wire.Open(kept[cluster], b.identity.PublicKey(), cluster)
	if err != nil {
		return a, none, err
	}
	content, err := b.conn.Artifact(ctx, a.Index)
	if err != nil {
		return a, none, err
	}
	index, err := wire.DecodeIndex(content, cluster)
	if err != nil {
		return a, none, err
	}
	for _, app := range index.Apps {
		for _, digest := range []fleet.Digest{app.Overlay, app.Base} {
			if _, err := b.conn.Artifact(ctx, digest); err != nil {
				return a, none, err
			}
		}
	}
	return a, index.Desired, nil
}

// copyLive copies a folder that somebody writes to: what goes away meanwhile is left out.
func copyLive(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		content, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o600)
	})
}
