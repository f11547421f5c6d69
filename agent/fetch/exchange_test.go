package fetch_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"github.com/navarch/navarch/agent/fetch"
	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// TestAcceptAfterExchange: once the hub's key was exchanged, an announcement by the old
// one is refused, however new it says it is. But for the very one that was accepted: it
// may be all that an agent has kept when it starts while the hub is away.
func TestAcceptAfterExchange(t *testing.T) {
	bed := newBed(t)
	_, next, err := ed25519.GenerateKey(nil)
	check(t, err)
	step, err := wire.NewStep(1, bed.key, next, time.Now())
	check(t, err)
	past := &wire.Succession{Steps: []wire.SealedStep{step}}
	a := announcement(1, 1, bed.index(bed.app("shop", "one")))
	f := bed.fetcher("")
	if _, err := f.Accept(t.Context(), bed.seal(a)); err != nil {
		t.Fatal(err)
	}
	kept := bed.seal(a)

	trust := wire.NewTrust(bed.key.Public().(ed25519.PublicKey))
	moved, err := wire.Recall(trust.Key(), *past)
	check(t, err)
	after := func(_ context.Context, sealed []byte, cluster fleet.ClusterName) (wire.Announcement, error) {
		opened, _, err := moved.Announcement(sealed, cluster)
		return opened, err
	}
	again := fetch.New("eu-1", after, bed.agent, bed.cache(""), a)
	if _, err := again.Accept(t.Context(), kept); err != nil {
		t.Errorf("what was accepted: %v", err)
	}
	newer, other := announcement(9, 9, a.Index), a
	other.Revision = "main@sha1:other"
	for name, replayed := range map[string]wire.Announcement{"a newer one": newer, "another of the same number": other} {
		if _, err := again.Accept(t.Context(), bed.seal(replayed)); !errors.Is(err, wire.ErrExchanged) {
			t.Errorf("%s by the old key: %v", name, err)
		}
	}
	if kept, _ := again.Accepted(); kept != a {
		t.Errorf("accepted is %+v", kept)
	}
	sealed, err := wire.SealAfter(announcement(1, 2, a.Index), next, past)
	check(t, err)
	if _, err := again.Accept(t.Context(), sealed); err != nil {
		t.Errorf("by the new key: %v", err)
	}
}
