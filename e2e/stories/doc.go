// Package stories holds what Navarch does as stories: scripts in testdata that
// write, push, wait and look, against real member clusters, a real Git server, a
// real hub with its NATS server, real agents and a real browser.
package stories
