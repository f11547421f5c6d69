package enrol_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/hub/enrol"
	"github.com/navarch/navarch/wire"
)

// agentKey is an agent that asks.
type agentKey struct {
	t    *testing.T
	pair nkeys.KeyPair
	name string
}

func newAgentKey(t *testing.T) agentKey {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	name, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return agentKey{t, pair, name}
}

func (a agentKey) ask(desk *enrol.Desk, identity *enrol.Identity, r wire.EnrolRequest, token *wire.Token, now time.Time) wire.EnrolAnswer {
	a.t.Helper()
	r.Version, r.Key, r.Nonce = 1, a.name, rand.Text()
	sealed, err := wire.SealEnrolRequest(r, a.pair, token)
	if err != nil {
		a.t.Fatal(err)
	}
	answer, err := wire.OpenEnrolAnswer(desk.Answer(r.Cluster, sealed, now), r, identity.PublicKey())
	if err != nil {
		a.t.Fatal(err)
	}
	return answer
}

func openDesk(t *testing.T, identity *enrol.Identity, file string, revoked func(map[string]time.Time) error) *enrol.Desk {
	t.Helper()
	desk, err := enrol.OpenDesk(enrol.DeskConfig{Identity: identity, File: file, Life: time.Hour, Revoked: revoked, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return desk
}

func TestDesk(t *testing.T) {
	identity := open(t, t.TempDir())
	file := filepath.Join(t.TempDir(), enrol.RollName)
	desk := openDesk(t, identity, file, nil)
	agent, stranger := newAgentKey(t), newAgentKey(t)
	token := newToken(t, identity, "eu-3", false)

	answer := agent.ask(desk, identity, wire.EnrolRequest{Cluster: "eu-3"}, token, noon)
	claims, err := jwt.DecodeUserClaims(answer.JWT)
	if err != nil {
		t.Fatal(answer, err)
	}
	if issued := desk.Roll().Members["eu-3"].Issued; issued.Unix() != claims.IssuedAt {
		t.Errorf("the roll says that the JWT was issued at %s, it says %s", issued, time.Unix(claims.IssuedAt, 0))
	}
	if claims.Subject != agent.name || claims.Expires != noon.Add(time.Hour).Unix() || claims.Name != "eu-3" {
		t.Errorf("%+v", claims)
	}
	if got := stranger.ask(desk, identity, wire.EnrolRequest{Cluster: "eu-3"}, token, noon); got.Refusal != wire.RefusedToken {
		t.Errorf("a token was used twice: %+v", got)
	}
	if got := stranger.ask(desk, identity, wire.EnrolRequest{Cluster: "eu-3", JWT: answer.JWT}, nil, noon); got.Refusal != wire.RefusedKey {
		t.Errorf("with another's JWT: %+v", got)
	}

	// What is on disk is enough, and nothing there is secret.
	content, err := os.ReadFile(file)
	if err != nil || bytes.Contains(content, []byte(token.String())) {
		t.Error(err, string(content))
	}
	again := openDesk(t, identity, file, nil)
	if got := agent.ask(again, identity, wire.EnrolRequest{Cluster: "eu-3"}, nil, noon.Add(100*time.Hour)); got.JWT == "" {
		t.Errorf("not admitted by its key after a restart: %+v", got)
	}

	// Without it, the JWT that the agent has shows who it is. It alone is not enough.
	lost := openDesk(t, identity, filepath.Join(t.TempDir(), enrol.RollName), nil)
	if got := stranger.ask(lost, identity, wire.EnrolRequest{Cluster: "eu-3", JWT: answer.JWT}, nil, noon); got.Refusal != wire.RefusedUnknown {
		t.Errorf("with another's JWT: %+v", got)
	}
	if got := agent.ask(lost, identity, wire.EnrolRequest{Cluster: "us-1", JWT: answer.JWT}, nil, noon); got.Refusal != wire.RefusedUnknown {
		t.Errorf("as another cluster: %+v", got)
	}
	if got := agent.ask(lost, identity, wire.EnrolRequest{Cluster: "eu-3", JWT: answer.JWT}, nil, noon); got.JWT == "" {
		t.Errorf("not admitted by its JWT: %+v", got)
	}
}

func TestDeskLimits(t *testing.T) {
	identity := open(t, t.TempDir())
	desk := openDesk(t, identity, filepath.Join(t.TempDir(), enrol.RollName), nil)
	answered := 0
	for range 100 {
		if desk.Answer("eu-3", []byte("{}"), noon) != nil {
			answered++
		}
	}
	if answered == 0 || answered > 10 {
		t.Errorf("%d of 100 requests at once were answered", answered)
	}
	if desk.Answer("us-1", []byte("{}"), noon) == nil {
		t.Error("one cluster silenced another")
	}
}

// TestDeskTellsTheNewest: of two revocations at once, what is told last holds both.
func TestDeskTellsTheNewest(t *testing.T) {
	identity := open(t, t.TempDir())
	first, goOn := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	var told map[string]time.Time
	began := sync.OnceFunc(func() { close(first); <-goOn })
	desk := openDesk(t, identity, filepath.Join(t.TempDir(), enrol.RollName), func(keys map[string]time.Time) error {
		began() // whoever is first is slow
		mu.Lock()
		defer mu.Unlock()
		told = keys
		return nil
	})
	want := map[string]time.Time{}
	for _, cluster := range []fleet.ClusterName{"eu-1", "us-1"} {
		agent := newAgentKey(t)
		agent.ask(desk, identity, wire.EnrolRequest{Cluster: cluster}, newToken(t, identity, cluster, false), noon)
		want[agent.name] = desk.Roll().Members[cluster].Issued
	}
	done := make(chan error, 2)
	revoke := func(cluster fleet.ClusterName) { _, err := desk.Tell(enrol.VerbRevoke, cluster, noon); done <- err }
	go revoke("eu-1")
	<-first
	go revoke("us-1")
	for len(desk.Roll().Revoked) < 2 {
		runtime.Gosched()
	}
	close(goOn)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told last: %s", diff)
	}
}

// TestDeskCannotKeep: who cannot be written down is not admitted.
func TestDeskCannotKeep(t *testing.T) {
	identity := open(t, t.TempDir())
	desk := openDesk(t, identity, filepath.Join(t.TempDir(), "absent", enrol.RollName), nil)
	agent := newAgentKey(t)
	sealed, err := wire.SealEnrolRequest(wire.EnrolRequest{Version: 1, Cluster: "eu-3", Key: agent.name}, agent.pair, newToken(t, identity, "eu-3", false))
	if err != nil {
		t.Fatal(err)
	}
	if answer := desk.Answer("eu-3", sealed, noon); answer != nil || len(desk.Roll().Members) > 0 {
		t.Errorf("answered %s, members %v", answer, desk.Roll().Members)
	}
}

func TestCommands(t *testing.T) {
	identity := open(t, t.TempDir())
	told := 0
	desk := openDesk(t, identity, filepath.Join(t.TempDir(), enrol.RollName), func(map[string]time.Time) error { told++; return nil })
	agent := newAgentKey(t)
	token := newToken(t, identity, "eu-3", true)
	do := func(verb string) error {
		t.Helper()
		sealed, err := identity.SealCommand(verb, "eu-3", noon)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = desk.Do(sealed, noon); err != nil {
			return err
		}
		if _, again := desk.Do(sealed, noon); !errors.Is(again, enrol.ErrCommand) {
			t.Errorf("%s was done twice: %v", verb, again)
		}
		return nil
	}
	if err := do(enrol.VerbApprove); err == nil {
		t.Error("approved a cluster that never asked")
	}
	if got := agent.ask(desk, identity, wire.EnrolRequest{Cluster: "eu-3"}, token, noon); got.Refusal != wire.RefusedWaiting {
		t.Errorf("%+v", got)
	}
	for _, verb := range []string{enrol.VerbList, enrol.VerbApprove} {
		if err := do(verb); err != nil {
			t.Error(verb, err)
		}
	}
	if got := agent.ask(desk, identity, wire.EnrolRequest{Cluster: "eu-3"}, token, noon); got.JWT == "" {
		t.Errorf("approved: %+v", got)
	}
	issued := desk.Roll().Members["eu-3"].Issued // later than noon, by the clock that signs
	if err := do(enrol.VerbRevoke); err != nil || told != 1 || desk.Roll().Revoked[agent.name] != issued {
		t.Error(err, told, desk.Roll())
	}
	if err := do("dance"); err == nil {
		t.Error("did what it does not know")
	}
	stranger := open(t, t.TempDir())
	forged, err := stranger.SealCommand(enrol.VerbRevoke, "eu-3", noon)
	if err != nil {
		t.Fatal(err)
	}
	late, err := identity.SealCommand(enrol.VerbAllowRejoin, "eu-3", noon.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for name, sealed := range map[string][]byte{"forged": forged, "late": late, "none": nil} {
		if _, err := desk.Do(sealed, noon); !errors.Is(err, enrol.ErrCommand) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
