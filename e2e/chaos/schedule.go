package main

import (
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// fault is one thing that goes wrong: after a pause, for a while.
type fault struct {
	after time.Duration // the end of the one before
	kind  string
	lasts time.Duration
}

// The kinds of faults of each part of the fleet.
var (
	hubFaults    = []string{"kill", "kill", "lose-data"}
	agentFaults  = []string{"kill"}
	serverFaults = []string{"kill"}
	linkFaults   = []string{"cut", "refuse", "swallow", "delay", "throttle"}
	handFaults   = []string{"edit", "delete", "own", "own-changed"}
)

// schedule is what befalls one part of the fleet within length. It depends on nothing
// but its arguments.
func schedule(seed uint64, part string, kinds []string, length, every time.Duration) []fault {
	random := randomOf(seed, part)
	upTo := func(d time.Duration) time.Duration { return time.Duration(random.Int64N(int64(d))) }
	var faults []fault
	for at := time.Duration(0); ; {
		f := fault{
			after: every/2 + upTo(every),
			kind:  kinds[random.IntN(len(kinds))],
			lasts: 200*time.Millisecond + upTo(8*time.Second),
		}
		if at += f.after + f.lasts; at > length {
			return faults
		}
		faults = append(faults, f)
	}
}

// randomOf is the source of chance of one part of the fleet.
func randomOf(seed uint64, part string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(part)) // it never fails
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}
