//go:build !linux

package main

// boundMemory does nothing: agents run on Linux, and elsewhere on machines of people who
// develop them.
func boundMemory() error { return nil }
