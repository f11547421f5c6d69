// Package gitserver serves bare Git repositories over smart HTTP and ssh on loopback,
// with the git of this machine, and tells a webhook of every push as a hosting service
// would. It is where the commits of step 1 come from in the tests, the benchmark
// and the demo. A [WorkDir] is the other end: a person's clone.
package gitserver
