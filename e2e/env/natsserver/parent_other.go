//go:build !linux

package natsserver

import "syscall"

// dieWithParent has no equivalent here: programs are ended by Stop and Kill only.
func dieWithParent(*syscall.SysProcAttr) {}
