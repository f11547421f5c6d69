// Command chaos runs a fleet of three real members while commits land and everything
// around it breaks: agents, the hub and API servers are killed, connections between
// agents and the hub are cut, delayed, throttled and swallowed, the hub loses its data,
// and a bystander edits and deletes what the fleet runs.
//
// A seed decides which commits land, what breaks, how long after the last fault and
// for how long. In the end everything is let go, and every member has to equal Git
// within a bound: nothing is orphaned, nothing of the bystander is touched, no
// announcement was ever followed by an older one, and no Deployment was made anew
// that Git did not ask for. What is not so is printed, the exit code is 1, and the
// logs stay.
package main
