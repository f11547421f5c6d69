//go:build !linux

package env

import "syscall"

// dieWithParent has no equivalent here: programs are ended by Stop and Kill only.
func dieWithParent(*syscall.SysProcAttr) {}
