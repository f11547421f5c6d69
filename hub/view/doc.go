// Package view folds everything that the hub knows into snapshots: what Git says,
// what was announced, and what agents report.
//
// It is step 14 of one git push. A [Board] takes facts in as they come, in any
// order and any number of times, and [Board.Snapshot] gives the whole fleet as one
// immutable value with a version. A reader keeps its snapshot as long as it likes;
// nothing that it shows was true at a different moment from the rest.
//
// Three rules keep a snapshot honest. Success is never inherited: an app is Ready
// only where the agent has applied exactly the digests that were announced.
// Silence is never health: a cluster that has said nothing for [Patience] is
// NotHeard, whatever it said last. And time is an argument: a snapshot is as of
// the moment that its reader names.
package view
