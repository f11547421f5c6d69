package hostile

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
)

// enrols tries to become another cluster, or another agent of its own, through its door.
func (i *intruder) enrols(t *testing.T, neighbour *intruder) {
	stranger, _ := newKey(t)
	token := func(cluster fleet.ClusterName, life time.Duration) *wire.Token {
		made, err := i.identity.NewToken(wire.Invitation{Cluster: cluster, Expires: time.Now().Add(life)})
		check(t, err)
		return &made
	}
	other, err := enrol.Open(t.TempDir())
	check(t, err)
	forged, err := other.NewToken(wire.Invitation{Cluster: i.cluster, Expires: time.Now().Add(time.Hour)})
	check(t, err)
	seen, err := wire.ParseToken(token(i.cluster, time.Hour).Public(), i.identity.PublicKey())
	check(t, err)
	expired := token(i.cluster, -time.Second)
	for name, try := range map[string]struct {
		answer wire.EnrolAnswer
		want   wire.Refusal
	}{
		"reuses its token with another key":       {i.enrol(i.cluster, stranger, &i.token, ""), wire.RefusedToken},
		"comes without a token":                   {i.enrol(i.cluster, stranger, nil, ""), wire.RefusedKey},
		"shows its JWT with another key":          {i.enrol(i.cluster, stranger, nil, i.jwt), wire.RefusedKey},
		"shows the neighbour's JWT":               {i.enrol(i.cluster, stranger, nil, neighbour.jwt), wire.RefusedKey},
		"renews as its neighbour":                 {i.enrol("us-1", i.key, nil, i.jwt), wire.RefusedForm},
		"joins as its neighbour, with its token":  {i.enrol("us-1", i.key, &i.token, ""), wire.RefusedForm},
		"uses an expired token":                   {i.enrol(i.cluster, stranger, expired, ""), wire.RefusedToken},
		"uses a token of another cluster":         {i.enrol(i.cluster, stranger, token("ap-1", time.Hour), ""), wire.RefusedToken},
		"makes a token of its own":                {i.enrol(i.cluster, stranger, &forged, ""), wire.RefusedToken},
		"uses a token that it has only seen":      {i.enrol(i.cluster, stranger, &seen, ""), wire.RefusedToken},
		"brings a good token for a cluster taken": {i.enrol(i.cluster, stranger, token(i.cluster, time.Hour), ""), wire.RefusedKey},
	} {
		if try.answer.Refusal != try.want || try.answer.JWT != "" {
			t.Errorf("%s: refused with %q (%s), want %q", name, try.answer.Refusal, try.answer.Message, try.want)
		}
	}
	for _, text := range []string{expired.String(), i.text, forged.String(), seen.Public()} {
		if status, _ := i.answer("/install/" + text); status != http.StatusNotFound {
			t.Errorf("token %.30s… still gets a manifest: %d", text, status)
		}
	}
	// What it may do: ask again with its own key, also in the very same words. What it
	// gets is good for that key and that cluster.
	request, sealed := i.seal(i.cluster, i.key, &i.token, i.jwt)
	for range 2 {
		claims, err := jwt.DecodeUserClaims(i.ask(request, sealed).JWT)
		check(t, err)
		if claims.Subject != i.public || claims.Name != string(i.cluster) || !permits(claims.Pub.Allow, wire.AllowAgent(i.cluster).Publish) {
			t.Errorf("it was given %+v", claims)
		}
	}
}

// permits tells whether a JWT allows exactly some subjects.
func permits(got jwt.StringList, want []string) bool {
	if len(got) != len(want) {
		return false
	}
	for _, subject := range want {
		if !got.Contains(subject) {
			return false
		}
	}
	return true
}

// stealsDoor has the door credential of the neighbour, as whoever has seen its install
// manifest. With the token used, it is good for nothing but asking in vain, and for
// hearing the hub's answers, which are of use to the agent alone.
func (i *intruder) stealsDoor(t *testing.T, neighbour *intruder) {
	thief := &intruder{stage: i.stage, install: neighbour.install, cluster: neighbour.cluster, refusals: newHeard()}
	key, _ := newKey(t)
	for name, token := range map[string]*wire.Token{"the used token": &neighbour.token, "no token": nil} {
		if answer := thief.enrol("us-1", key, token, neighbour.jwt); answer.Refusal == "" {
			t.Errorf("admitted with %s", name)
		}
	}
	door := thief.dial(nats.UserCredentialBytes(thief.door), nats.CustomInboxPrefix(wire.DoorInboxPrefix("us-1")))
	thief.nc = door
	subjects := []string{
		wire.DirectGet(wire.StreamDesired, wire.DesiredSubject("us-1")), wire.DirectGet(wire.StreamArtifacts, wire.AllArtifacts), wire.DesiredSubject("us-1"),
		wire.ReportSubject("us-1", "canary-app"), wire.ClusterSubject("us-1"), wire.EnrolSubject("eu-1"), "$JS.API.INFO", "$SYS.REQ.SERVER.PING",
	}
	for _, subject := range subjects {
		check(t, door.PublishRequest(subject, door.NewInbox(), nil))
		thief.refused(t, subject)
	}
	for _, subject := range []string{wire.DesiredSubject("us-1"), wire.InboxPrefix("us-1") + ".>", wire.DoorInboxPrefix("eu-1") + ".>", wire.AllEnrol, ">"} {
		_, err := door.SubscribeSync(subject)
		check(t, err)
		thief.refused(t, subject)
	}
	overheard := thief.dial(nats.UserCredentialBytes(thief.door), nats.CustomInboxPrefix(wire.DoorInboxPrefix("us-1")))
	answers, err := overheard.SubscribeSync(wire.DoorInboxPrefix("us-1") + ".>")
	check(t, err)
	check(t, overheard.Flush())
	renewed := neighbour.enrol("us-1", neighbour.key, nil, neighbour.jwt)
	message, err := answers.NextMsg(10 * time.Second)
	if err != nil || !strings.Contains(string(message.Data), "signed") {
		t.Fatalf("this test hears nothing: %v", err)
	}
	if _, err := thief.tryDial(nats.UserJWT(func() (string, error) { return renewed.JWT, nil }, key.Sign)); err == nil || !strings.Contains(err.Error(), "uthorization") {
		t.Errorf("connected with a JWT that was overheard: %v", err)
	}
}
