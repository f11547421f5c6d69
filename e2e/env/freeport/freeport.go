// Package freeport finds ports for programs that are stopped and started again beside a
// test.
package freeport

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// The ports that are tried. Local clusters have those above, and the highest are the
// kernel's for connections that go out: one of these may be taken while the program that
// it was found for is down.
const (
	lowest  = 10_000
	highest = 19_999
	tries   = 1000
)

// Find returns so many ports of loopback that nobody listens on.
func Find(count int) ([]int, error) {
	var ports []int
	for range tries {
		if len(ports) == count {
			return ports, nil
		}
		port := lowest + rand.IntN(highest-lowest+1)
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		defer listener.Close() // when all are found, so that no two are the same
		ports = append(ports, port)
	}
	return nil, errors.New("find a port that is free: there seems to be none")
}
