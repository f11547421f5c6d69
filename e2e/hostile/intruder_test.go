package hostile

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// intruder is an agent that was enrolled as any other, and is in the hands of somebody
// else. It has everything that an agent has, and uses it as it likes.
type intruder struct {
	*stage
	install
	cluster  fleet.ClusterName
	key      nkeys.KeyPair
	public   string
	jwt      string
	nc       *nats.Conn
	refusals *heard
}

// join enrols an agent with a new key through the door of an install manifest.
func (s *stage) join(cluster fleet.ClusterName) *intruder {
	s.t.Helper()
	i := &intruder{stage: s, install: s.invite(cluster), cluster: cluster, refusals: newHeard()}
	i.key, i.public = newKey(s.t)
	answer := i.enrol(cluster, i.key, &i.token, "")
	if answer.JWT == "" {
		s.t.Fatalf("not admitted: %+v", answer)
	}
	i.jwt = answer.JWT
	i.nc = i.connect(nats.CustomInboxPrefix(wire.InboxPrefix(cluster)))
	return i
}

func newKey(t testing.TB) (nkeys.KeyPair, string) {
	t.Helper()
	key, err := nkeys.CreateUser()
	check(t, err)
	public, err := key.PublicKey()
	check(t, err)
	return key, public
}

// seal is a request for enrolment as a cluster, signed by a key.
func (i *intruder) seal(cluster fleet.ClusterName, key nkeys.KeyPair, token *wire.Token, jwt string) (wire.EnrolRequest, []byte) {
	i.t.Helper()
	public, err := key.PublicKey()
	check(i.t, err)
	r := wire.EnrolRequest{Version: wire.Version, Cluster: cluster, Key: public, Nonce: rand.Text(), JWT: jwt}
	sealed, err := wire.SealEnrolRequest(r, key, token)
	check(i.t, err)
	return r, sealed
}

// enrol asks to be admitted as a cluster, on the subject of the intruder's own door. It
// asks again when the hub finds that it asks too often.
func (i *intruder) enrol(cluster fleet.ClusterName, key nkeys.KeyPair, token *wire.Token, jwt string) wire.EnrolAnswer {
	i.t.Helper()
	request, sealed := i.seal(cluster, key, token, jwt)
	return i.ask(request, sealed)
}

func (i *intruder) ask(request wire.EnrolRequest, sealed []byte) wire.EnrolAnswer {
	i.t.Helper()
	door := i.dial(nats.UserCredentialBytes(i.door), nats.CustomInboxPrefix(wire.DoorInboxPrefix(i.cluster)))
	defer door.Close()
	for range 20 {
		reply, err := door.Request(wire.EnrolSubject(i.cluster), sealed, time.Second)
		if errors.Is(err, nats.ErrTimeout) {
			continue
		}
		check(i.t, err)
		answer, err := wire.OpenEnrolAnswer(reply.Data, request, i.identity.PublicKey())
		if err != nil { // to another request: the hub says what is wrong with the form
			return wire.EnrolAnswer{Refusal: wire.RefusedForm, Message: err.Error()}
		}
		return answer
	}
	i.t.Fatal("the hub does not answer at its door")
	return wire.EnrolAnswer{}
}

// connect connects with the intruder's own credentials.
func (i *intruder) connect(options ...nats.Option) *nats.Conn {
	i.t.Helper()
	return i.dial(append(options, credentials(i))...)
}

// credentials are what the hub signed for an intruder, with its key.
func credentials(i *intruder) nats.Option {
	return nats.UserJWT(func() (string, error) { return i.jwt, nil }, i.key.Sign)
}

func (i *intruder) dial(options ...nats.Option) *nats.Conn {
	i.t.Helper()
	nc, err := i.tryDial(options...)
	check(i.t, err)
	i.t.Cleanup(nc.Close)
	return nc
}

func (i *intruder) tryDial(options ...nats.Option) (*nats.Conn, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(i.ca)
	all := []nats.Option{
		nats.Secure(&tls.Config{RootCAs: roots}), nats.NoReconnect(), nats.Timeout(20 * time.Second),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { i.refusals.add(err.Error()) }),
	}
	return nats.Connect(i.hub, append(all, options...)...)
}

// refused waits until the server has refused a subject.
func (i *intruder) refused(t *testing.T, subject string) {
	t.Helper()
	if !i.refusals.wait(func(line string) bool {
		return strings.Contains(line, "ermissions") && strings.Contains(line, fmt.Sprintf("%q", subject))
	}) {
		t.Errorf("%q is not refused: %s", subject, i.refusals.all())
	}
}

// heard is lines that come.
type heard struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{}
}

func newHeard() *heard { return &heard{more: make(chan struct{})} }

func (h *heard) add(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, line)
	close(h.more)
	h.more = make(chan struct{})
}

func (h *heard) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lines
}

// wait tells whether a line comes, or has come, within some seconds.
func (h *heard) wait(is func(string) bool) bool {
	deadline := time.After(10 * time.Second)
	for {
		h.mu.Lock()
		lines, more := h.lines, h.more
		h.mu.Unlock()
		for _, line := range lines {
			if is(line) {
				return true
			}
		}
		select {
		case <-more:
		case <-deadline:
			return false
		}
	}
}

// report says something of an app as the intruder's cluster, and waits for the
// acknowledgment.
func (i *intruder) report(r wire.Report) {
	i.t.Helper()
	r.Version, r.Cluster = wire.Version, i.cluster
	body, err := wire.EncodeReport(r)
	check(i.t, err)
	i.say(wire.ReportSubject(i.cluster, r.App), body)
}

func (i *intruder) beat(h wire.Heartbeat) {
	i.t.Helper()
	h.Version, h.Cluster = wire.Version, i.cluster
	body, err := wire.EncodeHeartbeat(h)
	check(i.t, err)
	i.say(wire.ClusterSubject(i.cluster), body)
}

// say says something that is stored, and says it again while the server has too much to
// do or has forgotten its answer, as agents do.
func (i *intruder) say(subject string, body []byte) {
	i.t.Helper()
	i.until("it is stored", func() bool {
		answer, err := i.nc.Request(subject, body, 5*time.Second)
		if errors.Is(err, nats.ErrTimeout) {
			return false
		}
		check(i.t, err)
		tooMuch := bytes.Contains(answer.Data, []byte(`"code":429`))
		if !tooMuch && (!bytes.Contains(answer.Data, []byte(`"stream"`)) || bytes.Contains(answer.Data, []byte(`"error"`))) {
			i.t.Fatalf("not stored: %s", answer.Data)
		}
		return !tooMuch
	})
}

// index reads what the intruder's cluster should run, as its agent would.
func (i *intruder) index() (fleet.Digest, wire.Index) {
	i.t.Helper()
	kept, err := i.nc.Request(wire.DirectGet(wire.StreamDesired, wire.DesiredSubject(i.cluster)), nil, 10*time.Second)
	check(i.t, err)
	announcement, err := wire.Open(kept.Data, i.identity.PublicKey(), i.cluster)
	check(i.t, err)
	index, err := wire.DecodeIndex(i.artifact(announcement.Index), i.cluster)
	check(i.t, err)
	return announcement.Index, index
}

// artifact reads content whose digest is known.
func (i *intruder) artifact(d fleet.Digest) []byte {
	i.t.Helper()
	var chunks [][]byte
	for n := 0; n == 0 || n < cap(chunks); n++ {
		answer, err := i.nc.Request(wire.DirectGet(wire.StreamArtifacts, wire.ArtifactSubject(wire.AddressOf(d), n)), nil, 10*time.Second)
		check(i.t, err)
		if n == 0 {
			count, err := wire.CountChunks(d, answer.Data)
			check(i.t, err)
			chunks = make([][]byte, 0, count)
		}
		chunks = append(chunks, answer.Data)
	}
	content, err := wire.UnpackArtifact(d, chunks)
	check(i.t, err)
	return content
}
