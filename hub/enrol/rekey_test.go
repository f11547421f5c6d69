package enrol_test

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
)

// TestRollExchange plays requests one after the other, with A the key of eu-3. Each
// story ends with a request whose refusal it names, and which keys are good then.
func TestRollExchange(t *testing.T) {
	identity := open(t, t.TempDir())
	type step func(enrol.Roll) (enrol.Roll, error)
	swap := func(key, former string) step {
		return func(r enrol.Roll) (enrol.Roll, error) {
			return r.Enrol(enrol.Request{Cluster: "eu-3", Key: key, Former: former}, noon)
		}
	}
	ask := func(key string) step { return swap(key, "") }
	known := func(key, former string) step {
		return func(r enrol.Roll) (enrol.Roll, error) {
			return r.Enrol(enrol.Request{Cluster: "eu-3", Key: key, Former: former, Known: true}, noon)
		}
	}
	lose := func(enrol.Roll) (enrol.Roll, error) { return enrol.Roll{}, nil }
	revoke := func(r enrol.Roll) (enrol.Roll, error) { return r.Revoke("eu-3", noon) }
	rotate := func(r enrol.Roll) (enrol.Roll, error) { return r.Rotate("eu-3", noon) }
	rejoin := func(r enrol.Roll) (enrol.Roll, error) {
		r, err := r.AllowRejoin("eu-3")
		if err != nil {
			return r, err
		}
		return r.Enrol(enrol.Request{Cluster: "eu-3", Key: "C", Token: newToken(t, identity, "eu-3", false)}, noon)
	}
	tests := map[string]struct {
		steps []step
		want  wire.Refusal
		key   string   // of the member then
		shut  []string // keys that are worth nothing
	}{
		"asked":                              {[]step{swap("B", "A")}, "", "A", nil},
		"the answer was lost":                {[]step{swap("B", "A"), swap("B", "A")}, "", "A", nil},
		"the old one goes on meanwhile":      {[]step{swap("B", "A"), ask("A")}, "", "A", nil},
		"heard from":                         {[]step{swap("B", "A"), ask("B")}, "", "B", []string{"A"}},
		"heard from twice":                   {[]step{swap("B", "A"), ask("B"), ask("B")}, "", "B", []string{"A"}},
		"asked again after that":             {[]step{swap("B", "A"), ask("B"), swap("B", "A")}, "", "B", []string{"A"}},
		"the old one after that":             {[]step{swap("B", "A"), ask("B"), ask("A")}, wire.RefusedKey, "B", []string{"A"}},
		"the old one exchanges once more":    {[]step{swap("B", "A"), ask("B"), swap("C", "A")}, wire.RefusedKey, "B", []string{"A"}},
		"back to the old one":                {[]step{swap("B", "A"), ask("B"), swap("A", "B")}, wire.RefusedKey, "B", []string{"A"}},
		"the next one was lost, and another": {[]step{swap("B", "A"), swap("C", "A")}, "", "A", []string{"B"}},
		"the lost one turns up":              {[]step{swap("B", "A"), swap("C", "A"), ask("B")}, wire.RefusedKey, "A", []string{"B"}},
		"twice":                              {[]step{swap("B", "A"), ask("B"), swap("C", "B"), ask("C")}, "", "C", []string{"A", "B"}},
		"of a stranger":                      {[]step{swap("B", "X")}, wire.RefusedKey, "A", nil},
		"to a key that nobody asked for":     {[]step{ask("B")}, wire.RefusedKey, "A", nil},
		"revoked":                            {[]step{revoke, swap("B", "A")}, wire.RefusedRevoked, "A", []string{"A"}},
		"revoked in between":                 {[]step{swap("B", "A"), revoke, ask("B")}, wire.RefusedRevoked, "A", []string{"A", "B"}},
		"rebuilt in between":                 {[]step{swap("B", "A"), rejoin, ask("B")}, wire.RefusedKey, "C", []string{"A", "B"}},
		"wanted by a person":                 {[]step{rotate, ask("A"), swap("B", "A"), ask("B")}, "", "B", []string{"A"}},
		"the roll was lost":                  {[]step{lose, known("B", "A"), ask("B")}, "", "B", []string{"A"}},
		"the roll was lost, without a JWT":   {[]step{lose, swap("B", "A")}, wire.RefusedUnknown, "", nil},
		"the roll was lost after the asking": {[]step{swap("B", "A"), lose, known("B", "")}, "", "B", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			roll := enrol.Roll{Members: map[fleet.ClusterName]enrol.Member{"eu-3": {Key: "A"}}}
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
			if got != test.want || roll.Members["eu-3"].Key != test.key {
				t.Errorf("refusal %q (%v), want %q; key %q, want %q", got, err, test.want, roll.Members["eu-3"].Key, test.key)
			}
			want := map[string]time.Time{}
			for _, key := range test.shut {
				want[key] = noon
			}
			if roll.Revoked == nil {
				roll.Revoked = map[string]time.Time{}
			}
			if diff := cmp.Diff(want, roll.Revoked); diff != "" {
				t.Errorf("keys that are worth nothing: %s", diff)
			}
			if m := roll.Members["eu-3"]; m.Key == "B" && (m.Next != "" || m.Exchange) {
				t.Errorf("the exchange has not ended: %+v", m)
			}
		})
	}
}

// TestRollEnds: what was signed last is taken back too, where a clock was read before that.
func TestRollEnds(t *testing.T) {
	later := noon.Add(2 * time.Second)
	for name, end := range map[string]func(enrol.Roll) (enrol.Roll, error){
		"revoked":   func(r enrol.Roll) (enrol.Roll, error) { return r.Revoke("eu-3", noon) },
		"rotated":   func(r enrol.Roll) (enrol.Roll, error) { return r.Rotate("eu-3", noon) },
		"exchanged": func(r enrol.Roll) (enrol.Roll, error) { return r.Enrol(enrol.Request{Cluster: "eu-3", Key: "B"}, noon) },
	} {
		t.Run(name, func(t *testing.T) {
			roll := enrol.Roll{Members: map[fleet.ClusterName]enrol.Member{"eu-3": {Key: "A", Next: "B", Issued: later}}}
			after, err := end(roll)
			if err != nil || !after.Revoked["A"].Equal(later) {
				t.Errorf("taken back until %s, want %s; %v", after.Revoked["A"], later, err)
			}
		})
	}
}

// TestCVE20264740Exchange (Open Cluster Management): a member that exchanges its key
// cannot become another one by it, nor take another's key away.
func TestCVE20264740Exchange(t *testing.T) {
	identity := open(t, t.TempDir())
	desk := openDesk(t, identity, filepath.Join(t.TempDir(), enrol.RollName), nil)
	eu, us, thief := newAgentKey(t), newAgentKey(t), newAgentKey(t)
	given := map[fleet.ClusterName]string{}
	for cluster, agent := range map[fleet.ClusterName]agentKey{"eu-3": eu, "us-1": us} {
		given[cluster] = agent.ask(desk, identity, wire.EnrolRequest{Cluster: cluster}, newToken(t, identity, cluster, false), noon).JWT
	}
	before := desk.Roll()
	for name, test := range map[string]struct {
		cluster     fleet.ClusterName
		key, former agentKey
		jwt         string
	}{
		"its own key as the one before":    {"us-1", thief, eu, ""},
		"and its own JWT":                  {"us-1", thief, eu, given["eu-3"]},
		"and the other's JWT":              {"us-1", thief, eu, given["us-1"]},
		"its own key as the next":          {"us-1", eu, thief, given["us-1"]},
		"the other's name with both of it": {"us-1", eu, eu, given["eu-3"]},
	} {
		r := wire.EnrolRequest{Version: 1, Cluster: test.cluster, Key: test.key.name, Nonce: rand.Text(), JWT: test.jwt}
		sealed, err := wire.SealEnrolExchange(r, test.key.pair, test.former.pair)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := wire.OpenEnrolAnswer(desk.Answer(test.cluster, sealed, noon.Add(time.Hour)), r, identity.PublicKey())
		if err != nil || answer.Refusal != wire.RefusedKey || answer.JWT != "" {
			t.Errorf("%s: %+v %v", name, answer, err)
		}
		if diff := cmp.Diff(before, desk.Roll()); diff != "" {
			t.Errorf("%s: the roll has changed: %s", name, diff)
		}
	}
	// A request on the subject of one cluster about another is none.
	r := wire.EnrolRequest{Version: 1, Cluster: "us-1", Key: thief.name, Nonce: rand.Text()}
	sealed, err := wire.SealEnrolExchange(r, thief.pair, eu.pair)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := wire.OpenEnrolRequest(sealed, "eu-3", identity.PublicKey()); err == nil {
		t.Error("a request about another cluster than its subject's")
	}
	// Who does not hold the key of before names it in vain.
	forged, err := wire.SealEnrolRequest(wire.EnrolRequest{Version: 1, Cluster: "us-1", Key: thief.name, Nonce: rand.Text(), Former: us.name}, thief.pair, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := wire.OpenEnrolRequest(forged, "us-1", identity.PublicKey()); !errors.Is(err, wire.ErrProof) {
		t.Errorf("the key of before has not signed: %v", err)
	}
}

// allowed is all that the hub gives to a cluster's agent, whoever asks and however.
func allowed(cluster fleet.ClusterName) jwt.UserPermissionLimits {
	allow := wire.AllowAgent(cluster)
	return jwt.UserPermissionLimits{
		Permissions:            jwt.Permissions{Pub: jwt.Permission{Allow: allow.Publish}, Sub: jwt.Permission{Allow: allow.Subscribe}},
		Limits:                 jwt.Limits{NatsLimits: jwt.NatsLimits{Subs: 16, Data: -1, Payload: wire.MaxMessage}},
		AllowedConnectionTypes: jwt.StringList{jwt.ConnectionTypeStandard, jwt.ConnectionTypeWebsocket},
	}
}

// mighty is a JWT that allows everything, signed by whoever made it, for a key.
func mighty(t *testing.T, key string) string {
	t.Helper()
	account, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.NewUserClaims(key)
	claims.Tags.Add("cluster:eu-3", "cluster:us-1")
	claims.Pub.Allow.Add(">")
	claims.Sub.Allow.Add(">")
	token, err := claims.Encode(account)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestCVE202456513 (Karmada): what an agent is given names its own cluster and nothing
// else, at its first request, at a renewal and with another key.
func TestCVE202456513(t *testing.T) {
	identity := open(t, t.TempDir())
	desk := openDesk(t, identity, filepath.Join(t.TempDir(), enrol.RollName), nil)
	agent, next := newAgentKey(t), newAgentKey(t)
	swap := wire.EnrolRequest{Version: 1, Cluster: "eu-3", Key: next.name, Nonce: "n", JWT: mighty(t, agent.name)}
	answers := map[string]wire.EnrolAnswer{
		"joined":  agent.ask(desk, identity, wire.EnrolRequest{Cluster: "eu-3", JWT: mighty(t, agent.name)}, newToken(t, identity, "eu-3", false), noon),
		"renewed": agent.ask(desk, identity, wire.EnrolRequest{Cluster: "eu-3", JWT: mighty(t, agent.name)}, nil, noon),
	}
	sealed, err := wire.SealEnrolExchange(swap, next.pair, agent.pair)
	if err != nil {
		t.Fatal(err)
	}
	if answers["exchanged"], err = wire.OpenEnrolAnswer(desk.Answer("eu-3", sealed, noon), swap, identity.PublicKey()); err != nil {
		t.Fatal(err)
	}
	for name, answer := range answers {
		claims, err := jwt.DecodeUserClaims(answer.JWT)
		if err != nil {
			t.Fatal(name, answer, err)
		}
		if diff := cmp.Diff(allowed("eu-3"), claims.UserPermissionLimits); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestKarmada7147: a token cannot name permissions, whatever is written into it. The
// hub makes the allow-list, of the cluster's name alone.
func TestKarmada7147(t *testing.T) {
	identity := open(t, t.TempDir())
	desk := openDesk(t, identity, filepath.Join(t.TempDir(), enrol.RollName), nil)
	token, err := identity.NewToken(wire.Invitation{Cluster: "eu-3", Expires: noon.Add(time.Hour), Labels: map[string]string{
		"permissions": ">", "pub.allow": "fleet.v1.desired.>", "tags": "cluster:us-1", "role": "system:karmada:agent:rbac-generator",
	}})
	if err != nil {
		t.Fatal(err)
	}
	agent := newAgentKey(t)
	claims, err := jwt.DecodeUserClaims(agent.ask(desk, identity, wire.EnrolRequest{Cluster: "eu-3"}, &token, noon).JWT)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(allowed("eu-3"), claims.UserPermissionLimits); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(jwt.TagList{"cluster:eu-3"}, claims.Tags); diff != "" {
		t.Error(diff)
	}
	for _, cluster := range []fleet.ClusterName{"*", ">", "eu-3.>", "eu-3 us-1", ""} {
		if _, err := identity.NewToken(wire.Invitation{Cluster: cluster, Expires: noon.Add(time.Hour)}); err == nil {
			t.Errorf("a token for cluster %q", cluster)
		}
	}
	// The credential beside it in the manifest is good for asking and for the answer.
	door, err := identity.DoorCredentials("eu-3")
	if err != nil {
		t.Fatal(err)
	}
	text, err := nkeys.ParseDecoratedJWT(door)
	if err != nil {
		t.Fatal(err)
	}
	if claims, err = jwt.DecodeUserClaims(text); err != nil {
		t.Fatal(err)
	}
	want := jwt.Permissions{Pub: jwt.Permission{Allow: jwt.StringList{"fleet.v1.enrol.eu-3"}}, Sub: jwt.Permission{Allow: jwt.StringList{"_INBOX._door.eu-3.>"}}}
	if diff := cmp.Diff(want, claims.Permissions); diff != "" {
		t.Error(diff)
	}
}

// TestRotateCommand: a person asks for another key. What was signed for the old one
// until then is worth nothing, and the agent is told when it asks.
func TestRotateCommand(t *testing.T) {
	identity := open(t, t.TempDir())
	var shut map[string]time.Time
	desk, err := enrol.OpenDesk(enrol.DeskConfig{
		Identity: identity, File: filepath.Join(t.TempDir(), enrol.RollName), Log: slog.New(slog.DiscardHandler),
		Revoked: func(keys map[string]time.Time) error { shut = keys; return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	agent := newAgentKey(t)
	if got := agent.ask(desk, identity, wire.EnrolRequest{Cluster: "eu-3"}, newToken(t, identity, "eu-3", false), noon); got.JWT == "" || got.Exchange {
		t.Errorf("%+v", got)
	}
	for cluster, ok := range map[fleet.ClusterName]bool{"eu-3": true, "us-1": false} {
		sealed, err := identity.SealCommand(enrol.VerbRotate, cluster, noon)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := desk.Do(sealed, noon); (err == nil) != ok {
			t.Errorf("rotate %s: %v", cluster, err)
		}
	}
	if diff := cmp.Diff(map[string]time.Time{agent.name: desk.Roll().Members["eu-3"].Issued}, shut); diff != "" {
		t.Errorf("cut off: %s", diff)
	}
	if got := agent.ask(desk, identity, wire.EnrolRequest{Cluster: "eu-3"}, nil, noon.Add(time.Minute)); got.JWT == "" || !got.Exchange {
		t.Errorf("asked after it was told: %+v", got)
	}
}
