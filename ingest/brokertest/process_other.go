//go:build !linux

package brokertest

import (
	"os/exec"
	"time"
)

func dieWithParent(*exec.Cmd) {}

func processorTime() time.Duration { return 0 }
