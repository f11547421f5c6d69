package hostile

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// canaryIn returns the first canary in some bytes.
func canaryIn(content []byte) string {
	for _, canary := range canaries {
		if bytes.Contains(content, []byte(canary)) {
			return canary
		}
	}
	return ""
}

// TestPermittedWalk is the property behind all single cases: no sequence of requests
// that an agent may make yields a byte of another cluster's overlay, index or report. It
// makes hundreds of them at random, and looks for the neighbour's canaries in everything
// that comes: as it is, decompressed, and opened with every digest that it has seen.
func TestPermittedWalk(t *testing.T) {
	steps, seeds := 300, []uint64{1}
	if os.Getenv("NAVARCH_FLOOD") != "" {
		steps, seeds = 1500, []uint64{1, 2, 3, 4, 5}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			s := newStage(t)
			s.announced(s.push(twoClusters("")))
			neighbour := s.join("us-1")
			w := &walk{intruder: s.join("eu-1"), random: rand.New(rand.NewPCG(seed, 0)), addresses: map[string]bool{}}
			w.listen()
			w.learn()
			for step := range steps {
				if step%(steps/3) == steps/6 { // the neighbour goes on meanwhile
					neighbour.report(wire.Report{App: "canary-app", Conditions: []wire.Condition{{Type: wire.Ready, Message: "canary-report"}}})
					neighbour.beat(wire.Heartbeat{Instance: "canary-instance"})
					s.announced(s.push(twoClusters(fmt.Sprint("-", step))))
				}
				w.step()
			}
			w.judge(t)
		})
	}
}

// walk is an agent that makes requests at random.
type walk struct {
	*intruder
	random  *rand.Rand
	digests []fleet.Digest // that it may know

	mu        sync.Mutex
	received  [][]byte        // payloads and headers
	addresses map[string]bool // that answers have named
}

// listen takes in everything that comes under the prefix of the inbox, asked for or not.
func (w *walk) listen() {
	_, err := w.nc.Subscribe(wire.InboxPrefix(w.cluster)+".>", w.take)
	check(w.t, err)
	_, err = w.nc.Subscribe(wire.DesiredSubject(w.cluster), w.take)
	check(w.t, err)
	check(w.t, w.nc.Flush())
}

// learn takes in what the agent is told: its own index and all that it names.
func (w *walk) learn() {
	digest, index := w.index()
	w.digests = append(w.digests, digest)
	for _, app := range index.Apps {
		w.digests = append(w.digests, app.Base, app.Overlay)
	}
	slices.Sort(w.digests)
	w.digests = slices.Compact(w.digests)
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// step makes one request that the allow-list permits, and takes in what comes.
func (w *walk) step() {
	r := w.random
	get := wire.DirectGet
	address := func() string {
		w.mu.Lock()
		known := slices.Sorted(maps.Keys(w.addresses))
		w.mu.Unlock()
		if len(known) > 0 && r.IntN(3) > 0 {
			return pick(r, known...)
		}
		return string(wire.AddressOf(pick(r, w.digests...)))
	}
	subject := pick(r,
		func() string { return get(wire.StreamDesired, wire.DesiredSubject(w.cluster)) },
		func() string { return get(wire.StreamArtifacts, wire.AllArtifacts) },
		func() string { return get(wire.StreamArtifacts, fmt.Sprintf("fleet.v1.artifact.*.%d", r.IntN(3))) },
		func() string { return get(wire.StreamArtifacts, fmt.Sprintf("fleet.v1.artifact.%s.*", address())) },
		func() string {
			return get(wire.StreamArtifacts, fmt.Sprintf("fleet.v1.artifact.%s.%d", address(), r.IntN(3)))
		},
		func() string { return get(wire.StreamArtifacts, fmt.Sprintf("fleet.v1.artifact.%064x.0", r.Uint64())) },
		func() string {
			return get(wire.StreamArtifacts, "fleet.v1.artifact."+pick(r, "us-1", "canary-app", "desired")+".0")
		},
		func() string {
			return wire.ReportSubject(w.cluster, fleet.AppName(pick(r, "mine", "both", "canary-app", "$JS", "us-1")))
		},
		func() string { return wire.ClusterSubject(w.cluster) },
	)()
	body := pick(r, ``, `{}`, `{"no_hdr":true}`, `{"multi_last":["fleet.v1.desired.us-1"],"batch":10}`, `{"seq":1}`, `{"last_by_subj":"fleet.v1.desired.us-1"}`,
		`{"next_by_subj":">"}`, `{"version":1,"cluster":"eu-1","app":"mine"}`, `{"version":1,"cluster":"us-1","app":"canary-app"}`, "\x00")
	m := &nats.Msg{Subject: subject, Data: []byte(body), Header: nats.Header{}}
	for range r.IntN(3) {
		m.Header.Set(pick(r, "Nats-Subject", "Nats-Stream", "Nats-Rollup", "Nats-Expected-Stream", "Nats-Msg-Id", "Nats-Request-Info", "Nats-Required-Api-Level", "Nats-Trace-Dest"),
			pick(r, wire.DesiredSubject("us-1"), wire.StreamReports, "sub", "all", "1", "_INBOX.eu-1.trace"))
	}
	if r.IntN(8) == 0 { // whose answer is to go elsewhere
		m.Reply = pick(r, ">", "_INBOX.>", "_INBOX.us-1.>", "_INBOX.us-1.*.*", wire.DesiredSubject("us-1"), "_INBOX.eu-1.mine", "_R_.x")
		check(w.t, w.nc.PublishMsg(m))
		check(w.t, w.nc.Flush())
		return
	}
	answer, err := w.nc.RequestMsg(m, 200*time.Millisecond) // what comes later is heard all the same
	switch {
	case err == nil:
		w.take(answer)
	case !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, nats.ErrNoResponders):
		w.t.Fatalf("%s: %v (is the connection cut?)", subject, err)
	}
	if r.IntN(40) == 0 { // a new connection, which may find something else
		w.nc.Close()
		w.nc = w.connect(nats.CustomInboxPrefix(wire.InboxPrefix(w.cluster)))
		w.listen()
		w.learn()
	}
}

var hexDigest = regexp.MustCompile(`[0-9a-f]{64}`)

func (w *walk) take(m *nats.Msg) {
	headers := fmt.Sprint(m.Header)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.received = append(w.received, m.Data, []byte(headers), []byte(m.Subject))
	for _, found := range hexDigest.FindAllString(headers+string(m.Data), -1) {
		w.addresses[found] = true
	}
}

// judge opens everything with everything. It has to find what is the intruder's own, or
// it would not find what is not.
func (w *walk) judge(t *testing.T) {
	w.learn()
	w.mu.Lock()
	defer w.mu.Unlock()
	keys := slices.Clone(w.digests)
	for address := range w.addresses { // an address is no digest, but who knows
		keys = append(keys, fleet.Digest("sha256:"+address))
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	check(t, err)
	defer decoder.Close()
	seen, opened, own := map[string]bool{}, 0, false
	for _, content := range w.received {
		if seen[string(content)] {
			continue
		}
		seen[string(content)] = true
		forms := [][]byte{content}
		if plain, err := decoder.DecodeAll(content, nil); err == nil {
			forms = append(forms, plain)
		}
		for _, d := range keys {
			if plain, err := wire.UnpackArtifact(d, [][]byte{content}); err == nil {
				forms = append(forms, plain)
				opened++
			}
		}
		for _, form := range forms {
			own = own || bytes.Contains(form, []byte(ours))
			if found := canaryIn(form); found != "" {
				t.Errorf("the intruder has read %q in %q", found, form[:min(len(form), 200)])
			}
		}
	}
	if len(w.addresses) < 3 || opened < 3 || !own {
		t.Errorf("%d addresses, %d opened, own content found: %t: this walk sees too little to prove anything", len(w.addresses), opened, own)
	}
	t.Logf("%d answers, %d of them different, %d opened with %d digests", len(w.received)/3, len(seen), opened, len(keys))
}
