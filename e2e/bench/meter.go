package main

import (
	"fmt"
	"maps"
	"os"

	"github.com/navarch/navarch/e2e/env"
)

// meter adds up what everything costs, through every restart.
type meter struct {
	fleet    *env.Fleet
	sizes    map[string]int64         // of the audit logs, by member, as far as they were read
	requests costs                    // of which writes and reads
	programs map[string]map[int]usage // by name and process: what each was seen to have cost last
	aside    float64                  // CPU of API servers that is not due to the agents
}

func newMeter(f *env.Fleet) meter {
	return meter{
		fleet: f, sizes: map[string]int64{}, programs: map[string]map[int]usage{},
		requests: costs{writes: map[string]int{}, reads: map[string]int{}},
	}
}

// costs is what everything has cost so far.
type costs struct {
	hub, agents   usage // CPU of all agents, memory of the largest
	busiest       float64
	api           float64        // CPU
	writes, reads map[string]int // by agents, watches and Leases left out, by what was asked
}

func count(requests map[string]int) int {
	n := 0
	for _, times := range requests {
		n += times
	}
	return n
}

// read returns the costs so far. What a process costs between its last reading and
// its end is lost.
func (m *meter) read() (costs, error) {
	var c costs
	for _, member := range m.fleet.Members {
		used, err := m.use("agent "+member.Name, m.fleet.Agents[member.Name].PID())
		if err != nil {
			return c, err
		}
		c.agents.cpu += used.cpu
		c.busiest = max(c.busiest, used.cpu)
		c.agents.resident, c.agents.peak = max(c.agents.resident, used.resident), max(c.agents.peak, used.peak)
		if err := m.audit(member); err != nil {
			return c, err
		}
	}
	api, err := m.apiServers()
	if err != nil {
		return c, err
	}
	c.api = api - m.aside
	c.writes, c.reads = maps.Clone(m.requests.writes), maps.Clone(m.requests.reads)
	c.hub, err = m.use("hub", m.fleet.Hub.PID())
	return c, err
}

// use returns what the processes of one program have cost, and the memory of the one
// that runs, which may have just ended.
func (m *meter) use(name string, pid int) (usage, error) {
	if m.programs[name] == nil {
		m.programs[name] = map[int]usage{}
	}
	now, err := usageOf(pid)
	if err == nil {
		m.programs[name][pid] = now
	} else if !os.IsNotExist(err) {
		return usage{}, fmt.Errorf("look at %s: %w", name, err)
	}
	sum := now
	sum.cpu = 0
	for _, u := range m.programs[name] {
		sum.cpu += u.cpu
	}
	return sum, nil
}

// apiServers returns what the API servers of all members have cost.
func (m *meter) apiServers() (float64, error) {
	sum := 0.0
	for _, member := range m.fleet.Members {
		pid, err := member.PartPID("kube-apiserver")
		if err != nil {
			return 0, err
		}
		used, err := usageOf(pid)
		if err != nil {
			return 0, err
		}
		sum += used.cpu
	}
	return sum, nil
}

// leaveOut runs what is none of the agents' doing, and returns what it cost the API
// servers.
func (m *meter) leaveOut(work func() error) (float64, error) {
	before, err := m.apiServers()
	if err != nil {
		return 0, err
	}
	if err := work(); err != nil {
		return 0, err
	}
	after, err := m.apiServers()
	m.aside += after - before
	return after - before, err
}

// audit counts what a member's agent has asked of its API server.
func (m *meter) audit(member *env.Member) error {
	requests, size, err := member.Requests(m.sizes[member.Name], true)
	if err != nil {
		return err
	}
	m.sizes[member.Name] = size
	for _, request := range requests {
		switch {
		case request.Resource == "leases.coordination.k8s.io": // each agent renews its own all the time
		case request.Verb == "watch": // those that ended; the agent begins them again
		case request.Writes():
			m.requests.writes[brief(request)]++
		default:
			m.requests.reads[brief(request)]++
		}
	}
	return nil
}

// brief names a request, and the object only where it is the agent's own.
func brief(r env.Request) string {
	if r.Namespace != "navarch-system" {
		r.Namespace, r.Name = "", ""
	}
	return r.String()
}
