package rabbitmq_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The leaks are looked for before the server's goroutines end with it.
	goleak.VerifyTestMain(withServer{m})
}

// withServer runs the tests, and ends the server that they share.
type withServer struct{ tests *testing.M }

func (w withServer) Run() int {
	code := w.tests.Run()
	if err := shared.stop(); err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	return code
}
