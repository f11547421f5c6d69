// Package agent keeps one member cluster at what its hub announces. It is steps 9
// to 13 of one git push, and [Run] wires them:
//
//	 9 look      wire/natsconn   the kept announcement; a new one is only a hint
//	10 fetch     agent/fetch     verify, and read the digests that are missing
//	11 build     overlays.Build  changed apps only
//	12 apply     agent/apply     inventory, server-side apply, prune
//	13 report    agent/observe   health by watch, facts of the cluster
//
// One goroutine, the reconciler's, owns what is known of every app and decides;
// goroutines of their own carry out one piece of work for one app each.
package agent
