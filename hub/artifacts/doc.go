// Package artifacts keeps content by its digest where agents can read it.
//
// It is step 7 of one git push: indexes, overlays and bases are put before
// anybody is told of them. Putting is idempotent and costs nothing for what is
// there. What the store keeps can be put again from a commit at any time.
package artifacts
