// Package wire is the protocol between the hub and its agents: subjects,
// messages, versions and signatures, and nothing that sends them.
//
// It serves steps 8 to 10 and 13 of one git push. The protocol carries state,
// never events: any message may be lost, repeated or reordered, and the last
// value of a subject is all that anybody needs. Everything under an
// [Announcement] is named by its digest, so its one signature covers all of it:
//
//	Announcement -> Index -> overlay and base of each app
//
// A new field is optional, and its comment says who sets it and what its absence
// means. A field is never used again for something else. [Version] counts.
package wire
