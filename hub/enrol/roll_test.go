package enrol_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newToken(t testing.TB, identity *enrol.Identity, cluster fleet.ClusterName, approve bool) *wire.Token {
	t.Helper()
	token, err := identity.NewToken(wire.Invitation{Cluster: cluster, Expires: noon.Add(time.Hour), Approve: approve, Labels: map[string]string{"env": "prod"}})
	if err != nil {
		t.Fatal(err)
	}
	return &token
}

// TestEnrol plays requests one after the other. Each story ends with a request
// whose refusal it names; empty is admitted.
func TestEnrol(t *testing.T) {
	identity := open(t, t.TempDir())
	first, second := newToken(t, identity, "eu-3", false), newToken(t, identity, "eu-3", false)
	byHand, foreign := newToken(t, identity, "eu-3", true), newToken(t, identity, "us-1", false)
	join := func(key string, token *wire.Token) enrol.Request {
		return enrol.Request{Cluster: "eu-3", Key: key, Token: token}
	}
	type step func(enrol.Roll) (enrol.Roll, error)
	ask := func(q enrol.Request) step {
		return func(r enrol.Roll) (enrol.Roll, error) { return r.Enrol(q, noon) }
	}
	late := func(q enrol.Request) step {
		return func(r enrol.Roll) (enrol.Roll, error) { return r.Enrol(q, noon.Add(time.Hour)) }
	}
	revoke := func(r enrol.Roll) (enrol.Roll, error) { return r.Revoke("eu-3", noon) }
	allow := func(r enrol.Roll) (enrol.Roll, error) { return r.AllowRejoin("eu-3") }
	approve := func(r enrol.Roll) (enrol.Roll, error) { return r.Approve("eu-3") }
	lose := func(enrol.Roll) (enrol.Roll, error) { return enrol.Roll{}, nil }
	known := enrol.Request{Cluster: "eu-3", Key: "A", Known: true}
	tests := map[string]struct {
		steps []step
		want  wire.Refusal
	}{
		"a token":                        {[]step{ask(join("A", first))}, ""},
		"a lost answer":                  {[]step{ask(join("A", first)), ask(join("A", first))}, ""},
		"the key alone, later":           {[]step{ask(join("A", first)), late(join("A", nil))}, ""},
		"nothing":                        {[]step{ask(join("A", nil))}, wire.RefusedUnknown},
		"expired":                        {[]step{late(join("A", first))}, wire.RefusedToken},
		"used":                           {[]step{ask(join("A", first)), ask(join("B", first))}, wire.RefusedToken},
		"of another cluster":             {[]step{ask(join("A", foreign))}, wire.RefusedToken},
		"rebuilt":                        {[]step{ask(join("A", first)), ask(join("B", second))}, wire.RefusedKey},
		"rebuilt, without token":         {[]step{ask(join("A", first)), ask(join("B", nil))}, wire.RefusedKey},
		"rebuilt and allowed":            {[]step{ask(join("A", first)), allow, ask(join("B", second))}, ""},
		"allowed once only":              {[]step{ask(join("A", first)), allow, ask(join("B", second)), ask(join("A", nil))}, wire.RefusedKey},
		"by hand":                        {[]step{ask(join("A", byHand))}, wire.RefusedWaiting},
		"by hand, approved":              {[]step{ask(join("A", byHand)), approve, ask(join("A", byHand))}, ""},
		"by hand, another key meanwhile": {[]step{ask(join("A", byHand)), ask(join("B", byHand))}, wire.RefusedToken},
		"revoked":                        {[]step{ask(join("A", first)), revoke, ask(join("A", nil))}, wire.RefusedRevoked},
		"revoked, with the used token":   {[]step{ask(join("A", first)), revoke, ask(join("A", first))}, wire.RefusedRevoked},
		"revoked, allowed, used token":   {[]step{ask(join("A", first)), revoke, allow, ask(join("A", first))}, wire.RefusedRevoked},
		"revoked, allowed, new token":    {[]step{ask(join("A", first)), revoke, allow, ask(join("A", second))}, ""},
		"the roll was lost":              {[]step{ask(join("A", first)), lose, ask(known)}, ""},
		"revoked, with an old JWT":       {[]step{ask(join("A", first)), revoke, ask(known)}, wire.RefusedRevoked},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var roll enrol.Roll
			var err error
			for _, step := range test.steps {
				roll, err = step(roll)
			}
			var got wire.Refusal
			if refused := new(enrol.RefusedError); errors.As(err, &refused) {
				got = refused.Refusal
			} else if err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("refusal %q (%v), want %q", got, err, test.want)
			}
		})
	}
}

// TestCVE20264740 (Open Cluster Management): a member that renews cannot become
// another one, whatever it is a member of and whatever JWT it shows.
func TestCVE20264740(t *testing.T) {
	identity := open(t, t.TempDir())
	roll, err := enrol.Roll{}.Enrol(enrol.Request{Cluster: "eu-3", Key: "A", Token: newToken(t, identity, "eu-3", false)}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if roll, err = roll.Enrol(enrol.Request{Cluster: "us-1", Key: "B", Token: newToken(t, identity, "us-1", false)}, noon); err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]enrol.Request{
		"its key alone":            {Cluster: "us-1", Key: "A"},
		"a token of its own":       {Cluster: "us-1", Key: "A", Token: newToken(t, identity, "eu-3", false)},
		"a JWT that names another": {Cluster: "us-1", Key: "A", Known: true},
	} {
		after, err := roll.Enrol(q, noon)
		if err == nil {
			t.Errorf("%s: cluster eu-3 became us-1", name)
		}
		if diff := cmp.Diff(roll, after); diff != "" {
			t.Errorf("%s: the roll changed: %s", name, diff)
		}
	}
}

// TestRollUnchanged: no decision writes to the roll that it was given.
func TestRollUnchanged(t *testing.T) {
	identity := open(t, t.TempDir())
	build := func() enrol.Roll {
		return enrol.Roll{
			Members: map[fleet.ClusterName]enrol.Member{"eu-3": {Key: "A", Rejoin: true}},
			Used:    map[string]enrol.Use{"t": {Key: "A", Until: noon}},
			Revoked: map[string]time.Time{"Z": noon},
		}
	}
	roll := build()
	for name, act := range map[string]func(){
		"enrol": func() {
			_, _ = roll.Enrol(enrol.Request{Cluster: "eu-3", Key: "B", Token: newToken(t, identity, "eu-3", true)}, noon)
		},
		"approve":  func() { _, _ = roll.Approve("eu-3") },
		"revoke":   func() { _, _ = roll.Revoke("eu-3", noon) },
		"allow":    func() { _, _ = roll.AllowRejoin("eu-3") },
		"admitted": func() { roll.Admitted("eu-3", noon, noon) },
		"tidy":     func() { roll.Tidy(noon.Add(time.Hour)) },
	} {
		act()
		if diff := cmp.Diff(build(), roll); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
