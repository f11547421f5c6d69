// Package env gives tests, the demo and the benchmark the real parts that they
// run against: member clusters, a Git server, the hub and its agents, each a
// process of its own on this machine, reachable on loopback only.
package env
