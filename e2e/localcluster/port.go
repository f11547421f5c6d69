package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports come from below the ranges that systems take the ports of outgoing
// connections from, so that none of those is in the way when a part starts again.
const firstPort, portCount = 20000, 10000

// pickPorts gives the cluster ports that nobody listens on and that no other cluster,
// running or not, has.
func (c *cluster) pickPorts(others []*cluster) error {
	taken := make(map[int]bool, len(others))
	for _, other := range others {
		for _, port := range other.ports() {
			taken[*port] = true
		}
	}
	for _, port := range c.ports() {
		var err error
		if *port, err = freePort(taken); err != nil {
			return err
		}
		taken[*port] = true
	}
	return nil
}

// ports are those that the cluster has to have.
func (c *cluster) ports() []*int {
	if c.Metrics == nil {
		return []*int{&c.Port}
	}
	return []*int{&c.Port, &c.Metrics.Port, &c.Metrics.KubeletPort}
}

// freePort picks a port that is not taken. It begins anywhere: clusters below another
// root have ports too.
func freePort(taken map[int]bool) (int, error) {
	begin := rand.IntN(portCount)
	for i := range portCount {
		port := firstPort + (begin+i)%portCount
		if !taken[port] && checkPort(port) == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d", firstPort, firstPort+portCount-1)
}

// checkPort returns an error if the port cannot be listened on.
func checkPort(port int) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return listener.Close()
}
