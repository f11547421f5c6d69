package enrol_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
)

func exchange(t *testing.T, dir, what string) {
	t.Helper()
	if _, err := enrol.Exchange(dir, what, noon); err != nil {
		t.Fatal(err)
	}
}

func refresh(t *testing.T, identity *enrol.Identity) {
	t.Helper()
	if changed, err := identity.Refresh(); !changed || err != nil {
		t.Fatalf("changed %v, %v", changed, err)
	}
}

// TestExchangeSigning: a hub that runs takes the new key in, and agents that pin any of
// the keys open what it seals.
func TestExchangeSigning(t *testing.T) {
	dir := t.TempDir()
	identity := open(t, dir)
	said := wire.Announcement{Version: 1, Cluster: "eu-1", Epoch: 1, Sequence: 1, Revision: "main@sha1:4f0c", Index: fleet.DigestOf(nil)}
	agents := []wire.Trust{wire.NewTrust(identity.PublicKey())}
	old, err := identity.Seal(said)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		exchange(t, dir, enrol.SigningKey)
		refresh(t, identity)
		agents = append(agents, wire.NewTrust(identity.PublicKey()))
	}
	sealed, err := identity.Seal(said)
	if err != nil {
		t.Fatal(err)
	}
	for n, agent := range agents {
		a, after, err := agent.Announcement(sealed, "eu-1")
		if err != nil || a != said || !after.Key().Equal(identity.PublicKey()) {
			t.Errorf("an agent that pins key %d: %v", n, err)
		}
	}
	for name, test := range map[string]struct {
		sealed  []byte
		current bool
	}{"before": {old, false}, "after": {sealed, true}} {
		if a, current, err := identity.Unseal(test.sealed, "eu-1"); err != nil || a != said || current != test.current {
			t.Errorf("sealed %s the exchange: current %v, %v", name, current, err)
		}
	}
	if again := open(t, dir); !again.PublicKey().Equal(identity.PublicKey()) {
		t.Error("opened again it is another")
	}
	if changed, err := identity.Refresh(); changed || err != nil {
		t.Errorf("without a change: %v, %v", changed, err)
	}
	var states []string
	for _, key := range identity.Keys() {
		states = append(states, key.What+" "+key.State)
	}
	want := []string{"signing in use", "signing vouches for the next", "signing vouches for the next", "signing vouches for the next", "ca in use"}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Error(diff)
	}
}

// TestExchangeTokens: a token outlives an exchange, but not for long, and not when the
// key that made it is retired.
func TestExchangeTokens(t *testing.T) {
	dir := t.TempDir()
	identity := open(t, dir)
	token, err := identity.NewToken(wire.Invitation{Cluster: "eu-3", Expires: noon.Add(365 * 24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	good := func(now time.Time) bool {
		_, err := wire.ParseToken(token.Public(), identity.TokenKeys(now)...)
		return err == nil
	}
	exchange(t, dir, enrol.SigningKey)
	refresh(t, identity)
	if !good(noon.Add(time.Hour)) {
		t.Error("not good after an exchange")
	}
	if good(noon.Add(31 * 24 * time.Hour)) {
		t.Error("good for ever: who has stolen the old key lets clusters in for ever")
	}
	if err := enrol.Retire(dir, enrol.SigningKey); err != nil {
		t.Fatal(err)
	}
	refresh(t, identity)
	if good(noon.Add(time.Hour)) {
		t.Error("good after its key was retired")
	}
	if copies, err := filepath.Glob(filepath.Join(dir, enrol.FileName+".*")); err != nil || len(copies) > 0 {
		t.Errorf("copies are left: %v %v", copies, err)
	}
	if err := enrol.Retire(dir, enrol.SigningKey); err == nil {
		t.Error("retired twice")
	}
}

// TestExchangeCommands: a copy of the identity from before an exchange commands nothing.
func TestExchangeCommands(t *testing.T) {
	dir := t.TempDir()
	identity, before := open(t, dir), open(t, dir)
	desk := openDesk(t, identity, filepath.Join(t.TempDir(), enrol.RollName), nil)
	exchange(t, dir, enrol.SigningKey)
	refresh(t, identity)
	for name, test := range map[string]struct {
		by   *enrol.Identity
		want error
	}{"before": {before, enrol.ErrOldCommand}, "after": {open(t, dir), nil}, "of another hub": {open(t, t.TempDir()), enrol.ErrCommand}} {
		sealed, err := test.by.SealCommand(enrol.VerbList, "", noon)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := desk.Do(sealed, noon); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRefreshRefuses: a hub that runs takes in no identity that does not go on from its
// own, and runs on with what it has.
func TestRefreshRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, enrol.FileName)
	open(t, dir)
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	exchange(t, dir, enrol.SigningKey)
	identity := open(t, dir)
	other := t.TempDir()
	open(t, other)
	foreign, err := os.ReadFile(filepath.Join(other, enrol.FileName))
	if err != nil {
		t.Fatal(err)
	}
	fork := t.TempDir()
	if err := os.WriteFile(filepath.Join(fork, enrol.FileName), first, 0o600); err != nil {
		t.Fatal(err)
	}
	exchange(t, fork, enrol.SigningKey)
	forked, err := os.ReadFile(filepath.Join(fork, enrol.FileName))
	if err != nil {
		t.Fatal(err)
	}
	key := identity.PublicKey()
	for name, test := range map[string]struct {
		content []byte
		want    error // nil: any
	}{
		"from before the exchange": {first, enrol.ErrIdentity},
		"another hub's":            {foreign, enrol.ErrIdentity},
		"exchanged twice":          {forked, enrol.ErrIdentity},
		"cut off":                  {first[:100], nil},
		"empty":                    {nil, nil},
	} {
		if err := os.WriteFile(file, test.content, 0o600); err != nil {
			t.Fatal(err)
		}
		changed, err := identity.Refresh()
		if changed || err == nil || test.want != nil && !errors.Is(err, test.want) || !identity.PublicKey().Equal(key) {
			t.Errorf("%s: changed %v, %v", name, changed, err)
		}
	}
}

// TestExchangeCrash: wherever an exchange ends, there is a whole identity, and the next
// exchange works.
func TestExchangeCrash(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	file := filepath.Join(dir, enrol.FileName)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// It ended after the copy was made, with a draft of the new file left behind.
	lock := filepath.Join(dir, ".identity-lock")
	for name, content := range map[string][]byte{file + ".1": content, filepath.Join(dir, ".members-1"): content[:50], lock: nil} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dir)
	if _, err := enrol.Exchange(dir, enrol.SigningKey, noon); err == nil || !strings.Contains(err.Error(), "remove \""+lock+"\"") {
		t.Error("the error does not say what to do:", err)
	}
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	before, err := enrol.Exchange(dir, enrol.SigningKey, noon)
	if err != nil || before != file+".1" {
		t.Fatal(before, err)
	}
	if kept, err := os.ReadFile(before); err != nil || string(kept) != string(content) {
		t.Error("the copy is not the identity of before", err)
	}
	// A copy that is not of this identity is in nobody's way by chance.
	if err := os.WriteFile(file+".2", content, 0o600); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := enrol.Exchange(dir, enrol.SigningKey, noon); err == nil {
		t.Error("exchanged over another's copy")
	}
	if now, err := os.ReadFile(file); err != nil || string(now) != string(whole) {
		t.Error("the identity has changed", err)
	}
}

// TestExchangeAtOnce: of several who exchange a key at once, those who are told that it
// worked have not undone each other's work.
func TestExchangeAtOnce(t *testing.T) {
	dir := t.TempDir()
	identity := open(t, dir)
	var done atomic.Int64
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if _, err := enrol.Exchange(dir, enrol.SigningKey, noon); err == nil {
				done.Add(1)
			}
		})
	}
	group.Wait()
	refresh(t, identity)
	// The authority is the last key; all others but the first were made just now.
	if made := len(identity.Keys()) - 2; made < 1 || int64(made) != done.Load() {
		t.Errorf("%d exchanges, %d were told that it worked", made, done.Load())
	}
}
