package enrol

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

var midday = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func must[T any](value T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// shown fails unless people can be shown an error, which has one line and no secret.
func shown(t *testing.T, err error, secrets ...string) {
	t.Helper()
	if text := err.Error(); strings.Contains(text, "\n") {
		t.Errorf("more than a line: %q", text)
	}
	for _, secret := range secrets {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error says %q", secret)
		}
	}
}

// FuzzIdentity reads files of identities. One that is an identity is the same after it was
// written again, as an exchange does, and goes on from itself. No error says a key.
func FuzzIdentity(f *testing.F) {
	dir := f.TempDir()
	first := must(Open(dir))(f)
	file := filepath.Join(dir, FileName)
	var seeds []string
	add := func() {
		content := must(os.ReadFile(file))(f)
		f.Add(content)
		var s stored
		if err := json.Unmarshal(content, &s); err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, s.Operator, s.Fleet, s.Agents, s.System)
	}
	add()
	for _, what := range []string{SigningKey, Authority, SigningKey} {
		must(Exchange(dir, what, midday))(f)
		add()
	}
	if err := errors.Join(Retire(dir, SigningKey), Retire(dir, Authority)); err != nil {
		f.Fatal(err)
	}
	add()
	public := first.operator.public
	f.Fuzz(func(t *testing.T, content []byte) {
		s, err := decodeStored("identity.json", content)
		if err != nil {
			shown(t, err, seeds...)
			return
		}
		identity, err := s.identity()
		if err != nil {
			shown(t, err, seeds...)
			return
		}
		again := must(decodeStored("identity.json", must(json.Marshal(s))(t)))(t)
		other := must(again.identity())(t)
		if other.operator.public != identity.operator.public || !other.ring().follows(identity.ring()) || !identity.ring().follows(other.ring()) {
			t.Error("it is another when it is written and read again")
		}
		if identity.operator.public != public && bytes.Contains(content, []byte(seeds[0])) && s.Operator == seeds[0] {
			t.Error("a key has two public halves")
		}
		if _, err := identity.ServerTLS(nil); err != nil {
			shown(t, err, seeds...)
		}
	})
}

// rolls are files of rolls as a hub writes them.
func rolls(t testing.TB) [][]byte {
	t.Helper()
	token := must(must(Open(t.TempDir()))(t).NewToken(wire.Invitation{Cluster: "eu-1", Expires: midday.Add(time.Hour)}))(t)
	one := must(Roll{Version: storedVersion}.Enrol(Request{Cluster: "eu-1", Key: "UA", Token: &token}, midday))(t)
	one = one.Admitted("eu-1", midday, midday.Add(time.Hour))
	exchanging := must(one.Enrol(Request{Cluster: "eu-1", Key: "UB", Former: "UA"}, midday))(t)
	revoked := must(exchanging.Revoke("eu-1", midday))(t)
	var files [][]byte
	for _, roll := range []Roll{{Version: storedVersion}, one, exchanging, revoked, must(revoked.AllowRejoin("eu-1"))(t)} {
		files = append(files, must(json.MarshalIndent(roll, "", "  "))(t))
	}
	return files
}

// FuzzRoll reads files of rolls. What is read is the same after it was written again, and
// whatever is decided by it leaves it as it was. Whom it says to be revoked stays out.
func FuzzRoll(f *testing.F) {
	for _, file := range rolls(f) {
		f.Add(file)
	}
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"version":1,"members":{"":null,"eu-1":{}},"used":{"":{}},"revoked":{"UA":"2026-11-23T12:00:00Z"}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		roll, err := decodeRoll("members.json", content)
		if err != nil {
			shown(t, err)
			return
		}
		written := must(json.Marshal(roll))(t)
		if again := must(json.Marshal(must(decodeRoll("members.json", written))(t)))(t); !bytes.Equal(again, written) {
			t.Errorf("it is another when it is written and read again:\n%s\n%s", written, again)
		}
		for cluster, m := range roll.Members {
			after, err := roll.Enrol(Request{Cluster: cluster, Key: m.Key}, midday)
			if !m.Revoked.IsZero() && err == nil {
				t.Errorf("cluster %q comes in and is revoked", cluster)
			}
			after = after.Tidy(midday).Admitted(cluster, midday, midday)
			_, _ = after.Enrol(Request{Cluster: cluster, Key: "UN", Former: m.Key}, midday)
			_, _ = after.Revoke(cluster, midday)
			_, _ = after.AllowRejoin(cluster)
			_, _ = after.Approve(cluster)
			_, _ = after.Rotate(cluster, midday)
			_ = after.Pinned(cluster, wire.Pins{Signing: "x"})
		}
		if after := must(json.Marshal(roll))(t); !bytes.Equal(after, written) {
			t.Errorf("decisions have changed it:\n%s\n%s", written, after)
		}
	})
}

// FuzzCommand opens commands. One that is obeyed was signed with the identity, to the
// byte, and is obeyed once; what is refused leaves no trace.
func FuzzCommand(f *testing.F) {
	identity := must(Open(f.TempDir()))(f)
	other := must(Open(f.TempDir()))(f)
	verbs := map[string]fleet.ClusterName{VerbList: "", VerbApprove: "eu-1", VerbRevoke: "eu-1", VerbAllowRejoin: "eu-1", VerbRotate: "eu-1"}
	for verb, cluster := range verbs {
		for _, by := range []*Identity{identity, other} {
			f.Add([]byte(must(by.SealCommand(verb, cluster, midday))(f)))
		}
	}
	f.Add([]byte(must(identity.SealCommand(VerbList, "", midday.Add(-time.Hour)))(f)))
	f.Add([]byte(`{"command":"e30=","signature":""}`))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		desk := &Desk{config: DeskConfig{Identity: identity, Log: slog.New(slog.DiscardHandler)}, seen: map[string]time.Time{}}
		c, err := desk.Open(sealed, midday)
		if err != nil {
			shown(t, err)
			if !errors.Is(err, ErrCommand) && !errors.Is(err, ErrOldCommand) || len(desk.seen) > 0 {
				t.Errorf("refused: %v, seen %v", err, desk.seen)
			}
			return
		}
		var s signedCommand
		if err := json.Unmarshal(sealed, &s); err != nil || !ed25519.Verify(identity.PublicKey(), append([]byte(commandContext), s.Command...), s.Signature) {
			t.Errorf("%q is obeyed and was not signed", sealed)
		}
		if cluster, known := verbs[c.Verb]; !known || cluster != c.Cluster || !c.At.Equal(midday) {
			t.Errorf("%+v was never said", c)
		}
		if _, err := desk.Open(sealed, midday); !errors.Is(err, ErrCommand) {
			t.Errorf("obeyed twice: %v", err)
		}
	})
}
