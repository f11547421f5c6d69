package enrol_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/navarch/navarch/agent/enrol"
	"github.com/navarch/navarch/fleet"
	hubenrol "github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
)

// exchange exchanges keys of the hub.
func (b *bed) exchange(what ...string) {
	b.t.Helper()
	for _, key := range what {
		_, err := hubenrol.Exchange(b.dir, key, time.Now())
		check(b.t, err)
	}
	_, err := b.identity.Refresh()
	check(b.t, err)
}

func (b *bed) sealed() []byte {
	b.t.Helper()
	sealed, err := b.identity.Seal(wire.Announcement{Version: 1, Cluster: "eu-1", Epoch: 1, Sequence: 1, Index: fleet.DigestOf(nil)})
	check(b.t, err)
	return sealed
}

// pins opens what an agent with a manifest keeps.
func (b *bed) pins(manifest enrol.Config) *enrol.Pins {
	b.t.Helper()
	pins, err := enrol.OpenPins(b.t.Context(), manifest)
	check(b.t, err)
	return pins
}

// TestPins: what an agent learns of the hub's keys is kept before what taught it is
// used, and counts after the next start, with whatever manifest that leads there.
func TestPins(t *testing.T) {
	b := newBed(t)
	manifest, old := b.config(nil), b.sealed()
	pins := b.pins(manifest)
	if _, err := pins.Announcement(t.Context(), old, "eu-1"); err != nil {
		t.Fatal(err)
	}
	b.exchange(hubenrol.SigningKey, hubenrol.Authority, hubenrol.SigningKey)
	if _, err := pins.Announcement(t.Context(), b.sealed(), "eu-1"); err != nil {
		t.Fatal(err)
	}
	for name, again := range map[string]*enrol.Pins{"as it runs": pins, "after a start": b.pins(manifest), "installed again": b.pins(b.config(nil))} {
		if !again.Key().Equal(b.identity.PublicKey()) || !bytes.Contains(again.CA(), b.identity.CA()) {
			t.Errorf("%s: obeys another key", name)
		}
		if _, err := again.Announcement(t.Context(), old, "eu-1"); !errors.Is(err, wire.ErrExchanged) && name != "installed again" {
			t.Errorf("%s: an announcement by the old key: %v", name, err)
		}
	}

	// Another hub: the manifest counts, and a person decided that.
	other, err := hubenrol.Open(t.TempDir())
	check(t, err)
	foreign := manifest
	foreign.HubKey, foreign.CA = other.PublicKey(), other.CA()
	if elsewhere := b.pins(foreign); !elsewhere.Key().Equal(other.PublicKey()) || !bytes.Equal(elsewhere.CA(), other.CA()) {
		t.Error("the manifest of another hub does not count")
	}

	// Who writes to the ConfigMap makes the agent forget, and no more.
	configMap := &corev1.ConfigMap{}
	check(t, member.Client.Get(t.Context(), client.ObjectKey{Namespace: b.namespace, Name: enrol.PinsName}, configMap))
	whole := configMap.Data["succession"]
	for name, content := range map[string]string{"cut off": whole[:len(whole)/2], "empty": "", "no succession": "{}", "another signature": strings.Replace(whole, `"byOld":"`, `"byOld":"AAAA`, 1)} {
		configMap.Data["succession"] = content
		check(t, member.Client.Update(t.Context(), configMap))
		forgetful := b.pins(manifest)
		if !forgetful.Key().Equal(manifest.HubKey) {
			t.Errorf("%s: obeys a key that nobody vouches for", name)
		}
		if _, err := forgetful.Announcement(t.Context(), b.sealed(), "eu-1"); err != nil || !forgetful.Key().Equal(b.identity.PublicKey()) {
			t.Errorf("%s: does not learn it again: %v", name, err)
		}
		check(t, member.Client.Get(t.Context(), client.ObjectKey{Namespace: b.namespace, Name: enrol.PinsName}, configMap))
	}
}

// TestPinsCannotBeKept: an API server that takes nothing keeps no announcement from
// the cluster. What was learned counts, and is kept as soon as it can be.
func TestPinsCannotBeKept(t *testing.T) {
	b := newBed(t)
	manifest := b.config(nil)
	pins := b.pins(manifest)
	b.exchange(hubenrol.SigningKey)
	b.faults(nil, func(r *http.Request) bool { return r.Method != http.MethodGet })
	if _, err := pins.Announcement(t.Context(), b.sealed(), "eu-1"); err != nil || !pins.Key().Equal(b.identity.PublicKey()) {
		t.Errorf("refused: %v", err)
	}
	if again := b.pins(manifest); !again.Key().Equal(manifest.HubKey) {
		t.Error("it was kept")
	}
	b.faults(nil, nil)
	if _, err := pins.Announcement(t.Context(), b.sealed(), "eu-1"); err != nil {
		t.Fatal(err)
	}
	if again := b.pins(manifest); !again.Key().Equal(b.identity.PublicKey()) {
		t.Error("it was not kept with the next message")
	}
}

// TestJoinAcrossExchanges: a manifest from before the hub's keys were exchanged still
// joins, with its token, and the agent obeys the newest keys by the answer alone. What
// is connected stays so when the old authority is retired.
func TestJoinAcrossExchanges(t *testing.T) {
	b := newBed(t)
	manifest := b.config(nil)
	b.exchange(hubenrol.SigningKey, hubenrol.Authority, hubenrol.SigningKey, hubenrol.Authority)
	manifest.Pins = b.pins(manifest)
	conn, _ := b.agentOf(manifest)
	check(t, conn.WaitConnected(t.Context()))
	if !manifest.Pins.Key().Equal(b.identity.PublicKey()) {
		t.Error("obeys another key than the newest")
	}
	made, _ := conn.Connects()
	check(t, hubenrol.Retire(b.dir, hubenrol.Authority))
	b.exchange(hubenrol.SigningKey)
	if _, err := manifest.Pins.Announcement(t.Context(), b.sealed(), "eu-1"); err != nil {
		t.Fatal(err)
	}
	if again, _ := conn.Connects(); again != made || !conn.Connected() {
		t.Errorf("the connection was made %d times, %d before", again, made)
	}
	conn.Reconnect()
	b.until("a connection to who has the new authority", func() bool { again, _ := conn.Connects(); return again > made && conn.Connected() })
	if got := manifest.Pins.CA(); !bytes.Equal(got, b.identity.CA()) {
		t.Errorf("trusts %s", got)
	}
}
