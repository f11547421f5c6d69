package artifacts_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/artifacts"
	"github.com/navarch/navarch/hub/broker"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
	"github.com/navarch/navarch/wire/natsconn"
)

// connect starts a real server and connects to it as the hub.
func connect(t testing.TB) *natsconn.Conn {
	t.Helper()
	identity, err := enrol.Open(t.TempDir())
	check(t, err)
	security, err := identity.ServerTLS(nil)
	check(t, err)
	operator, err := identity.OperatorJWT()
	check(t, err)
	accounts, err := identity.AccountJWTs()
	check(t, err)
	credentials, err := identity.HubCredentials()
	check(t, err)
	log := slog.New(slog.DiscardHandler)
	server, err := broker.Start(broker.Config{
		Dir: t.TempDir(), Listen: "127.0.0.1:0", TLS: security, Operator: operator, Accounts: accounts, Log: log,
	})
	check(t, err)
	t.Cleanup(server.Shutdown)
	conn, err := natsconn.Dial(natsconn.Config{InProcess: server, Credentials: credentials, Log: log})
	check(t, err)
	t.Cleanup(conn.Close)
	check(t, conn.WaitConnected(t.Context()))
	check(t, conn.EnsureStreams(t.Context(), 1))
	return conn
}

func open(t testing.TB, conn *natsconn.Conn) *artifacts.Store {
	t.Helper()
	store, err := artifacts.Open(t.Context(), conn)
	check(t, err)
	return store
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// noise is content that does not become smaller.
func noise(size int, seed byte) []byte {
	content := make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(content) //nolint:errcheck // it never fails
	return content
}

// kept returns the digests, of those given, that can be read.
func kept(t *testing.T, store *artifacts.Store, digests ...fleet.Digest) []fleet.Digest {
	t.Helper()
	var found []fleet.Digest
	for _, d := range digests {
		_, err := store.Get(t.Context(), d)
		if err == nil {
			found = append(found, d)
		} else if !errors.Is(err, natsconn.ErrNotFound) {
			t.Error(err)
		}
	}
	return found
}

func put(t *testing.T, store *artifacts.Store, content string) fleet.Digest {
	t.Helper()
	digest, err := store.Put(t.Context(), []byte(content))
	check(t, err)
	return digest
}

func TestPut(t *testing.T) {
	conn := connect(t)
	store := open(t, conn)
	contents := map[fleet.Digest][]byte{}
	for i := range byte(20) {
		content := noise(100_000*int(i), i)
		contents[fleet.DigestOf(content)] = content
	}
	check(t, store.PutAll(t.Context(), contents))
	for _, s := range []*artifacts.Store{store, open(t, conn)} {
		for digest, content := range contents {
			got, err := s.Get(t.Context(), digest)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: %d bytes of %d, %v", digest, len(got), len(content), err)
			}
		}
	}
	digest, err := store.Put(t.Context(), []byte("one more"))
	if err != nil || digest != fleet.DigestOf([]byte("one more")) {
		t.Error(digest, err)
	}
	if err := store.PutAll(t.Context(), map[fleet.Digest][]byte{fleet.DigestOf([]byte("new")): []byte("not that")}); err == nil {
		t.Error("content under another digest was put")
	}
}

// TestPutIsIdempotent takes the streams away: what is known to be there is not
// written, by this store or by one that is opened later.
func TestPutIsIdempotent(t *testing.T) {
	conn := connect(t)
	first := open(t, conn)
	digest := put(t, first, "content")
	second := open(t, conn)
	conn.Close()
	for name, store := range map[string]*artifacts.Store{"first": first, "second": second} {
		if got, err := store.Put(t.Context(), []byte("content")); err != nil || got != digest {
			t.Errorf("%s: %s, %v", name, got, err)
		}
		if _, err := store.Put(t.Context(), []byte("another")); !errors.Is(err, natsconn.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPutAtOnce puts the same from many sides.
func TestPutAtOnce(t *testing.T) {
	store := open(t, connect(t))
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			if _, err := store.Put(t.Context(), fmt.Appendf(nil, "content %d", i%4)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for i := range 4 {
		if _, err := store.Get(t.Context(), fleet.DigestOf(fmt.Appendf(nil, "content %d", i))); err != nil {
			t.Error(err)
		}
	}
}

// TestReload: after somebody else has deleted, the store would believe in what is
// gone.
func TestReload(t *testing.T) {
	conn := connect(t)
	store := open(t, conn)
	digest := put(t, store, "content")
	check(t, conn.DeleteArtifact(t.Context(), wire.AddressOf(digest)))
	check(t, store.Reload(t.Context()))
	put(t, store, "content")
	if got := kept(t, store, digest); len(got) != 1 {
		t.Errorf("kept %v", got)
	}
}

func TestSweep(t *testing.T) {
	conn := connect(t)
	store := open(t, conn)
	now := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	used, unused, again, later := put(t, store, "used"), put(t, store, "unused"), put(t, store, "again"), put(t, store, "later")
	all := []fleet.Digest{used, unused, again, later}
	sweep := func(at time.Duration, want []fleet.Digest, live ...fleet.Digest) {
		t.Helper()
		set := map[fleet.Digest]bool{}
		for _, d := range live {
			set[d] = true
		}
		before := len(kept(t, store, all...))
		deleted, err := store.Sweep(t.Context(), set, now.Add(at))
		check(t, err)
		if diff := cmp.Diff(want, kept(t, store, all...)); diff != "" || deleted != before-len(want) {
			t.Errorf("after %s, %d deleted: %s", at, deleted, diff)
		}
	}
	sweep(0, all, used, later)
	sweep(artifacts.Grace-time.Second, all, used, later)
	put(t, store, "again") // counts as used from now on
	sweep(artifacts.Grace, []fleet.Digest{used, again, later}, used, later)
	sweep(artifacts.Grace+time.Second, []fleet.Digest{used, again, later}, used)
	sweep(2*artifacts.Grace, []fleet.Digest{used, later}, used) // again counts from the sweep at Grace, later from the one after
	sweep(2*artifacts.Grace+time.Second, []fleet.Digest{used}, used)

	put(t, store, "unused") // what was swept is put anew
	if got := kept(t, store, unused); len(got) != 1 {
		t.Error("it is not there after it was put again")
	}
}

// TestSweepHalf: what a hub that died left half put is swept like the rest.
func TestSweepHalf(t *testing.T) {
	conn := connect(t)
	digest, chunks, err := wire.PackArtifact(noise(1<<20, 1))
	check(t, err)
	chunks[0] = make([]byte, wire.MaxMessage+1) // which NATS does not take
	if err := conn.PutArtifact(t.Context(), wire.AddressOf(digest), chunks); err == nil {
		t.Fatal("it was put whole")
	}
	left, err := conn.KeptArtifacts(t.Context())
	if diff := cmp.Diff(map[wire.Address]bool{wire.AddressOf(digest): false}, left); diff != "" || err != nil {
		t.Error(diff, err)
	}
	store := open(t, conn)
	now := time.Now()
	for _, at := range []time.Duration{0, artifacts.Grace} {
		if _, err := store.Sweep(t.Context(), nil, now.Add(at)); err != nil {
			t.Fatal(err)
		}
	}
	left, err = conn.KeptArtifacts(t.Context())
	if diff := cmp.Diff(map[wire.Address]bool{}, left); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// BenchmarkPut puts what the installation of 100 apps does: 100 bases and 100
// overlays.
func BenchmarkPut(b *testing.B) {
	store := open(b, connect(b))
	manifest := bytes.Repeat([]byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"), 60)
	round := 0
	fresh := func() map[fleet.Digest][]byte {
		round++
		contents := make(map[fleet.Digest][]byte, 200)
		for i := range 200 {
			content := append(fmt.Appendf(nil, "# %d %d\n", round, i), manifest...)
			contents[fleet.DigestOf(content)] = content
		}
		return contents
	}
	b.Run("200 new, one after the other", func(b *testing.B) {
		for b.Loop() {
			for _, content := range fresh() {
				_, err := store.Put(b.Context(), content)
				check(b, err)
			}
		}
	})
	b.Run("200 new, together", func(b *testing.B) {
		for b.Loop() {
			check(b, store.PutAll(b.Context(), fresh()))
		}
	})
	known := fresh()
	check(b, store.PutAll(b.Context(), known))
	b.Run("200 known", func(b *testing.B) {
		for b.Loop() {
			check(b, store.PutAll(b.Context(), known))
		}
	})
}
