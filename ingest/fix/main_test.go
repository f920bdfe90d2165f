package fix_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The counterparty's engine leaves its logon timers behind, waiting for ever.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/quickfixgo/quickfix.(*stateMachine).Connect.func1"))
}
