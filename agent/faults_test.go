package agent_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/navarch/navarch/fleet"
	"github.com/navarch/navarch/wire"
)

// TestFlippedBit: an announcement that was damaged on its way applies nothing, the
// heartbeat says so, and the next good one is applied.
func TestFlippedBit(t *testing.T) {
	b := newBed(t)
	b.agent()
	one, two := b.app("shop", configMap("a", "one")), b.app("shop", configMap("a", "two"))
	b.announce(one)
	b.ready(one)

	content, _, err := wire.EncodeIndex(wire.Index{Version: wire.Version, Cluster: "eu-1", Desired: fleet.Desired{Apps: []fleet.DesiredApp{two}}})
	check(t, err)
	sealed, err := wire.Seal(wire.Announcement{
		Version: wire.Version, Cluster: "eu-1", Epoch: 1, Sequence: b.sequence + 1, Revision: "main@sha1:bad", Index: b.put(content),
	}, b.identity.SigningKey())
	check(t, err)
	sealed[len(sealed)/2] ^= 1
	check(t, b.hub.Announce(t.Context(), "eu-1", sealed))
	beat := func() wire.Heartbeat {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.beat
	}
	b.wait(func() bool { return beat().Refused != "" }, func() string { return fmt.Sprintf("the heartbeat to say so: %+v", beat()) })
	if got := b.word("a"); got != "one" || beat().Sequence != b.sequence {
		t.Errorf("it runs %q at sequence %d", got, beat().Sequence)
	}

	b.sequence++
	b.announce(two)
	b.ready(two)
	b.until("the heartbeat to say that all is well", func() bool { return beat().Refused == "" && beat().Sequence == b.sequence })
}

// TestLeavesNoGoroutine: nothing of an agent goes on after Run has returned.
func TestLeavesNoGoroutine(t *testing.T) {
	b := newBed(t)
	stop := b.agent()
	shop := b.app("shop", configMap("a", "one"))
	b.announce(shop)
	b.ready(shop)
	packages := []string{"navarch/navarch/agent.", "navarch/navarch/agent/", "k8s.io/client-go/tools/"}
	if len(goroutinesOf(packages...)) == 0 {
		t.Fatal("an agent that works has no goroutine: this test does not see them")
	}
	stop()
	var left []string
	b.wait(func() bool { left = goroutinesOf(packages...); return len(left) == 0 },
		func() string { return "goroutines to end:\n" + strings.Join(left, "\n\n") })
}

// goroutinesOf returns the stacks of the goroutines that are in one of some packages.
func goroutinesOf(packages ...string) []string {
	stacks := make([]byte, 8<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var found []string
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		for _, name := range packages {
			if strings.Contains(stack, name) {
				found = append(found, stack)
				break
			}
		}
	}
	return found
}
