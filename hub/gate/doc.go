// Package gate finds out who asks: it stands before every handler of the hub, signs
// people in, and writes down what they do.
//
// It stands before step 15 of one git push. What a person may do is decided by the
// package access; the handlers behind the gate read both from the context of their
// request. Nobody comes in by a default: a hub that is reached from elsewhere than
// its own machine asks everybody who they are.
package gate
