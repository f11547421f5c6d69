// Package natsconn carries the protocol of package wire over NATS. It is the only
// importer of the NATS client.
//
// It is steps 8 and 9 of one git push, and the way of step 10's artifacts and of
// step 13's reports. A [Conn] reconnects for ever. Every message is the last word
// on its subject, kept in a stream, so nothing here is queued, replayed or
// remembered: who was away reads what is kept.
//
// The hub uses
//
//	EnsureStreams, Announce, AnnounceAll, KeptAnnouncements, Reports, DeleteReport,
//	DeleteReports, PutArtifact, KeptArtifacts, DeleteArtifact
//
// and an agent, whose rights end at its own subjects,
//
//	Desired, Report, Heartbeat
//
// Both use Artifact, Artifacts, Connected and Connects.
package natsconn
