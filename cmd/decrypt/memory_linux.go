package main

import (
	"fmt"
	"syscall"
)

// maxMemory is what the process may write to: a document that grows when it is read ends
// this process, and neither the agent nor its pod.
const maxMemory = 384 << 20

// rlimitData is RLIMIT_DATA, which package syscall has no name for on every platform.
const rlimitData = 2

func boundMemory() error {
	limit := syscall.Rlimit{Cur: maxMemory, Max: maxMemory}
	if err := syscall.Setrlimit(rlimitData, &limit); err != nil {
		return fmt.Errorf("bound the memory: %w", err)
	}
	return nil
}
