// Package dashboard shows the fleet: pages for people, a JSON API for programs,
// metrics for Prometheus, and a stream that tells a page when to look again.
//
// It is step 15 of one git push. Everything that is shown comes from one
// [view.Snapshot], and a page that is open follows by the rule "signal, then
// snapshot": the stream carries nothing but the newest version, at most four times
// a second, and the page fetches itself again. A slow viewer skips versions and
// never sees a mixture of two.
//
// The pages are plain HTML that works without scripts; the one script only keeps
// them up to date. Nothing is loaded from elsewhere and nothing is inline, which
// the content security policy enforces.
package dashboard
