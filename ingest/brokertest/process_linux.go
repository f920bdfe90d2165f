package brokertest

import (
	"os/exec"
	"syscall"
	"time"
)

// dieWithParent has the kernel kill a process with this one: go test ends a
// binary that takes too long without letting it clean up.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// processorTime is how long this process has computed.
func processorTime() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
