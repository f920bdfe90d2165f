package fix_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The counterparty's engine leaves goroutines behind: logon timers, readers and
	// writers that wait for a session that has ended.
	var options []goleak.Option
	for _, name := range []string{
		"(*stateMachine).Connect.func1", "readLoop", "writeLoop", "(*session).waitForInSessionTime", "(*Initiator).waitForInSessionTime.func1",
	} {
		options = append(options, goleak.IgnoreAnyFunction("github.com/quickfixgo/quickfix."+name))
	}
	goleak.VerifyTestMain(m, options...)
}
