// Package access decides what a person may do. It is a decision like any other:
// who asks, the grants and the labels go in, and the answer comes out.
//
// It stands beside step 15 of one git push, and before a person's go for a commit
// that is held. Who asks is found out by the package gate; what is asked of which
// role is written beside each route, in a [Route].
package access
