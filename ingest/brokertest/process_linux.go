package brokertest

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill a process with this one: go test ends a
// binary that takes too long without letting it clean up.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
