package repo

import (
	"hash/maphash"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/time/rate"
)

// How often webhooks are listened to, by sender and in all. A server that pushes to
// many branches at once sends some at a time; what is missed is seen at the next poll.
const (
	senderEvery = rate.Limit(10) // a second
	senderBurst = 50
	allEvery    = rate.Limit(20)
	allBurst    = 200
	senderSlots = 1024
)

// senders bounds how often webhooks come. It needs the same memory whoever sends:
// addresses share a few limits, and nobody can know with whom.
type senders struct {
	seed maphash.Seed
	all  *rate.Limiter

	mu    sync.Mutex
	slots [senderSlots]*rate.Limiter // nil: nobody was there yet
}

func newSenders() *senders {
	return &senders{seed: maphash.MakeSeed(), all: rate.NewLimiter(allEvery, allBurst)}
}

// allow tells whether a sender may be listened to now. One that sends too much does
// not use up what is there for the others.
func (s *senders) allow(remote string) bool {
	return s.slot(remote).Allow() && s.all.Allow()
}

func (s *senders) slot(remote string) *rate.Limiter {
	i := maphash.String(s.seed, network(remote)) % senderSlots
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slots[i] == nil {
		s.slots[i] = rate.NewLimiter(senderEvery, senderBurst)
	}
	return s.slots[i]
}

// network returns what one sender can have many addresses of.
func network(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	address = address.Unmap().WithZone("")
	if address.Is6() {
		if prefix, err := address.Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return address.String()
}
