// Package fleet holds the nouns of a fleet and every decision about it: which
// cluster runs which app, with which differences, and what a commit may change.
//
// It covers steps 2, 3 and 6 of one git push: a tree of files is loaded into a
// [Definition], decided into placements, and compared with what is published.
//
// The package is pure. It takes values, an [io/fs.FS] and the time, and returns
// values and errors: no clock, randomness, file system, network, log or
// goroutine. It never writes to an argument, and whatever it returns is sorted,
// so that the same input gives the same bytes everywhere.
package fleet
