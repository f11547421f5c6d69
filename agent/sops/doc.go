// Package sops opens what is encrypted: between steps 11 and 12 of a push it makes plain
// the objects that SOPS has encrypted, with a key that only this cluster has. It holds
// that key in a Secret, and has another program, navarch-decrypt, do the work: an
// [Opener] finds what is encrypted in an object, asks, and puts what comes back in its
// place.
//
// What is plain is in memory, on its way to the API server, and nowhere else. No error
// of this package repeats a value.
package sops
