package wire_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/wire"
)

// exchanged is the succession from the first of several keys to the last.
func exchanged(t testing.TB, keys ...byte) *wire.Succession {
	t.Helper()
	past := &wire.Succession{}
	for n := 1; n < len(keys); n++ {
		step, err := wire.NewStep(n, hubKey(keys[n-1]), hubKey(keys[n]), noon)
		if err != nil {
			t.Fatal(err)
		}
		past.Steps = append(past.Steps, step)
	}
	return past
}

// sealedBy is the announcement, sealed by the last of the keys with what leads to it.
func sealedBy(t testing.TB, past *wire.Succession, key byte) []byte {
	t.Helper()
	sealed, err := wire.SealAfter(announcement(), hubKey(key), past)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// follow opens one announcement after the other, and returns who is trusted then.
func follow(t testing.TB, trust wire.Trust, sealed ...[]byte) wire.Trust {
	t.Helper()
	for _, s := range sealed {
		var err error
		if _, trust, err = trust.Announcement(s, "eu-1"); err != nil {
			t.Fatal(err)
		}
	}
	return trust
}

// TestTrustFollows: an agent follows the hub's key over every exchange, one by one or
// all at once, and obeys only the newest that it knows of.
func TestTrustFollows(t *testing.T) {
	first := wire.NewTrust(public(hubKey(1)))
	all := sealedBy(t, exchanged(t, 1, 2, 3, 4), 4)
	for name, got := range map[string]wire.Trust{
		"away during three": follow(t, first, all),
		"step by step":      follow(t, first, sealedBy(t, nil, 1), sealedBy(t, exchanged(t, 1, 2), 2), sealedBy(t, exchanged(t, 1, 2, 3), 3), all, all),
		"installed between": follow(t, wire.NewTrust(public(hubKey(3))), all),
		"installed after":   follow(t, wire.NewTrust(public(hubKey(4))), all),
	} {
		if !got.Key().Equal(public(hubKey(4))) {
			t.Errorf("%s: obeys another key", name)
		}
		if _, _, err := got.Announcement(sealedBy(t, exchanged(t, 1, 2, 3, 4, 5), 5), "eu-1"); err != nil {
			t.Errorf("%s: does not follow on: %v", name, err)
		}
	}
	got := follow(t, first, all)
	for name, sealed := range map[string][]byte{
		"of the first key":              sealedBy(t, nil, 1),
		"of the second key":             sealedBy(t, exchanged(t, 1, 2), 2),
		"of the first, with all of it":  sealedBy(t, exchanged(t, 1, 2, 3, 4), 1),
		"of the second, with all of it": sealedBy(t, exchanged(t, 1, 2, 3, 4), 2),
	} {
		a, after, err := got.Announcement(sealed, "eu-1")
		if !errors.Is(err, wire.ErrExchanged) || !after.Key().Equal(public(hubKey(4))) {
			t.Errorf("an announcement %s: %v", name, err)
		}
		if a.Sequence != announcement().Sequence {
			t.Errorf("an announcement %s comes back as %+v", name, a)
		}
	}
}

// TestTrustRefuses lists what leads an agent nowhere. Whatever it is, the agent goes on
// obeying the key that it obeyed.
func TestTrustRefuses(t *testing.T) {
	steps := exchanged(t, 1, 2, 3).Steps
	with := func(steps ...wire.SealedStep) *wire.Succession { return &wire.Succession{Steps: steps} }
	changed := func(change func(*wire.SealedStep)) wire.SealedStep {
		s := steps[1]
		s.Step, s.ByOld, s.ByNew = bytes.Clone(s.Step), bytes.Clone(s.ByOld), bytes.Clone(s.ByNew)
		change(&s)
		return s
	}
	other := exchanged(t, 8, 2).Steps[0] // by another key than it names
	forged := wire.SealedStep{Step: steps[0].Step, ByOld: other.ByOld, ByNew: steps[0].ByNew}
	long := make([]byte, wire.MaxSteps+2)
	for i := range long {
		long[i] = byte(100 + i)
	}
	long[0] = 1
	for name, test := range map[string]struct {
		past *wire.Succession
		key  byte
		want error
	}{
		"of another hub":           {exchanged(t, 7, 8), 8, wire.ErrSignature},
		"none":                     {nil, 3, wire.ErrSignature},
		"an empty one":             {with(), 3, wire.ErrSignature},
		"its beginning cut off":    {with(steps[1]), 3, wire.ErrSignature},
		"its end cut off":          {with(steps[0]), 3, wire.ErrSignature},
		"its middle cut out":       {with(steps[0], exchanged(t, 3, 4).Steps[0]), 4, wire.ErrSuccession},
		"reordered":                {with(steps[1], steps[0]), 3, wire.ErrSuccession},
		"a step twice":             {with(steps[0], steps[0], steps[1]), 3, wire.ErrSuccession},
		"a step of another hub":    {with(exchanged(t, 7, 2).Steps[0], steps[1]), 3, wire.ErrSignature},
		"a forged step":            {with(forged, steps[1]), 3, wire.ErrSuccession},
		"back to the first":        {exchanged(t, 1, 2, 1), 1, wire.ErrSuccession},
		"to itself":                {exchanged(t, 1, 1), 1, wire.ErrSuccession},
		"too long":                 {exchanged(t, long...), long[len(long)-1], wire.ErrSuccession},
		"sealed by a stranger":     {exchanged(t, 1, 2, 3), 9, wire.ErrSignature},
		"not signed by the old":    {with(steps[0], changed(func(s *wire.SealedStep) { s.ByOld = s.ByNew })), 3, wire.ErrSuccession},
		"not signed by the new":    {with(steps[0], changed(func(s *wire.SealedStep) { s.ByNew = s.ByOld })), 3, wire.ErrSuccession},
		"no signature":             {with(steps[0], changed(func(s *wire.SealedStep) { s.ByOld = nil })), 3, wire.ErrSuccession},
		"another date":             {with(steps[0], changed(func(s *wire.SealedStep) { s.Step = bytes.Replace(s.Step, []byte("2026"), []byte("2027"), 1) })), 3, wire.ErrSuccession},
		"no step at all":           {with(steps[0], wire.SealedStep{Step: []byte("{}")}), 3, wire.ErrSuccession},
		"signed without a context": {with(steps[0], changed(func(s *wire.SealedStep) { s.ByOld = ed25519.Sign(hubKey(2), s.Step) })), 3, wire.ErrSuccession},
	} {
		t.Run(name, func(t *testing.T) {
			trust := wire.NewTrust(public(hubKey(1)))
			_, after, err := trust.Announcement(sealedBy(t, test.past, test.key), "eu-1")
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			if !after.Key().Equal(public(hubKey(1))) {
				t.Error("obeys another key now")
			}
		})
	}
}

// TestTrustFork: of two keys that took the place of one, the first that an agent sees
// counts for it, for ever.
func TestTrustFork(t *testing.T) {
	trust := follow(t, wire.NewTrust(public(hubKey(1))), sealedBy(t, exchanged(t, 1, 2), 2))
	for name, past := range map[string]*wire.Succession{"at once": exchanged(t, 1, 9), "later": exchanged(t, 1, 5, 9)} {
		if _, after, err := trust.Announcement(sealedBy(t, past, 9), "eu-1"); !errors.Is(err, wire.ErrFork) || !after.Key().Equal(public(hubKey(2))) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTrustStaysWithWrongContent: what is signed well but not for this agent teaches
// nothing.
func TestTrustStaysWithWrongContent(t *testing.T) {
	trust := wire.NewTrust(public(hubKey(1)))
	if _, after, err := trust.Announcement(sealedBy(t, exchanged(t, 1, 2), 2), "us-1"); err == nil || !after.Key().Equal(public(hubKey(1))) {
		t.Errorf("an announcement to another cluster: %v", err)
	}
	answer, err := wire.SealEnrolAnswerAfter(wire.EnrolAnswer{Version: 1, Cluster: "eu-1", Nonce: "n", JWT: "ey"}, hubKey(2), exchanged(t, 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	request := wire.EnrolRequest{Version: 1, Cluster: "eu-1", Nonce: "another"}
	if _, after, err := trust.Answer(answer, request); err == nil || !after.Key().Equal(public(hubKey(1))) {
		t.Errorf("an answer to another request: %v", err)
	}
	if _, _, err := trust.Announcement(answer, "eu-1"); !errors.Is(err, wire.ErrSignature) {
		t.Errorf("an answer as an announcement: %v", err)
	}
	request.Nonce = "n"
	if _, after, err := trust.Answer(answer, request); err != nil || !after.Key().Equal(public(hubKey(2))) {
		t.Errorf("an answer: %v", err)
	}
}

// TestRecall starts an agent again with what it kept, and with an install manifest that
// somebody may have replaced meanwhile.
func TestRecall(t *testing.T) {
	kept := follow(t, wire.NewTrust(public(hubKey(2))), sealedBy(t, exchanged(t, 1, 2, 3, 4), 4)).Followed()
	for name, test := range map[string]struct {
		manifest, want byte
		ok             bool
	}{
		"the same manifest":              {2, 4, true},
		"that of a later key":            {3, 4, true},
		"that of the newest key":         {4, 4, true},
		"that of a key not heard of yet": {5, 5, false},
		"that of another hub":            {9, 9, false},
		"that of an earlier key":         {1, 1, false}, // it leads on, once the hub is heard
	} {
		got, err := wire.Recall(public(hubKey(test.manifest)), kept)
		if !got.Key().Equal(public(hubKey(test.want))) || (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	damaged := wire.Succession{Steps: slices.Clone(kept.Steps)}
	damaged.Steps[0].ByOld = nil
	if got, err := wire.Recall(public(hubKey(2)), damaged); !errors.Is(err, wire.ErrSuccession) || !got.Key().Equal(public(hubKey(2))) {
		t.Errorf("damaged: %v", err)
	}
}

func certificate(der string) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(der)})
}

func withAuthority(t testing.TB, past *wire.Succession, key byte, a wire.Authority) *wire.Succession {
	t.Helper()
	var err error
	if past.Authority, err = wire.NewAuthority(a, hubKey(key)); err != nil {
		t.Fatal(err)
	}
	return past
}

// TestAuthorities: what the hub says of its authorities counts for agents whose
// manifest names one of them, and never goes back.
func TestAuthorities(t *testing.T) {
	both := wire.Authority{Number: 1, Certificates: [][]byte{[]byte("new"), []byte("old")}}
	retired := wire.Authority{Number: 2, Certificates: [][]byte{[]byte("new")}, Retired: []string{wire.KeyID([]byte("old"))}}
	say := func(a wire.Authority) []byte { return sealedBy(t, withAuthority(t, exchanged(t, 1, 2), 2, a), 2) }
	none := wire.NewTrust(public(hubKey(1)))
	for name, test := range map[string]struct {
		trust    wire.Trust
		manifest string
		want     string
	}{
		"nothing heard":                 {none, "old", "old"},
		"the old one in the manifest":   {follow(t, none, say(both)), "old", "new old"},
		"the new one in the manifest":   {follow(t, none, say(both)), "new", "new old"},
		"the old one retired":           {follow(t, none, say(both), say(retired)), "old", "new"},
		"an older statement comes late": {follow(t, none, say(retired), say(both)), "old", "new"},
		"somebody's own NATS server":    {follow(t, none, say(retired)), "own", "own"},
	} {
		var want []byte
		for der := range bytes.SplitSeq([]byte(test.want), []byte(" ")) {
			want = append(want, certificate(string(der))...)
		}
		if diff := cmp.Diff(string(want), string(test.trust.Authorities(certificate(test.manifest)))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if got := follow(t, none, say(both)).Authorities(nil); got != nil {
		t.Errorf("with the system's authorities it says %q", got)
	}
	if _, _, err := none.Announcement(sealedBy(t, withAuthority(t, exchanged(t, 1, 2), 1, both), 2), "eu-1"); !errors.Is(err, wire.ErrSuccession) {
		t.Errorf("signed by the old key: %v", err)
	}
	again, err := wire.Recall(public(hubKey(1)), follow(t, none, say(retired)).Followed())
	if err != nil || string(again.Authorities(certificate("old"))) != string(certificate("new")) {
		t.Errorf("after a start: %v", err)
	}
	want := wire.Pins{Signing: wire.KeyID(public(hubKey(2))), Authorities: []string{wire.KeyID([]byte("new")), wire.KeyID([]byte("old"))}}
	if diff := cmp.Diff(want, follow(t, none, say(both)).Pins(certificate("old"))); diff != "" {
		t.Error(diff)
	}
}

// FuzzTrust: whatever comes, nobody but the hub's key leads an agent anywhere, and what
// was followed can be recalled.
func FuzzTrust(f *testing.F) {
	f.Add(sealedBy(f, nil, 1))
	f.Add(sealedBy(f, withAuthority(f, exchanged(f, 1, 2, 3), 3, wire.Authority{Number: 1, Certificates: [][]byte{[]byte("new")}}), 3))
	f.Add(sealedBy(f, exchanged(f, 7, 8), 8))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		first := public(hubKey(1))
		_, after, err := wire.NewTrust(first).Announcement(sealed, "eu-1")
		if err != nil && !after.Key().Equal(first) {
			t.Fatal("an error, and another key")
		}
		kept, err := json.Marshal(after.Followed())
		if err != nil {
			t.Fatal(err)
		}
		var read wire.Succession
		if err := json.Unmarshal(kept, &read); err != nil {
			t.Fatal(err)
		}
		if again, err := wire.Recall(first, read); err != nil || !again.Same(after) {
			t.Fatalf("not recalled: %v", err)
		}
	})
}
